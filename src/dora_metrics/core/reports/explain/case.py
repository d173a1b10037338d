"""Everything that is known, linked and judged, to be asked about single facts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment, Fact, Vulnerability
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import Failure, FailureVerdicts, judge
from dora_metrics.core.linking.link import DeliveredChange, LinkedFacts, ScopeTimeline, link
from dora_metrics.core.markdown import Md, join_non_empty, md
from dora_metrics.core.markdown import id_code_span as written
from dora_metrics.core.metrics.lead_time import ExcludedChange, MeasuredChange, measure_lead_times
from dora_metrics.core.metrics.security import DeliveredFix, delivered_fixes
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import deployment_link, replace_ids
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window


@dataclass(frozen=True)
class Section:
    """A heading with a line for each thing that is said under it."""

    title: str
    lines: tuple[Md, ...]


@dataclass(frozen=True)
class Explanation:
    """What is said about one fact: the answer first, then where it stands, then the reasons."""

    headline: Md
    sentences: tuple[Md, ...] = ()
    sections: tuple[Section, ...] = ()


class ScopedDeployment(NamedTuple):
    """Where a deployment stands: its scope, its position among the scope's deployments."""

    timeline: ScopeTimeline
    deployment: Deployment


@dataclass(frozen=True)
class ExplainContext:
    """All facts by id with all that was judged of them, under one reading, for one window."""

    facts_by_id: Mapping[str, Fact]
    linked_facts: LinkedFacts
    failure_verdicts: FailureVerdicts
    policy: Policy
    window: Window

    @cached_property
    def scoped_deployments(self) -> dict[str, ScopedDeployment]:
        """Every production deployment that counts anywhere, by id."""
        return {
            deployment.id: ScopedDeployment(timeline, deployment)
            for timeline in self.linked_facts.timelines.values()
            for deployment in timeline.deployments
        }

    @cached_property
    def failure_by_deployment(self) -> dict[str, Failure]:
        return {
            failure.deployment.id: failure
            for failures in self.failure_verdicts.failures.values()
            for failure in failures
        }

    @cached_property
    def attribution_by_incident(self) -> dict[str, AttributedIncident]:
        return {
            attribution.incident.id: attribution
            for attributions in self.failure_verdicts.incidents.values()
            for attribution in attributions
        }

    @cached_property
    def attributions_by_deployment(self) -> Mapping[str, list[AttributedIncident]]:
        """Incidents by the deployment that they blame, in order of their detection."""
        attributions: dict[str, list[AttributedIncident]] = defaultdict(list)
        for attribution in sorted(
            self.attribution_by_incident.values(),
            key=lambda attribution: (attribution.incident.detected_at, attribution.incident.id),
        ):
            if attribution.attributed_to:
                attributions[attribution.attributed_to.id].append(attribution)
        return attributions

    @cached_property
    def delivered_changes_by_id(self) -> Mapping[str, list[tuple[ScopeTimeline, DeliveredChange]]]:
        """By change, and by deployment, what was delivered."""
        delivered_changes: dict[str, list[tuple[ScopeTimeline, DeliveredChange]]] = defaultdict(list)
        for timeline in self.linked_facts.timelines.values():
            for delivered_change in timeline.delivered_changes:
                delivered_changes[delivered_change.change_id].append((timeline, delivered_change))
                delivered_changes[delivered_change.deployment.id].append((timeline, delivered_change))
        return delivered_changes

    @cached_property
    def lead_times_by_change(self) -> Mapping[tuple[Scope, str], tuple[list[MeasuredChange], list[ExcludedChange]]]:
        """By scope and change its lead times, and why it has none."""
        lead_times: dict[tuple[Scope, str], tuple[list[MeasuredChange], list[ExcludedChange]]] = defaultdict(
            lambda: ([], [])
        )
        for timeline in self.linked_facts.timelines.values():
            scope_lead_times = measure_lead_times(timeline, self.policy)
            for measured_change in scope_lead_times.measured:
                lead_times[timeline.scope, measured_change.change_id][0].append(measured_change)
            for excluded_change in scope_lead_times.excluded:
                lead_times[timeline.scope, excluded_change.change_id][1].append(excluded_change)
        return lead_times

    @cached_property
    def fixes_by_scope(self) -> Mapping[Scope, list[DeliveredFix]]:
        """By scope the deployments that brought the fix of a vulnerability."""
        return {
            scope: delivered_fixes(self.vulnerabilities_of(scope), timeline.successes)
            for scope, timeline in self.linked_facts.timelines.items()
        }

    def vulnerabilities_of(self, scope: Scope) -> list[Vulnerability]:
        """The vulnerabilities of a scope: those of its service, and those that name none."""
        in_repository = (
            vulnerability
            for vulnerability in self.linked_facts.vulnerabilities
            if vulnerability.repository == scope.repository
        )
        return [vulnerability for vulnerability in in_repository if vulnerability.service in (None, "", scope.service)]

    # Words.

    def format_time(self, moment: datetime) -> str:
        return formatting.date_time(moment, self.policy.zone)

    def replace_ids(self, text: str) -> str:
        """A sentence about facts with names instead of ids."""
        return replace_ids(text, self.facts_by_id)

    def fact_label(self, fact_id: str | None) -> Md:
        """What people call a fact, with its id where that is something else."""
        fact = self.facts_by_id.get(fact_id or "")
        if isinstance(fact, Deployment):
            label = deployment_link(fact)
            return md("{} ({})", label, written(fact.id))
        return md("{}", self.replace_ids(fact_id or ""))

    def window_sentence(self, moment: datetime) -> Md:
        """Whether it is in the numbers of the window."""
        start, end = self.format_time(self.window.start), self.format_time(self.window.end)
        position = "lies in" if self.window.contains(moment) else "lies outside of"
        counted = "is" if self.window.contains(moment) else "is not"
        return md("That {} the window {} – {}, so it {} in these numbers.", position, start, end, counted)


def build_context(facts: Iterable[Fact], policy: Policy, window: Window) -> ExplainContext:
    """Links and judges all facts, and keeps everything that was found on the way."""
    facts_by_id = {fact.id: fact for fact in facts}
    linked_facts = link(facts_by_id.values(), policy)
    return ExplainContext(facts_by_id, linked_facts, judge(linked_facts, policy), policy, window)


def scope_text(scope: Scope) -> Md:
    return md("{} of {} (service {})", scope.environment, scope.repository, scope.service)


def join_limited(parts: Iterable[Md], max_parts: int = 10) -> Md:
    """Up to so many, and how many more."""
    items = list(parts)
    more = f" and {len(items) - max_parts} more" if len(items) > max_parts else ""
    return Md(join_non_empty(", ", items[:max_parts]) + more)
