"""The outlook: the metric that limits a scope and what its data show, achievements, and trends."""

from datetime import timedelta
from typing import Any

import pytest

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Commit
from dora_metrics.core.reports.sections import outlook_text, trend_direction
from dora_metrics.core.targets.goals import parse_goals
from support.facts import HOUR, MARCH, at, change, deployment, failed_deployment, incident, pull_id, scope_of, sha

FIRST = deployment(0, "2023-12-27T12:00")
ELITE = {"deployment_frequency": {"target": "1/w"}}


def outlook_of(*facts: Any, **settings: Any) -> schema.Outlook:  # noqa: ANN401
    return scope_of(FIRST, *facts, **settings).outlook


def advice_by_metric(*facts: Any, **settings: Any) -> dict[str, schema.Advice]:  # noqa: ANN401
    return {one.metric: one for one in outlook_of(*facts, **settings).advice}


def hours_after(text: str, hours: float) -> str:
    return (at(text) + timedelta(hours=hours)).isoformat()


def deployed_pulls(*moments: str, coding: float, pickup: float, review: float, delivery: float) -> list[Any]:
    """A deployment at each moment with one change, whose stages took this many hours."""
    facts: list[Any] = []
    for number, moment in enumerate(moments, 1):
        merged = hours_after(moment, -delivery)
        opened = hours_after(merged, -review)
        stages = {"opened_at": opened, "first_review_at": hours_after(opened, pickup), "merged_at": merged}
        facts += [
            deployment(number, moment, changes=[number]),
            change(number, hours_after(opened, -coding), **stages),
        ]
    return facts


TUESDAYS = ("03-05T12:00", "03-12T12:00", "03-19T12:00", "03-26T12:00")


# The limiting metric


def test_the_lowest_level_holds_back_and_the_best_never_does() -> None:
    facts = deployed_pulls(*TUESDAYS, coding=1, pickup=1, review=2, delivery=500)
    found = advice_by_metric(*facts)
    assert set(found) == {"lead_time", "deployment_frequency"}
    assert found["lead_time"].because == (
        "shares the lowest measured level in the last 31 days with deployment frequency: medium "
        "(20 d 23 h). There are too few lead times "
        "to be sure of that level. Change failure rate could have a lower level: its 95 % interval reaches low"
    )
    quick = deployed_pulls(*(f"03-{day:02}T12:00" for day in range(1, 32)), coding=1, pickup=1, review=2, delivery=3)
    assert scope_of(FIRST, *quick).metrics.overall_level == schema.OverallLevel(
        level="elite", rests_on=["deployment_frequency", "lead_time", "change_failure_rate"]
    )
    assert advice_by_metric(*quick) == {}


def test_a_metric_is_called_the_lowest_only_where_the_intervals_of_all_metrics_decide_it() -> None:
    """30 deployments, all of them good: elite, and a failure rate of 0 to 11 %. Lead times of 3 or 200 hours."""
    days = days_of_march(*range(1, 31))
    slow = deployed_pulls(*days, coding=1, pickup=1, review=2, delivery=800)
    assert advice_by_metric(*slow)["lead_time"].because == "has the lowest level in the last 31 days: low (33 d 11 h)"
    weekly = deployed_pulls(*days, coding=1, pickup=1, review=2, delivery=100)
    metrics = scope_of(FIRST, *weekly).metrics
    assert (metrics.lead_time.level_span, metrics.change_failure_rate.level_span) == (
        ("high", "high"),
        ("medium", "elite"),
    )
    assert advice_by_metric(*weekly)["lead_time"].because == (
        "shares the lowest measured level in the last 31 days with deployment frequency: high (4 d 7 h). "
        "Change failure rate could have a lower level: its 95 % interval reaches medium"
    )


def test_a_goal_that_is_missed_holds_back_also_where_no_level_does() -> None:
    facts = deployed_pulls(*TUESDAYS, coding=1, pickup=1, review=2, delivery=500)
    found = advice_by_metric(*facts, goals=parse_goals({"lead_time": {"target": "1d", "by": "2024-06-01"}}))
    assert found["lead_time"].because == (
        "shares the lowest measured level in the last 31 days with deployment frequency: medium "
        "(20 d 23 h), and has not yet reached its goal of "
        "at most 1 d by 2024-06-01. There are too few lead times to be sure of that level. "
        "Change failure rate could have a lower level: its 95 % interval reaches low"
    )
    quick = deployed_pulls(*TUESDAYS, coding=1, pickup=1, review=2, delivery=3)
    assert "lead_time" not in advice_by_metric(*quick, goals=parse_goals({"lead_time": {"target": "1d"}}))
    assert set(advice_by_metric(*quick, goals=parse_goals({"lead_time": {"target": "1h"}}))) == {
        "deployment_frequency",
        "lead_time",
    }


