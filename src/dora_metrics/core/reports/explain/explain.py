"""A deployment, explained: whether it failed and by what, what repaired it, what it delivered.

A change, explained: which deployment delivered it, and how long each stage took.

An incident or a vulnerability, explained: where it counts, and whom it is blamed on or why nobody.

From a name to everything that is known about what it means.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Change, Deployment, Incident, Vulnerability
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import counts_in_failure_rate
from dora_metrics.core.failures.rules import hotfix_reason, is_revert
from dora_metrics.core.linking.link import DeliveredChange, ScopeTimeline, deployment_order, has_reached_users
from dora_metrics.core.markdown import Md, code_span, link, md
from dora_metrics.core.markdown import id_code_span as written
from dora_metrics.core.metrics.lead_time import stage_spans
from dora_metrics.core.metrics.security import has_deployable_fix, is_fixed
from dora_metrics.core.reports.explain.case import ExplainContext, Explanation, ScopedDeployment, Section, scope_text
from dora_metrics.core.reports.explain.find import MatchedIds, NoMatch, find_ids
from dora_metrics.core.reports.explain.rules import repair_lines, rule_lines
from dora_metrics.core.reports.fact_names import change_link, deployment_link
from dora_metrics.core.scope import Scope
from dora_metrics.core.statistics import quantile

_STAGE_DESCRIPTIONS = {
    "coding": "first commit to opened",
    "pickup": "opened to the first review, a part of the next",
    "review": "opened to merged",
    "delivery": "merged to deployed",
}
_EXCLUSION_TEXTS = {
    "first_deployment": "left out of lead time: nobody knows since when changes of the first deployment waited",
    "bots": "left out of lead time: it is by a bot (`exclude-bots`)",
    "no_start": "left out of lead time: nobody knows when it began",
    "negative": "left out of lead time: it would have begun after it was deployed",
}


def explain_change(context: ExplainContext, change_id: str) -> Explanation:
    """Everything about one change; also about one that is only listed."""
    change = context.facts_by_id.get(change_id)
    change = change if isinstance(change, Change) else None
    delivered_changes = [] if change and change.retracted else context.delivered_changes_by_id.get(change_id, [])
    label = change_link(change_id, change)
    headline = md("Change {}: {}", label, _delivery_summary(context, change_id, delivered_changes))
    sections = [Section("Where it is delivered", tuple(_delivery_lines(context, change_id, change, delivered_changes)))]
    if change:
        sections += [
            Section(f"Stages, {scope_text(timeline.scope)}", tuple(_stage_lines(context, change, delivered_change)))
            for timeline, delivered_change in delivered_changes
        ]
        sections.append(Section("What it says about other deployments", tuple(_change_effects(context, change))))
    return Explanation(headline, tuple(_change_identity(change_id, change)), tuple(sections))


def _delivery_summary(
    context: ExplainContext, change_id: str, delivered_changes: list[tuple[ScopeTimeline, DeliveredChange]]
) -> Md:
    if not delivered_changes:
        return Md("not delivered yet")
    timeline, delivered_change = delivered_changes[0]
    text = md(
        "delivered by {}, {}",
        deployment_link(delivered_change.deployment),
        lead_time_text(context, timeline.scope, change_id),
    )
    return (
        md("{}, and in {} more", text, formatting.count(len(delivered_changes) - 1, "scope"))
        if len(delivered_changes) > 1
        else text
    )


def lead_time_text(context: ExplainContext, scope: Scope, change_id: str) -> Md:
    """A change's lead time in a scope, or why it has none; of several commits the median."""
    measured, excluded = context.lead_times_by_change.get((scope, change_id), ([], []))
    if measured:
        median = formatting.duration(quantile(sorted(measured_change.seconds for measured_change in measured), 0.5))
        note = Md(f" (median of {len(measured)} commits)" if len(measured) > 1 else "")
        return md("lead time **{}**{}", median, note)
    if excluded:
        return Md(_EXCLUSION_TEXTS[excluded[0].reason])
    return Md("without a commit of its own to measure")


def _change_identity(change_id: str, change: Change | None) -> Iterator[Md]:
    if change is None:
        yield md("{} is listed by a deployment, and no fact of it is known.", written(change_id))
        return
    sha = md(", commit {}", code_span(change.sha)) if change.sha else ""
    yield md("{}{}: {}.", written(change_id), sha, change.title or "without a title")
    if change.retracted:
        yield Md("It was retracted: it is as if it had never been.")


