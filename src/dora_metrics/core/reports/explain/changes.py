"""A change, explained: which deployment delivered it, and how long each stage took."""

from collections.abc import Iterator
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.failures.rules import hotfix_sign, is_revert
from dora_metrics.core.linking.link import Delivery, Line, Scope, order
from dora_metrics.core.markdown import Md, code, md
from dora_metrics.core.markdown import identity as written
from dora_metrics.core.metrics.lead_time import spans
from dora_metrics.core.reports.event_story import change_name, name
from dora_metrics.core.reports.explain.case import Case, Explanation, Section, where
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