def test_one_metric_with_a_level_is_no_overall_and_holds_nothing_back() -> None:
    assert advice_by_metric(*(failed_deployment(n, f"03-{n + 10}") for n in range(5))) == {}


# Lead time


def test_waiting_for_deployment_is_told_with_the_other_stages_and_what_half_of_it_would_bring() -> None:
    """1 + 2 + 45 h; half of the waiting time leaves 25.5 h. Merged on Sundays, deployed on Tuesdays."""
    facts = deployed_pulls(*TUESDAYS, coding=1, pickup=1, review=2, delivery=45)
    advice = advice_by_metric(*facts, goals=parse_goals({"lead_time": {"target": "1d"}}))["lead_time"]
    assert advice.evidence == [
        (
            "The slowest stage is waiting for deployment: 1 d 21 h from merge to deployment "
            "(coding 1 h, review 2 h; medians of 4 changes)."
        ),
        "Deployments happened only on Tuesdays; 4 of 4 changes were merged on other days.",
        "If the wait for deployment were half as long, the median lead time of these changes would be 1 d 2 h.",
    ]
    assert [measure.do for measure in advice.measures] == ["Deploy on more days", "Deploy on merge"]


@pytest.mark.parametrize(
    ("stages", "said", "first"),
    [
        (
            (1, 30, 40, 1),
            "The first review came 1 d 6 h after the opening, and the merge 10 h after that (medians of 4 changes).",
            "Agree on how soon the first review should come",
        ),
        (
            (1, 10, 40, 1),
            "The first review came 10 h after the opening, and the merge 1 d 6 h after that (medians of 4 changes).",
            "Open smaller pull requests",
        ),
        ((40, 1, 2, 1), None, "Cut work into smaller changes"),
    ],
)
def test_review_and_coding_have_their_own_causes(
    stages: tuple[float, float, float, float], said: str | None, first: str
) -> None:
    coding, pickup, review, delivery = stages
    facts = deployed_pulls(*TUESDAYS, coding=coding, pickup=pickup, review=review, delivery=delivery)
    advice = advice_by_metric(*facts, goals=parse_goals({"lead_time": {"target": "1h"}}))["lead_time"]
    assert advice.evidence[1:] == ([said] if said else [])
    assert advice.measures[0].do == first


def test_one_old_branch_decides_neither_the_slowest_stage_nor_what_happens_in_it() -> None:
    """The branch was written 400 days ago, and its review took 90 days after the first look."""
    facts = deployed_pulls(*TUESDAYS, coding=2, pickup=18, review=20, delivery=2)
    merged = hours_after(TUESDAYS[-1], -2)
    opened, authored = hours_after(merged, -90 * 24), hours_after(merged, -400 * 24)
    old = {"opened_at": opened, "first_review_at": hours_after(opened, 1), "merged_at": merged}
    facts[-2:] = [deployment(4, TUESDAYS[-1], changes=[4, 5]), facts[-1], change(5, authored, **old)]
    advice = missed_lead_time(*facts)
    assert advice.evidence == [
        (
            "The slowest stage is review: 20 h from the opening of the pull request to its merge "
            "(coding 2 h, waiting for deployment 2 h; medians of 5 changes)."
        ),
        "The first review came 18 h after the opening, and the merge 2 h after that (medians of 5 changes).",
    ]
    assert advice.measures[0].do == "Agree on how soon the first review should come"


def test_two_changes_are_an_anecdote() -> None:
    facts = deployed_pulls(*TUESDAYS[:2], coding=1, pickup=1, review=2, delivery=45)
    assert advice_by_metric(*facts, goals=parse_goals({"lead_time": {"target": "1d"}})).keys() <= {
        "deployment_frequency"
    }


# Stages that are hidden


def missed_lead_time(*facts: Any, **settings: Any) -> schema.Advice:  # noqa: ANN401
    return advice_by_metric(*facts, goals=parse_goals({"lead_time": {"target": "1h"}}), **settings)["lead_time"]


def test_a_stage_that_is_all_of_lead_time_because_the_others_are_hidden_is_not_the_slowest() -> None:
    facts: list[Any] = []
    for number, moment in enumerate(TUESDAYS, 1):
        merged = hours_after(moment, -45)
        squash = (Commit(sha(pull_id(number)), at(merged)),)
        facts += [deployment(number, moment, changes=[number])]
        facts += [change(number, merged, merged_at=merged, commits=squash)]
    advice = missed_lead_time(*facts)
    (text,) = advice.evidence
    assert text == "The slowest stage is unknown: all 4 changes were squash-merged, which hides when coding began."
    assert advice.measures == []


