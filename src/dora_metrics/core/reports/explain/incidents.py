"""An incident or a vulnerability, explained: where it counts, and whom it is blamed on or why nobody."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment, Incident, Vulnerability
from dora_metrics.core.failures.incidents import Placed
from dora_metrics.core.linking.link import Scope
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.markdown import identity as written
from dora_metrics.core.metrics.security import is_delivered, is_fixed
from dora_metrics.core.reports.event_story import name
from dora_metrics.core.reports.explain.case import Case, Explanation, Section, where


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
