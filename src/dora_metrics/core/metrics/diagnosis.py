"""Diagnosis: what a metric's own data say about the cause of its value, and what is known to help.

A difference between groups is reported only if Fisher's test is significant. If several groups are tested, the p-value
is multiplied by their number (Bonferroni). Nothing here is about a person.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from msgspec import Struct

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import Failure, counts_in_failure_rate
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.calculate import (
    deployments_in,
    failures_in,
    measured_changes_in,
    quantile_or_none,
    successes,
)
from dora_metrics.core.metrics.lead_time import MeasuredChange, seconds_by_stage
from dora_metrics.core.metrics.scope_history import ScopeHistory, redeployment_ids
from dora_metrics.core.metrics.stages import STAGE_NAMES, break_down_stages
from dora_metrics.core.policy import Policy
from dora_metrics.core.schema import Measure
from dora_metrics.core.statistics import SIGNIFICANCE_LEVEL, fisher_exact_p
from dora_metrics.core.windows import Window

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MIN_SAMPLES = 3
"""With fewer deployments, changes or failures there is no diagnosis."""

_MAX_DEPLOYMENT_WEEKDAYS = 3
"""With deployments on more days of the week, waiting for such a day is not a finding."""

_MIN_SUCCESSES_FOR_PAUSE = 2
_MIN_PAUSE = timedelta(days=7)
"""Shorter pauses are often weekends and holidays."""


class Finding(Struct, frozen=True):
    """A sentence without a full stop about a metric's data, and recommendations that follow from it.

    `evidence` is empty for recommendations that need none.
    """

    evidence: str
    recommendations: tuple[Measure, ...] = ()


class DiagnosisInput(Struct, frozen=True):
    """A scope as of `now`, the window of its numbers, and a longer window for findings that need many deployments."""

    history: ScopeHistory
    window: Window
    long_window: Window
    policy: Policy
    now: datetime

    @property
    def window_text(self) -> str:
        """`in the last 30 days`; `over these 30 days` of a window that has ended."""
        days = formatting.days_or_hours(self.window.days)
        return f"in the last {days}" if self.window.end == self.now else f"over these {days}"

    @property
    def long_window_text(self) -> str:
        """`the last 90 days`; of a window that has ended or is too long, how the long window relates to it."""
        days = f"{round(self.long_window.days)} days"
        if self.long_window.days < self.window.days:
            return f"the last {round(self.long_window.days / 7)} weeks of the window"
        if self.long_window.end == self.now:
            return f"the last {days}"
        if self.long_window == self.window:
            return f"these {days}"
        return f"the {days} up to {_last_day(self.long_window, self.policy)}"


def recommend(do: str, because: str) -> Measure:
    """Recommend a measure; `because` completes "do this, since …"."""
    return Measure(do=do, because=because)


def diagnose_lead_time(data: DiagnosisInput) -> Iterator[Finding]:
    """Find the stage that takes most of the time, and what happens in it."""
    changes = measured_changes_in(data.history, data.window)
    breakdown = break_down_stages(changes, data.policy.lead_time_start)
    if breakdown.is_comparable:
        name = STAGE_NAMES[breakdown.longest_stage]
        yield Finding(f"the slowest stage is {name}: {breakdown.longest_stage_text()}")
        yield from _DIAGNOSE_STAGE[breakdown.longest_stage](data, breakdown.complete)
    elif hidden := breakdown.hidden_stages_text():
        yield Finding(f"the slowest stage is unknown: {hidden}")
    elif data.policy.lead_time_start == "merged" and len(breakdown.complete) >= MIN_SAMPLES:
        yield Finding("lead time starts at the merge (`lead-time-start`), so all of it is spent waiting for deployment")
        yield from _diagnose_delivery(data, breakdown.complete)


def _diagnose_coding(_: DiagnosisInput, __: Sequence[MeasuredChange]) -> Iterator[Finding]:
    yield Finding(
        "",
        (
            recommend("Cut work into smaller changes", "a smaller change is finished and reviewed sooner"),
            recommend("Merge unfinished work behind a feature flag", "code can then be reviewed before it is complete"),
        ),
    )


def _diagnose_review(_: DiagnosisInput, changes: Sequence[MeasuredChange]) -> Iterator[Finding]:
    """Compare the wait for the first review with the rest of the review."""
    reviewed = [stages for change in changes if {"pickup", "review"} <= (stages := seconds_by_stage(change)).keys()]
    pickup_seconds, rest_seconds = _median_review_seconds(reviewed) if reviewed else (0.0, 0.0)
    if not pickup_seconds and not rest_seconds:
        yield Finding("", (_SMALLER_PULL_REQUESTS,))
        return
    evidence = (
        f"the first review came {formatting.duration(pickup_seconds)} after the opening, and the merge "
        f"{formatting.duration(rest_seconds)} after that (medians of {formatting.count(len(reviewed), 'change')})"
    )
    yield Finding(evidence, _REVIEW_SOONER if pickup_seconds >= rest_seconds else _REVIEW_LESS)


def _median_review_seconds(reviewed: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Return the median seconds before and after the first review, from the stages of changes."""
    before = median(min(stages["pickup"], stages["review"]) for stages in reviewed)
    after = median(max(0.0, stages["review"] - stages["pickup"]) for stages in reviewed)
    return before, after


