"""In which order the deployments of a scope began, though runs wait for a runner, for another run or for an approval.

A run that was created earlier has a lower number, so it began no later than any run with a higher one. That tells a
workflow that had to wait from one that somebody started because of what another one had deployed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.job_links import parse_job_link
from dora_metrics.core.facts.model import Deployment


class Beginning(NamedTuple):
    """When a deployment began, at the latest, and the number of its run; 0 where none is known. Ordered by both."""

    time: datetime
    run_number: int


class _Run(NamedTuple):
    server: str
    number: int


def beginnings(deployments: Sequence[Deployment]) -> list[Beginning]:
    """Return when each deployment of a scope began. One without a known start is taken to begin when it ended.

    Args:
        deployments: in order of their ends. A later one of the same run is the run again, so it began by itself.
    """
    times = {each.id: each.started_at or each.finished_at for each in deployments}
    runs = {each.id: run for each in deployments if (run := _run_of(each))}
    for first_ids in _first_ids_by_server(deployments, runs):
        latest = max(times.values())
        for deployment_id in sorted(first_ids, key=lambda each: runs[each].number, reverse=True):
            latest = times[deployment_id] = min(latest, times[deployment_id])
    return [Beginning(times[each.id], runs[each.id].number if each.id in runs else 0) for each in deployments]


def _first_ids_by_server(deployments: Iterable[Deployment], runs: dict[str, _Run]) -> Iterable[list[str]]:
    """Return the ids of the first deployment of each run, by GitHub: numbers of runs are ordered on one only."""
    first_ids: defaultdict[str, dict[_Run, str]] = defaultdict(dict)
    for deployment in deployments:
        if run := runs.get(deployment.id):
            first_ids[run.server].setdefault(run, deployment.id)
    return [list(by_run.values()) for by_run in first_ids.values()]


def _run_of(deployment: Deployment) -> _Run | None:
    """Return the run that made a deployment, or that it is; None without one, or without a number."""
    kind, key, _ = DeploymentId.parse(deployment.id)
    address = parse_job_link(deployment.url, deployment.repository)
    own_id = deployment.run_id or (key if kind in ("run", "job") else None)
    run_id = own_id or (address.run_id if address else "")
    if not (run_id.isascii() and run_id.isdigit()):
        return None
    return _Run(address.server if address else "", int(run_id[:20]))
