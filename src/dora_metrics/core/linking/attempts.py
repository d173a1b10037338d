"""Join the parts of one attempt of a workflow run: they are one deployment (docs/definitions.md, "deployment").

A job with `environment:` makes a GitHub deployment, and each job that calls the action records one. So a matrix, or a
deploy job and its smoke test, leave several facts. The unit that counts is the attempt of a run at one environment and
service. Its parts stay facts of their own. The result does not depend on the order in which they arrive.
"""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.facts.job_links import JobLink, job_link_of
from dora_metrics.core.facts.model import Deployment, Health, Status
from dora_metrics.core.scope import Scope, scope_of

STARTED_BY_SOMEBODY = timedelta(minutes=1)
"""A part that starts this much later than all parts before it ended was started again by somebody.

A job with `if: always()` follows a failed one within seconds.
"""

AFTER_SUCCESS = timedelta(hours=1)
"""A part that starts this much later than a complete success is a new attempt, not the next job of the same one.

This and `AFTER_ANOTHER_RUN` decide only where the names of the jobs are not known.
"""

AFTER_ANOTHER_RUN = timedelta(minutes=5)
"""As `AFTER_SUCCESS`, where another run deployed to the scope in between."""

_BEFORE_ALL_PARTS = datetime.min.replace(tzinfo=UTC)


class JoinedDeployments(NamedTuple):
    """The deployments that count, and the parts of each that has several, by its id."""

    deployments: list[Deployment]
    parts: Mapping[str, tuple[Deployment, ...]]


class _RunInScope(NamedTuple):
    """A run in one scope. `server` is empty for a run of the repository's own GitHub."""

    scope: Scope
    server: str
    run_id: str


def join_parts(deployments: Iterable[Deployment]) -> JoinedDeployments:
    """Join the parts of each attempt of a run. A deployment that is not a part of a run is unchanged."""
    all_deployments = list(deployments)
    joined: list[Deployment] = []
    by_run: defaultdict[_RunInScope, list[Deployment]] = defaultdict(list)
    for deployment, run in zip(all_deployments, _runs_of(all_deployments), strict=True):
        if run:
            by_run[run].append(deployment)
        else:
            joined.append(deployment)
    parts: dict[str, tuple[Deployment, ...]] = {}
    ends = _EndsByScope(all_deployments)
    for run, run_parts in by_run.items():
        for run_deployment in _deployments_of(run, run_parts, ends):
            deployment = run_deployment.joined()
            joined.append(deployment)
            if len(run_deployment.parts) > 1:
                parts[deployment.id] = tuple(run_deployment.parts)
    return JoinedDeployments(joined, parts)


def ids_without_success(deployments: Sequence[Deployment]) -> set[str]:
    """Return the ids of the parts of attempts that did not succeed as a whole."""
    joined = join_parts(deployments)
    unsuccessful = (deployment.id for deployment in joined.deployments if deployment.status != "success")
    return {part.id for attempt_id in unsuccessful for part in joined.parts.get(attempt_id, ())}


def _runs_of(deployments: Sequence[Deployment]) -> list[_RunInScope | None]:
    """Return the run of each deployment; None for one that is not a part of a run.

    Numbers of runs are unique on one GitHub only. Its address is known from the deployments that name their run.
    """
    links = [job_link_of(deployment) for deployment in deployments]
    own_servers = {
        (deployment.repository, link.server)
        for deployment, link in zip(deployments, links, strict=True)
        if link and deployment.run_id
    }

    def server_of(deployment: Deployment, link: JobLink) -> str:
        is_own = deployment.run_id or (deployment.repository, link.server) in own_servers
        return "" if is_own else link.server

    return [
        _RunInScope(scope_of(deployment), server_of(deployment, link), link.run_id) if link else None
        for deployment, link in zip(deployments, links, strict=True)
    ]


class _EndsByScope:
    """When the deployments of each scope ended; read only for runs with several parts."""

    def __init__(self, deployments: Sequence[Deployment]) -> None:
        self._deployments = deployments
        self._ends: dict[Scope, list[tuple[datetime, str]]] | None = None

    def is_other_between(self, run: _RunInScope, after: datetime, until: datetime) -> bool:
        """Whether a deployment of another run ended in the scope, after one time and not later than the other."""
        ends = self._by_scope().get(run.scope, [])
        first = bisect_right(ends, after, key=lambda end: end[0])
        last = bisect_right(ends, until, key=lambda end: end[0])
        return any(ends[position][1] != run.run_id for position in range(first, last))

    def _by_scope(self) -> Mapping[Scope, list[tuple[datetime, str]]]:
        if self._ends is None:
            self._ends = defaultdict(list)
            for deployment in self._deployments:
                link = job_link_of(deployment)
                self._ends[scope_of(deployment)].append((deployment.finished_at, link.run_id if link else ""))
            for ends in self._ends.values():
                ends.sort()
        return self._ends