_SMALLER_PULL_REQUESTS = recommend("Open smaller pull requests", "less code is reviewed sooner, and in one go")
_REVIEW_SOONER = (
    recommend("Agree on how soon the first review should come", "most of the review time is spent waiting for it"),
    _SMALLER_PULL_REQUESTS,
)
_REVIEW_LESS = (
    _SMALLER_PULL_REQUESTS,
    recommend("Agree on the approach before writing the code", "the time goes into rounds of review, not into waiting"),
)


_DEPLOY_ON_MERGE = recommend("Deploy on merge", "a merged change delivers nothing until it is deployed")


def _diagnose_delivery(data: DiagnosisInput, changes: Sequence[MeasuredChange]) -> Iterator[Finding]:
    """Find merges on days of the week without deployments, and the lead time with half of the wait."""
    yield from _diagnose_deployment_days(data, changes)
    median_seconds = quantile_or_none(
        sorted(change.seconds - seconds_by_stage(change)["delivery"] / 2 for change in changes), 0.5
    )
    yield Finding(
        "If the wait for deployment were half as long, the median lead time of these changes would be "
        f"{formatting.duration(median_seconds)}",
        (_DEPLOY_ON_MERGE,),
    )


def _diagnose_deployment_days(data: DiagnosisInput, changes: Sequence[MeasuredChange]) -> Iterator[Finding]:
    deployments = successes(deployments_in(data.history, data.window))
    deployment_days = {local_weekday(deployment.finished_at, data.policy) for deployment in deployments}
    merge_days = _merge_weekdays(changes, data.policy)
    merged_on_other_days = sum(day not in deployment_days for day in merge_days)
    if merged_on_other_days and len(deployment_days) <= _MAX_DEPLOYMENT_WEEKDAYS:
        day_names = formatting.join_with_and([f"{WEEKDAYS[day]}s" for day in sorted(deployment_days)])
        more_days = recommend("Deploy on more days", "merged changes wait on every day without a deployment")
        yield Finding(
            f"Deployments happened only on {day_names}; {merged_on_other_days} of "
            f"{formatting.count(len(merge_days), 'change')} were merged on other days",
            (more_days, _DEPLOY_ON_MERGE),
        )


def _merge_weekdays(changes: Iterable[MeasuredChange], policy: Policy) -> list[int]:
    """Return the days of the week on which changes were merged, as far as that is recorded."""
    return [
        local_weekday(change.stage_source.merged_at, policy)
        for change in changes
        if change.stage_source and change.stage_source.merged_at
    ]


_DIAGNOSE_STAGE: dict[str, Callable[[DiagnosisInput, Sequence[MeasuredChange]], Iterator[Finding]]] = {
    "coding": _diagnose_coding,
    "review": _diagnose_review,
    "delivery": _diagnose_delivery,
}


