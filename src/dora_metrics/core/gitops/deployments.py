"""From rollouts that a GitOps tool pushed, or that were read, to the deployments that are new to the ledger."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.gitops.commits import CommitOfRollout, FullSha, commit_of, short_revision
from dora_metrics.core.gitops.occurrence import Occurrence, from_repository
from dora_metrics.core.gitops.rollouts import (
    SAME_OCCURRENCE,
    Rollout,
    RolloutKey,
    is_new,
    is_outdated_state,
    is_present_state,
    rollout_of,
    rollout_order,
)
from dora_metrics.core.gitops.targets import GitOpsTarget, GitOpsTargets
from dora_metrics.core.scope import DEFAULT_ENVIRONMENT

_MAX_NOTES = 5


class NewDeployments(Struct, frozen=True):
    """The deployments that are new to the ledger, and notes for readers.

    Attributes:
        deployments: in order of their ends.
        notes: what is not recorded, and which deployments have no lead time, with the reason.
        skipped_count: how many rollouts are of objects that the settings skip.
    """

    deployments: tuple[Deployment, ...]
    notes: tuple[str, ...] = ()
    skipped_count: int = 0


def new_deployments(
    occurrences: Iterable[Occurrence],
    recorded: Iterable[Deployment],
    targets: GitOpsTargets,
    repository: str,
    full_sha: FullSha = lambda _repository, _digits: None,
) -> NewDeployments:
    """Return the deployments that the ledger does not have yet.

    Occurrences in any order give the same deployments, as long as they are passed together. If they come one by one,
    one that was taken for a reconciliation stays so, even if another revision turns out later to have been between.

    Args:
        occurrences: what the tools say.
        recorded: the ledger's deployments.
        targets: the setting `gitops`.
        repository: the repository of this run, as `owner/name`.
        full_sha: completes an abbreviated sha; it is called for new deployments only.
    """
    timelines = _timelines(recorded)
    deployments: list[Deployment] = []
    reasons: dict[str, str] = {}
    occurrences = list(occurrences)
    placed = list(_placed(occurrences, targets, repository))
    shared = _shared_names(placed)
    for occurrence, target, deployment in placed:
        if not _is_new(deployment, occurrence, timelines, shared):
            continue
        commit = _commit_of(occurrence, target, deployment.repository, repository, full_sha)
        deployments.append(_with_commit(deployment, commit, occurrence.revision))
        if commit.because:
            reasons.setdefault(occurrence.deployer.path, commit.because)
    skipped_count = len(occurrences) - len(placed)
    notes = (*_shared_name_notes(shared), *_skip_notes(skipped_count), *_lead_time_notes(reasons))
    return NewDeployments(tuple(deployments), notes, skipped_count)


def _placed(
    occurrences: Iterable[Occurrence], targets: GitOpsTargets, repository: str
) -> Iterator[tuple[Occurrence, GitOpsTarget, Deployment]]:
    """Yield the rollouts that are not skipped, in order of time, with what they deploy and as deployments."""
    for occurrence in sorted(occurrences, key=_order):
        if target := targets.target_of(occurrence.deployer.path):
            chosen = from_repository(occurrence, filter(None, (target.repository, repository)))
            yield chosen, target, _deployment_of(chosen, target, repository)


def _shared_names(placed: Iterable[tuple[Occurrence, GitOpsTarget, Deployment]]) -> frozenset[RolloutKey]:
    """Return what objects of several clusters have in common, where one of these keeps no time.

    One object that keeps no time says one thing in one reading. So whatever else is said there is of another object.
    """
    revisions: defaultdict[RolloutKey, set[str]] = defaultdict(set)
    undated: set[RolloutKey] = set()
    for occurrence, _, deployment in placed:
        if rollout := rollout_of(deployment):
            revisions[rollout.key].add(rollout.revision)
            undated |= {rollout.key} if occurrence.is_time_of_asking else set()
    return frozenset(key for key in undated if len(revisions[key]) > 1)


def completed_deployments(
    occurrences: Iterable[Occurrence],
    recorded: Iterable[Deployment],
    targets: GitOpsTargets,
    repository: str,
    full_sha: FullSha,
) -> tuple[Deployment, ...]:
    """Return recorded deployments without a commit, with the one that an occurrence names by now.

    A report may not have named it, or its digits could not be completed at the time. The arguments are those of
    `new_deployments`.
    """
    timelines = _timelines(recorded)
    completed: dict[str, Deployment] = {}
    for occurrence, target, deployment in _placed(occurrences, targets, repository):
        earlier = _recorded_of(deployment, occurrence, timelines)
        if earlier and earlier.sha is None:
            sha = _commit_of(occurrence, target, earlier.repository, repository, full_sha).sha
            observed_at = max(occurrence.observed_at, earlier.observed_at + timedelta(microseconds=1))
            completed |= {earlier.id: replace(earlier, sha=sha, observed_at=observed_at)} if sha else {}
    return tuple(completed.values())


def _recorded_of(
    deployment: Deployment, occurrence: Occurrence, timelines: Mapping[RolloutKey, Sequence[Rollout]]
) -> Deployment | None:
    """Return the newest recorded deployment of the same rollout, or of the state that an object is in."""
    rollout = rollout_of(deployment)
    if rollout is None:
        return None
    for each in reversed(timelines.get(rollout.key, ())):
        is_same = (each.revision, each.status) == (rollout.revision, rollout.status)
        if is_same and (occurrence.is_time_of_asking or abs(each.time - rollout.time) <= SAME_OCCURRENCE):
            return each.deployment
    return None


def _order(occurrence: Occurrence) -> tuple[object, ...]:
    return occurrence.finished_at, occurrence.deployer.path, occurrence.revision, occurrence.succeeded


def _timelines(recorded: Iterable[Deployment]) -> defaultdict[RolloutKey, list[Rollout]]:
    """Return the recorded rollouts of each object, in order of time."""
    timelines: defaultdict[RolloutKey, list[Rollout]] = defaultdict(list)
    for deployment in recorded:
        if rollout := rollout_of(deployment):
            insort(timelines[rollout.key], rollout, key=rollout_order)
    return timelines


def _is_new(
    deployment: Deployment,
    occurrence: Occurrence,
    timelines: defaultdict[RolloutKey, list[Rollout]],
    shared: frozenset[RolloutKey],
) -> bool:
    """Whether a deployment is new; if so, it is among the known ones from now on."""
    rollout = rollout_of(deployment)
    if rollout is None:
        return False
    recorded, is_state = timelines[rollout.key], occurrence.is_time_of_asking or occurrence.unchanged_since is not None
    if is_state and is_present_state(rollout, recorded, occurrence.unchanged_since):
        return False
    if occurrence.is_time_of_asking and is_outdated_state(rollout, recorded, is_shared=rollout.key in shared):
        return False
    if not is_new(rollout, recorded):
        return False
    insort(timelines[rollout.key], rollout, key=rollout_order)
    return True


def _deployment_of(occurrence: Occurrence, target: GitOpsTarget, repository: str) -> Deployment:
    """Return the deployment of a rollout, still without its commit."""
    deployer = occurrence.deployer
    environment = target.environment or occurrence.environment or DEFAULT_ENVIRONMENT
    return Deployment(
        id=ids.rollout(deployer.tool, deployer.path, occurrence.revision, occurrence.finished_at, environment),
        repository=target.repository or occurrence.source_repository or repository,
        service=target.service or deployer.name,
        source=deployer.tool,
        observed_at=occurrence.observed_at,
        url=occurrence.url,
        environment=environment,
        version=occurrence.version,
        status="success" if occurrence.succeeded else "failure",
        started_at=occurrence.started_at,
        finished_at=occurrence.finished_at,
        reached_users=occurrence.reached_users,
    )


def _commit_of(
    occurrence: Occurrence, target: GitOpsTarget, repository: str, run_repository: str, full_sha: FullSha
) -> CommitOfRollout:
    revision_repository = occurrence.source_repository or run_repository
    return commit_of(occurrence, target, repository, revision_repository, full_sha)


def _with_commit(deployment: Deployment, commit: CommitOfRollout, revision: str) -> Deployment:
    """Return a deployment with its commit; if that is not known, its revision is its name for people."""
    if commit.sha:
        return replace(deployment, sha=commit.sha)
    return replace(deployment, version=deployment.version or short_revision(revision))


def _shared_name_notes(shared: Iterable[RolloutKey]) -> Iterator[str]:
    """Yield why returns to former revisions are not recorded of some objects."""
    names = sorted({f"{key.path} ({key.environment})" for key in shared})
    if names:
        yield (
            f"Several objects of one name, at different revisions: {formatting.join_first(names, _MAX_NOTES)}. Their "
            "rollbacks are not recorded, because they keep no time; give each cluster an `environment`"
        )


def _skip_notes(count: int) -> Iterator[str]:
    if count:
        yield f"Not recorded: {formatting.count(count, 'rollout')} of objects that the setting `gitops` skips"


def _lead_time_notes(reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield why deployments of some objects have no commit, and therefore no lead time."""
    for path, because in list(reasons.items())[:_MAX_NOTES]:
        yield f"{path} has no lead time: {because}"
    if len(reasons) > _MAX_NOTES:
        others = formatting.count(len(reasons) - _MAX_NOTES, "other object")
        yield f"{others} {'has' if len(reasons) == _MAX_NOTES + 1 else 'have'} no lead time either"
