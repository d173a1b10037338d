"""For each rule that marks deployments as failed: what it saw, or why it did not hit."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import ORDER, counts, is_on
from dora_metrics.core.failures.rules import Mark, hotfix_sign, is_revert
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.reports.explain.case import Case, Place, listed
from dora_metrics.core.reports.fact_names import name


def rules(case: Case, place: Place) -> Iterator[Md]:
    """A line a rule, in the order in which they hit."""
    failure = case.failures.get(place.deployment.id)
    for rule in ORDER:
        found = [mark for mark in case.verdicts.marks.get(place.deployment.id, ()) if mark.rule == rule]
        hits = [mark for mark in found if mark.stands]
        decides = failure is not None and failure.rule == rule
        if hits:
            yield md("`{}`: {}", Md(rule), _hit(case, place, hits, decides=decides))
        else:
            yield md("`{}`: no. {}", Md(rule), _WHY_NOT[rule](case, place))


def _hit(case: Case, place: Place, hits: list[Mark], *, decides: bool) -> Md:
    saw = listed(link(case.spoken(mark.because), mark.url) for mark in hits)
    if decides:
        return md("**yes, and it decides.** {}.", saw)
    if not is_on(hits[0].rule, case.policy):
        return md("it would, but it is switched off (`failure-rules`). {}.", saw)
    if not counts(place.deployment, case.policy):
        return md("it would, but this deployment is in no failure rate. {}.", saw)
    return md("yes, too, but a rule before it decides. {}.", saw)


def _off(case: Case, rule: str) -> Md:
    return Md("" if is_on(rule, case.policy) else " It is switched off, besides (`failure-rules`).")


def _explicit(case: Case, _: Place) -> Md:
    return Md(f"No incident names it, and no deployment says that it remediates it.{_off(case, 'explicit')}")


def _rollback(case: Case, place: Place) -> Md:
    if place.deployment.status != "success":
        return Md("Only what had succeeded can be rolled back.")
    positions = {deployment.id: position for position, deployment in enumerate(place.line.successes)}
    position = positions[place.deployment.id]
    for mark in (mark for identity in positions for mark in case.verdicts.marks.get(identity, ())):
        undone = mark.rule == "rollback" and mark.repaired_by and mark.repaired_by.id
        if undone and positions[mark.deployment.id] < position < positions[undone]:
            said = "{} went back to before {}, which takes the blame; this one only went with it."
            return md(said, case.called(undone), name(mark.deployment))
    after = formatting.count(len(positions) - position - 1, "deployment")
    return md("No later deployment went back to what ran before it ({} seen).{}", after, _off(case, "rollback"))


def _revert(case: Case, place: Place) -> Md:
    own = [delivery for _, delivery in case.deliveries.get(place.deployment.id, ())]
    if not own:
        return Md("It was not the first to deliver any change, so none of its changes could be taken back.")
    if any(is_revert(delivery.fact) for delivery in own):
        return Md("It brought a revert itself, and no later deployment reverted one of its changes.")
    many = formatting.count(len(own), "change")
    return md("No later deployment reverted one of the {} that it delivered.{}", many, _off(case, "revert"))


def _hotfix(case: Case, place: Place) -> Md:
    reached = place.line.reached
    if place.deployment not in reached:
        return Md("It did not reach users.")
    position = reached.index(place.deployment)
    if position + 1 == len(reached):
        return Md("No deployment came after it.")
    after = reached[position + 1]
    gap = formatting.duration((after.finished_at - place.deployment.finished_at).total_seconds())
    signs = [
        (delivery.fact.id, sign)
        for _, delivery in case.deliveries.get(after.id, ())
        if delivery.fact and (sign := hotfix_sign(delivery.fact, case.policy))
    ]
    if not signs:
        return md("The next one, {}, came {} later and brought no hotfix.{}", name(after), gap, _off(case, "hotfix"))
    change, sign = signs[0]
    window = _span(case.policy.hotfix_window)
    return md(
        "The next one, {}, brought {} with {}, but {} later: `hotfix-window` is {}.",
        name(after), case.called(change), sign, gap, window,
    )  # fmt: skip


def _incident(case: Case, place: Place) -> Md:
    deployment, scope = place.deployment, place.line.scope
    own = sorted(
        (one for one in case.placed.values() if one.scope == scope and not one.explicit),
        key=lambda one: (one.incident.detected_at, one.incident.id),
    )
    later = next((one for one in own if one.incident.detected_at >= deployment.finished_at), None)
    if deployment.status != "success":
        return Md("An incident that names nothing blames a success.")
    if later is None:
        return Md(f"No incident that names no deployment was detected after it.{_off(case, 'incident')}")
    span = formatting.duration((later.incident.detected_at - deployment.finished_at).total_seconds())
    title = link(later.incident.title or later.incident.id, later.incident.url)
    if later.blamed:
        return md("The next one, {}, came {} later and is blamed on {}.", title, span, name(later.blamed))
    return md("The next one, {}, came {} later and is blamed on nobody: {}.", title, span, later.because)


def _health_check(_: Case, place: Place) -> Md:
    if place.deployment.health == "passed":
        return Md("Its health check passed.")
    return Md("No health check of it was recorded.")


def _failed_run(_: Case, place: Place) -> Md:
    return Md("The run succeeded." if place.deployment.status == "success" else "It was cancelled.")


_WHY_NOT: dict[str, Callable[[Case, Place], Md]] = {
    "explicit": _explicit,
    "rollback": _rollback,
    "revert": _revert,
    "hotfix": _hotfix,
    "incident": _incident,
    "health-check": _health_check,
    "failed-run": _failed_run,
}


def _span(span: timedelta) -> str:
    return formatting.duration(span.total_seconds())


def repair(case: Case, deployment: Deployment) -> Iterator[Md]:
    """What ended a failure, or why it is still open."""
    failure = case.failures.get(deployment.id)
    if failure is None:
        return
    blaming = case.blaming.get(deployment.id, []) if failure.rule in ("explicit", "incident") else []
    if failure.recovered_at is None:
        still = [one.incident for one in blaming if one.incident.resolved_at is None]
        for incident in still:
            yield md("{} has not ended.", link(incident.title or incident.id, incident.url))
        yield Md("So it is still open: counted, and in no median.")
        return
    ended = case.when(failure.recovered_at)
    if failure.seconds is None:
        yield md("{} ended it on {}, before it: in no recovery time.", case.called(failure.remediated_by), ended)
        return
    yield md(
        "{}, on {}: **{}** after it.", case.called(failure.remediated_by), ended, formatting.duration(failure.seconds)
    )
    yield md("{}", _NAMED[failure.rule])
    if len(blaming) > 1:
        yield md("Of the {} incidents that blame it the last end counts.", len(blaming))


_NAMED = {
    "explicit": "The rule names the end of the incident, or the deployment that says it remediates it: the earlier.",
    "rollback": "The rule names the deployment that went back.",
    "revert": "The rule names the deployment that brought the revert.",
    "hotfix": "The rule names the deployment that brought the hotfix.",
    "incident": "The rule names the end of the incident, or the deployment that says it remediates it: the earlier.",
    "health-check": "The rule names the next success whose health check did not fail.",
    "failed-run": "The rule names the next success of the same source whose health check did not fail.",
}
