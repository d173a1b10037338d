"""A deployment, explained: whether it failed and by what, what repaired it, what it delivered.

A change, explained: which deployment delivered it, and how long each stage took.

An incident or a vulnerability, explained: where it counts, and whom it is blamed on or why nobody.

From a name to everything that is known about what it means.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Change, Deployment, Incident, Vulnerability
from dora_metrics.core.failures.incidents import Placed
from dora_metrics.core.failures.judge import counts
from dora_metrics.core.failures.rules import hotfix_sign, is_revert
from dora_metrics.core.linking.link import Delivery, Line, order, reached_users
from dora_metrics.core.markdown import Md, code, link, md
from dora_metrics.core.markdown import identity as written
from dora_metrics.core.metrics.lead_time import spans
from dora_metrics.core.metrics.security import is_delivered, is_fixed
from dora_metrics.core.reports.explain.case import Case, Explanation, Place, Section, where
from dora_metrics.core.reports.explain.find import Found, NotFound, find
from dora_metrics.core.reports.explain.rules import repair, rules
from dora_metrics.core.reports.fact_names import change_name, name
from dora_metrics.core.scope import Scope
from dora_metrics.core.statistics import quantile

_STAGES = {
    "coding": "first commit to opened",
    "pickup": "opened to the first review, a part of the next",
    "review": "opened to merged",
    "delivery": "merged to deployed",
}
_EXCLUDED = {
    "first_deployment": "left out of lead time: nobody knows since when changes of the first deployment waited",
    "bots": "left out of lead time: it is by a bot (`exclude-bots`)",
    "no_start": "left out of lead time: nobody knows when it began",
    "negative": "left out of lead time: it would have begun after it was deployed",
}


def change(case: Case, identity: str) -> Explanation:
    """Everything about one change; also about one that is only listed."""
    fact = case.facts.get(identity)
    fact = fact if isinstance(fact, Change) else None
    found = [] if fact and fact.retracted else case.deliveries.get(identity, [])
    called = change_name(identity, fact)
    headline = md("Change {}: {}", called, _gist(case, identity, found))
    sections = [Section("Where it is delivered", tuple(_where(case, identity, fact, found)))]
    if fact:
        sections += [Section(f"Stages, {where(line.scope)}", tuple(_stages(case, fact, d))) for line, d in found]
        sections.append(Section("What it says about other deployments", tuple(_effects(case, fact))))
    return Explanation(headline, tuple(_about(identity, fact)), tuple(sections))


def _gist(case: Case, identity: str, found: list[tuple[Line, Delivery]]) -> Md:
    if not found:
        return Md("not delivered yet")
    line, delivery = found[0]
    said = md("delivered by {}, {}", name(delivery.deployment), lead_words(case, line.scope, identity))
    return md("{}, and in {} more", said, formatting.count(len(found) - 1, "scope")) if len(found) > 1 else said


def lead_words(case: Case, scope: Scope, identity: str) -> Md:
    """A change's lead time in a scope, or why it has none; of several commits the median."""
    measured, excluded = case.measured.get((scope, identity), ([], []))
    if measured:
        middle = formatting.duration(quantile(sorted(lead.seconds for lead in measured), 0.5))
        each = Md(f" (median of {len(measured)} commits)" if len(measured) > 1 else "")
        return md("lead time **{}**{}", middle, each)
    if excluded:
        return Md(_EXCLUDED[excluded[0].reason])
    return Md("without a commit of its own to measure")


def _about(identity: str, fact: Change | None) -> Iterator[Md]:
    if fact is None:
        yield md("{} is listed by a deployment, and no fact of it is known.", written(identity))
        return
    sha = md(", commit {}", code(fact.sha)) if fact.sha else ""
    yield md("{}{}: {}.", written(identity), sha, fact.title or "without a title")
    if fact.retracted:
        yield Md("It was retracted: it is as if it had never been.")


def _where(case: Case, identity: str, fact: Change | None, found: list[tuple[Line, Delivery]]) -> Iterator[Md]:
    for line, delivery in found:
        at = delivery.deployment.finished_at
        yield md(
            "{}, on {}, in {}: the first successful production deployment there that contains it. {}",
            name(delivery.deployment), case.when(at), where(line.scope), case.in_window(at),
        )  # fmt: skip
        for one in line.deployments:
            if one.status != "success" and identity in (one.changes or ()) and order(one) < order(delivery.deployment):
                yield md(
                    "{} had brought it on {}, and did not succeed.", case.called(one.id), case.when(one.finished_at)
                )
    if not found and not (fact and fact.retracted):
        yield from _in_the_way(case, identity)


