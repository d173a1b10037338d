"""For each rule that marks deployments as failed: what it saw, or why it did not hit."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import RULE_PRECEDENCE, counts_in_failure_rate, is_rule_enabled
from dora_metrics.core.failures.rules import FailureSignal, hotfix_reason, is_revert
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.reports.explain.case import ExplainContext, ScopedDeployment, join_limited
from dora_metrics.core.reports.fact_names import deployment_link


def rule_lines(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Iterator[Md]:
    """A line a rule, in the order in which they hit."""
    failure = context.failure_by_deployment.get(scoped_deployment.deployment.id)
    for rule in RULE_PRECEDENCE:
        signals = [
            signal
            for signal in context.failure_verdicts.signals.get(scoped_deployment.deployment.id, ())
            if signal.rule == rule
        ]
        hits = [signal for signal in signals if signal.marks_failure]
        is_deciding = failure is not None and failure.rule == rule
        if hits:
            yield md("`{}`: {}", Md(rule), _hit_text(context, scoped_deployment, hits, is_deciding=is_deciding))
        else:
            yield md("`{}`: no. {}", Md(rule), _WHY_NOT_BY_RULE[rule](context, scoped_deployment))


def _hit_text(
    context: ExplainContext, scoped_deployment: ScopedDeployment, hits: list[FailureSignal], *, is_deciding: bool
) -> Md:
    causes = join_limited(link(context.replace_ids(signal.because), signal.url) for signal in hits)
    if is_deciding:
        return md("**yes, and it decides.** {}.", causes)
    if not is_rule_enabled(hits[0].rule, context.policy):
        return md("it would, but it is switched off (`failure-rules`). {}.", causes)
    if not counts_in_failure_rate(scoped_deployment.deployment, context.policy):
        return md("it would, but this deployment is in no failure rate. {}.", causes)
    return md("yes, too, but a rule before it decides. {}.", causes)


def _switched_off_note(context: ExplainContext, rule: str) -> Md:
    return Md("" if is_rule_enabled(rule, context.policy) else " It is switched off, besides (`failure-rules`).")


def _why_not_explicit(context: ExplainContext, _: ScopedDeployment) -> Md:
    return Md(
        f"No incident names it, and no deployment says that it remediates it.{_switched_off_note(context, 'explicit')}"
    )


def _why_not_rollback(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Md:
    if scoped_deployment.deployment.status != "success":
        return Md("Only what had succeeded can be rolled back.")
    position_by_id = {
        deployment.id: position for position, deployment in enumerate(scoped_deployment.timeline.successes)
    }
    position = position_by_id[scoped_deployment.deployment.id]
    for signal in (
        signal for deployment_id in position_by_id for signal in context.failure_verdicts.signals.get(deployment_id, ())
    ):
        rollback_id = signal.rule == "rollback" and signal.repaired_by and signal.repaired_by.id
        if rollback_id and position_by_id[signal.deployment.id] < position < position_by_id[rollback_id]:
            sentence = "{} went back to before {}, which takes the blame; this one only went with it."
            return md(sentence, context.fact_label(rollback_id), deployment_link(signal.deployment))
    later_count = formatting.count(len(position_by_id) - position - 1, "deployment")
    return md(
        "No later deployment went back to what ran before it ({} seen).{}",
        later_count,
        _switched_off_note(context, "rollback"),
    )


def _why_not_revert(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Md:
    delivered_changes = [
        delivered_change
        for _, delivered_change in context.delivered_changes_by_id.get(scoped_deployment.deployment.id, ())
    ]
    if not delivered_changes:
        return Md("It was not the first to deliver any change, so none of its changes could be taken back.")
    if any(is_revert(delivered_change.change) for delivered_change in delivered_changes):
        return Md("It brought a revert itself, and no later deployment reverted one of its changes.")
    change_count = formatting.count(len(delivered_changes), "change")
    return md(
        "No later deployment reverted one of the {} that it delivered.{}",
        change_count,
        _switched_off_note(context, "revert"),
    )


def _why_not_hotfix(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Md:
    deployments = scoped_deployment.timeline.deployments_reaching_users
    if scoped_deployment.deployment not in deployments:
        return Md("It did not reach users.")
    position = deployments.index(scoped_deployment.deployment)
    if position + 1 == len(deployments):
        return Md("No deployment came after it.")
    following = deployments[position + 1]
    elapsed = formatting.duration((following.finished_at - scoped_deployment.deployment.finished_at).total_seconds())
    hotfix_signs = [
        (delivered_change.change.id, sign)
        for _, delivered_change in context.delivered_changes_by_id.get(following.id, ())
        if delivered_change.change and (sign := hotfix_reason(delivered_change.change, context.policy))
    ]
    if not hotfix_signs:
        return md(
            "The next one, {}, came {} later and brought no hotfix.{}",
            deployment_link(following),
            elapsed,
            _switched_off_note(context, "hotfix"),
        )
    change_id, sign = hotfix_signs[0]
    window = _duration_text(context.policy.hotfix_window)
    return md(
        "The next one, {}, brought {} with {}, but {} later: `hotfix-window` is {}.",
        deployment_link(following), context.fact_label(change_id), sign, elapsed, window,
    )  # fmt: skip


def _why_not_incident(context: ExplainContext, scoped_deployment: ScopedDeployment) -> Md:
    deployment, scope = scoped_deployment.deployment, scoped_deployment.timeline.scope
    scope_incidents = sorted(
        (
            attribution
            for attribution in context.attribution_by_incident.values()
            if attribution.scope == scope and not attribution.is_explicit
        ),
        key=lambda attribution: (attribution.incident.detected_at, attribution.incident.id),
    )
    next_incident = next(
        (attribution for attribution in scope_incidents if attribution.incident.detected_at >= deployment.finished_at),
        None,
    )
    if deployment.status != "success":
        return Md("An incident that names nothing blames a success.")
    if next_incident is None:
        return Md(
            f"No incident that names no deployment was detected after it.{_switched_off_note(context, 'incident')}"
        )
    elapsed = formatting.duration((next_incident.incident.detected_at - deployment.finished_at).total_seconds())
    title = link(next_incident.incident.title or next_incident.incident.id, next_incident.incident.url)
    if next_incident.attributed_to:
        return md(
            "The next one, {}, came {} later and is blamed on {}.",
            title,
            elapsed,
            deployment_link(next_incident.attributed_to),
        )
    return md("The next one, {}, came {} later and is blamed on nobody: {}.", title, elapsed, next_incident.because)


def _why_not_health_check(_: ExplainContext, scoped_deployment: ScopedDeployment) -> Md:
    if scoped_deployment.deployment.health == "passed":
        return Md("Its health check passed.")
    return Md("No health check of it was recorded.")


def _why_not_failed_run(_: ExplainContext, scoped_deployment: ScopedDeployment) -> Md:
    return Md("The run succeeded." if scoped_deployment.deployment.status == "success" else "It was cancelled.")


_WHY_NOT_BY_RULE: dict[str, Callable[[ExplainContext, ScopedDeployment], Md]] = {
    "explicit": _why_not_explicit,
    "rollback": _why_not_rollback,
    "revert": _why_not_revert,
    "hotfix": _why_not_hotfix,
    "incident": _why_not_incident,
    "health-check": _why_not_health_check,
    "failed-run": _why_not_failed_run,
}


def _duration_text(span: timedelta) -> str:
    return formatting.duration(span.total_seconds())


def repair_lines(context: ExplainContext, deployment: Deployment) -> Iterator[Md]:
    """What ended a failure, or why it is still open."""
    failure = context.failure_by_deployment.get(deployment.id)
    if failure is None:
        return
    attributions = (
        context.attributions_by_deployment.get(deployment.id, []) if failure.rule in ("explicit", "incident") else []
    )
    if failure.recovered_at is None:
        open_incidents = [
            attribution.incident for attribution in attributions if attribution.incident.resolved_at is None
        ]
        for incident in open_incidents:
            yield md("{} has not ended.", link(incident.title or incident.id, incident.url))
        yield Md("So it is still open: counted, and in no median.")
        return
    end_time = context.format_time(failure.recovered_at)
    if failure.recovery_seconds is None:
        yield md(
            "{} ended it on {}, before it: in no recovery time.", context.fact_label(failure.remediated_by), end_time
        )
        return
    yield md(
        "{}, on {}: **{}** after it.",
        context.fact_label(failure.remediated_by),
        end_time,
        formatting.duration(failure.recovery_seconds),
    )
    yield md("{}", _RECOVERY_BY_RULE[failure.rule])
    if len(attributions) > 1:
        yield md("Of the {} incidents that blame it the last end counts.", len(attributions))


_RECOVERY_BY_RULE = {
    "explicit": "The rule names the end of the incident, or the deployment that says it remediates it: the earlier.",
    "rollback": "The rule names the deployment that went back.",
    "revert": "The rule names the deployment that brought the revert.",
    "hotfix": "The rule names the deployment that brought the hotfix.",
    "incident": "The rule names the end of the incident, or the deployment that says it remediates it: the earlier.",
    "health-check": "The rule names the next success whose health check did not fail.",
    "failed-run": "The rule names the next success of the same source whose health check did not fail.",
}
