"""Deduplicate deployments: one that several GitHub sources reported counts once.

The most precise source wins: the job that deployed, then the GitHub deployment, the release, the workflow run, the
push. Only facts from GitHub are compared. Deployments reported by other systems are never duplicates.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of

_PREFERRED_TO_PUSHES = ("deployment", "release", "run", "job")
"""The kinds of deployments that make a push of the same commit a duplicate."""

_NOTE_TERMS = {
    "deployment": ("GitHub deployments", "the job that deployed"),
    "release": ("releases", "the GitHub deployment of the same tag"),
    "run": ("workflow runs", "the deployment or release that they made"),
    "push": ("pushes", "the deployment of the same commit"),
}
"""For each kind of duplicates: their plural, and what counts instead."""


class Deduplicated(NamedTuple):
    """The deployments that count, and notes for readers about those that do not."""

    deployments: list[Deployment]
    notes: list[str]


def deduplicate(deployments: Sequence[Deployment], policy: Policy) -> Deduplicated:
    """Leave out the deployments that a more precise source reported too. The order stays."""
    in_production = (d for d in deployments if policy.is_production(environment_of(d)))
    index = _SourceIndex.of(in_production)
    counted: list[Deployment] = []
    duplicate_counts: Counter[str] = Counter()
    for deployment in deployments:
        duplicate_kind = index.duplicate_kind(deployment)
        if duplicate_kind is None:
            counted.append(deployment)
        elif duplicate_kind:
            duplicate_counts[duplicate_kind] += 1
    return Deduplicated(counted, _duplicate_notes(duplicate_counts))


def _duplicate_notes(duplicate_counts: Mapping[str, int]) -> list[str]:
    return [
        f"Not counted twice: {_NOTE_TERMS[kind][0]} ({count}), because {_NOTE_TERMS[kind][1]} counts."
        for kind, count in sorted(duplicate_counts.items())
    ]


@dataclass
class _SourceIndex:
    """Production deployments, indexed by the properties by which their duplicates are recognised.

    `recorded_jobs`: by (run id, environment), the ids of the jobs that recorded their deployment, None if not known.
    `recorded_in_parts`: (kind, key) of runs recorded by job, and of releases and pushes recorded by service.
    `runs_with_deployment`: ids of the runs that created a GitHub deployment.
    `services_by_tag`: services deployed from (kind and repository, tag).
    `deployments_by_commit`: (kind, deployment) by (repository, sha).
    """

    recorded_jobs: defaultdict[tuple[str, str | None], set[str | None]] = field(
        default_factory=lambda: defaultdict(set)
    )
    recorded_in_parts: set[tuple[str, str]] = field(default_factory=set)
    runs_with_deployment: set[str] = field(default_factory=set)
    services_by_tag: defaultdict[tuple[str, str], set[str | None]] = field(default_factory=lambda: defaultdict(set))
    deployments_by_commit: defaultdict[tuple[str, str], list[tuple[str, Deployment]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def of(cls, deployments: Iterable[Deployment]) -> "_SourceIndex":
        index = cls()
        for deployment in deployments:
            index._add(deployment, DeploymentId.parse(deployment.id))
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
        if kind in _PREFERRED_TO_PUSHES and deployment.sha:
            self.deployments_by_commit[deployment.repository, deployment.sha].append((kind, deployment))

    def duplicate_kind(self, deployment: Deployment) -> str | None:
        """Return the kind of a duplicate, empty if it needs no note. Return None if it is not a duplicate."""
        kind, key, is_part = DeploymentId.parse(deployment.id)
        match kind:
            case "run" | "release" | "push" if not is_part and (kind, key) in self.recorded_in_parts:
                return ""  # the jobs of a run and the services of a monorepo have facts of their own
            case "deployment" if self._is_recorded_by_its_job(deployment):
                return kind
            case "release" if self._shares_tag("deployment", deployment):
                return kind
            case "run" if key in self.runs_with_deployment or self._has_other_source(deployment):
                return kind
            case "push" if any(
                _same_service(deployment, other) for other in self._of_same_commit(deployment, _PREFERRED_TO_PUSHES)
            ):
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
        return any(_began_during(run, other) for other in self._of_same_commit(run, ("deployment", "release")))

    def _shares_tag(self, kind: str, deployment: Deployment) -> bool:
        """Whether a deployment of this kind has the same tag and does not name another service."""
        services = self.services_by_tag.get((f"{kind} {deployment.repository}", str(deployment.ref)), set())
        return bool(services) and (deployment.service is None or not services.isdisjoint({deployment.service, None}))

    def _of_same_commit(self, deployment: Deployment, kinds: Collection[str]) -> Iterator[Deployment]:
        """Yield the deployments of these kinds with the same commit."""
        for kind, other in self.deployments_by_commit.get((deployment.repository, str(deployment.sha)), ()):
            if kind in kinds:
                yield other


def _same_service(first: Deployment, second: Deployment) -> bool:
    """Whether two deployments have the same service, or one of them names none."""
    return first.service == second.service or first.service is None or second.service is None


def _began_during(run: Deployment, deployment: Deployment) -> bool:
    started_at = deployment.started_at or deployment.finished_at
    return run.started_at is not None and run.started_at <= started_at <= run.finished_at
