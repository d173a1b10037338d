"""Explains, for each failure rule, what it matched on a deployment or why it did not match."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import GIT_SOURCE, Deployment, Incident
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import RULE_PRECEDENCE, Failure, counts_in_failure_rate, is_rule_enabled
from dora_metrics.core.failures.rules import FailureSignal, hotfix_reason, is_revert
from dora_metrics.core.markdown import Md, code_span, link, md
from dora_metrics.core.reports.explain.context import ExplainContext, join_limited
from dora_metrics.core.reports.fact_names import deployment_link, incident_link


def rule_lines(context: ExplainContext, deployment: Deployment) -> Iterator[Md]:
    """Yield one line per rule, in order of precedence."""
    failure = context.failure_by_deployment.get(deployment.id)
    for rule in RULE_PRECEDENCE:
        signals = context.failure_verdicts.signals.get(deployment.id, ())
        hits = [signal for signal in signals if signal.rule == rule and signal.marks_failure]
        is_deciding = failure is not None and failure.rule == rule
        if hits:
            yield md("{}: {}", code_span(rule), _hit_text(context, deployment, hits, is_deciding=is_deciding))
        elif unknown_reason := _unknown_reason(context, deployment, rule):
            yield md("{}: not known. {}", code_span(rule), unknown_reason)
        else:
            yield md("{}: no. {}", code_span(rule), _WHY_NOT_BY_RULE[rule](context, deployment))


def has_unknown_rule(context: ExplainContext, deployment: Deployment) -> bool:
    """Whether it is not known of some rule if it matches a deployment."""
    return any(_unknown_reason(context, deployment, rule) for rule in RULE_PRECEDENCE)


def _unknown_reason(context: ExplainContext, deployment: Deployment, rule: str) -> str:
    """Return why it is not known whether a rule matches; empty if it is known."""
    match rule:
        case "explicit" | "incident" if not context.records_incidents:
            return "Git records no incidents."
        case "health-check" if deployment.source == GIT_SOURCE:
            return "Git records no health checks."
        case "failed-run" if deployment.source == GIT_SOURCE:
            return "Git records no runs."
        case "rollback" if deployment.source == GIT_SOURCE:
            return "Git records no rollbacks."
        case "revert" if deployment.status == "success" and deployment.changes is None:
            return "What it delivered is not known, so it is not known whether that was reverted."
        case _:
            return ""


def _hit_text(
    context: ExplainContext, deployment: Deployment, hits: Sequence[FailureSignal], *, is_deciding: bool
) -> Md:
    causes = join_limited(link(context.replace_ids(signal.because), signal.url) for signal in hits)
    if is_deciding:
        return md("**yes; this rule decides:** {}.", causes)
    if not is_rule_enabled(hits[0].rule, context.policy):
        return md("would match, but it is switched off (`failure-rules`): {}.", causes)
    if not counts_in_failure_rate(deployment, context.policy):
        if hits[0].rule == "failed-run":
            return md("no. {}, but before it reached users.", link("The run failed", hits[0].url))
        return md("would match, but this deployment is not in the failure rate: {}.", causes)
    return md("also yes, but an earlier rule decides: {}.", causes)


def _switched_off_note(context: ExplainContext, rule: str) -> Md:
    return Md("" if is_rule_enabled(rule, context.policy) else " It is also switched off (`failure-rules`).")


def _why_not_explicit(context: ExplainContext, _: Deployment) -> Md:
    note = _switched_off_note(context, "explicit")
    return md("No incident names this deployment, and no deployment is recorded as its fix.{}", note)


def _why_not_rollback(context: ExplainContext, deployment: Deployment) -> Md:
    if deployment.status != "success":
        return Md("Only a successful deployment can be rolled back.")
    successes = context.timeline_by_deployment[deployment.id].successes
    position_by_id = {success.id: position for position, success in enumerate(successes)}
    position = position_by_id[deployment.id]
    signals = (signal for success in successes for signal in context.failure_verdicts.signals.get(success.id, ()))
    for signal in signals:
        rollback_id = signal.rule == "rollback" and signal.repaired_by and signal.repaired_by.id
        if rollback_id and position_by_id[signal.deployment.id] < position < position_by_id[rollback_id]:
            sentence = "{} went back to a version before {}, and the rollback is attributed to that one."
            return md(sentence, context.fact_label(rollback_id), deployment_link(signal.deployment))
    if position == 0:
        return Md("It is the first recorded success, so no later deployment can go back to an earlier one.")
    if position + 1 == len(successes):
        return Md("No deployment succeeded after it.")
    later_count = formatting.count(len(successes) - position - 1, "deployment")
    note = _switched_off_note(context, "rollback")
    return md("No later deployment went back to what ran before it ({} checked).{}", later_count, note)


def _why_not_revert(context: ExplainContext, deployment: Deployment) -> Md:
    if deployment.status != "success":
        return Md("It did not succeed, so it delivered nothing.")
    deliveries = [delivery for _, delivery in context.delivered_changes_by_id.get(deployment.id, ())]
    if not deliveries:
        return Md("It delivered nothing new, so there was nothing to revert.")
    if any(is_revert(delivery.change) for delivery in deliveries):
        return Md("It delivered a revert itself, and no later deployment reverted any of its changes.")
    changes = "its change" if len(deliveries) == 1 else f"any of its {len(deliveries):,} changes"
    return md("No later deployment reverted {}.{}", changes, _switched_off_note(context, "revert"))


def _why_not_hotfix(context: ExplainContext, deployment: Deployment) -> Md:
    deployments = context.timeline_by_deployment[deployment.id].deployments_reaching_users
    if deployment not in deployments:
        return Md("It did not reach users.")
    position = deployments.index(deployment)
    if position + 1 == len(deployments):
        return Md("No deployment came after it.")
    following = deployments[position + 1]
    elapsed = following.finished_at - deployment.finished_at
    hotfix = _hotfix_delivered_by(context, following)
    if hotfix is None:
        note = _switched_off_note(context, "hotfix")
        return md(
            "The next deployment, {}, came {} later and delivered no hotfix.{}",
            deployment_link(following),
            formatting.duration(elapsed.total_seconds()),
            note,
        )
    change_id, reason = hotfix
    window = context.policy.hotfix_window
    return md(
        "The next deployment, {}, delivered {} with {}, but {} later: `hotfix-window` is {}.",
        deployment_link(following),
        context.fact_label(change_id),
        reason,
        formatting.duration_beyond(elapsed, window),
        formatting.duration_setting(window),
    )


def _hotfix_delivered_by(context: ExplainContext, deployment: Deployment) -> tuple[str, str] | None:
    """Return the id of the first hotfix that a deployment delivered, and why it is one; None without a hotfix."""
    timeline = context.timeline_by_deployment[deployment.id]
    for delivery in (each for each in timeline.changes_and_carriers if each.deployment.id == deployment.id):
        if delivery.change and (reason := hotfix_reason(delivery.change, context.policy)):
            return delivery.change.id, reason
    return None


def _why_not_incident(context: ExplainContext, deployment: Deployment) -> Md:
    if deployment.status != "success":
        return Md("An incident that names no deployment is attributed to a successful one.")
    attribution = _next_incident(context, deployment)
    if attribution is None:
        note = _switched_off_note(context, "incident")
        apart = ", apart from those that name a deployment" if _later_incidents(context, deployment) else ""
        return md("No incident was detected after it{}.{}", apart, note)
    incident, attributed_to = attribution.incident, attribution.attributed_to
    elapsed = _elapsed_text(deployment.finished_at, incident.detected_at)
    title = incident_link(incident)
    if attributed_to:
        return md(
            "The next incident, {}, came {} later and is attributed to {}.",
            title,
            elapsed,
            deployment_link(attributed_to),
        )
    return md(
        "The next incident, {}, came {} later and is attributed to no deployment: {}.",
        title,
        elapsed,
        attribution.because,
    )


def _next_incident(context: ExplainContext, deployment: Deployment) -> AttributedIncident | None:
    """Return the first incident of the scope that names no deployment and was detected after this one finished."""
    return next((each for each in _later_incidents(context, deployment) if not each.is_explicit), None)


def _later_incidents(context: ExplainContext, deployment: Deployment) -> list[AttributedIncident]:
    """Return the incidents of the scope that were detected after this deployment finished, in order of detection."""
    scope, finished_at = context.timeline_by_deployment[deployment.id].scope, deployment.finished_at
    attributions = context.attribution_by_incident.values()
    return [each for each in attributions if each.scope == scope and each.incident.detected_at >= finished_at]


def _elapsed_text(start: datetime, end: datetime) -> str:
    return formatting.duration((end - start).total_seconds())


def _why_not_health_check(_: ExplainContext, deployment: Deployment) -> Md:
    if deployment.health == "passed":
        return Md("Its health check passed.")
    return Md("No health check was recorded for it.")


def _why_not_failed_run(_: ExplainContext, deployment: Deployment) -> Md:
    return Md("The run succeeded." if deployment.status == "success" else "It was cancelled.")


_WHY_NOT_BY_RULE: dict[str, Callable[[ExplainContext, Deployment], Md]] = {
    "explicit": _why_not_explicit,
    "rollback": _why_not_rollback,
    "revert": _why_not_revert,
    "hotfix": _why_not_hotfix,
    "incident": _why_not_incident,
    "health-check": _why_not_health_check,
    "failed-run": _why_not_failed_run,
}


def repair_lines(context: ExplainContext, deployment: Deployment) -> Iterator[Md]:
    """Yield what ended a failure, or why it is still open."""
    failure = context.failure_by_deployment.get(deployment.id)
    if failure is None:
        return
    is_by_incident = failure.rule in ("explicit", "incident")
    attributions = context.attributions_by_deployment.get(deployment.id, []) if is_by_incident else []
    if failure.recovered_at is None:
        yield from _still_open_lines(attributions)
        return
    ending, finished = _ending_text(context, failure), context.format_time(failure.recovered_at)
    if failure.recovery_seconds is None:
        yield md("{} on {}, before the deployment, so there is no recovery time.", ending, finished)
        return
    duration = formatting.duration(failure.recovery_seconds)
    yield md("{} on {}, **{}** after the deployment.", ending, finished, duration)
    yield md("{}", _RECOVERY_BY_RULE[failure.rule])
    if len(attributions) > 1:
        yield md("{} incidents are attributed to it; the one that ended last counts.", len(attributions))


def _ending_text(context: ExplainContext, failure: Failure) -> Md:
    """Return the start of a sentence: what ended a failure."""
    fact = context.facts_by_id.get(failure.remediated_by or "")
    if isinstance(fact, Incident):
        return md("Incident {} was resolved", incident_link(fact))
    return md("{} finished", context.fact_label(failure.remediated_by))


def _still_open_lines(attributions: Iterable[AttributedIncident]) -> Iterator[Md]:
    incidents = (attribution.incident for attribution in attributions)
    for incident in incidents:
        if incident.resolved_at is None:
            yield md("{} is not resolved.", incident_link(incident))
    yield Md("It counts as a failure, but it is not in the median recovery time yet.")


_ENDS_WITH_INCIDENT_OR_FIX = (
    "A failure found by this rule ends when the incident is resolved or its fix is deployed, whichever comes first."
)
_RECOVERY_BY_RULE = {
    "explicit": _ENDS_WITH_INCIDENT_OR_FIX,
    "rollback": "A failure found by this rule ends when the rollback is deployed.",
    "revert": "A failure found by this rule ends with the deployment that delivered the revert.",
    "hotfix": "A failure found by this rule ends with the deployment that delivered the hotfix.",
    "incident": _ENDS_WITH_INCIDENT_OR_FIX,
    "health-check": "A failure found by this rule ends with the next success whose health check did not fail.",
    "failed-run": (
        "A failure found by this rule ends with the next success of the same source whose health check did not fail."
    ),
}
"""Which end of a failure counts as its recovery, by the rule that marked it."""
