"""Explanations of a deployment, a change, an incident or a vulnerability, found by its name."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, takewhile

from dora_metrics.core import formatting
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.model import GIT_SOURCE, Change, Deployment, Incident, Vulnerability
from dora_metrics.core.failures.incident_names import NamedIncidents
from dora_metrics.core.failures.incident_reports import ReportedIncident, deciding_reports
from dora_metrics.core.failures.incidents import AttributedIncident, shas_of
from dora_metrics.core.failures.judge import counts_in_failure_rate, is_rule_enabled
from dora_metrics.core.failures.rules import hotfix_reason, is_revert
from dora_metrics.core.linking.delivered_changes import DeliveredChange
from dora_metrics.core.linking.link import ScopeTimeline, deployment_order, has_reached_users
from dora_metrics.core.markdown import Md, code_span, id_code_span, link, md
from dora_metrics.core.metrics.lead_time import LeadTimes, stage_spans
from dora_metrics.core.metrics.security import has_deployable_fix, is_fixed
from dora_metrics.core.metrics.stages import STAGE_NAMES
from dora_metrics.core.reports.explain.context import (
    ExplainContext,
    Explanation,
    Section,
    join_limited,
    membership_text,
    scope_text,
)
from dora_metrics.core.reports.explain.find import MatchedIds, NoMatch, find_ids
from dora_metrics.core.reports.explain.rules import has_unknown_rule, repair_lines, rule_lines
from dora_metrics.core.reports.fact_names import change_link, deployment_link, incident_link, short_title
from dora_metrics.core.scope import Scope
from dora_metrics.core.statistics import quantile

_Delivery = tuple[ScopeTimeline, DeliveredChange]


def explain(context: ExplainContext, name: str) -> list[Explanation] | NoMatch:
    """Explain each fact that a name matches; a version that was deployed twice matches two deployments."""
    match find_ids(name, context.facts_by_id.values()):
        case MatchedIds(fact_ids):
            counted_ids = dict.fromkeys(_counted_id(context, fact_id) for fact_id in fact_ids)
            return [explain_fact(context, fact_id) for fact_id in counted_ids]
        case no_match:
            return no_match


def _counted_id(context: ExplainContext, fact_id: str) -> str:
    """Return the id of what a fact counts in: the deployment of a part, the incident of a report; otherwise its own."""
    fact = context.facts_by_id.get(fact_id)
    if isinstance(fact, Deployment):
        return context.attempt_of(fact).id
    reported = context.reported_incident_by_report.get(fact_id)
    return reported.incident.id if reported else fact_id


def explain_fact(context: ExplainContext, fact_id: str) -> Explanation:
    """Explain one fact, or a change that a deployment lists but that has no fact."""
    match context.facts_by_id.get(fact_id):
        case Deployment() as deployment:
            return explain_deployment(context, context.attempt_of(deployment))
        case Incident() as incident:
            return explain_incident(context, incident)
        case Vulnerability() as vulnerability:
            return explain_vulnerability(context, vulnerability)
        case _:
            return explain_change(context, fact_id)


# Deployments


_MAX_LINES = 20


def explain_deployment(context: ExplainContext, deployment: Deployment) -> Explanation:
    """Explain a deployment: whether it failed and by which rule, what repaired it, and what it delivered."""
    timeline = context.timeline_by_deployment.get(deployment.id)
    if timeline is None:
        return Explanation(
            md("Deployment {}: not counted", deployment_link(deployment)),
            (_deployment_identity(context, deployment), md("{}", _not_counted_reason(context, deployment))),
        )
    fixes = _fixed_vulnerabilities(context, timeline, deployment)
    return Explanation(
        _deployment_headline(context, deployment),
        tuple(_deployment_sentences(context, timeline, deployment)),
        (
            Section(_rules_title(context, deployment), tuple(rule_lines(context, deployment))),
            Section(_ending_title(context, deployment), tuple(repair_lines(context, deployment))),
            Section("What it repaired", tuple(_repair_effects(context, deployment))),
            Section("What it delivered", tuple(_delivered_changes(context, timeline, deployment))),
            Section("Vulnerability fixes that went live with it", tuple(fixes)),
        ),
    )


def _rules_title(context: ExplainContext, deployment: Deployment) -> str:
    if deployment.id in context.failure_by_deployment:
        return "Why it counts as failed: the first rule that matches decides"
    if not has_unknown_rule(context, deployment):
        return "Why it does not count as failed"
    return (
        f"Why it does not count as failed, as far as {'git shows' if deployment.source == GIT_SOURCE else 'is known'}"
    )


def _ending_title(context: ExplainContext, deployment: Deployment) -> str:
    failure = context.failure_by_deployment.get(deployment.id)
    return "How the failure ended" if failure and failure.recovered_at else "Why the failure is still open"


def _deployment_headline(context: ExplainContext, deployment: Deployment) -> Md:
    failure = context.failure_by_deployment.get(deployment.id)
    if failure:
        return md("Deployment {}: failed, rule {}", deployment_link(deployment), code_span(failure.rule))
    match deployment.status:
        case "cancelled":
            return md("Deployment {}: was cancelled, so it neither failed nor succeeded", deployment_link(deployment))
        case "failure":
            return md("Deployment {}: its run failed, but it is not a failed deployment", deployment_link(deployment))
        case _:
            outcome = "no known failure" if has_unknown_rule(context, deployment) else "did not fail"
            return md("Deployment {}: {}", deployment_link(deployment), outcome)


def _deployment_identity(context: ExplainContext, deployment: Deployment) -> Md:
    start, end, zone = deployment.started_at, deployment.finished_at, context.policy.zone
    if deployment.source == GIT_SOURCE:
        return md(
            "{}{}: it is dated {} {}.",
            id_code_span(deployment.id),
            _sha_text(deployment),
            context.format_time(end),
            zone.key,
        )
    duration = f" and took {_duration_text(start, end)}" if start and start <= end else ""
    ending = f"{_STATUS_VERBS[deployment.status]} on {context.format_time(end)} {zone.key}{duration}"
    return md("{}{}: it {}.", id_code_span(deployment.id), _sha_text(deployment), ending)


def _sha_text(deployment: Deployment) -> Md:
    return md(", commit {}", code_span(deployment.sha)) if deployment.sha else Md(", commit unknown")


_STATUS_VERBS = {"success": "finished", "failure": "failed", "cancelled": "was cancelled"}


def _deployment_sentences(context: ExplainContext, timeline: ScopeTimeline, deployment: Deployment) -> Iterator[Md]:
    yield _deployment_identity(context, deployment)
    if parts := context.linked_facts.parts.get(deployment.id):
        names = join_limited(md("{} ({})", id_code_span(part.id), part.status) for part in parts)
        is_push = DeploymentId.parse(deployment.id).kind == "push"
        unit = "one push, recorded as several, with" if is_push else "one attempt of a run and has"
        yield md("It is {} {} parts: {}.", unit, len(parts), names)
    is_in_window = context.window.contains(deployment.finished_at)
    position = context.in_window_sentence() if is_in_window else context.window_sentence(deployment.finished_at)
    yield md("{}. {}", membership_text(timeline.scope), position)
    if is_in_window:
        yield _rate_sentence(context, deployment)


def _rate_sentence(context: ExplainContext, deployment: Deployment) -> Md:
    """Say whether a deployment in the window counts in the failure rate, and why."""
    if deployment.status == "cancelled":
        return Md("A cancelled deployment counts in no rate and delivers nothing.")
    if counts_in_failure_rate(deployment, context.policy):
        reason = "It reached users" if has_reached_users(deployment) else "`count-failed-runs` is on"
        return md("{}, so it counts in the failure rate.", reason)
    return Md("It failed before it reached users, so it is not in the failure rate (`count-failed-runs` is off).")


def _not_counted_reason(context: ExplainContext, deployment: Deployment) -> str:
    if deployment.retracted:
        return "It was retracted, so it is not counted."
    if reason := context.linked_facts.left_out.get(deployment.id):
        return f"It does not count: {reason}."
    counted_ids = (key for key in context.timeline_by_deployment if key.startswith(f"{deployment.id}:"))
    if counted_id := next(counted_ids, None):
        return f"Its deploy job reported it as well, so it counts once, as {counted_id}."
    environment = deployment.environment or "none, although its repository uses environments"
    return f"Its environment is not production: {environment} (`production-environments`)."


def _repair_effects(context: ExplainContext, deployment: Deployment) -> Iterator[Md]:
    """Yield what a deployment repaired."""
    rework_reason = context.failure_verdicts.rework.get(deployment.id)
    if rework_reason:
        yield md("It is rework ({}).", context.replace_ids(rework_reason))
    for failure in context.failure_by_deployment.values():
        if failure.remediated_by == deployment.id:
            duration = formatting.duration(failure.recovery_seconds)
            failed_deployment = deployment_link(failure.deployment)
            yield md("It ended the failure of {} ({}) after {}.", failed_deployment, code_span(failure.rule), duration)
    if deployment.remediates and not rework_reason:
        yield md("It is recorded as its own remedy ({}), which has no effect.", deployment.remediates)


def _delivered_changes(context: ExplainContext, timeline: ScopeTimeline, deployment: Deployment) -> Iterator[Md]:
    deliveries = [each for owner, each in context.delivered_changes_by_id.get(deployment.id, ()) if owner is timeline]
    if deployment.status == "success":
        yield from _comparison_sentences(context, timeline, deployment, is_empty=not deliveries)
    else:
        yield from _contained_changes(context, timeline, deployment)
    for delivery in deliveries[:_MAX_LINES]:
        lead_time = lead_time_text(context, timeline.scope, delivery.change_id)
        yield md("{}: {}", change_link(delivery.change_id, delivery.change), lead_time)
    if len(deliveries) > _MAX_LINES:
        yield md("and {} more", len(deliveries) - _MAX_LINES)
    delivered_before = _changes_of_others(timeline, deliveries).intersection(deployment.changes or ())
    if delivered_before and deployment.status == "success":
        yield md("It also lists {} that had been delivered before.", formatting.count(len(delivered_before), "change"))


def _contained_changes(context: ExplainContext, timeline: ScopeTimeline, deployment: Deployment) -> Iterator[Md]:
    """Yield which success delivered what an unsuccessful attempt contained, or that none has done so yet."""
    change_ids = dict.fromkeys(deployment.changes or ())
    deliveries = chain.from_iterable(context.delivered_changes_by_id.get(each, ()) for each in change_ids)
    counts = Counter(delivery.deployment.id for owner, delivery in deliveries if owner is timeline)
    for success in timeline.successes:
        if count := counts[success.id]:
            is_earlier = deployment_order(success) < deployment_order(deployment)
            sentence = "{} had been delivered before, by {}." if is_earlier else "{} first went live later, with {}."
            yield md("Of what it contained, " + sentence, formatting.count(count, "change"), deployment_link(success))
    if open_count := len(change_ids) - counts.total():
        changes = formatting.count(open_count, "change")
        yield md("Of what it contained, {} will count with the next successful deployment.", changes)


def _changes_of_others(timeline: ScopeTimeline, deliveries: Iterable[DeliveredChange]) -> set[str]:
    """Return the ids of the changes that the scope delivered, without those of `deliveries`."""
    return {each.change_id for each in timeline.delivered_changes} - {each.change_id for each in deliveries}


def _comparison_sentences(
    context: ExplainContext, timeline: ScopeTimeline, deployment: Deployment, *, is_empty: bool
) -> Iterator[Md]:
    """Yield why a successful deployment delivered nothing, if so, and which one it was compared with."""
    earlier_successes = list(takewhile(lambda success: success.id != deployment.id, timeline.successes))
    if deployment.sha and any(success.sha == deployment.sha for success in earlier_successes):
        yield Md("Its commit had been deployed before, so it delivers nothing new.")
    elif not earlier_successes and not deployment.previous:
        yield Md("It is the first recorded success, the baseline: there is nothing earlier to compare it with.")
    elif deployment.is_new_baseline:
        yield Md(
            "It has no commit in common with any earlier deployment, as after the code's history was rewritten. "
            "It is a new baseline: what is new in it cannot be known."
        )
    elif deployment.changes is None:
        yield Md("What it delivered is not known yet.")
    elif is_empty:
        yield Md("It delivered nothing new.")
    if deployment.previous and deployment.changes is not None:
        yield md("It was compared with {}.", context.fact_label(deployment.previous))


def _fixed_vulnerabilities(context: ExplainContext, timeline: ScopeTimeline, deployment: Deployment) -> Iterator[Md]:
    """Yield the vulnerabilities whose fix went live with a deployment."""
    fixes = [fix for fix in context.fixes_by_scope[timeline.scope] if fix.deployment.id == deployment.id]
    for fix in fixes[:_MAX_LINES]:
        alert, seconds = fix.vulnerability, fix.seconds_to_live
        title, severity = link(alert.package or alert.id, alert.url), alert.severity or "unknown"
        duration = f", {formatting.duration(seconds)} after it was detected" if seconds is not None else ""
        yield md("{} ({}), severity {}{}", title, id_code_span(alert.id), severity, duration)
    if len(fixes) > _MAX_LINES:
        yield md("and {} more", len(fixes) - _MAX_LINES)


# Changes


def explain_change(context: ExplainContext, change_id: str) -> Explanation:
    """Explain a change: the deployments that delivered it, and how long each stage took.

    A change that a deployment lists but that has no fact is explained too.
    """
    fact = context.facts_by_id.get(change_id)
    change = fact if isinstance(fact, Change) else None
    deliveries = [] if change and change.retracted else context.delivered_changes_by_id.get(change_id, [])
    if change and not deliveries and (carrier_deliveries := context.carriers_by_id.get(change_id)):
        return _explain_carrier(context, change, carrier_deliveries)
    headline = md("Change {}: {}", change_link(change_id, change), _delivery_summary(context, change_id, deliveries))
    sections = [Section("Where it was delivered", tuple(_delivery_lines(context, change_id, change, deliveries)))]
    if change:
        for timeline, delivery in deliveries:
            stages = tuple(_stage_lines(context, change, delivery.deployment))
            sections.append(Section(f"Stages: {scope_text(timeline.scope)}", stages))
        sections.append(Section("Effect on deployments", tuple(_change_effects(context, change))))
    return Explanation(headline, tuple(_change_identity(change_id, change)), tuple(sections))


def _explain_carrier(context: ExplainContext, carrier: Change, deliveries: Sequence[_Delivery]) -> Explanation:
    """Explain a pull request that only carried what others delivered: what that is, and which deployment brought it."""
    deployment = deployment_link(deliveries[0][1].deployment)
    headline = md("Change {}: brought by {}, not counted itself", change_link(carrier.id, carrier), deployment)
    return Explanation(
        headline,
        tuple(_change_identity(carrier.id, carrier)),
        (
            Section("What it carried", (_carried_sentence(carrier, deliveries),)),
            Section("Where it was delivered", tuple(_carrier_delivery_lines(context, deliveries))),
            Section("Effect on deployments", tuple(_change_effects(context, carrier))),
        ),
    )


def _carried_sentence(carrier: Change, deliveries: Sequence[_Delivery]) -> Md:
    carried = {each.change_id: each for timeline, _ in deliveries for each in _carried_changes(timeline, carrier)}
    names = join_limited(change_link(change_id, each.change) for change_id, each in carried.items())
    return md("It has no commit of its own, so lead time does not count it. It only carried {}.", names)


def _carried_changes(timeline: ScopeTimeline, carrier: Change) -> Iterator[DeliveredChange]:
    """Return what has the commits of a carrier in a scope: changes, and carriers that it carried in turn."""
    shas = {commit.sha for commit in carrier.commits or ()}
    others = (each for each in timeline.changes_and_carriers if each.change_id != carrier.id)
    return (each for each in others if not shas.isdisjoint(shas_of(each)))


def _carrier_delivery_lines(context: ExplainContext, deliveries: Sequence[_Delivery]) -> Iterator[Md]:
    for timeline, delivery in deliveries:
        date_time = context.format_time(delivery.deployment.finished_at)
        sentence = "{}, on {}, in {}: the deployment that brought the last of what it carried."
        yield md(sentence, deployment_link(delivery.deployment), date_time, scope_text(timeline.scope))


def _delivery_summary(context: ExplainContext, change_id: str, deliveries: Sequence[_Delivery]) -> Md:
    if not deliveries:
        return Md("not delivered yet")
    timeline, delivery = deliveries[0]
    lead_time = lead_time_text(context, timeline.scope, change_id)
    text = md("delivered by {}, {}", deployment_link(delivery.deployment), lead_time)
    if len(deliveries) == 1:
        return text
    return md("{}, and in {} more", text, formatting.count(len(deliveries) - 1, "scope"))


def lead_time_text(context: ExplainContext, scope: Scope, change_id: str) -> Md:
    """Return a change's lead time in a scope (the median if its commits are measured), or why it has none."""
    lead_times = context.lead_times_by_change.get((scope, change_id), LeadTimes())
    if lead_times.measured:
        seconds = sorted(measured_change.seconds for measured_change in lead_times.measured)
        note = md(" (median of {} commits)", len(seconds)) if len(seconds) > 1 else Md("")
        return md("lead time **{}**{}", formatting.duration(quantile(seconds, 0.5)), note)
    if lead_times.excluded:
        return _EXCLUSION_TEXTS[lead_times.excluded[0].reason]
    return Md("no lead time: it has no commit of its own to measure")


