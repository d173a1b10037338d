"""What in a metric's own data points at the cause of its value, and what is known to help against that cause.

A difference between groups is told only where Fisher's test finds it clear; where several groups are tried, its p
counts as often as there are groups (Bonferroni). Nothing here is about a person.

What points at the cause of failures, of how long they last, and of rework; and what is known to help against it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import Failure, counts
from dora_metrics.core.metrics.calculate import deployments_in, failures_in, share, successes
from dora_metrics.core.metrics.lead_time import Lead, spans
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.policy import Policy
from dora_metrics.core.schema import Measure
from dora_metrics.core.statistics import SIGNIFICANT, fisher
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


def change_failure_rate(view: View) -> Iterator[Clue]:
    """Which rule marks most failures, and which deployments fail clearly more often than others."""
    reached = [d for d in deployments_in(view.record, view.span) if counts(d, view.policy)]
    failures = failures_in(view.record, view.span)
    if len(failures) < FEWEST:
        return
    rules = Counter(failure.rule for failure in failures)
    named = ", ".join(f"`{rule}` {count}" for rule, count in rules.most_common())
    yield Clue(f"{view.long}, {len(failures)} of {formatting.count(len(reached), 'deployment')} failed, by {named}")
    failed = {failure.deployment.id for failure in failures}
    yield from _by_size(reached, failed)
    yield from _by_time(reached, failed, view.policy)
    yield Clue("", _BY_RULE[rules.most_common(1)[0][0]])


_SEEN_BY_USERS = (
    measure("Let a few users have a version first", "incidents tell of most failures: users saw them"),
    measure("Write a test for each incident's cause", "most failures got past the tests there are"),
)
_UNDONE = (
    measure("Test a version where it is like production first", "most failures were undone: the version was not ready"),
    measure("Put what is not sure behind a switch", "undoing then needs no deployment"),
)
_BY_RULE: dict[str, tuple[Measure, ...]] = {
    "explicit": _SEEN_BY_USERS,
    "incident": _SEEN_BY_USERS,
    "rollback": _UNDONE,
    "revert": _UNDONE,
    "hotfix": (
        measure("Ask of each hotfix which check would have found it", "most failures were mended within a day"),
        *_SEEN_BY_USERS[1:],
    ),
    "health-check": (
        measure("Do the same check before users are sent to a version", "the check finds most failures, but too late"),
    ),
    "failed-run": (
        measure("Mend the pipeline's most frequent failure", "most failures are runs that failed by themselves"),
    ),
}
"""What helps against what most failures are marked by."""


def _by_size(reached: Sequence[Deployment], failed: set[str]) -> Iterator[Clue]:
    """Those with more changes than the median against the others: one comparison, chosen before the data are seen."""
    sized = [(size, d.id in failed) for d in reached if (size := _size(d)) is not None]
    if not sized:
        return
    middle = median(size for size, _ in sized)
    large, small = ([hit for size, hit in sized if (size > middle) is is_large] for is_large in (True, False))
    if _worse(large, small):
        yield Clue(
            f"Deployments with more than {middle:g} changes failed {sum(large)} of {len(large)} times, "
            f"smaller ones {sum(small)} of {len(small)}",
            (measure("Deploy fewer changes at a time", "the larger deployments are those that fail"),),
        )


def _size(deployment: Deployment) -> int | None:
    return len(deployment.changes) if deployment.changes is not None else deployment.commit_count


def _worse(group: Sequence[bool], rest: Sequence[bool], tried: int = 1) -> bool:
    """Whether a group fails clearly more often than the rest."""
    if not group or not rest or sum(group) * len(rest) <= sum(rest) * len(group):
        return False
    return fisher(sum(group), len(group), sum(rest), len(rest)) * tried < SIGNIFICANT


def _by_time(reached: Sequence[Deployment], failed: set[str], policy: Policy) -> Iterator[Clue]:
    for group, wording in ((weekday, _on_day), (_quarter, _in_quarter)):
        found = [(group(d.finished_at, policy), d.id in failed) for d in reached]
        tried = sorted({key for key, _ in found})
        for key in tried:
            inside, outside = ([hit for one, hit in found if (one == key) is same] for same in (True, False))
            if _worse(inside, outside, len(tried)):
                when = wording(key)
                yield Clue(
                    f"Deployments {when} failed {sum(inside)} of {len(inside)} times, others {sum(outside)} of "
                    f"{len(outside)}",
                    (measure(f"Look at what is different {when}", "that is where failures gather"),),
                )


def _quarter(moment: datetime, policy: Policy) -> int:
    return moment.astimezone(policy.zone).hour // 6


def _on_day(day: int) -> str:
    return f"on {DAYS[day]}"


def _in_quarter(quarter: int) -> str:
    return f"between {quarter * 6:02}:00 and {quarter * 6 + 6:02}:00"


def recovery_time(view: View) -> Iterator[Clue]:
    """How long failures stay unnoticed against how long they take to fix, and what ended them."""
    failures = failures_in(view.record, view.span)
    if len(failures) < FEWEST:
        return
    noticed, fixed = _halves(view, failures)
    if noticed:
        before, after = median(noticed), median(fixed)
        said = (
            f"{view.long}, failures that an incident told of stayed unnoticed for {formatting.duration(before)} and "
            f"took {formatting.duration(after)} from there to their end (medians of {len(noticed)})"
        )
        yield Clue(said, _NOTICE if before > after else _FIX)
    rolled = [f.seconds for f in failures if f.rule == "rollback" and f.seconds is not None]
    others = [f.seconds for f in failures if f.rule != "rollback" and f.seconds is not None]
    if rolled and others:
        yield Clue(
            f"{len(rolled)} that were rolled back took {formatting.duration(median(rolled))}, "
            f"{len(others)} others {formatting.duration(median(others))} (medians)",
            _ROLL_BACK if median(rolled) < median(others) else (),
        )
    ended = sum(f.seconds is not None for f in failures)
    if ended and not noticed:
        yield Clue(f"{view.long}, {ended} of {formatting.count(len(failures), 'failure')} ended; no incident says when "
                   "they were noticed", (*_RECORD, *_ROLL_BACK))  # fmt: skip


_NOTICE = (
    measure("Check the service after each deployment (`health-check-url`)", "most of the time passes unnoticed"),
    measure("Alert on what users feel, such as errors and slow answers", "an alert comes sooner than a report"),
)
_FIX = (
    measure("Make going back one step, and practise it", "most of the time passes after a failure was noticed"),
    measure("Switch features off without a deployment", "a switch is faster than any fix"),
)
_ROLL_BACK = (measure("Roll back first, look for the cause then", "users wait for the end, not for the reason"),)
_RECORD = (measure("Record incidents", "without them nobody can say whether noticing or fixing takes the time"),)


def _halves(view: View, failures: Iterable[Failure]) -> tuple[list[float], list[float]]:
    """Seconds from each blamed deployment to the detection of its incident, and from there to its end."""
    failed = {failure.deployment.id: failure.deployment for failure in failures}
    noticed, fixed = [], []
    for one in view.record.incidents:
        deployment = failed.get(one.blamed.id) if one.blamed else None
        seen, end = one.incident.detected_at, one.incident.resolved_at
        if deployment and end and deployment.finished_at <= seen <= end:
            noticed.append((seen - deployment.finished_at).total_seconds())
            fixed.append((end - seen).total_seconds())
    return noticed, fixed


def rework_rate(view: View) -> Iterator[Clue]:
    """What made deployments rework."""
    reasons = (view.record.rework.get(d.id) for d in deployments_in(view.record, view.span))
    rules = Counter(reason.partition(":")[0] for reason in reasons if reason)
    if sum(rules.values()) >= FEWEST:
        named = ", ".join(f"`{rule}` {count}" for rule, count in rules.most_common())
        yield Clue(
            f"{view.long}, {formatting.count(sum(rules.values()), 'deployment')} repaired production, by {named}",
            (measure("Find failures before users do", "each repair is a deployment that nobody planned"),),
        )