def _delivery_lines(
    context: ExplainContext,
    change_id: str,
    change: Change | None,
    delivered_changes: list[tuple[ScopeTimeline, DeliveredChange]],
) -> Iterator[Md]:
    for timeline, delivered_change in delivered_changes:
        finished_at = delivered_change.deployment.finished_at
        yield md(
            "{}, on {}, in {}: the first successful production deployment there that contains it. {}",
            deployment_link(delivered_change.deployment),
            context.format_time(finished_at),
            scope_text(timeline.scope),
            context.window_sentence(finished_at),
        )
        for attempt in timeline.deployments:
            if (
                attempt.status != "success"
                and change_id in (attempt.changes or ())
                and deployment_order(attempt) < deployment_order(delivered_change.deployment)
            ):
                yield md(
                    "{} had brought it on {}, and did not succeed.",
                    context.fact_label(attempt.id),
                    context.format_time(attempt.finished_at),
                )
    if not delivered_changes and not (change and change.retracted):
        yield from _undelivered_lines(context, change_id)


def _undelivered_lines(context: ExplainContext, change_id: str) -> Iterator[Md]:
    """Why a change is not delivered."""
    listing_deployments = [
        deployment
        for deployment in context.facts_by_id.values()
        if isinstance(deployment, Deployment) and change_id in (deployment.changes or ())
    ]
    for deployment in listing_deployments:
        yield md("{} lists it, and {}.", deployment_link(deployment), _undelivered_reason(context, deployment))
    if not listing_deployments:
        yield Md("No deployment that is known lists it. It counts once one does.")


def _undelivered_reason(context: ExplainContext, deployment: Deployment) -> str:
    if deployment.id not in context.scoped_deployments:
        return "counts nowhere"
    if deployment.status != "success":
        return "did not succeed: it goes to the next success of its scope"
    return "delivered nothing, since its commit had been deployed before"


def _stage_lines(context: ExplainContext, change: Change, delivered_change: DeliveredChange) -> Iterator[Md]:
    for stage, (start, end) in stage_spans(change, delivered_change.deployment.finished_at):
        yield md("{} ({}): {}", stage, _STAGE_DESCRIPTIONS[stage], _stage_duration_text(context, start, end))