class _EarlierParts:
    """Parts of the earlier attempts of a deployment, in order, that a later attempt may repeat."""

    def __init__(self) -> None:
        self._by_job: defaultdict[str, deque[Deployment]] = defaultdict(deque)
        self._unsuccessful: deque[Deployment] = deque()
        self._unsuccessful_without_name: deque[Deployment] = deque()

    def add(self, part: Deployment) -> None:
        if part.job_name:
            self._by_job[part.job_name].append(part)
        if part.status != "success":
            self._unsuccessful.append(part)
        if part.status != "success" and not part.job_name:
            self._unsuccessful_without_name.append(part)

    def repeated_by(self, part: Deployment, newest: Container[str]) -> Deployment | None:
        """Return the part that another one repeats: the same job, otherwise one without success whose job may be it.

        `newest` has the ids of the parts that no later attempt has repeated yet.
        """
        same_job = self._by_job[part.job_name] if part.job_name else deque[Deployment]()
        may_repeat = self._unsuccessful_without_name if part.job_name else self._unsuccessful
        return _first_of(same_job, newest) or _first_of(may_repeat, newest)


def _first_of(parts: deque[Deployment], ids: Container[str]) -> Deployment | None:
    """Return the first part with one of the ids; those before it are dropped."""
    while parts and parts[0].id not in ids:
        parts.popleft()
    return parts[0] if parts else None


@dataclass
class _RunDeployment:
    """The attempts of a run up to the first in which everything has succeeded, or all of them.

    A part is added in constant time on average, so that a run may have thousands of them.

    Attributes:
        parts: all parts in order.
        newest: those that no later attempt repeated, by id: the newest state of each job.
        ended_at: when the last part ended.
        least_number: the lowest number that the latest attempt can have: one after that of the attempt before it.
        is_numbered: whether GitHub gave the latest attempt this number. History tells no numbers, so of an attempt with
            a lost event some parts have none.
        job_names: the names of all jobs, as far as they are known.
        are_jobs_named: whether the names of all jobs are known.
        attempt_parts: the parts of the latest attempt. They do not repeat each other.
        attempt_job_names: the names of its jobs.
    """

    parts: list[Deployment] = field(default_factory=list)
    newest: dict[str, Deployment] = field(default_factory=dict)
    ended_at: datetime = _BEFORE_ALL_PARTS
    least_number: int = 1
    is_numbered: bool = False
    job_names: set[str] = field(default_factory=set)
    are_jobs_named: bool = True
    attempt_parts: list[Deployment] = field(default_factory=list)
    attempt_job_names: set[str] = field(default_factory=set)
    _earlier: _EarlierParts = field(default_factory=_EarlierParts)
    _unsuccessful_count: int = 0

    @property
    def is_complete_success(self) -> bool:
        return self._unsuccessful_count == 0

    def start_attempt(self) -> None:
        """Begin a later attempt of the run, which repeats what did not succeed."""
        self.least_number, self.is_numbered = self.least_number + 1, False
        for part in self.attempt_parts:
            if part.id in self.newest:
                self._earlier.add(part)
        self.attempt_parts.clear()
        self.attempt_job_names.clear()

    def add(self, part: Deployment) -> None:
        """Add a part of the latest attempt. What it repeats counts no more, unless it was cancelled itself."""
        repeated = self._earlier.repeated_by(part, self.newest)
        self._remember(part)
        if repeated is not None and part.status == "cancelled":
            return
        if repeated is not None:
            del self.newest[repeated.id]
            self._unsuccessful_count -= repeated.status != "success"
        self.newest[part.id] = part
        self._unsuccessful_count += part.status != "success"

    def _remember(self, part: Deployment) -> None:
        self.parts.append(part)
        self.attempt_parts.append(part)
        self.ended_at = max(self.ended_at, part.finished_at)
        if part.run_attempt and part.run_attempt >= self.least_number:
            self.least_number, self.is_numbered = part.run_attempt, True
        if part.job_name:
            self.job_names.add(part.job_name)
            self.attempt_job_names.add(part.job_name)
        else:
            self.are_jobs_named = False

    def joined(self) -> Deployment:
        """Return one deployment for all parts; a single part as it is."""
        return self.parts[0] if len(self.parts) == 1 else join_as_one(self.parts, list(self.newest.values()))


def _deployments_of(run: _RunInScope, run_parts: Sequence[Deployment], ends: _EndsByScope) -> list[_RunDeployment]:
    """Split the parts of a run into deployments, each up to its first complete success."""
    deployments: list[_RunDeployment] = []
    by_number: dict[int, _RunDeployment] = {}
    for part in _in_order(run_parts):
        numbered = by_number.get(part.run_attempt or 0)
        deployment = numbered or (deployments[-1] if deployments else None)
        is_later = numbered is None and deployment is not None and _is_later_attempt(part, deployment, run, ends)
        if deployment is None:
            deployments.append(deployment := _RunDeployment())
        elif is_later and deployment.is_complete_success:
            deployments.append(deployment := _RunDeployment(least_number=deployment.least_number + 1))
        elif is_later:
            deployment.start_attempt()
        deployment.add(part)
        if part.run_attempt:
            by_number.setdefault(part.run_attempt, deployment)
    return deployments