_EXCLUSION_TEXTS = {
    "first_deployment": Md(
        "excluded from lead time: it came with the first deployment, which has no earlier one to compare with"
    ),
    "bots": Md("excluded from lead time: it is by a bot (`exclude-bots`)"),
    "no_start": Md("excluded from lead time: its start is unknown"),
    "negative": Md("excluded from lead time: its recorded start is after its deployment"),
}


def _change_identity(change_id: str, change: Change | None) -> Iterator[Md]:
    if change is None:
        yield md("{} is listed by a deployment, but no fact describes it.", id_code_span(change_id))
        return
    sha = md(", commit {}", code_span(change.sha)) if change.sha else ""
    yield md("{}{}: {}.", id_code_span(change_id), sha, short_title(change.title) or "without a title")
    if change.retracted:
        yield Md("It was retracted, so it is not counted.")


def _delivery_lines(
    context: ExplainContext, change_id: str, change: Change | None, deliveries: Sequence[_Delivery]
) -> Iterator[Md]:
    for timeline, delivery in deliveries:
        deployment, scope, time = delivery.deployment, timeline.scope, delivery.deployment.finished_at
        sentence = "{}, on {}, in {}: the first successful deployment that contains it. {}"
        date_time, window = context.format_time(time), _delivery_window_text(context, scope, change_id, time)
        yield md(sentence, deployment_link(deployment), date_time, scope_text(scope), window)
        yield from _unsuccessful_attempts(context, change_id, timeline, deployment)
    if not deliveries and not (change and change.retracted):
        yield from _undelivered_lines(context, change_id)


