"""What in a metric's own data points at the cause of its value, and what is known to help against that cause.

Here lead time and frequency; failures are in `clues_failures`.

A difference between groups is told only where Fisher's test finds it clear; where several groups are tried, its p
counts as often as there are groups (Bonferroni). Nothing here is about a person.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.metrics.calculate import deployments_in, share, successes
from dora_metrics.core.metrics.lead_time import Lead, spans
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.policy import Policy
from dora_metrics.core.schema import Measure
from dora_metrics.core.windows import Window

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FEWEST = 3
"""Fewer deployments, changes or failures are an anecdote, and point at nothing."""

_FEW_DAYS = 3
_HALF = 0.5


@dataclass(frozen=True)
class Clue:
    """A sentence of numbers, and what helps if they are the cause."""

    evidence: str
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True)
class View:
    """A scope in the window of its numbers, and in a longer span for what needs many deployments."""

    record: Record
    window: Window
    span: Window
    policy: Policy

    @property
    def long(self) -> str:
        return f"in {round(self.span.days)} days"


def measure(do: str, because: str) -> Measure:
    return Measure(do=do, because=because)


def lead_time(view: View) -> Iterator[Clue]:
    """The stage that takes most of the time, and what happens in it."""
    found = cut(view.record.leads.measured, view.window, lambda lead: lead.at)
    staged = [(lead, parts) for lead in found if (parts := _parts(lead)).keys() >= {"coding", "review", "delivery"}]
    if len(staged) < FEWEST:
        return
    totals = {stage: sum(parts[stage] for _, parts in staged) for stage in ("coding", "review", "delivery")}
    whole, longest = sum(totals.values()), max(totals, key=lambda stage: totals[stage])
    if not whole:
        return
    rest = ", ".join(f"{stage} {formatting.percent(totals[stage] / whole)}" for stage in totals if stage != longest)
    yield Clue(
        f"{formatting.percent(totals[longest] / whole)} of the time of {formatting.count(len(staged), 'change')} "
        f"{_WHERE[longest]} ({rest})"
    )
    yield from _STAGES[longest](view, [lead for lead, _ in staged])


_WHERE = {
    "coding": "pass between the first commit and the pull request",
    "review": "pass between the opening of the pull request and its merge",
    "delivery": "pass between merge and deployment",
}


def _parts(lead: Lead) -> dict[str, float]:
    known = ((stage, start, end) for stage, (start, end) in spans(lead.staged, lead.at))
    return {stage: (end - start).total_seconds() for stage, start, end in known if start and end and start <= end}


def _coding(_: View, __: Sequence[Lead]) -> Iterator[Clue]:
    yield Clue(
        "",
        (
            measure("Cut work into smaller changes", "a change that is begun later is waited for less"),
            measure(
                "Merge unfinished work behind a switch", "code then need not be complete before it can be reviewed"
            ),
        ),
    )


def _review(_: View, leads: Sequence[Lead]) -> Iterator[Clue]:
    parts = [found for lead in leads if {"pickup", "review"} <= (found := _parts(lead)).keys()]
    waiting = sum(min(one["pickup"], one["review"]) for one in parts)
    whole = sum(one["review"] for one in parts)
    smaller = measure("Open smaller pull requests", "less to read is read sooner, and in one go")
    if not whole:
        yield Clue("", (smaller,))
    elif waiting / whole >= _HALF:
        said = f"{formatting.percent(waiting / whole)} of the review's time pass before anybody looks"
        first = measure("Agree how soon a first review comes", "most of the time of a review is the wait for it")
        yield Clue(said, (first, smaller))
    else:
        said = f"{formatting.percent(1 - waiting / whole)} of the review's time pass after the first look"
        talk = measure("Settle the approach before the code", "the time goes into rounds of review, not into waiting")
        yield Clue(said, (smaller, talk))


def _delivery(view: View, leads: Sequence[Lead]) -> Iterator[Clue]:
    merge = measure("Deploy on merge", "between merge and deployment nobody works on a change, it only waits")
    days = {weekday(d.finished_at, view.policy) for d in successes(deployments_in(view.record, view.window))}
    merged = [weekday(lead.staged.merged_at, view.policy) for lead in leads if lead.staged and lead.staged.merged_at]
    elsewhere = sum(day not in days for day in merged)
    if elsewhere and len(days) <= _FEW_DAYS:
        named = " and ".join(DAYS[day] for day in sorted(days))
        yield Clue(
            f"Deployments happened on {named} only; {elsewhere} of {formatting.count(len(merged), 'change')} were "
            "merged on other days",
            (measure("Deploy on more days", "each day without a slot is a day that merged changes wait"), merge),
        )
    half = share(sorted(lead.seconds - _parts(lead)["delivery"] / 2 for lead in leads), 0.5)
    level = view.policy.benchmark.level("lead_time", half)
    reached = f": {level}" if level else ""
    yield Clue(
        f"Half of that wait less would bring the median of these changes to {formatting.duration(half)}{reached}",
        (merge,),
    )


_STAGES: dict[str, Callable[[View, Sequence[Lead]], Iterator[Clue]]] = {
    "coding": _coding,
    "review": _review,
    "delivery": _delivery,
}


def deployment_frequency(view: View) -> Iterator[Clue]:
    """How much each deployment carries, how long the pauses between them are, and how many runs fail."""
    runs = deployments_in(view.record, view.span)
    done = successes(runs)
    if len(done) >= FEWEST:
        yield from _carried(view, done)
        yield from _pauses(done)
    failed = sum(run.status == "failure" for run in runs)
    if failed and failed + len(done) >= FEWEST:
        mend = measure("Mend the pipeline first", "a run that fails is a deployment that did not happen")
        yield Clue(f"{failed} of {formatting.count(failed + len(done), 'run')} failed", (mend,))


def _carried(view: View, done: Sequence[Deployment]) -> Iterator[Clue]:
    sizes = [len(deployment.changes) for deployment in done if deployment.changes]
    if not sizes:
        return
    middle = median(sizes)
    each = measure("Deploy each change when it is ready", "each deployment that carries several could be several")
    yield Clue(
        f"{view.long}, {formatting.count(sum(sizes), 'change')} came in {formatting.count(len(sizes), 'deployment')}, "
        f"{middle:g} at a time (median)",
        (each,) if middle > 1 else (),
    )


def _pauses(done: Sequence[Deployment]) -> Iterator[Clue]:
    longest = max(b.finished_at - a.finished_at for a, b in pairwise(done))
    if longest > timedelta(days=1):
        step = measure("Make the deployment one step that anybody may start", "pauses come where it needs a person")
        said = formatting.duration(longest.total_seconds())
        yield Clue(f"The longest pause between two deployments was {said}", (step,))


def weekday(moment: datetime, policy: Policy) -> int:
    return moment.astimezone(policy.zone).weekday()