def _stage_duration_text(context: ExplainContext, start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return "not known"
    if start > end:
        return (
            f"dropped, since it would end before it begins ({context.format_time(start)} – {context.format_time(end)})"
        )
    return (
        f"{formatting.duration((end - start).total_seconds())} ({context.format_time(start)} – "
        f"{context.format_time(end)})"
    )


def _change_effects(context: ExplainContext, change: Change) -> Iterator[Md]:
    """What the change marks: as a hotfix or a revert, or by being reverted."""
    signals = [signal for signals in context.failure_verdicts.signals.values() for signal in signals]
    for signal in signals:
        if signal.because.startswith(f"{change.id} ") and signal.rule in ("revert", "hotfix"):
            effect = "marks" if signal.marks_failure else "would mark, had it come sooner,"
            yield md(
                "As a {} it {} {}: {}.",
                signal.rule,
                effect,
                deployment_link(signal.deployment),
                context.replace_ids(signal.because),
            )
        elif signal.rule == "revert" and signal.because.endswith(f" reverts {change.id}"):
            yield md(
                "It was taken back, which marks {}: {}.",
                deployment_link(signal.deployment),
                context.replace_ids(signal.because),
            )
    change_signals = [signal for signal in signals if signal.because.startswith(f"{change.id} ")]
    if not change_signals and is_revert(change):
        yield Md("It is a revert, and marks nothing: no earlier deployment delivered what it takes back.")
    elif not change_signals and (sign := hotfix_reason(change, context.policy)):
        yield md("It is a hotfix ({}), and marks nothing: no deployment before the one that delivered it.", sign)


_MAX_LINES = 20


def explain_deployment(context: ExplainContext, deployment: Deployment) -> Explanation:
    """Everything about one deployment."""
    scoped_deployment = context.scoped_deployments.get(deployment.id)
    if scoped_deployment is None:
        return Explanation(
            md("Deployment {}: counts nowhere", deployment_link(deployment)),
            (_deployment_identity(context, deployment), md("{}", _not_counted_reason(context, deployment))),
        )
    failure = context.failure_by_deployment.get(deployment.id)
    rules_title = "Why it failed" if failure else "Why it did not fail"
    return Explanation(
        _deployment_headline(context, deployment),
        tuple(_deployment_sentences(context, scoped_deployment)),
        (
            Section(f"{rules_title}: the first rule that hits decides", tuple(rule_lines(context, scoped_deployment))),
            Section("What repaired it", tuple(repair_lines(context, deployment))),
            Section("What it repaired", tuple(_repair_effects(context, deployment))),
            Section("What it delivered", tuple(_delivered_changes(context, scoped_deployment))),
            Section(
                "Which fixes of vulnerabilities went live with it",
                tuple(_fixed_vulnerabilities(context, scoped_deployment)),
            ),
        ),
    )


def _deployment_headline(context: ExplainContext, deployment: Deployment) -> Md:
    failure = context.failure_by_deployment.get(deployment.id)
    if failure:
        return md("Deployment {}: failed, by `{}`", deployment_link(deployment), Md(failure.rule))
    match deployment.status:
        case "cancelled":
            return md("Deployment {}: was cancelled, so it can neither fail nor succeed", deployment_link(deployment))
        case "failure":
            return md("Deployment {}: a run that failed, and no failed deployment", deployment_link(deployment))
        case _:
            return md("Deployment {}: did not fail", deployment_link(deployment))


def _deployment_identity(context: ExplainContext, deployment: Deployment) -> Md:
    duration_text = ""
    if deployment.started_at and deployment.started_at <= deployment.finished_at:
        duration_text = (
            f" after {formatting.duration((deployment.finished_at - deployment.started_at).total_seconds())}"
        )
    sha = md(", commit {}", code_span(deployment.sha)) if deployment.sha else ", of no known commit"
    ending = (
        f"ended on {context.format_time(deployment.finished_at)} {context.policy.zone.key} as "
        f"{deployment.status}{duration_text}"
    )
    return Md(md("{}{}: it {}.", written(deployment.id), sha, ending))


def _deployment_sentences(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Iterator[Md]:
    deployment = scoped_deployment.deployment
    yield _deployment_identity(context, deployment)
    yield md(
        "It counts in {}. {}",
        scope_text(scoped_deployment.timeline.scope),
        context.window_sentence(deployment.finished_at),
    )
    if deployment.status == "cancelled":
        yield Md("A cancelled deployment is in no denominator, and delivers nothing.")
    elif counts_in_failure_rate(deployment, context.policy):
        reason = "It reached users" if has_reached_users(deployment) else "`count-failed-runs` is on"
        yield Md(f"{reason}, so it is one of the deployments that the failure rate is over.")
    else:
        yield Md("It failed before it reached users, so it is in no failure rate (`count-failed-runs` is off).")


def _not_counted_reason(context: ExplainContext, deployment: Deployment) -> str:
    if deployment.retracted:
        return "It was retracted: it is as if it had never been."
    duplicate_ids = [
        deployment_id for deployment_id in context.scoped_deployments if deployment_id.startswith(f"{deployment.id}:")
    ]
    if duplicate_ids:
        return f"Its deploy job told of it as well, so that it counts once, as {duplicate_ids[0]}."
    environment = deployment.environment or "no environment, where its repository names some"
    return f"Its environment is not production: {environment} (`production-environments`)."


def _repair_effects(context: ExplainContext, deployment: Deployment) -> Iterator[Md]:
    if reason := context.failure_verdicts.rework.get(deployment.id):
        yield md("It is rework ({}).", context.replace_ids(reason))
    for failure in context.failure_by_deployment.values():
        if failure.remediated_by == deployment.id:
            sentence = "It ended the failure of {} (`{}`) after {}."
            yield md(
                sentence,
                deployment_link(failure.deployment),
                Md(failure.rule),
                formatting.duration(failure.recovery_seconds),
            )
    if deployment.remediates and deployment.id not in context.failure_verdicts.rework:
        yield md("It says that it remediates {}, which is itself.", deployment.remediates)


def _delivered_changes(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Iterator[Md]:
    deployment = scoped_deployment.deployment
    delivered_changes = [
        delivered_change
        for timeline, delivered_change in context.delivered_changes_by_id.get(deployment.id, ())
        if timeline is scoped_deployment.timeline
    ]
    if deployment.status == "success":
        yield from _comparison_sentences(context, scoped_deployment, is_empty=not delivered_changes)
    elif deployment.changes:
        yield md("Its {} go to the next success.", formatting.count(len(deployment.changes), "change"))
    for delivered_change in delivered_changes[:_MAX_LINES]:
        lead_time = lead_time_text(context, scoped_deployment.timeline.scope, delivered_change.change_id)
        yield md("{}: {}", change_link(delivered_change.change_id, delivered_change.change), lead_time)
    if len(delivered_changes) > _MAX_LINES:
        yield md("and {} more", len(delivered_changes) - _MAX_LINES)
    delivered_before = set(deployment.changes or ()) - {
        delivered_change.change_id for delivered_change in delivered_changes
    }
    delivered_before &= {
        delivered_change.change_id for delivered_change in scoped_deployment.timeline.delivered_changes
    }
    if delivered_before and deployment.status == "success":
        yield md("Of what it lists, {} had been delivered before.", formatting.count(len(delivered_before), "change"))


def _fixed_vulnerabilities(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Iterator[Md]:
    """The vulnerabilities whose fix it was the first success after."""
    deployment_fixes = [
        fix
        for fix in context.fixes_by_scope[scoped_deployment.timeline.scope]
        if fix.deployment.id == scoped_deployment.deployment.id
    ]
    for fix in deployment_fixes[:_MAX_LINES]:
        vulnerability = fix.vulnerability
        title = link(vulnerability.package or vulnerability.id, vulnerability.url)
        duration_text = (
            f", {formatting.duration(fix.seconds_to_live)} after it was detected"
            if fix.seconds_to_live is not None
            else ""
        )
        yield md(
            "{} ({}), severity {}{}",
            title,
            written(vulnerability.id),
            vulnerability.severity or "unknown",
            duration_text,
        )
    if len(deployment_fixes) > _MAX_LINES:
        yield md("and {} more", len(deployment_fixes) - _MAX_LINES)


def _comparison_sentences(
    context: ExplainContext, scoped_deployment: ScopedDeployment, *, is_empty: bool
) -> Iterator[Md]:
    deployment, successes = scoped_deployment.deployment, scoped_deployment.timeline.successes
    earlier_successes = successes[: successes.index(deployment)]
    if deployment.sha and any(success.sha == deployment.sha for success in earlier_successes):
        yield Md("Its commit had been deployed before, so it delivers nothing new.")
    elif not earlier_successes and not deployment.previous:
        yield Md("It is the first success known here, and only bounds what the next one delivers.")
    elif deployment.changes is None:
        yield Md("What it delivered is not known yet.")
    elif is_empty:
        yield Md("It delivered nothing new.")
    if deployment.previous and deployment.changes is not None:
        yield md("It was compared with {}.", context.fact_label(deployment.previous))


def explain_incident(context: ExplainContext, incident: Incident) -> Explanation:
    """Everything about one incident."""
    title = link(incident.title or incident.id, incident.url)
    attribution = context.attribution_by_incident.get(incident.id)
    if attribution is None:
        reason = (
            "it was retracted" if incident.retracted else f"its environment is not production: {incident.environment}"
        )
        return Explanation(md("Incident {}: counts nowhere", title), (md("{}: {}.", written(incident.id), reason),))
    if attribution.attributed_to:
        headline = md("Incident {}: blamed on {}", title, deployment_link(attribution.attributed_to))
    else:
        headline = md("Incident {}: blamed on nobody", title)
    return Explanation(
        headline,
        (
            _detection_sentence(context, incident),
            md("It counts in {}: {}.", scope_text(attribution.scope), _scope_reason(attribution)),
        ),
        (
            Section("Whom it is blamed on", tuple(_attribution_lines(context, attribution))),
            Section("What ended it", tuple(_incident_end_lines(context, incident))),
        ),
    )


def _detection_sentence(context: ExplainContext, incident: Incident) -> Md:
    detected = f"detected on {context.format_time(incident.detected_at)} {context.policy.zone.key}"
    return md("{}: {}. {}", written(incident.id), detected, context.window_sentence(incident.detected_at))


def _scope_reason(attribution: AttributedIncident) -> str:
    incident = attribution.incident
    if incident.service and incident.environment:
        return "it names service and environment"
    if attribution.attributed_to:
        return "that is the scope of the deployment it is blamed on"
    return "it does not name both service and environment, so it is that of the latest deployment before it, if any"


def _attribution_lines(context: ExplainContext, attribution: AttributedIncident) -> Iterator[Md]:
    rule = "explicit" if attribution.incident.deployment else "incident"
    if attribution.attributed_to is None:
        because = f"it {attribution.because}" if attribution.because.startswith("names ") else attribution.because
        yield md("Nobody, by the rule `{}`: {}.", Md(rule), because)
        if rule == "explicit" and "switched off" not in attribution.because:
            yield Md("A name that leads nowhere is not replaced by a guess.")
        return
    verb = "it" if rule == "explicit" else "it was"
    because = f"{verb} {context.replace_ids(attribution.because)}"
    yield md("{}, by the rule `{}`: {}.", context.fact_label(attribution.attributed_to.id), Md(rule), because)
    if rule == "incident":
        yield Md("That is the latest success of its scope up to the second of its detection.")
    failure = context.failure_by_deployment.get(attribution.attributed_to.id)
    if failure and failure.rule != rule:
        yield md("For that deployment another rule decides: `{}` comes before.", Md(failure.rule))


def _incident_end_lines(context: ExplainContext, incident: Incident) -> Iterator[Md]:
    if incident.resolved_at:
        yield md(
            "It was resolved on {}{}.",
            context.format_time(incident.resolved_at),
            _elapsed_text(incident.detected_at, incident.resolved_at),
        )
    else:
        yield Md("It has not been resolved: it counts as open, and is in no duration.")
    for deployment in context.facts_by_id.values():
        if isinstance(deployment, Deployment) and deployment.remediates == incident.id and not deployment.retracted:
            yield md(
                "{} says that it remediates it, on {}.",
                deployment_link(deployment),
                context.format_time(deployment.finished_at),
            )


def _elapsed_text(start: datetime, end: datetime) -> str:
    if end < start:
        return ", which is before it was detected: in no duration"
    return f", after {formatting.duration((end - start).total_seconds())}"


def explain_vulnerability(context: ExplainContext, vulnerability: Vulnerability) -> Explanation:
    """Everything about one security alert."""
    title = link(vulnerability.package or vulnerability.id, vulnerability.url)
    if vulnerability.retracted:
        return Explanation(md("Vulnerability in {}: was retracted, and counts nowhere", title))
    if vulnerability.dismissed_at:
        state = Md("dismissed, so it is neither open nor fixed")
    elif vulnerability.fixed_at:
        state = md("fixed{}", _elapsed_text(vulnerability.detected_at, vulnerability.fixed_at))
    else:
        state = Md("open")
    scopes = [scope for scope in context.linked_facts.timelines if vulnerability in context.vulnerabilities_of(scope)]
    counted = tuple(md("It counts in {}.", scope_text(scope)) for scope in scopes)
    detected, severity = (
        context.format_time(vulnerability.detected_at),
        vulnerability.severity or "unknown (so it is in no number by severity)",
    )
    identity_sentence = md("{}: severity {}, detected on {}.", written(vulnerability.id), severity, detected)
    fix_section = Section(
        "When its fix went live", tuple(_fix_lines(context, vulnerability, scopes)) if is_fixed(vulnerability) else ()
    )
    no_scope_note = () if counted else (Md("Its service has no scope yet."),)
    return Explanation(
        md("Vulnerability in {}: {}", title, state), (identity_sentence, *counted, *no_scope_note), (fix_section,)
    )


def _fix_lines(context: ExplainContext, vulnerability: Vulnerability, scopes: Iterable[Scope]) -> Iterator[Md]:
    """In each scope the first success at or after the fix."""
    if not has_deployable_fix(vulnerability):
        yield Md("A leaked secret is fixed by revoking it, which no deployment brings.")
        return
    for scope in scopes:
        fix = next(
            (
                candidate
                for candidate in context.fixes_by_scope[scope]
                if candidate.vulnerability.id == vulnerability.id
            ),
            None,
        )
        if fix is None:
            yield md("{}: not yet, no deployment has succeeded since.", scope_text(scope))
        else:
            finished_text, elapsed = (
                context.format_time(fix.deployed_at),
                _elapsed_text(vulnerability.detected_at, fix.deployed_at),
            )
            sentence = "{}: with {} on {}{}. It is the first success that ended after the fix."
            yield md(sentence, scope_text(scope), deployment_link(fix.deployment), finished_text, elapsed)


def explain(context: ExplainContext, name: str) -> list[Explanation] | NoMatch:
    """One explanation for each fact that a name means: several where a version was deployed several times."""
    match find_ids(name, context.facts_by_id.values()):
        case MatchedIds(fact_ids):
            return [explain_fact(context, fact_id) for fact_id in fact_ids]
        case no_match:
            return no_match


def explain_fact(context: ExplainContext, fact_id: str) -> Explanation:
    """The explanation of one fact, or of a change that is only listed."""
    match context.facts_by_id.get(fact_id):
        case Deployment() as fact:
            return explain_deployment(context, fact)
        case Incident() as fact:
            return explain_incident(context, fact)
        case Vulnerability() as fact:
            return explain_vulnerability(context, fact)
        case _:
            return explain_change(context, fact_id)