def _delivery_window_text(context: ExplainContext, scope: Scope, change_id: str, time: datetime) -> Md:
    """Say whether the window has a delivery, and whether lead time counts the change."""
    is_measured = bool(context.lead_times_by_change.get((scope, change_id), LeadTimes()).measured)
    if is_measured or not context.window.contains(time):
        return context.window_sentence(time)
    return md("{} It counts as a delivered change, but not towards lead time.", context.in_window_sentence())


def _unsuccessful_attempts(
    context: ExplainContext, change_id: str, timeline: ScopeTimeline, deployment: Deployment
) -> Iterator[Md]:
    """Yield the attempts that contained a change, before the deployment that delivered it, and did not succeed."""
    for attempt in timeline.deployments:
        is_earlier = deployment_order(attempt) < deployment_order(deployment)
        if is_earlier and attempt.status != "success" and change_id in (attempt.changes or ()):
            date_time = context.format_time(attempt.finished_at)
            yield md("{} contained it on {}, but did not succeed.", context.fact_label(attempt.id), date_time)


def _undelivered_lines(context: ExplainContext, change_id: str) -> Iterator[Md]:
    """Yield why a change is not delivered."""
    deployments = [fact for fact in context.facts_by_id.values() if isinstance(fact, Deployment)]
    listing = [deployment for deployment in deployments if change_id in (deployment.changes or ())]
    for deployment in listing:
        yield md("{} lists it, but {}.", deployment_link(deployment), _undelivered_reason(context, deployment))
    if not listing:
        yield Md("No recorded deployment lists it. It counts once one does.")