def test_lead_time_from_the_merge_on_is_the_wait_for_deployment_by_definition() -> None:
    facts = deployed_pulls(*TUESDAYS, coding=1, pickup=1, review=2, delivery=45)
    assert missed_lead_time(*facts, lead_time_start="merged").evidence == [
        "Lead time starts at the merge (`lead-time-start`), so all of it is spent waiting for deployment.",
        "Deployments happened only on Tuesdays; 4 of 4 changes were merged on other days.",
        "If the wait for deployment were half as long, the median lead time of these changes would be 22 h 30 min.",
    ]


def test_lead_time_from_the_opening_on_leaves_coding_out() -> None:
    facts = deployed_pulls(*TUESDAYS, coding=100, pickup=1, review=5, delivery=45)
    assert missed_lead_time(*facts, lead_time_start="opened").evidence[0] == (
        "The slowest stage is waiting for deployment: 1 d 21 h from merge to deployment "
        "(review 5 h; medians of 4 changes)."
    )


# Failures


def deployment_of_size(number: int, moment: str, size: int, *, broken: bool = False) -> list[Any]:
    names = [number * 100 + n for n in range(size)]
    fails = [incident(number, hours_after(moment, 1), resolved_at=hours_after(moment, 3))] if broken else []
    return [deployment(number, moment, changes=names), *fails]


def days_of_march(*numbers: int) -> list[str]:
    return [f"03-{number:02}T12:00" for number in numbers]


def test_large_deployments_are_named_where_they_clearly_fail_more_often() -> None:
    """All of five large ones failed, none of ten small ones: Fisher's p is 1 / C(15, 5)."""
    small = [fact for n in range(1, 11) for fact in deployment_of_size(n, days_of_march(n)[0], 1)]
    large = [fact for n in range(11, 16) for fact in deployment_of_size(n, days_of_march(n)[0], 8, broken=True)]
    advice = advice_by_metric(*small, *large)["change_failure_rate"]
    assert advice.evidence[:2] == [
        "Over the last 90 days, 5 of 15 deployments failed (rule `incident`).",
        "Deployments with more than 1 change failed 5 of 5 times, smaller ones 0 of 10.",
    ]
    assert [measure.do for measure in advice.measures] == [
        "Deploy fewer changes at a time",
        "Use canary releases",
        "Write a test for each incident's cause",
    ]


def test_a_difference_that_may_be_chance_is_not_told() -> None:
    """Two of three large ones and one of four small ones: p = 0.49."""
    facts = [
        *(fact for n in (1, 2, 3) for fact in deployment_of_size(n, days_of_march(n)[0], 8, broken=n > 1)),
        *(fact for n in (5, 6, 7, 8) for fact in deployment_of_size(n, days_of_march(n)[0], 1, broken=n == 8)),
    ]
    assert advice_by_metric(*facts)["change_failure_rate"].evidence == [
        "Over the last 90 days, 3 of 7 deployments failed (rule `incident`)."
    ]


def test_a_weekday_is_named_where_failures_gather_even_after_all_days_were_tried() -> None:
    """All four Fridays of March 2024 failed, and none of 21 other days: 1 / C(25, 4), seven times."""
    fridays = [1, 8, 15, 22]
    others = [day for day in range(1, 26) if day not in fridays]
    facts = [
        *(fact for day in fridays for fact in deployment_of_size(day, days_of_march(day)[0], 1, broken=True)),
        *(fact for day in others for fact in deployment_of_size(day, days_of_march(day)[0], 1)),
    ]
    advice = advice_by_metric(*facts)["change_failure_rate"]
    assert "Deployments on Friday failed 4 of 4 times, others 0 of 21." in advice.evidence
    assert schema.Measure(
        do="Look at what is different on Friday", because="failures are more frequent at that time"
    ) in (advice.measures)


def test_an_hour_is_one_of_the_time_zone() -> None:
    """Deployed at 17:30Z, which is evening in Berlin."""
    late = [
        fact for n in range(1, 7)
        for fact in (deployment(n, f"03-{n + 3:02}T17:30"), incident(n, f"03-{n + 3:02}T18:00"))
    ]  # fmt: skip
    early = [deployment(n, f"03-{n:02}T10:00") for n in range(10, 30)]
    evidence = advice_by_metric(*late, *early, zone="Europe/Berlin")["change_failure_rate"].evidence
    assert "Deployments between 18:00 and 24:00 failed 6 of 6 times, others 0 of 20." in evidence


def nightly_redeployments(*, days: int) -> list[Any]:
    """One change each day at noon, every third one broken; each night at 3:00 the running commit is deployed again."""
    facts: list[Any] = []
    for n in range(1, days + 1):
        facts += [
            deployment(n, f"03-{n:02}T12:00", sha=f"{n:040}", changes=[n]),
            deployment(n + 100, f"03-{n + 1:02}T03:00", sha=f"{n:040}", changes=[]),
        ]
        facts += [incident(n, f"03-{n:02}T13:00", resolved_at=f"03-{n:02}T14:00")] if n % 3 == 0 else []
    return facts