def _in_the_way(case: Case, identity: str) -> Iterator[Md]:
    """Why a change is not delivered."""
    listing = [one for one in case.facts.values() if isinstance(one, Deployment) and identity in (one.changes or ())]
    for one in listing:
        yield md("{} lists it, and {}.", name(one), _why_not(case, one))
    if not listing:
        yield Md("No deployment that is known lists it. It counts once one does.")


def _why_not(case: Case, listing: Deployment) -> str:
    if listing.id not in case.places:
        return "counts nowhere"
    if listing.status != "success":
        return "did not succeed: it goes to the next success of its scope"
    return "delivered nothing, since its commit had been deployed before"


def _stages(case: Case, fact: Change, delivery: Delivery) -> Iterator[Md]:
    for stage, (start, end) in spans(fact, delivery.deployment.finished_at):
        yield md("{} ({}): {}", stage, _STAGES[stage], _span(case, start, end))


def _span(case: Case, start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return "not known"
    if start > end:
        return f"dropped, since it would end before it begins ({case.when(start)} – {case.when(end)})"
    return f"{formatting.duration((end - start).total_seconds())} ({case.when(start)} – {case.when(end)})"


def _effects(case: Case, fact: Change) -> Iterator[Md]:
    """What the change marks: as a hotfix or a revert, or by being reverted."""
    marks = [mark for marks in case.verdicts.marks.values() for mark in marks]
    for mark in marks:
        if mark.because.startswith(f"{fact.id} ") and mark.rule in ("revert", "hotfix"):
            effect = "marks" if mark.stands else "would mark, had it come sooner,"
            yield md("As a {} it {} {}: {}.", mark.rule, effect, name(mark.deployment), case.spoken(mark.because))
        elif mark.rule == "revert" and mark.because.endswith(f" reverts {fact.id}"):
            yield md("It was taken back, which marks {}: {}.", name(mark.deployment), case.spoken(mark.because))
    marking = [mark for mark in marks if mark.because.startswith(f"{fact.id} ")]
    if not marking and is_revert(fact):
        yield Md("It is a revert, and marks nothing: no earlier deployment delivered what it takes back.")
    elif not marking and (sign := hotfix_sign(fact, case.policy)):
        yield md("It is a hotfix ({}), and marks nothing: no deployment before the one that delivered it.", sign)


_MOST = 20


def deployment(case: Case, fact: Deployment) -> Explanation:
    """Everything about one deployment."""
    place = case.places.get(fact.id)
    if place is None:
        return Explanation(
            md("Deployment {}: counts nowhere", name(fact)), (_identity(case, fact), md("{}", _nowhere(case, fact)))
        )
    failure = case.failures.get(fact.id)
    why = "Why it failed" if failure else "Why it did not fail"
    return Explanation(
        _headline(case, fact),
        tuple(_standing(case, place)),
        (
            Section(f"{why}: the first rule that hits decides", tuple(rules(case, place))),
            Section("What repaired it", tuple(repair(case, fact))),
            Section("What it repaired", tuple(_repaired(case, fact))),
            Section("What it delivered", tuple(_delivered(case, place))),
            Section("Which fixes of vulnerabilities went live with it", tuple(_fixed(case, place))),
        ),
    )


def _headline(case: Case, fact: Deployment) -> Md:
    failure = case.failures.get(fact.id)
    if failure:
        return md("Deployment {}: failed, by `{}`", name(fact), Md(failure.rule))
    match fact.status:
        case "cancelled":
            return md("Deployment {}: was cancelled, so it can neither fail nor succeed", name(fact))
        case "failure":
            return md("Deployment {}: a run that failed, and no failed deployment", name(fact))
        case _:
            return md("Deployment {}: did not fail", name(fact))


def _identity(case: Case, fact: Deployment) -> Md:
    took = ""
    if fact.started_at and fact.started_at <= fact.finished_at:
        took = f" after {formatting.duration((fact.finished_at - fact.started_at).total_seconds())}"
    sha = md(", commit {}", code(fact.sha)) if fact.sha else ", of no known commit"
    ended = f"ended on {case.when(fact.finished_at)} {case.policy.zone.key} as {fact.status}{took}"
    return Md(md("{}{}: it {}.", written(fact.id), sha, ended))


def _standing(case: Case, place: Place) -> Iterator[Md]:
    fact = place.deployment
    yield _identity(case, fact)
    yield md("It counts in {}. {}", where(place.line.scope), case.in_window(fact.finished_at))
    if fact.status == "cancelled":
        yield Md("A cancelled deployment is in no denominator, and delivers nothing.")
    elif counts(fact, case.policy):
        reached = "It reached users" if reached_users(fact) else "`count-failed-runs` is on"
        yield Md(f"{reached}, so it is one of the deployments that the failure rate is over.")
    else:
        yield Md("It failed before it reached users, so it is in no failure rate (`count-failed-runs` is off).")


def _nowhere(case: Case, fact: Deployment) -> str:
    if fact.retracted:
        return "It was retracted: it is as if it had never been."
    told = [other for other in case.places if other.startswith(f"{fact.id}:")]
    if told:
        return f"Its deploy job told of it as well, so that it counts once, as {told[0]}."
    shown = fact.environment or "no environment, where its repository names some"
    return f"Its environment is not production: {shown} (`production-environments`)."


def _repaired(case: Case, fact: Deployment) -> Iterator[Md]:
    if reason := case.verdicts.rework.get(fact.id):
        yield md("It is rework ({}).", case.spoken(reason))
    for failure in case.failures.values():
        if failure.remediated_by == fact.id:
            said = "It ended the failure of {} (`{}`) after {}."
            yield md(said, name(failure.deployment), Md(failure.rule), formatting.duration(failure.seconds))
    if fact.remediates and fact.id not in case.verdicts.rework:
        yield md("It says that it remediates {}, which is itself.", fact.remediates)


def _delivered(case: Case, place: Place) -> Iterator[Md]:
    fact = place.deployment
    own = [delivery for line, delivery in case.deliveries.get(fact.id, ()) if line is place.line]
    if fact.status == "success":
        yield from _compared(case, place, first=not own)
    elif fact.changes:
        yield md("Its {} go to the next success.", formatting.count(len(fact.changes), "change"))
    for delivery in own[:_MOST]:
        said = lead_words(case, place.line.scope, delivery.change)
        yield md("{}: {}", change_name(delivery.change, delivery.fact), said)
    if len(own) > _MOST:
        yield md("and {} more", len(own) - _MOST)
    others = set(fact.changes or ()) - {delivery.change for delivery in own}
    others &= {delivery.change for delivery in place.line.deliveries}
    if others and fact.status == "success":
        yield md("Of what it lists, {} had been delivered before.", formatting.count(len(others), "change"))


def _fixed(case: Case, place: Place) -> Iterator[Md]:
    """The vulnerabilities whose fix it was the first success after."""
    own = [fix for fix in case.fixes[place.line.scope] if fix.deployment.id == place.deployment.id]
    for fix in own[:_MOST]:
        found = fix.vulnerability
        title = link(found.package or found.id, found.url)
        took = f", {formatting.duration(fix.seconds)} after it was detected" if fix.seconds is not None else ""
        yield md("{} ({}), severity {}{}", title, written(found.id), found.severity or "unknown", took)
    if len(own) > _MOST:
        yield md("and {} more", len(own) - _MOST)


def _compared(case: Case, place: Place, *, first: bool) -> Iterator[Md]:
    fact, successes = place.deployment, place.line.successes
    before = successes[: successes.index(fact)]
    if fact.sha and any(one.sha == fact.sha for one in before):
        yield Md("Its commit had been deployed before, so it delivers nothing new.")
    elif not before and not fact.previous:
        yield Md("It is the first success known here, and only bounds what the next one delivers.")
    elif fact.changes is None:
        yield Md("What it delivered is not known yet.")
    elif first:
        yield Md("It delivered nothing new.")
    if fact.previous and fact.changes is not None:
        yield md("It was compared with {}.", case.called(fact.previous))


def incident(case: Case, fact: Incident) -> Explanation:
    """Everything about one incident."""
    title = link(fact.title or fact.id, fact.url)
    placed = case.placed.get(fact.id)
    if placed is None:
        why = "it was retracted" if fact.retracted else f"its environment is not production: {fact.environment}"
        return Explanation(md("Incident {}: counts nowhere", title), (md("{}: {}.", written(fact.id), why),))
    if placed.blamed:
        headline = md("Incident {}: blamed on {}", title, name(placed.blamed))
    else:
        headline = md("Incident {}: blamed on nobody", title)
    return Explanation(
        headline,
        (_lasted(case, fact), md("It counts in {}: {}.", where(placed.scope), _why_there(placed))),
        (
            Section("Whom it is blamed on", tuple(_blame(case, placed))),
            Section("What ended it", tuple(_end(case, fact))),
        ),
    )


def _lasted(case: Case, fact: Incident) -> Md:
    detected = f"detected on {case.when(fact.detected_at)} {case.policy.zone.key}"
    return md("{}: {}. {}", written(fact.id), detected, case.in_window(fact.detected_at))


def _why_there(placed: Placed) -> str:
    fact = placed.incident
    if fact.service and fact.environment:
        return "it names service and environment"
    if placed.blamed:
        return "that is the scope of the deployment it is blamed on"
    return "it does not name both service and environment, so it is that of the latest deployment before it, if any"


def _blame(case: Case, placed: Placed) -> Iterator[Md]:
    rule = "explicit" if placed.incident.deployment else "incident"
    if placed.blamed is None:
        because = f"it {placed.because}" if placed.because.startswith("names ") else placed.because
        yield md("Nobody, by the rule `{}`: {}.", Md(rule), because)
        if rule == "explicit" and "switched off" not in placed.because:
            yield Md("A name that leads nowhere is not replaced by a guess.")
        return
    was = "it" if rule == "explicit" else "it was"
    because = f"{was} {case.spoken(placed.because)}"
    yield md("{}, by the rule `{}`: {}.", case.called(placed.blamed.id), Md(rule), because)
    if rule == "incident":
        yield Md("That is the latest success of its scope up to the second of its detection.")
    failure = case.failures.get(placed.blamed.id)
    if failure and failure.rule != rule:
        yield md("For that deployment another rule decides: `{}` comes before.", Md(failure.rule))


def _end(case: Case, fact: Incident) -> Iterator[Md]:
    if fact.resolved_at:
        yield md("It was resolved on {}{}.", case.when(fact.resolved_at), _after(fact.detected_at, fact.resolved_at))
    else:
        yield Md("It has not been resolved: it counts as open, and is in no duration.")
    for other in case.facts.values():
        if isinstance(other, Deployment) and other.remediates == fact.id and not other.retracted:
            yield md("{} says that it remediates it, on {}.", name(other), case.when(other.finished_at))


def _after(start: datetime, end: datetime) -> str:
    if end < start:
        return ", which is before it was detected: in no duration"
    return f", after {formatting.duration((end - start).total_seconds())}"


def vulnerability(case: Case, fact: Vulnerability) -> Explanation:
    """Everything about one security alert."""
    title = link(fact.package or fact.id, fact.url)
    if fact.retracted:
        return Explanation(md("Vulnerability in {}: was retracted, and counts nowhere", title))
    if fact.dismissed_at:
        state = Md("dismissed, so it is neither open nor fixed")
    elif fact.fixed_at:
        state = md("fixed{}", _after(fact.detected_at, fact.fixed_at))
    else:
        state = Md("open")
    scopes = [scope for scope in case.history.lines if fact in case.vulnerable(scope)]
    counted = tuple(md("It counts in {}.", where(scope)) for scope in scopes)
    detected, severity = case.when(fact.detected_at), fact.severity or "unknown (so it is in no number by severity)"
    about = md("{}: severity {}, detected on {}.", written(fact.id), severity, detected)
    lived = Section("When its fix went live", tuple(_live(case, fact, scopes)) if is_fixed(fact) else ())
    nowhere = () if counted else (Md("Its service has no scope yet."),)
    return Explanation(md("Vulnerability in {}: {}", title, state), (about, *counted, *nowhere), (lived,))


def _live(case: Case, fact: Vulnerability, scopes: Iterable[Scope]) -> Iterator[Md]:
    """In each scope the first success at or after the fix."""
    if not is_delivered(fact):
        yield Md("A leaked secret is fixed by revoking it, which no deployment brings.")
        return
    for scope in scopes:
        fix = next((one for one in case.fixes[scope] if one.vulnerability.id == fact.id), None)
        if fix is None:
            yield md("{}: not yet, no deployment has succeeded since.", where(scope))
        else:
            when, took = case.when(fix.at), _after(fact.detected_at, fix.at)
            said = "{}: with {} on {}{}. It is the first success that ended after the fix."
            yield md(said, where(scope), name(fix.deployment), when, took)


def explain(case: Case, name: str) -> list[Explanation] | NotFound:
    """One explanation for each fact that a name means: several where a version was deployed several times."""
    match find(name, case.facts.values()):
        case Found(ids):
            return [of(case, identity) for identity in ids]
        case missing:
            return missing


def of(case: Case, identity: str) -> Explanation:
    """The explanation of one fact, or of a change that is only listed."""
    match case.facts.get(identity):
        case Deployment() as fact:
            return deployment(case, fact)
        case Incident() as fact:
            return incident(case, fact)
        case Vulnerability() as fact:
            return vulnerability(case, fact)
        case _:
            return change(case, identity)
