"""Link facts: group deployments by scope and assign each change to the deployment that delivered it first."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from msgspec import Struct

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.linking.attempts import join_parts
from dora_metrics.core.linking.counting import count_deployments
from dora_metrics.core.linking.delivered_changes import ChangeIndex, DeliveredChange, deliver_changes
from dora_metrics.core.linking.simultaneous_pushes import join_pushes
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, scope_of


class ScopeTimeline(Struct):
    """The deployments of one scope and the changes that they delivered, both in order of time.

    `carriers` are the pull requests that only carried such changes, each with the deployment that brought the last of
    what it carried. `delivered_parts` has, by sha, the first success with a commit that is not a change itself
    (`Deliveries.parts`).
    """

    scope: Scope
    deployments: list[Deployment] = []
    delivered_changes: list[DeliveredChange] = []
    carriers: list[DeliveredChange] = []
    delivered_parts: Mapping[str, DeliveredChange] = {}

    @property
    def successes(self) -> list[Deployment]:
        """The successful deployments, in order."""
        return [deployment for deployment in self.deployments if deployment.status == "success"]

    @property
    def changes_and_carriers(self) -> list[DeliveredChange]:
        """All that people may mean by a change: what counts as one, and the carriers; in order of deployment."""
        if not self.carriers:
            return self.delivered_changes
        return sorted((*self.delivered_changes, *self.carriers), key=lambda each: deployment_order(each.deployment))

    @property
    def deployments_reaching_users(self) -> list[Deployment]:
        """The deployments that reached users, in order."""
        return [deployment for deployment in self.deployments if has_reached_users(deployment)]


class Production(Struct, frozen=True):
    """What counts as production: the environments of the settings, and whatever happens without one.

    In a repository where deployments name environments, one that names none is not to production.
    """

    policy: Policy = Policy()
    repositories_with_environments: AbstractSet[str] = frozenset()

    def includes(self, fact: Deployment | Incident) -> bool:
        """Whether a deployment or an incident is of production."""
        if fact.environment:
            return self.policy.is_production(fact.environment)
        return isinstance(fact, Incident) or fact.repository not in self.repositories_with_environments


class LinkedFacts(Struct):
    """All facts that are not retracted, linked. `notes` are sentences for readers about the quality of the links.

    `parts` has the facts that one deployment was joined from, by its id, where there are several. `left_out` says of
    deployments by id why they do not count. `production` decides which of the others do.
    """

    timelines: dict[Scope, ScopeTimeline]
    changes_by_id: dict[str, Change]
    incidents: list[Incident]
    vulnerabilities: list[Vulnerability]
    notes: list[str]
    parts: Mapping[str, tuple[Deployment, ...]] = {}
    left_out: Mapping[str, str] = {}
    production: Production = Production()

    def part_ids(self, deployment: Deployment) -> set[str]:
        """Return the ids of the facts that a deployment was joined from; its own if it is a single fact."""
        return {part.id for part in self.parts.get(deployment.id, (deployment,))}


def has_reached_users(deployment: Deployment) -> bool:
    """Whether a deployment reached users: every success, and a failure if its source says so."""
    return deployment.status == "success" or (deployment.status == "failure" and deployment.reached_users)


def deployment_order(deployment: Deployment) -> tuple[datetime, datetime, str]:
    """Sort key of deployments: end, start, id."""
    return deployment.finished_at, deployment.started_at or EPOCH, deployment.id


def link(facts: Iterable[Fact], policy: Policy) -> LinkedFacts:
    """Link all facts that are not retracted, leaving out duplicates and deployments outside production."""
    linked = LinkedFacts({}, {}, [], [], [])
    deployments: list[Deployment] = []
    for fact in facts:
        if fact.retracted:
            continue
        match fact:
            case Deployment():
                deployments.append(fact)
            case Change():
                linked.changes_by_id[fact.id] = fact
            case Incident():
                linked.incidents.append(fact)
            case Vulnerability():
                linked.vulnerabilities.append(fact)
    counted = count_deployments(deployments, policy)
    linked.notes += counted.notes
    linked.left_out = counted.left_out
    attempts = join_parts(counted.deployments)
    joined = join_pushes(attempts.deployments)
    linked.parts = {**attempts.parts, **joined.parts}
    _add_timelines(linked, joined.deployments, policy)
    index = ChangeIndex(linked.changes_by_id)
    for timeline in linked.timelines.values():
        in_order = sorted(timeline.deployments, key=deployment_order)
        deliveries = deliver_changes(in_order, index, linked.parts)
        timeline.deployments, timeline.delivered_changes = deliveries.deployments, deliveries.changes
        timeline.carriers, timeline.delivered_parts = deliveries.carriers, deliveries.parts
    _note_unknown_changes(linked)
    return linked


def _add_timelines(linked: LinkedFacts, deployments: list[Deployment], policy: Policy) -> None:
    """Add a timeline per production scope, and notes about deployments without or outside one."""
    with_environments = {deployment.repository for deployment in deployments if deployment.environment}
    linked.production = Production(policy, with_environments)
    outside_production: list[Deployment] = []
    assumed_production: set[str] = set()
    for deployment in deployments:
        if deployment.repository not in with_environments:
            assumed_production.add(deployment.repository)
        if linked.production.includes(deployment):
            scope = scope_of(deployment)
            if scope not in linked.timelines:
                linked.timelines[scope] = ScopeTimeline(scope)
            linked.timelines[scope].deployments.append(deployment)
        else:
            outside_production.append(deployment)
    linked.notes += _environment_notes(linked, sorted(assumed_production), outside_production)


def _environment_notes(
    linked: LinkedFacts, assumed_production: Sequence[str], outside_production: Sequence[Deployment]
) -> Iterator[str]:
    for repository in assumed_production:
        yield f"No environment is recorded for {repository}, so all its deployments count as production."
    counts = Counter(deployment.environment or "no environment" for deployment in outside_production)
    if counts:
        yield _outside_production_note(counts)
    yield from _missing_production_notes({scope.repository for scope in linked.timelines}, outside_production)


def _outside_production_note(counts: Counter[str]) -> str:
    """Return `2 deployments outside production (staging) are not counted.`; of several environments, each count."""
    kind = "outside production"
    if len(counts) == 1:
        kind += f" ({next(iter(counts))})"
    deployments = formatting.count_are(counts.total(), f"deployment {kind}", f"deployments {kind}")
    names = f": {formatting.names_with_counts(sorted(counts.items()))}" if len(counts) > 1 else ""
    return f"{deployments} not counted{names}."


def _missing_production_notes(in_production: AbstractSet[str], outside: Sequence[Deployment]) -> Iterator[str]:
    """Yield what each repository without a production deployment has deployed to, and the setting that decides."""
    counts_by_repository: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for deployment in outside:
        if deployment.repository not in in_production:
            counts_by_repository[deployment.repository].update(filter(None, [deployment.environment]))
    for repository, counts in sorted(counts_by_repository.items()):
        yield (
            f"No production deployment of {repository} is recorded, only deployments to "
            f"{formatting.names_with_counts(sorted(counts.items()))}. If one of these environments is production, "
            "add it to `production-environments`."
        )


def _note_unknown_changes(linked: LinkedFacts) -> None:
    later = [success for timeline in linked.timelines.values() for success in timeline.successes[1:]]
    without_changes = [success for success in later if success.changes is None]
    baseline_count = sum(success.is_new_baseline for success in without_changes)
    if unknown_count := len(without_changes) - baseline_count:
        deployments = formatting.count(unknown_count, "deployment")
        linked.notes.append(f"The changes in {deployments} are not known yet, so they are excluded from lead time.")
    if baseline_count:
        deployments = formatting.count(baseline_count, "deployment has", "deployments have")
        linked.notes.append(
            f"{deployments} no commit in common with any earlier one, as after the code's history was rewritten. "
            "Such a deployment is a new baseline: what is new in it cannot be known, so it has no lead time."
        )
