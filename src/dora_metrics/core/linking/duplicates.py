"""Deduplicate deployments: one that several GitHub sources reported counts once.

The most precise source wins: the job that deployed, then the GitHub deployment, the release, the workflow run, the
push. Only facts from GitHub are compared so, and pushes with the rollouts of their commits by GitOps tools. Of several
reports of one rollout, the first one counts. Deployments reported by other systems are never duplicates.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.ids import ROLLOUT_PREFIXES, DeploymentId
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.formatting import count_are
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of

_PREFERRED_TO_PUSHES = ("deployment", "release", "run", "job")
"""The kinds of deployments that make a push of the same commit a duplicate."""

_NOTE_TERMS = {
    "deployment": ("GitHub deployment", "GitHub deployments", "the job that deployed"),
    "release": ("release", "releases", "the GitHub deployment of the same tag"),
    "run": ("workflow run", "workflow runs", "the deployment or release of the run"),
    "push": ("push", "pushes", "the deployment of the same commit"),
    "rollout": ("report of a rollout", "reports of a rollout", "the first report of the same rollout"),
}
"""For each kind of duplicates: one, several, and what counts instead."""


class Deduplicated(NamedTuple):
    """The deployments that count, and notes for readers about those that do not."""

    deployments: list[Deployment]
    notes: list[str]


def deduplicate(deployments: Sequence[Deployment], policy: Policy) -> Deduplicated:
    """Leave out the deployments that a more precise source reported too. The order stays."""
    with_ids = [(deployment, DeploymentId.parse(deployment.id)) for deployment in deployments]
    index = _SourceIndex.of(pair for pair in with_ids if policy.is_production(environment_of(pair[0])))
    repeated_rollouts = _repeated_rollouts(deployments)
    counted: list[Deployment] = []
    duplicate_counts: Counter[str] = Counter()
    for deployment, deployment_id in with_ids:
        is_repeated = deployment.id in repeated_rollouts
        duplicate_kind = "rollout" if is_repeated else index.duplicate_kind(deployment, deployment_id)
        if duplicate_kind is None:
            counted.append(deployment)
        elif duplicate_kind:
            duplicate_counts[duplicate_kind] += 1
    return Deduplicated(counted, _duplicate_notes(duplicate_counts))


def _repeated_rollouts(deployments: Sequence[Deployment]) -> frozenset[str]:
    """Return the ids of what only reports a rollout of a GitOps tool again."""
    if not any(deployment.id.startswith(ROLLOUT_PREFIXES) for deployment in deployments):
        return frozenset()
    from dora_metrics.core.gitops.rollouts import repeated_ids  # noqa: PLC0415 - most ledgers have no rollouts

    return repeated_ids(deployments)


def _duplicate_notes(duplicate_counts: Mapping[str, int]) -> list[str]:
    return [
        f"{count_are(number, singular, plural)} not counted, because {counted} counts."
        for kind, number in sorted(duplicate_counts.items())
        for singular, plural, counted in [_NOTE_TERMS[kind]]
    ]


@dataclass
class _SourceIndex:
    """Production deployments, indexed by the properties by which their duplicates are recognised.

    `recorded_jobs`: by (run id, environment), the ids of the jobs that recorded their deployment, None if not known.
    `recorded_in_parts`: (kind, key) of runs recorded by job, and of releases and pushes recorded by service.
    `runs_with_deployment`: ids of the runs that created a GitHub deployment.
    `services_by_tag`: services deployed from (kind and repository, tag).
    `services_by_commit`: services deployed from (repository, sha).
    `starts_by_commit`: when the deployments and releases of (repository, sha) began, in order.
    """

    recorded_jobs: defaultdict[tuple[str, str | None], set[str | None]] = field(
        default_factory=lambda: defaultdict(set)
    )
    recorded_in_parts: set[tuple[str, str]] = field(default_factory=set)
    runs_with_deployment: set[str] = field(default_factory=set)
    services_by_tag: defaultdict[tuple[str, str], set[str | None]] = field(default_factory=lambda: defaultdict(set))
    services_by_commit: defaultdict[tuple[str, str], set[str | None]] = field(default_factory=lambda: defaultdict(set))
    starts_by_commit: defaultdict[tuple[str, str], list[datetime]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, deployments: Iterable[tuple[Deployment, DeploymentId]]) -> "_SourceIndex":
        index = cls()
        for deployment, deployment_id in deployments:
            index._add(deployment, deployment_id)
        for starts in index.starts_by_commit.values():
            starts.sort()
        return index

    def _add(self, deployment: Deployment, deployment_id: DeploymentId) -> None:
        kind, key, is_part = deployment_id
        if kind == "job":
            self.recorded_jobs[key, deployment.environment].add(deployment.job_id)
            self.recorded_in_parts.add(("run", key))
        if kind == "deployment" and (job := job_link_of(deployment)):
            self.runs_with_deployment.add(job.run_id)
        if kind in ("release", "push") and is_part:
            self.recorded_in_parts.add((kind, key))
        if kind in ("deployment", "release") and deployment.ref:
            self.services_by_tag[f"{kind} {deployment.repository}", deployment.ref].add(deployment.service)
        is_preferred = kind in _PREFERRED_TO_PUSHES or deployment.id.startswith(ROLLOUT_PREFIXES)
        if is_preferred and deployment.sha:
            self.services_by_commit[deployment.repository, deployment.sha].add(deployment.service)
        if kind in ("deployment", "release") and deployment.sha:
            start = deployment.started_at or deployment.finished_at
            self.starts_by_commit[deployment.repository, deployment.sha].append(start)

    def duplicate_kind(self, deployment: Deployment, deployment_id: DeploymentId) -> str | None:
        """Return the kind of a duplicate, empty if it needs no note. Return None if it is not a duplicate."""
        kind, key, is_part = deployment_id
        match kind:
            case "run" | "release" | "push" if not is_part and (kind, key) in self.recorded_in_parts:
                return ""  # the jobs of a run and the services of a monorepo have facts of their own
            case "deployment" if self._is_recorded_by_its_job(deployment):
                return kind
            case "release" if self._shares_tag("deployment", deployment):
                return kind
            case "run" if key in self.runs_with_deployment or self._has_other_source(deployment):
                return kind
            case "push" if _has_service(self.services_by_commit.get(_commit_of(deployment), ()), deployment):
                return kind
            case _:
                return None

    def _is_recorded_by_its_job(self, deployment: Deployment) -> bool:
        """Whether the job that made a GitHub deployment recorded it too.

        Where the job is not known on both sides, any job of the same run and environment may be the one.
        """
        job = job_link_of(deployment)
        recorded_ids = self.recorded_jobs.get((job.run_id, deployment.environment)) if job else None
        if job is None or not recorded_ids:
            return False
        return job.job_id is None or not recorded_ids.isdisjoint({job.job_id, None})

    def _has_other_source(self, run: Deployment) -> bool:
        """Whether a deployment or release of the run's commit began during the run, or a release has the run's tag."""
        if self._shares_tag("release", run):
            return True
        starts = self.starts_by_commit.get(_commit_of(run), ())
        if run.started_at is None:
            return False
        return bisect_left(starts, run.started_at) < bisect_right(starts, run.finished_at)

    def _shares_tag(self, kind: str, deployment: Deployment) -> bool:
        """Whether a deployment of this kind has the same tag and does not name another service."""
        key = f"{kind} {deployment.repository}", str(deployment.ref)
        return _has_service(self.services_by_tag.get(key, ()), deployment)


def _commit_of(deployment: Deployment) -> tuple[str, str]:
    return deployment.repository, str(deployment.sha)


def _has_service(services: Collection[str | None], deployment: Deployment) -> bool:
    """Whether one of some deployments has the service of this one, or one of them or this one names none."""
    return bool(services) and (deployment.service is None or deployment.service in services or None in services)