def test_redeployments_are_no_small_deployments_and_no_others_of_the_night() -> None:
    """9 of 27 at noon against 0 of 27 at night would be p = 0.002, but nothing new could fail at night."""
    assert advice_by_metric(*nightly_redeployments(days=27))["change_failure_rate"].evidence == [
        "Over the last 90 days, 9 of 54 deployments failed (rule `incident`)."
    ]


def test_what_a_comparison_leaves_out_is_counted() -> None:
    """Five large ones failed, ten small ones did not. One more brought nothing, one has a count of commits only."""
    facts = [fact for n in range(1, 11) for fact in deployment_of_size(n, f"03-{n:02}T12:00", 1)]
    facts += [fact for n in range(11, 16) for fact in deployment_of_size(n, f"03-{n:02}T20:00", 8, broken=True)]
    facts += [deployment(50, "03-15T23:30", changes=[]), deployment(51, "03-16T12:00", changes=None, commit_count=90)]
    facts += [deployment(52, "03-17T12:00", sha=facts[-1].sha, changes=[])]
    assert advice_by_metric(*facts)["change_failure_rate"].evidence[1:] == [
        (
            "Deployments with more than 1 change failed 5 of 5 times, smaller ones 0 of 10 "
            "(3 without a known new change are left out)."
        ),
        "Deployments between 18:00 and 24:00 failed 5 of 6 times, others 0 of 11 (1 redeployment is left out).",
    ]


def test_what_most_failures_are_marked_by_decides_what_helps() -> None:
    health = [deployment(n, days_of_march(n)[0], health="failed" if n < 5 else "passed") for n in range(1, 9)]
    assert [one.do for one in advice_by_metric(*health)["change_failure_rate"].measures] == [
        "Run the same check before users reach a version"
    ]
    back = [
        deployment(n, days_of_march(n)[0], sha=f"{version:040}") for n, version in enumerate((1, 2, 1, 3, 1, 4, 1), 1)
    ]
    advice = advice_by_metric(*back)["change_failure_rate"]
    assert advice.evidence[0] == "Over the last 90 days, 3 of 7 deployments failed (rule `rollback`)."
    assert advice.measures[0].do == "Test in a production-like environment first"


# Recovery


def broken_deployments(noticed: float, fixed: float) -> list[Any]:
    """Three deployments whose failures were noticed and resolved after this many hours."""
    return [
        fact
        for n in (1, 2, 3)
        for fact in (
            deployment(n, days_of_march(n * 5)[0]),
            incident(
                n,
                hours_after(days_of_march(n * 5)[0], noticed),
                resolved_at=hours_after(days_of_march(n * 5)[0], noticed + fixed),
            ),
        )
    ]


@pytest.mark.parametrize(
    ("noticed", "fixed", "first"),
    [
        (20, 5, "Check the service after each deployment (`health-check-url`)"),
        (5, 20, "Make rollback one step, and practise it"),
    ],
)
def test_a_failure_is_told_in_the_half_before_and_the_half_after_it_was_noticed(
    noticed: float, fixed: float, first: str
) -> None:
    advice = advice_by_metric(
        *broken_deployments(noticed, fixed), goals=parse_goals({"recovery_time": {"target": "1h"}})
    )["recovery_time"]
    noticed_text = f"Over the last 90 days, failures with an incident were noticed after {noticed} h"
    assert advice.evidence == [f"{noticed_text} and fixed {fixed} h later (medians of 3)."]
    assert advice.measures[0].do == first


def rolled_back(noticed_minutes: float, ended_minutes: float, *, closed_hours: float | None) -> list[Any]:
    """Three deployments, each rolled back after some minutes; its issue is closed hours after it was opened."""
    facts: list[Any] = []
    for n in (1, 2, 3):
        deployed = days_of_march(n * 5 + 2)[0]
        noticed = hours_after(deployed, noticed_minutes / 60)
        closed = None if closed_hours is None else hours_after(noticed, closed_hours)
        facts += [
            deployment(n * 10, f"03-{n * 5 + 1:02}", sha=f"{n * 10:040}"),
            deployment(n * 10 + 1, deployed, sha=f"{n * 10 + 1:040}"),
            deployment(n * 10 + 2, hours_after(deployed, ended_minutes / 60), sha=f"{n * 10:040}"),
            incident(n + 10, noticed, resolved_at=closed),
        ]
    return facts


NOTICED_LATE = (
    "Over the last 90 days, failures with an incident were noticed after 1 h 20 min and fixed 10 min later "
    "(medians of 3)."
)