def _undelivered_reason(context: ExplainContext, deployment: Deployment) -> str:
    if deployment.id not in context.timeline_by_deployment:
        return "is not counted"
    if deployment.status != "success":
        return "did not succeed: it counts with the next success of that scope"
    return "delivered nothing, because its commit had been deployed before"


def _stage_lines(context: ExplainContext, change: Change, deployment: Deployment) -> Iterator[Md]:
    is_direct_commit = ids.is_commit(change.id)
    if is_direct_commit:
        yield Md("It is a commit without a pull request, so it has no coding or review stage.")
    for stage, (start, end) in stage_spans(change, deployment.finished_at):
        if is_direct_commit and stage != "delivery":
            continue
        description = "authored to deployed" if is_direct_commit else _STAGE_DESCRIPTIONS[stage]
        yield md("{} ({}): {}", STAGE_NAMES[stage], description, _stage_text(context, start, end))


_STAGE_DESCRIPTIONS = {
    "coding": "first commit to opened",
    "pickup": "opened to first review, part of review",
    "review": "opened to merged",
    "delivery": "merged to deployed",
}


def _stage_text(context: ExplainContext, start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return "not known"
    times = f"({context.format_time(start)} – {context.format_time(end)})"
    if start > end:
        return f"excluded, because it would end before it begins {times}"
    return f"{_duration_text(start, end)} {times}"


def _change_effects(context: ExplainContext, change: Change) -> Iterator[Md]:
    """Yield which deployments a change marks as failed: as a hotfix, as a revert, or because it was reverted."""
    signals = list(chain.from_iterable(context.failure_verdicts.signals.values()))
    for signal in signals:
        deployment, cause = deployment_link(signal.deployment), context.replace_ids(signal.because)
        if signal.because.startswith(f"{change.id} ") and signal.rule in ("revert", "hotfix"):
            if signal.marks_failure and not is_rule_enabled(signal.rule, context.policy):
                yield md("It would mark {} as failed, but its rule is off (`failure-rules`): {}.", deployment, cause)
            elif signal.marks_failure:
                yield md("As a {} it marks {} as failed: {}.", signal.rule, deployment, cause)
            else:
                yield md("It came too late to mark {} as failed (`hotfix-window`): {}.", deployment, cause)
        elif signal.rule == "revert" and signal.because.endswith(f" reverts {change.id}"):
            is_on = is_rule_enabled("revert", context.policy)
            effect = "which marks {} as failed" if is_on else "but {} does not count as failed (`failure-rules`)"
            yield md("It was reverted, " + effect + ": {}.", deployment, cause)
    if any(signal.because.startswith(f"{change.id} ") for signal in signals):
        return
    deliveries = [
        *context.delivered_changes_by_id.get(change.id, ()),
        *context.carriers_by_id.get(change.id, ()),
    ]
    if is_revert(change):
        yield md("It is a revert, but marks no deployment as failed: {}.", _no_revert_reason(deliveries))
    elif reason := hotfix_reason(change, context.policy):
        cause = "none came before its own" if deliveries else "it is not deployed yet"
        yield md("It is a hotfix ({}), but marks no deployment as failed: {}.", reason, cause)


def _no_revert_reason(deliveries: Sequence[_Delivery]) -> str:
    """Return why a revert marks no deployment."""
    if not deliveries:
        return "it is not deployed yet"
    if all(delivery.deployment == timeline.successes[0] for timeline, delivery in deliveries):
        return "its own deployment is the first one that is recorded"
    return "what it reverts is itself a revert, or no earlier deployment is known to have delivered it"


# Incidents


def explain_incident(context: ExplainContext, fact: Incident) -> Explanation:
    """Explain the incident that a fact reports: its scope, the deployment it is attributed to, its end, its reports."""
    reported = context.reported_incident_by_report.get(fact.id, ReportedIncident(fact, (fact,)))
    incident, title = reported.incident, incident_link(reported.incident)
    reports = Section("Where it was reported", tuple(_report_lines(context, reported)))
    attribution = context.attribution_by_incident.get(incident.id)
    if attribution is None:
        is_elsewhere = f"its environment is not production: {incident.environment}"
        sentence = md("{}: {}.", id_code_span(incident.id), "it was retracted" if fact.retracted else is_elsewhere)
        return Explanation(md("Incident {}: not counted", title), (sentence,), (reports,))
    deployment = deployment_link(attribution.attributed_to) if attribution.attributed_to else "no deployment"
    scope_sentence = md("{}: {}.", membership_text(attribution.scope), _scope_reason(attribution))
    return Explanation(
        md("Incident {}: attributed to {}", title, deployment),
        (_detection_sentence(context, incident), scope_sentence),
        (
            Section("Which deployment it is attributed to", tuple(_attribution_lines(context, attribution))),
            Section("What ended it", tuple(_incident_end_lines(context, reported))),
            reports,
        ),
    )


def _detection_sentence(context: ExplainContext, incident: Incident) -> Md:
    detected = f"detected on {context.format_time(incident.detected_at)} {context.policy.zone.key}"
    return md("{}: {}. {}", id_code_span(incident.id), detected, context.window_sentence(incident.detected_at))


def _scope_reason(attribution: AttributedIncident) -> str:
    incident = attribution.incident
    if incident.service and incident.environment:
        return "it names a service and an environment"
    if attribution.attributed_to:
        return "that is the scope of the deployment it is attributed to"
    return (
        "it does not name both a service and an environment, so it gets the scope of the latest deployment before it, "
        "if there is one"
    )


def _attribution_lines(context: ExplainContext, attribution: AttributedIncident) -> Iterator[Md]:
    rule = "explicit" if attribution.incident.deployment else "incident"
    because, deployment = attribution.attribution, attribution.attributed_to
    if deployment is None:
        reason = f"it {because}" if because.startswith("names ") else because
        yield md("No deployment, by the rule {}: {}.", code_span(rule), reason)
        if rule == "explicit" and "switched off" not in because:
            yield Md("A name that matches nothing is not replaced by another deployment.")
        return
    reason = f"{'it' if rule == 'explicit' else 'the incident was'} {context.replace_ids(because)}"
    yield md("{}, by the rule {}: {}.", context.fact_label(deployment.id), code_span(rule), reason)
    if rule == "incident":
        yield Md("It is the latest successful deployment in its scope before the incident was detected.")
    failure = context.failure_by_deployment.get(deployment.id)
    if failure and failure.rule != rule:
        yield md("Another rule decides for that deployment: {} takes precedence.", code_span(failure.rule))


def _incident_end_lines(context: ExplainContext, reported: ReportedIncident) -> Iterator[Md]:
    detected_at, resolved_at = reported.incident.detected_at, reported.incident.resolved_at
    if resolved_at:
        elapsed = _elapsed_text(detected_at, resolved_at)
        yield md("It was resolved on {}{}.", context.format_time(resolved_at), elapsed)
    else:
        yield Md("It is not resolved, so it counts as open and has no duration yet.")
    yield from _deciding_lines(reported.reports)
    report_ids = {report.id for report in reported.reports}
    for fact in context.facts_by_id.values():
        if isinstance(fact, Deployment) and fact.remediates in report_ids and not fact.retracted:
            date_time = context.format_time(fact.finished_at)
            yield md("{} is recorded as its fix, on {}.", deployment_link(fact), date_time)


def _deciding_lines(reports: Sequence[Incident]) -> Iterator[Md]:
    """Yield which of several reports say when their incident ended."""
    deciding = deciding_reports(reports)
    if len(deciding) < len(reports):
        names = join_limited(id_code_span(report.id) for report in deciding)
        yield md("Only what pages or watches says when it ended: {}.", names)
    elif len(reports) > 1:
        yield Md("All its reports say when it ended; the last end counts.")


def _report_lines(context: ExplainContext, reported: ReportedIncident) -> Iterator[Md]:
    """Yield a line for each report of an incident that was reported several times, and for each name in `also`."""
    for report in reported.reports[:_MAX_LINES]:
        if len(reported.reports) > 1:
            yield _report_line(context, report)
        for named in context.failure_verdicts.joined.names.get(report.id, ())[:_MAX_LINES]:
            yield md("{} names {}{}.", id_code_span(report.id), id_code_span(named.name), _meaning(named))
    if len(reported.reports) > _MAX_LINES:
        yield md("{} more reports are not shown.", len(reported.reports) - _MAX_LINES)


def _report_line(context: ExplainContext, report: Incident) -> Md:
    detected, resolved = context.format_time(report.detected_at), "not resolved"
    if report.resolved_at:
        resolved = f"resolved on {context.format_time(report.resolved_at)}"
    severity = f", {report.severity}" if report.severity else ""
    return md("{}{}: detected on {}, {}.", id_code_span(report.id), severity, detected, resolved)


def _meaning(named: NamedIncidents) -> Md:
    """Return the end of a sentence: what a name in `also` means."""
    match named.meant:
        case ():
            return Md(", which is not another recorded incident")
        case (other,):
            return md(", which is {}", id_code_span(other.id)) if other.id != named.name else Md("")
        case _:
            return Md(", which means several incidents, so it joins none")


# Vulnerabilities


def explain_vulnerability(context: ExplainContext, vulnerability: Vulnerability) -> Explanation:
    """Explain a security alert: its scopes, and when its fix went live."""
    title = link(vulnerability.package or vulnerability.id, vulnerability.url)
    if vulnerability.retracted:
        return Explanation(md("Vulnerability in {}: was retracted, so it is not counted", title))
    scopes = [scope for scope in context.linked_facts.timelines if vulnerability in context.vulnerabilities_of(scope)]
    severity = vulnerability.severity or "unknown (so it is not in the counts by severity)"
    detected = context.format_time(vulnerability.detected_at)
    sentences = [md("{}: severity {}, detected on {}.", id_code_span(vulnerability.id), severity, detected)]
    sentences += [md("{}.", membership_text(scope)) for scope in scopes]
    if not scopes:
        sentences.append(Md("Its service has no scope yet."))
    fix_lines = tuple(_fix_lines(context, vulnerability, scopes)) if is_fixed(vulnerability) else ()
    headline = md("Vulnerability in {}: {}", title, _vulnerability_state(vulnerability))
    return Explanation(headline, tuple(sentences), (Section("When its fix went live", fix_lines),))


def _vulnerability_state(vulnerability: Vulnerability) -> str:
    if vulnerability.dismissed_at:
        return "dismissed, so it is neither open nor fixed"
    if vulnerability.fixed_at:
        return f"fixed{_elapsed_text(vulnerability.detected_at, vulnerability.fixed_at)}"
    return "open"


def _fix_lines(context: ExplainContext, vulnerability: Vulnerability, scopes: Iterable[Scope]) -> Iterator[Md]:
    """Yield, for each scope, the first success at or after the fix."""
    if not has_deployable_fix(vulnerability):
        yield Md("A leaked secret is fixed by revoking it, which needs no deployment.")
        return
    for scope in scopes:
        fix = next((fix for fix in context.fixes_by_scope[scope] if fix.vulnerability.id == vulnerability.id), None)
        if fix is None:
            yield md("{}: not yet; no deployment has succeeded since the fix.", scope_text(scope))
            continue
        sentence = "{}: with {} on {}{}. It is the first success that ended after the fix."
        elapsed = _elapsed_text(vulnerability.detected_at, fix.deployed_at)
        date_time = context.format_time(fix.deployed_at)
        yield md(sentence, scope_text(scope), deployment_link(fix.deployment), date_time, elapsed)


def _elapsed_text(detected_at: datetime, end: datetime) -> str:
    if end < detected_at:
        return ", before it was detected, so it has no duration"
    return f", after {_duration_text(detected_at, end)}"


def _duration_text(start: datetime, end: datetime) -> str:
    return formatting.duration((end - start).total_seconds())