def diagnose_deployment_frequency(data: DiagnosisInput) -> Iterator[Finding]:
    """Find how many changes a deployment contains, the longest time without a deployment, and failed runs."""
    attempts = deployments_in(data.history, data.long_window)
    successful = successes(attempts)
    if len(successful) >= MIN_SAMPLES:
        yield from _diagnose_batch_size(data, successful)
    yield from _diagnose_pauses(data, successful)
    failed = [attempt for attempt in attempts if attempt.status == "failure"]
    if failed and len(failed) + len(successful) >= MIN_SAMPLES:
        yield _failed_runs_finding(data, failed, len(failed) + len(successful))


def _failed_runs_finding(data: DiagnosisInput, failed: Sequence[Deployment], run_count: int) -> Finding:
    """Report the runs that failed, and how many of them reached users: those were deployments all the same."""
    reached_count = sum(has_reached_users(attempt) for attempt in failed)
    evidence = f"over {data.long_window_text}, {len(failed)} of {formatting.count(run_count, 'run')} failed"
    if not reached_count:
        return Finding(evidence, (_FIX_PIPELINE,))
    if reached_count == len(failed):
        return Finding(f"{evidence} after reaching users", (_UNDO_FAILED_RUN,))
    return Finding(f"{evidence}, but {reached_count} of them reached users", (_FIX_PIPELINE, _UNDO_FAILED_RUN))


_FIX_PIPELINE = recommend("Fix the pipeline first", "a run that fails before it reaches users delivers nothing")
_UNDO_FAILED_RUN = recommend(
    "Undo what a failing run has already deployed", "otherwise users keep a version whose deployment failed"
)


def _diagnose_batch_size(data: DiagnosisInput, successful: Sequence[Deployment]) -> Iterator[Finding]:
    sizes = [len(deployment.changes) for deployment in successful if deployment.changes]
    if not sizes:
        return
    median_size = median(sizes)
    deploy_each_change = recommend(
        "Deploy each change when it is ready", "small deployments are easier to check and to roll back"
    )
    yield Finding(
        f"over {data.long_window_text}, {formatting.count(sum(sizes), 'change')} were delivered in "
        f"{formatting.count(len(sizes), 'deployment')}, {median_size:g} at a time (median)",
        (deploy_each_change,) if median_size > 1 else (),
    )


def _diagnose_pauses(data: DiagnosisInput, successful: Sequence[Deployment]) -> Iterator[Finding]:
    """Find the longest time without a success. It may run from the window's start, and to its end."""
    pause = _longest_pause(data, [deployment.finished_at for deployment in successful])
    if pause and pause.end - pause.start >= _MIN_PAUSE:
        one_step = recommend("Let anyone start a deployment in one step", "waiting for one person delays deployments")
        text = f"{_searched_time_text(data)}, the longest time without a deployment {_pause_text(pause, data)}"
        yield Finding(text, (one_step,))


def _searched_time_text(data: DiagnosisInput) -> str:
    """`within the last 90 days`; where the first success is inside them, only the time since then was searched."""
    first = data.history.first_success
    if first is None or first.finished_at <= data.long_window.start:
        return f"within {data.long_window_text}"
    day = formatting.date(first.finished_at, data.policy.zone)
    is_first_attempt = first is data.history.deployments[0]
    return f"since {'records began' if is_first_attempt else 'the first success'} ({day})"


def _longest_pause(data: DiagnosisInput, success_times: Sequence[datetime]) -> Window | None:
    """Return the longest time without a success in the long window, of equal ones the last.

    None if there is no success in the window, or if the only one known is there: nothing is known of its usual pauses.
    """
    window, first = data.long_window, data.history.first_success
    starts_earlier = first is not None and first.finished_at < window.start
    if not success_times or len(success_times) + starts_earlier < _MIN_SUCCESSES_FOR_PAUSE:
        return None
    moments = [*([window.start] if starts_earlier else []), *success_times, window.end]
    pauses = [Window(earlier, later) for earlier, later in pairwise(moments)]
    return max(reversed(pauses), key=lambda pause: pause.end - pause.start)