def missed_recovery(*facts: Any) -> schema.Advice:  # noqa: ANN401
    return advice_by_metric(*facts, goals=parse_goals({"recovery_time": {"target": "1m"}}))["recovery_time"]


@pytest.mark.parametrize("closed_hours", [72, None])
def test_a_ticket_that_is_closed_late_does_not_prolong_the_failure(closed_hours: float | None) -> None:
    """80 of 90 minutes passed before anybody noticed, whatever became of the issue."""
    advice = missed_recovery(*rolled_back(80, 90, closed_hours=closed_hours))
    assert advice.evidence == [NOTICED_LATE]
    assert advice.measures[0].do == "Check the service after each deployment (`health-check-url`)"


def test_a_failure_with_several_incidents_was_noticed_by_the_first_and_counts_once() -> None:
    facts = rolled_back(80, 90, closed_hours=72)
    later = [incident(n + 20, hours_after(days_of_march(n * 5 + 2)[0], 1.45), resolved_at="03-30") for n in (1, 2, 3)]
    assert missed_recovery(*facts, *later).evidence == [NOTICED_LATE]


def test_an_incident_that_ended_before_it_was_detected_says_nothing() -> None:
    facts = broken_deployments(noticed=5, fixed=-1)
    assert [
        text for text in missed_recovery(*facts, *rolled_back(80, 90, closed_hours=1)).evidence if "noticed" in text
    ] == [NOTICED_LATE]


def test_failures_that_were_rolled_back_are_compared_with_the_others() -> None:
    back = [deployment(10, "03-21T10:00", sha="a" * 40), deployment(11, "03-21T12:00", sha="b" * 40),
            deployment(12, "03-21T13:00", sha="a" * 40)]  # fmt: skip
    advice = advice_by_metric(
        *broken_deployments(5, 20), *back, goals=parse_goals({"recovery_time": {"target": "1h"}})
    )["recovery_time"]
    assert "Recovery by rollback took 1 h (median of 1), other recoveries 1 d 1 h (median of 3)." in advice.evidence
    assert advice.measures[-1].do == "Roll back first, then look for the cause"


def test_without_incidents_nobody_knows_when_a_failure_was_noticed() -> None:
    health = [deployment(n, days_of_march(n)[0], health="failed" if n < 5 else "passed") for n in range(1, 9)]
    advice = advice_by_metric(*health, goals=parse_goals({"recovery_time": {"target": "1h"}}))["recovery_time"]
    assert advice.evidence == [
        "Over the last 90 days, 4 of 4 failed deployments recovered; no incident says when they were noticed."
    ]
    assert advice.measures[0].do == "Record incidents"


# Frequency and rework


def test_few_deployments_are_told_with_what_they_carry_and_how_long_nothing_came() -> None:
    facts = [
        *(fact for n in range(1, 4) for fact in deployment_of_size(n, days_of_march(n * 7)[0], 6)),
        failed_deployment(9, "03-22T12:00"),
    ]
    advice = advice_by_metric(*facts, goals=parse_goals({"deployment_frequency": {"target": "1/d"}}))[
        "deployment_frequency"
    ]
    assert advice.evidence == [
        "Over the last 90 days, 18 changes were delivered in 3 deployments, 6 at a time (median).",
        (
            "Within the last 90 days, the longest time without a deployment was 65 d 12 h, from the start of the "
            "period to 2024-03-07."
        ),
        "Over the last 90 days, 1 of 4 runs failed.",
    ]
    assert [measure.do for measure in advice.measures] == [
        "Deploy each change when it is ready",
        "Let anyone start a deployment in one step",
        "Fix the pipeline first",
    ]


@pytest.mark.parametrize(
    ("failed", "evidence", "recommended"),
    [
        ([False], "Over the last 90 days, 1 of 4 runs failed.", ["Fix the pipeline first"]),
        (
            [True],
            "Over the last 90 days, 1 of 4 runs failed after reaching users.",
            ["Undo what a failing run has already deployed"],
        ),
        (
            [True, False],
            "Over the last 90 days, 2 of 5 runs failed, but 1 of them reached users.",
            ["Fix the pipeline first", "Undo what a failing run has already deployed"],
        ),
    ],
)
def test_a_run_that_failed_but_reached_users_is_not_called_a_deployment_that_did_not_happen(
    failed: list[bool], evidence: str, recommended: list[str]
) -> None:
    facts = [
        *(deployment(n, days_of_march(n)[0], changes=[]) for n in range(1, 4)),
        *(failed_deployment(n, days_of_march(n)[0], reached_users=reached) for n, reached in enumerate(failed, 5)),
    ]
    advice = advice_by_metric(*facts, goals=parse_goals({"deployment_frequency": {"target": "1/d"}}))
    frequency = advice["deployment_frequency"]
    assert frequency.evidence[-1] == evidence
    assert [measure.do for measure in frequency.measures][-len(recommended) :] == recommended


