"""Linked and evaluated facts, indexed by id, for explanations of single facts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment, Fact, Vulnerability
from dora_metrics.core.failures.incident_reports import ReportedIncident
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import Failure, FailureVerdicts, judge
from dora_metrics.core.linking.delivered_changes import DeliveredChange
from dora_metrics.core.linking.link import LinkedFacts, ScopeTimeline, link
from dora_metrics.core.markdown import Md, id_code_span, join_non_empty, md
from dora_metrics.core.metrics.lead_time import LeadTimes, measure_lead_times
from dora_metrics.core.metrics.security import DeliveredFix, delivered_fixes
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import deployment_link, replace_ids
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window


@dataclass(frozen=True)
class Section:
    """A heading and the lines below it."""

    title: str
    lines: tuple[Md, ...]


@dataclass(frozen=True)
class Explanation:
    """The explanation of one fact: the answer, then where the fact counts, then the reasons."""

    headline: Md
    sentences: tuple[Md, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class ExplainContext:
    """All facts by id with what was derived from them, for one policy and one window.

    `records_incidents`: whether their source could have an incident at all; a git history could not.
    """

    facts_by_id: Mapping[str, Fact]
    linked_facts: LinkedFacts
    failure_verdicts: FailureVerdicts
    policy: Policy
    window: Window
    records_incidents: bool

    @cached_property
    def timeline_by_deployment(self) -> dict[str, ScopeTimeline]:
        """The timeline that a deployment is in, by deployment id; only production deployments have one."""
        timelines = self.linked_facts.timelines.values()
        return {deployment.id: timeline for timeline in timelines for deployment in timeline.deployments}

    @cached_property
    def _attempt_by_part(self) -> Mapping[str, Deployment]:
        """The deployment that several facts were joined to, by the id of each of them."""
        timelines = self.linked_facts.timelines.values()
        deployments = (deployment for timeline in timelines for deployment in timeline.deployments)
        return {part_id: each for each in deployments for part_id in self.linked_facts.part_ids(each)}

    def attempt_of(self, deployment: Deployment) -> Deployment:
        """Return the deployment that a fact is a part of; the fact itself if it is not a part."""
        return self._attempt_by_part.get(deployment.id, deployment)

    @cached_property
    def failure_by_deployment(self) -> dict[str, Failure]:
        """Failures by deployment id."""
        scopes = self.failure_verdicts.failures.values()
        return {failure.deployment.id: failure for failures in scopes for failure in failures}

    @cached_property
    def attribution_by_incident(self) -> dict[str, AttributedIncident]:
        """Incidents with the deployment that they are attributed to, by incident id, in order of detection."""
        attributions = chain.from_iterable(self.failure_verdicts.incidents.values())
        in_order = sorted(attributions, key=lambda each: (each.incident.detected_at, each.incident.id))
        return {attribution.incident.id: attribution for attribution in in_order}

    @cached_property
    def reported_incident_by_report(self) -> Mapping[str, ReportedIncident]:
        """Every incident, also outside production, by the id of each of its reports."""
        incidents = self.failure_verdicts.joined.incidents
        return {report.id: each for each in incidents for report in each.reports}

    @cached_property
    def attributions_by_deployment(self) -> Mapping[str, list[AttributedIncident]]:
        """Incidents by the id of the deployment that they are attributed to, in order of detection."""
        attributions: dict[str, list[AttributedIncident]] = defaultdict(list)
        for attribution in self.attribution_by_incident.values():
            if attribution.attributed_to:
                attributions[attribution.attributed_to.id].append(attribution)
        return attributions

    @cached_property
    def delivered_changes_by_id(self) -> Mapping[str, list[tuple[ScopeTimeline, DeliveredChange]]]:
        """Delivered changes with their scope's timeline, both by change id and by deployment id."""
        delivered_changes: dict[str, list[tuple[ScopeTimeline, DeliveredChange]]] = defaultdict(list)
        for timeline in self.linked_facts.timelines.values():
            for delivered_change in timeline.delivered_changes:
                delivered_changes[delivered_change.change_id].append((timeline, delivered_change))
                delivered_changes[delivered_change.deployment.id].append((timeline, delivered_change))
        return delivered_changes

    @cached_property
    def carriers_by_id(self) -> Mapping[str, list[tuple[ScopeTimeline, DeliveredChange]]]:
        """Pull requests that only carried what others delivered, with their scope's timeline, by change id."""
        carriers: dict[str, list[tuple[ScopeTimeline, DeliveredChange]]] = defaultdict(list)
        for timeline in self.linked_facts.timelines.values():
            for carrier in timeline.carriers:
                carriers[carrier.change_id].append((timeline, carrier))
        return carriers

    @cached_property
    def lead_times_by_change(self) -> Mapping[tuple[Scope, str], LeadTimes]:
        """Measured lead times and exclusions, by scope and change id."""
        lead_times: dict[tuple[Scope, str], LeadTimes] = defaultdict(LeadTimes)
        for timeline in self.linked_facts.timelines.values():
            scope_lead_times = measure_lead_times(timeline, self.policy)
            for measured_change in scope_lead_times.measured:
                lead_times[timeline.scope, measured_change.change_id].measured.append(measured_change)
            for excluded_change in scope_lead_times.excluded:
                lead_times[timeline.scope, excluded_change.change_id].excluded.append(excluded_change)
        return lead_times

    @cached_property
    def fixes_by_scope(self) -> Mapping[Scope, list[DeliveredFix]]:
        """Deployed fixes of vulnerabilities, by scope."""
        return {
            scope: delivered_fixes(self.vulnerabilities_of(scope), timeline.successes)
            for scope, timeline in self.linked_facts.timelines.items()
        }

    def vulnerabilities_of(self, scope: Scope) -> list[Vulnerability]:
        """Return the vulnerabilities of a scope: those of its service and those that name no service."""
        services = (None, "", scope.service)
        in_repository = (v for v in self.linked_facts.vulnerabilities if v.repository == scope.repository)
        return [vulnerability for vulnerability in in_repository if vulnerability.service in services]

    def format_time(self, moment: datetime) -> str:
        """Return a time to the minute, in the configured time zone."""
        return formatting.date_time(moment, self.policy.zone)

    def replace_ids(self, text: str) -> str:
        """Replace the ids in a sentence by readable names."""
        return replace_ids(text, self.facts_by_id)

    def fact_label(self, fact_id: str | None) -> Md:
        """Return the readable name of a fact, for a deployment with its id."""
        fact = self.facts_by_id.get(fact_id or "")
        if isinstance(fact, Deployment):
            return md("{} ({})", deployment_link(fact), id_code_span(fact.id))
        return md("{}", self.replace_ids(fact_id or ""))

    def in_window_sentence(self) -> Md:
        """Return a sentence on a fact in the window, which says nothing of what counts."""
        return md(
            "It is in the window {} to {}.", self.format_time(self.window.start), self.format_time(self.window.end)
        )

    def window_sentence(self, moment: datetime) -> Md:
        """Return a sentence on whether a time is in the window."""
        start, end = self.format_time(self.window.start), self.format_time(self.window.end)
        position, verb = ("in", "include") if self.window.contains(moment) else ("outside", "do not include")
        sentence = "It is {} the window {} to {}, so the metrics of this window {} it."
        return md(sentence, position, start, end, verb)


def build_context(
    facts: Iterable[Fact], policy: Policy, window: Window, *, records_incidents: bool = True
) -> ExplainContext:
    """Link and evaluate all facts."""
    facts_by_id = {fact.id: fact for fact in facts}
    linked_facts = link(facts_by_id.values(), policy)
    return ExplainContext(facts_by_id, linked_facts, judge(linked_facts, policy), policy, window, records_incidents)


def scope_text(scope: Scope) -> Md:
    """Return the name of a scope: `production (acme/shop, service shop)`."""
    return md("{} ({}, service {})", scope.environment, scope.repository, scope.service)


def membership_text(scope: Scope) -> Md:
    """Return the start of a sentence: `It belongs to acme/shop, service shop, environment production`."""
    return md("It belongs to {}, service {}, environment {}", scope.repository, scope.service, scope.environment)


def join_limited(parts: Iterable[Md], max_parts: int = 10) -> Md:
    """Join the first parts with commas, followed by how many more there are."""
    items = list(parts)
    listed = join_non_empty(", ", items[:max_parts])
    return md("{} and {} more", listed, len(items) - max_parts) if len(items) > max_parts else listed