def _pause_text(pause: Window, data: DiagnosisInput) -> str:
    """Return `was 7 d, from 2026-11-01 to 2026-11-08`; one that lasts until now is the current one."""
    duration = formatting.duration((pause.end - pause.start).total_seconds())
    start, end = (formatting.date(moment, data.policy.zone) for moment in (pause.start, pause.end))
    if pause.end == data.long_window.end:
        if pause.end == data.now:
            return f"is the current one: {duration}, since {start}"
        return f"was {duration}, from {start} to {_last_day(pause, data.policy)}, the end of the period"
    if pause.start == data.long_window.start:
        return f"was {duration}, from the start of the period to {end}"
    return f"was {duration}, from {start} to {end}"


def _last_day(window: Window, policy: Policy) -> str:
    return formatting.date(window.end - timedelta(microseconds=1), policy.zone)


def local_weekday(moment: datetime, policy: Policy) -> int:
    """Return the day of the week in the policy's time zone; Monday is 0."""
    return moment.astimezone(policy.zone).weekday()


def diagnose_change_failure_rate(data: DiagnosisInput) -> Iterator[Finding]:
    """Find the rules that mark the failures, and deployments that fail significantly more often than others."""
    counted = [d for d in deployments_in(data.history, data.long_window) if counts_in_failure_rate(d, data.policy)]
    failures = failures_in(data.history, data.long_window)
    if len(failures) < MIN_SAMPLES:
        return
    failures_by_rule = Counter(failure.rule for failure in failures)
    counted_text = formatting.count(len(counted), "deployment")
    rules_text = _counts_by_rule_text(failures_by_rule)
    yield Finding(f"over {data.long_window_text}, {len(failures)} of {counted_text} failed ({rules_text})")
    failed_ids = {failure.deployment.id for failure in failures}
    redeployed = redeployment_ids(data.history.deployments)
    compared = _Compared(counted, [deployment for deployment in counted if deployment.id not in redeployed], failed_ids)
    yield from _diagnose_size(compared)
    yield from _diagnose_time(compared, data.policy)
    yield Finding("", _RECOMMENDATIONS_BY_RULE[failures_by_rule.most_common(1)[0][0]])


def _counts_by_rule_text(counts_by_rule: Counter[str]) -> str:
    """Return ``rules: `incident` 2, `rollback` 1``, the most frequent first; of a single one ``rule `incident` ``."""
    if len(counts_by_rule) == 1:
        return f"rule `{next(iter(counts_by_rule))}`"
    return "rules: " + ", ".join(f"`{rule}` {count:,}" for rule, count in counts_by_rule.most_common())


_IF_USERS_NOTICED = (
    recommend("Use canary releases", "failures were most often found only in production, as incidents"),
    recommend("Write a test for each incident's cause", "incidents are failures that the existing tests did not catch"),
)
_IF_UNDONE = (
    recommend(
        "Test in a production-like environment first",
        "failed deployments were most often rolled back or reverted",
    ),
    recommend("Put risky changes behind a feature flag", "a flag can be switched off without a deployment"),
)
_RECOMMENDATIONS_BY_RULE: dict[str, tuple[Measure, ...]] = {
    "explicit": _IF_USERS_NOTICED,
    "incident": _IF_USERS_NOTICED,
    "rollback": _IF_UNDONE,
    "revert": _IF_UNDONE,
    "hotfix": (
        recommend(
            "For each hotfix, ask which check would have found the problem", "failures most often needed a hotfix"
        ),
        *_IF_USERS_NOTICED[1:],
    ),
    "health-check": (
        recommend(
            "Run the same check before users reach a version",
            "failures are most often found by the check, after the deployment",
        ),
    ),
    "failed-run": (recommend("Fix the pipeline's most frequent failure", "failures are most often failed runs"),),
}
"""What helps against failures that a rule marks."""


class _Compared(Struct, frozen=True):
    """The deployments that can be compared by size and time.

    `counted` are those of the failure rate. `first_of_sha` leaves out those whose commit was deployed before, rollbacks
    among them: they bring nothing that could fail, and have hours of their own. `failed_ids` are the failed ones.
    """

    counted: Sequence[Deployment]
    first_of_sha: Sequence[Deployment]
    failed_ids: set[str]