def longest_pause(*facts: Any, **settings: Any) -> str:  # noqa: ANN401
    goals = parse_goals({"deployment_frequency": {"target": "9/d"}})
    advice = [each for each in scope_of(*facts, goals=goals, **settings).outlook.advice if each.evidence]
    texts = [text for each in advice for text in each.evidence if each.metric == "deployment_frequency"]
    return next((text for text in texts if "longest time" in text), "")


@pytest.mark.parametrize(
    ("moments", "searched", "text"),
    [
        (
            ("2023-12-01", "02-01", "03-01", "03-30"),
            "Within the last 90 days",
            "was 30 d, from the start of the period to 2024-02-01",
        ),
        (
            ("01-05", "02-10", "03-01", "03-30"),
            "Since records began (2024-01-05)",
            "was 36 d, from 2024-01-05 to 2024-02-10",
        ),
        (("01-05", "01-20", "02-10"), "Since records began (2024-01-05)", "is the current one: 51 d, since 2024-02-10"),
        (("01-05", "01-06"), "Since records began (2024-01-05)", "is the current one: 86 d, since 2024-01-06"),
        (("2023-12-01", "01-05"), "Within the last 90 days", "is the current one: 87 d, since 2024-01-05"),
    ],
)
def test_the_longest_pause_runs_from_the_start_of_the_window_and_to_its_end(
    moments: tuple[str, ...], searched: str, text: str
) -> None:
    facts = [deployment(number, moment) for number, moment in enumerate(moments, 1)]
    assert longest_pause(*facts) == f"{searched}, the longest time without a deployment {text}."


def test_a_pause_at_the_end_of_a_past_window_is_not_called_the_current_one() -> None:
    facts = (deployment(1, "01-05"), deployment(2, "02-10"))
    text = longest_pause(*facts, now="04-02")
    assert text == (
        "Since records began (2024-01-05), the longest time without a deployment was 51 d, from 2024-02-10 to "
        "2024-03-31, the end of the period."
    )


@pytest.mark.parametrize(
    ("window", "searched"),
    [
        ("30d", "the last 90 days"),
        ("180d", "the last 180 days"),
        ("all", "the last 53 weeks of the window"),
        ("2023-11-01..2024-02-29", "these 120 days"),
        ("2024-01-30..2024-02-29", "the 60 days up to 2024-02-28"),
    ],
)
def test_advice_says_which_time_it_is_about(window: str, searched: str) -> None:
    facts = (deployment(number, moment) for number, moment in enumerate(("2021-01-05", "2023-12-20", "02-10"), 1))
    assert longest_pause(*facts, window=window).startswith(f"Within {searched}, the longest time without a deployment ")


def test_one_deployment_that_is_known_is_no_pause() -> None:
    assert longest_pause(deployment(1, "01-02")) == ""


def test_a_failed_attempt_does_not_end_a_pause() -> None:
    assert longest_pause(deployment(1, "01-02"), deployment(2, "01-03"), failed_deployment(3, "03-01")) == (
        "Within the last 90 days, the longest time without a deployment is the current one: 89 d, since 2024-01-03."
    )


def test_a_pause_is_searched_from_the_first_success_on() -> None:
    facts = (failed_deployment(1, "01-02"), deployment(2, "01-12"), deployment(3, "03-30"))
    assert longest_pause(*facts).startswith(
        "Since the first success (2024-01-12), the longest time without a deployment was 78 d"
    )


def test_rework_is_told_by_the_rules_that_found_it() -> None:
    facts = [deployment(0, "03-01")]
    for n in range(1, 5):
        (moment,) = days_of_march(n + 5)
        facts += [
            deployment(n, moment),
            deployment(n + 10, hours_after(moment, 2), remediates=f"github:deployment:{n}"),
        ]
    advice = advice_by_metric(*facts, goals=parse_goals({"rework_rate": {"target": 0.01}}))["rework_rate"]
    assert advice.evidence == ["Over the last 90 days, 4 deployments repaired production (rule `explicit`)."]


# Achievements


def achievement_texts(*facts: Any, **settings: Any) -> list[str]:  # noqa: ANN401
    return outlook_of(*facts, **settings).achievements


def weekly_deployments(*failing: bool | None, hours: tuple[float, ...] = ()) -> list[Any]:
    """A deployment on each Wednesday up to 27 March, none for None; `hours` adds lead times."""
    facts: list[Any] = []
    for back, fails in enumerate(reversed(failing)):
        moment, number = hours_after("03-27T12:00", -168 * back), back + 1
        if fails is not None:
            waited = hours[-number] if hours else None
            facts += [deployment(number, moment, changes=[number] if waited else [])]
            facts += [change(number, hours_after(moment, -waited))] if waited else []
            facts += [incident(number, hours_after(moment, 1), resolved_at=hours_after(moment, 2))] if fails else []
    return facts