def _in_order(parts: Sequence[Deployment]) -> list[Deployment]:
    """Sort the parts of a run by attempt if all attempts are known, then by start, end and id."""
    is_numbered = all(part.run_attempt for part in parts)

    def order(part: Deployment) -> tuple[int, datetime, datetime, str]:
        number = (part.run_attempt or 0) if is_numbered else 0
        return number, part.started_at or part.finished_at, part.finished_at, part.id

    return sorted(parts, key=order)


def _is_later_attempt(part: Deployment, deployment: _RunDeployment, run: _RunInScope, ends: _EndsByScope) -> bool:
    """Return whether a part is of a later attempt of its run: by number, else by the name of its job, else by time."""
    if part.run_attempt and (deployment.is_numbered or part.run_attempt <= deployment.least_number):
        return part.run_attempt > deployment.least_number
    if part.started_at is None or part.started_at < deployment.ended_at:
        return False
    if part.job_name in deployment.attempt_job_names:
        return True
    pause = part.started_at - deployment.ended_at
    if part.job_name in deployment.job_names:
        return deployment.is_complete_success and pause > STARTED_BY_SOMEBODY
    if part.job_name and deployment.are_jobs_named:
        return False
    return _is_later_by_time(part.started_at, deployment, run, ends)


def _is_later_by_time(started_at: datetime, deployment: _RunDeployment, run: _RunInScope, ends: _EndsByScope) -> bool:
    pause = started_at - deployment.ended_at
    if not deployment.is_complete_success:
        return pause > STARTED_BY_SOMEBODY
    return pause > AFTER_SUCCESS or (
        pause > AFTER_ANOTHER_RUN and ends.is_other_between(run, deployment.ended_at, started_at)
    )


def join_as_one(parts: Sequence[Deployment], newest: Sequence[Deployment]) -> Deployment:
    """Return one deployment for all parts, in order.

    A part that was cancelled counts nowhere: with it, the others decide.

    Args:
        parts: at least one.
        newest: those that no other has repeated. The first with the status of all gives the commit and the address.
    """
    deciding = [part for part in newest if part.status != "cancelled"] or list(newest)
    status = _status_of(deciding)
    representative = next((part for part in deciding if part.status == status), parts[0])
    own_ids = {part.id for part in parts}
    return replace(
        representative,
        id=parts[0].id,
        observed_at=max(part.observed_at for part in parts),
        started_at=min((part.started_at for part in parts if part.started_at), default=None),
        finished_at=max(part.finished_at for part in deciding),
        sha=representative.sha or _first(part.sha for part in parts),
        ref=representative.ref or _first(part.ref for part in parts),
        version=representative.version or _first(part.version for part in parts),
        changes=_changes_of(parts, own_ids),
        previous=_first(part.previous for part in parts if part.previous not in own_ids),
        descends_from=_ancestor_ids_of(parts, own_ids),
        remediates=_first(part.remediates for part in parts),
        reached_users=_has_reached_users(parts, status),
        commit_count=_sum(part.commit_count for part in parts),
        health=_health_of(newest),
        job_id=None,
        job_name=None,
        run_attempt=max((part.run_attempt for part in parts if part.run_attempt), default=None),
        workflow=_first(part.workflow for part in parts),
        run_event=_first(part.run_event for part in parts),
    )


def _status_of(parts: Sequence[Deployment]) -> Status:
    """Return the status of an attempt: a failure if a part of it failed, whatever the others did."""
    statuses = {part.status for part in parts}
    if "failure" in statuses:
        return "failure"
    return "success" if "success" in statuses else "cancelled"


def _has_reached_users(parts: Sequence[Deployment], status: Status) -> bool:
    """Return whether a part says that it reached users; where others failed, a success says so."""
    is_mixed = status == "failure" and any(part.status == "success" for part in parts)
    return is_mixed or any(part.reached_users for part in parts)


def _changes_of(parts: Sequence[Deployment], own_ids: set[str]) -> tuple[str, ...] | None:
    """Return the changes of all parts, each once; None if they are not known.

    Parts deploy one commit. So one that was compared with another part of the same attempt delivered nothing new, and
    that says nothing of what the attempt delivered.
    """
    if not any(part.changes is not None and part.previous not in own_ids for part in parts):
        return None
    return tuple(dict.fromkeys(chain.from_iterable(part.changes or () for part in parts)))


def _ancestor_ids_of(parts: Sequence[Deployment], own_ids: set[str]) -> tuple[str, ...] | None:
    """Return the ids of the earlier successes that the parts descend from, each once; None if they are not known."""
    known = [part.descends_from for part in parts if part.descends_from is not None]
    return tuple(dict.fromkeys(each for each in chain.from_iterable(known) if each not in own_ids)) if known else None


def _health_of(parts: Sequence[Deployment]) -> Health | None:
    results = {part.health for part in parts}
    if "failed" in results:
        return "failed"
    return "passed" if "passed" in results else None


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _sum(counts: Iterable[int | None]) -> int | None:
    numbers = [count for count in counts if count is not None]
    return sum(numbers) if numbers else None