def _diagnose_size(compared: _Compared) -> Iterator[Finding]:
    """Compare deployments with more changes than the median with the others that delivered a change.

    This is a single comparison that does not depend on the outcomes, so its p-value needs no correction.
    """
    size_and_outcome = [(len(d.changes), d.id in compared.failed_ids) for d in compared.first_of_sha if d.changes]
    if not size_and_outcome:
        return
    median_size = median(size for size, _ in size_and_outcome)
    large, small = _split_outcomes((size > median_size, has_failed) for size, has_failed in size_and_outcome)
    if _fails_more_often(large, small):
        yield Finding(
            f"Deployments with more than {_size_text(median_size)} failed {sum(large):,} of {len(large):,} times, "
            f"smaller ones {sum(small):,} of {len(small):,}"
            f"{_left_out_text(len(compared.counted) - len(size_and_outcome), 'without a known new change')}",
            (recommend("Deploy fewer changes at a time", "larger deployments fail more often"),),
        )


def _left_out_text(count: int, what: str) -> str:
    return f" ({count:,} {what} {'is' if count == 1 else 'are'} left out)" if count else ""


def _size_text(change_count: float) -> str:
    return f"{change_count:g} {'change' if change_count == 1 else 'changes'}"


def _split_outcomes(outcomes: Iterable[tuple[bool, bool]]) -> tuple[list[bool], list[bool]]:
    """Split pairs (is in the group, has failed) into the outcomes inside and outside the group."""
    inside: list[bool] = []
    outside: list[bool] = []
    for is_in_group, has_failed in outcomes:
        (inside if is_in_group else outside).append(has_failed)
    return inside, outside


def _fails_more_often(group: Sequence[bool], others: Sequence[bool], group_count: int = 1) -> bool:
    """Whether a group fails significantly more often than the others, if `group_count` groups are tested."""
    if not group or not others or sum(group) * len(others) <= sum(others) * len(group):
        return False
    return fisher_exact_p(sum(group), len(group), sum(others), len(others)) * group_count < SIGNIFICANCE_LEVEL


def _diagnose_time(compared: _Compared, policy: Policy) -> Iterator[Finding]:
    """Compare each day of the week, and each quarter of the day, with all others."""
    redeployment_count = len(compared.counted) - len(compared.first_of_sha)
    left_out = _left_out_text(redeployment_count, "redeployment" if redeployment_count == 1 else "redeployments")
    for group_of, describe in ((local_weekday, _weekday_text), (_quarter_of_day, _quarter_text)):
        group_and_outcome = [
            (group_of(d.finished_at, policy), d.id in compared.failed_ids) for d in compared.first_of_sha
        ]
        groups = sorted({group for group, _ in group_and_outcome})
        for group in groups:
            inside, outside = _split_outcomes((other == group, has_failed) for other, has_failed in group_and_outcome)
            if _fails_more_often(inside, outside, len(groups)):
                yield _time_finding(describe(group), inside, outside, left_out)


def _time_finding(group_text: str, inside: Sequence[bool], outside: Sequence[bool], left_out: str) -> Finding:
    return Finding(
        f"Deployments {group_text} failed {sum(inside):,} of {len(inside):,} times, "
        f"others {sum(outside):,} of {len(outside):,}{left_out}",
        (recommend(f"Look at what is different {group_text}", "failures are more frequent at that time"),),
    )


def _quarter_of_day(moment: datetime, policy: Policy) -> int:
    return moment.astimezone(policy.zone).hour // 6


def _weekday_text(day: int) -> str:
    return f"on {WEEKDAYS[day]}"


def _quarter_text(quarter: int) -> str:
    return f"between {quarter * 6:02}:00 and {quarter * 6 + 6:02}:00"


def diagnose_recovery_time(data: DiagnosisInput) -> Iterator[Finding]:
    """Compare the time until failures are noticed with the time to fix them, and rollbacks with other fixes."""
    failures = failures_in(data.history, data.long_window)
    if len(failures) < MIN_SAMPLES:
        return
    detection_seconds, fix_seconds = _detection_and_fix_seconds(data, failures)
    if detection_seconds:
        yield _compare_detection_and_fix(data, detection_seconds, fix_seconds)
    yield from _compare_rollbacks(failures)
    recovered_count = sum(f.recovery_seconds is not None for f in failures)
    if recovered_count and not detection_seconds:
        yield Finding(
            f"over {data.long_window_text}, {recovered_count} of "
            f"{formatting.count(len(failures), 'failed deployment')} recovered; "
            "no incident says when they were noticed",
            (*_RECORD_INCIDENTS, *_ROLL_BACK),
        )