@pytest.mark.parametrize(
    ("failing", "row"),
    [
        ((False, True, True, False), 2),
        ((True, True, True, False), 3),
        ((True, None, True, False), 2),
        ((True, True, True, True), None),
        ((True, True, False, False), None),
        ((False, False, True, False), None),
        ((True, True, True, None), None),
    ],
)
def test_the_first_week_without_a_failure_is_one_after_at_least_two_with(
    failing: tuple[bool | None, ...], row: int | None
) -> None:
    said = f"No deployment failed in 2024-W13, after {row} weeks with failures"
    assert [one for one in achievement_texts(*weekly_deployments(*failing)) if "level" not in one] == (
        [said] if row else []
    )


def test_the_best_weekly_lead_time_is_one_below_all_others_of_up_to_twelve_weeks() -> None:
    calm = (False,) * 8
    best = "Shortest weekly lead time in 12 weeks: 5 h in 2024-W13 (the shortest before that was 6 h)"
    assert achievement_texts(*weekly_deployments(*calm, hours=(9, 8, 7, 6, 9, 9, 9, 5))) == [best]
    assert achievement_texts(*weekly_deployments(*calm, hours=(9, 8, 7, 5, 9, 9, 9, 5))) == []
    assert (
        achievement_texts(*weekly_deployments(*calm[1:], hours=(9, 8, 7, 6, 9, 9, 5))) == []
    )  # too few weeks with a value
    assert (
        achievement_texts(*weekly_deployments(*calm, None, hours=(9, 8, 7, 6, 9, 9, 9, 5, 0))) == []
    )  # nothing in the last week


def deployments_in_march(count: int) -> list[Any]:
    return [deployment(n, days_of_march(n)[0]) for n in range(10, 10 + count)]


def test_a_level_is_reached_where_the_intervals_of_both_windows_decide_it() -> None:
    """None in February, ten in March: at most 0.12 a day before, 0.15 to 0.59 a day now. High begins at 0.14."""
    reached = "The level of deployment frequency is now high; it was at most medium in the previous window"
    assert achievement_texts(FIRST, *deployments_in_march(10)) == [reached]


def test_a_level_that_the_interval_does_not_decide_is_not_reached() -> None:
    """Nine in March are at least 0.13 a day, which is medium; the level of their number is high all the same."""
    scope = scope_of(FIRST, *deployments_in_march(9))
    assert scope.metrics.deployment_frequency.level_span == ("medium", "high")
    assert scope.metrics.deployment_frequency.level == "high"
    assert scope.outlook.achievements == []


def test_a_level_that_the_window_before_may_have_had_is_not_reached() -> None:
    """One deployment in February may be the work of a high frequency: up to 0.18 a day."""
    assert achievement_texts(deployment(1, "02-10"), *deployments_in_march(10)) == []


def test_a_level_is_not_reached_where_records_began_in_the_window_before() -> None:
    """Before the first recorded deployment there may be others that nobody recorded."""
    facts = [failed_deployment(1, "02-20"), *deployments_in_march(10)]
    assert scope_of(*facts).outlook.achievements == []


def test_a_level_that_was_lost_is_not_mentioned() -> None:
    assert achievement_texts(FIRST, *deployments_in_march(10), window="2024-03-20..2024-03-30") == []


def test_a_goal_is_mentioned_in_the_window_that_meets_it_first() -> None:
    facts = [deployment(1, "02-10"), *(deployment(n, days_of_march(n)[0]) for n in range(10, 20))]
    met = "Goal met: deployment frequency at least 1 a week, now 2.3 a week"
    assert met in achievement_texts(*facts, goals=parse_goals(ELITE))
    assert met not in achievement_texts(
        *facts, *(deployment(n, f"02-{n - 10}") for n in range(22, 32)), goals=parse_goals(ELITE)
    )
    missed = achievement_texts(*facts, goals=parse_goals({"deployment_frequency": {"target": "9/d"}}))
    assert not [one for one in missed if "Goal" in one]


# Trends


def test_a_trend_is_read_from_the_complete_weeks_of_90_days_and_told_only_where_it_is_clear() -> None:
    """Twelve weeks whose lead times fall by an hour each: slope -1 h, 11 h in total."""
    found = outlook_of(*weekly_deployments(*(False,) * 12, hours=tuple(range(32, 20, -1))))
    lead = found.trends["lead_time"]
    assert (lead.weeks, lead.slope_per_week, lead.change) == (12, -HOUR, -11 * HOUR)
    assert lead.p < 1e-6
    assert outlook_text(found).trends == (
        "Trend over 12 weeks: lead time for changes **fell from about 1 d 6 h to about 22 h 30 min** (p < 0.05)."
    )
    assert found.trends["deployment_frequency"].slope_per_week == 0
    flat = outlook_of(*weekly_deployments(*(False,) * 12, hours=(20, 30) * 6))
    assert outlook_text(flat).trends == ""


