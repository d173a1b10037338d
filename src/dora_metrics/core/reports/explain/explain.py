"""A deployment, explained: whether it failed and by what, what repaired it, what it delivered."""

from collections.abc import Iterator

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.failures import counts
from dora_metrics.core.linking.link import reached_users
from dora_metrics.core.markdown import Md, code, link, md
from dora_metrics.core.markdown import identity as written
from dora_metrics.core.reports.event_story import change_name, name
from dora_metrics.core.reports.explain.case import Case, Explanation, Place, Section, where
from dora_metrics.core.reports.explain.changes import lead_words
from dora_metrics.core.reports.explain.rules import repair, rules

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