def _compare_detection_and_fix(
    data: DiagnosisInput, detection_seconds: Sequence[float], fix_seconds: Sequence[float]
) -> Finding:
    median_detection, median_fix = median(detection_seconds), median(fix_seconds)
    evidence = (
        f"over {data.long_window_text}, failures with an incident were noticed after "
        f"{formatting.duration(median_detection)} and fixed {formatting.duration(median_fix)} later "
        f"(medians of {len(detection_seconds)})"
    )
    return Finding(evidence, _DETECT_SOONER if median_detection > median_fix else _FIX_SOONER)


def _compare_rollbacks(failures: Sequence[Failure]) -> Iterator[Finding]:
    """Compare the recovery times of rollbacks with those of other fixes, if there are both."""
    rollback_seconds = [f.recovery_seconds for f in failures if f.rule == "rollback" and f.recovery_seconds is not None]
    other_seconds = [f.recovery_seconds for f in failures if f.rule != "rollback" and f.recovery_seconds is not None]
    if rollback_seconds and other_seconds:
        yield Finding(
            f"Recovery by rollback took {formatting.duration(median(rollback_seconds))} (median of "
            f"{len(rollback_seconds)}), other recoveries {formatting.duration(median(other_seconds))} (median of "
            f"{len(other_seconds)})",
            _ROLL_BACK if median(rollback_seconds) < median(other_seconds) else (),
        )


_DETECT_SOONER = (
    recommend(
        "Check the service after each deployment (`health-check-url`)",
        "most of the recovery time passes before anyone notices",
    ),
    recommend("Alert on what users feel, such as errors and slow responses", "an alert comes sooner than a report"),
)
_FIX_SOONER = (
    recommend("Make rollback one step, and practise it", "most of the recovery time passes after a failure is noticed"),
    recommend("Turn features off without a deployment", "switching a flag off is usually faster than a new deployment"),
)
_ROLL_BACK = (recommend("Roll back first, then look for the cause", "users wait for the service, not for the cause"),)
_RECORD_INCIDENTS = (
    recommend("Record incidents", "without them it is unknown whether detection or the fix takes longer"),
)


def _detection_and_fix_seconds(data: DiagnosisInput, failures: Iterable[Failure]) -> tuple[list[float], list[float]]:
    """Return the seconds from each failed deployment to its detection, and from there to its recovery.

    A failure is detected when its first incident is. Failures that were noticed only after their recovery are left out.
    """
    detection_seconds, fix_seconds = [], []
    for failure in failures:
        detected_at = _first_detection(data.history, failure)
        if detected_at and failure.recovered_at:
            detection_seconds.append((detected_at - failure.deployment.finished_at).total_seconds())
            fix_seconds.append((failure.recovered_at - detected_at).total_seconds())
    return detection_seconds, fix_seconds


def _first_detection(history: ScopeHistory, failure: Failure) -> datetime | None:
    """Return when the first incident of a failure was detected while it lasted; None without one, or a recovery."""
    if failure.recovered_at is None:
        return None
    detections = (
        attributed.incident.detected_at
        for attributed in history.incidents
        if attributed.attributed_to and attributed.attributed_to.id == failure.deployment.id
    )
    return min((at for at in detections if failure.deployment.finished_at <= at <= failure.recovered_at), default=None)


def diagnose_rework_rate(data: DiagnosisInput) -> Iterator[Finding]:
    """Find the rules that mark deployments as rework."""
    reasons = (data.history.rework_reasons.get(d.id) for d in deployments_in(data.history, data.long_window))
    deployments_by_rule = Counter(reason.partition(":")[0] for reason in reasons if reason)
    if sum(deployments_by_rule.values()) >= MIN_SAMPLES:
        count_text = formatting.count(sum(deployments_by_rule.values()), "deployment")
        yield Finding(
            f"over {data.long_window_text}, {count_text} repaired production "
            f"({_counts_by_rule_text(deployments_by_rule)})",
            (recommend("Find failures before users do", "each repair is an unplanned deployment"),),
        )