def deployments_of_weeks(*counts: int) -> list[Any]:
    """So many deployments in each complete week up to that of 25 March, none before."""
    monday = at("03-25") - timedelta(weeks=len(counts) - 1)
    moments = (
        monday + timedelta(weeks=week, hours=1 + number) for week, count in enumerate(counts) for number in range(count)
    )
    return [deployment(number, moment.isoformat(), changes=[]) for number, moment in enumerate(moments, 1)]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((9, 14, 14, 14, 8, 0, 0, 0), "fell from about 12 a week to about 0 a week"),
        ((20, 18, 15, 12, 9, 6, 4, 2), "fell from about 19 a week to about 3 a week"),
        ((1, 1, 2, 2, 3, 3, 4, 5, 5, 6), "rose from about 1 a week to about 5 a week"),
        ((20, 18, 16, 14, 12, 10), "fell from about 19 a week to about 11 a week"),
    ],
)
def test_a_trend_names_values_that_were_observed_at_its_ends(counts: tuple[int, ...], words: str) -> None:
    """The line of the first example falls from 16 to 1 a week, by 15; there were never more than 14."""
    found = scope_of(*deployments_of_weeks(*counts), now="2024-04-01").outlook
    assert f"deployment frequency **{words}**" in outlook_text(found).trends
    assert all(min(counts) <= end * 7 <= max(counts) for end in found.trends["deployment_frequency"].ends)


@pytest.mark.parametrize(
    ("metric", "slope", "ends", "words"),
    [
        ("change_failure_rate", -0.0001, (0.1, 0.1), "fell slightly"),
        ("change_failure_rate", -0.02, (0.1, 0.1), "fell by about 2 percentage points from one week to the next"),
        ("deployment_frequency", 0.3, (2, 1), "rose by about 2.1 deployments from one week to the next"),
        ("lead_time", -HOUR, (9 * HOUR, 9 * HOUR), "fell by about 1 h from one week to the next"),
    ],
)
def test_a_trend_whose_ends_show_none_names_the_step_of_a_week(
    metric: str, slope: float, ends: tuple[float, float], words: str
) -> None:
    trend = schema.Trend(weeks=50, slope_per_week=slope, change=50 * slope, p=0.01, ends=ends)
    assert trend_direction(metric, trend) == words


def test_a_short_window_of_long_ago_looks_no_further_back_than_what_a_run_reads() -> None:
    facts = weekly_deployments(*(False,) * 12, hours=tuple(range(32, 20, -1)))
    assert outlook_of(*facts, window="2024-03-25..2024-04-01", now="2024-09-01").trends == {}
    assert "lead_time" in outlook_of(*facts, window="2024-02-25..2024-04-01", now="2024-09-01").trends


def test_no_week_before_the_first_deployment_and_none_that_is_not_over_is_in_a_trend() -> None:
    begun = scope_of(*weekly_deployments(*(False,) * 7, hours=(9,) * 7), now="2024-03-29", window="30d").outlook
    assert begun.trends["deployment_frequency"].weeks == 6


def test_of_a_window_of_years_the_last_one_is_looked_at() -> None:
    facts = [deployment(n, hours_after("2020-01-01", n * 168)) for n in range(200)]
    assert scope_of(*facts, window="all", now="2023-11-01").outlook.trends["deployment_frequency"].weeks <= 53


def test_the_words_of_an_outlook_are_one_line_each() -> None:
    table = {"lead_time": {"target": "1d", "by": "2024-06-01", "from": "3d"}, "rework_rate": {"target": 0.1}}
    facts = deployed_pulls(*TUESDAYS, coding=1, pickup=1, review=2, delivery=45)
    said = outlook_text(outlook_of(*facts, window=MARCH, goals=parse_goals(table)))
    assert said.goals == (
        "Goals: lead time for changes at most 1 d by 2024-06-01: 1 d to go, 50 % of the way from 3 d, "
        "too few weeks for a trend: it needs 5 complete weeks with a value · rework rate at most 10 %: met."
    )
    assert said.hints[0].text.startswith(
        "**Deployment frequency** has the lowest measured level in the last 31 days: medium (4 in 31 days). "
        "Its level could be up to high (95 % interval). "
        "There are too few lead times to be sure of the level of lead time. "
        "Change failure rate could have a lower level: its 95 % interval reaches low."
    )
    assert "\n" not in "".join((said.goals, *(hint.text for hint in said.hints)))
