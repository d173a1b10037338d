"""Lead time for changes (docs/definitions.md, "The five metrics")."""

from typing import Any

import pytest
from msgspec import Struct

from dora_metrics.core import schema
from support.facts import (
    DAY,
    HOUR,
    change,
    commit_id,
    commits,
    deployment,
    deployment_id,
    direct_commit,
    document_of,
    failed_deployment,
    metrics_of,
    number_of,
    pull_id,
    scope_of,
    sha,
)

BASELINE = deployment(0, "02-01")
"""The first recorded success: the baseline of the next one."""

FULL_CHANGE = change(1, "03-01", opened_at="03-02", first_review_at="03-03", merged_at="03-04")
"""At midnight of 5 March: four days old, three since it was opened, one since it was merged."""


def lead_time(*facts: Struct, **settings: Any) -> schema.LeadTime:  # noqa: ANN401
    return metrics_of(BASELINE, *facts, **settings).lead_time


def delivering_deployments(*facts: Struct, **settings: Any) -> dict[int, int]:  # noqa: ANN401
    """Which deployment delivered each measured pull request."""
    evidence = scope_of(*facts, **settings).evidence.lead_times
    found = {number_of(one.change): number_of(one.deployment) for one in evidence}
    assert len(found) == len(evidence), "each change is delivered once"
    return found


@pytest.mark.parametrize(("start", "days"), [("first-commit", 4), ("opened", 3), ("merged", 1)])
def test_it_goes_from_the_start_that_is_chosen_to_the_finish_of_the_deployment(start: str, days: int) -> None:
    found = lead_time(deployment(1, "03-05", started_at="03-04T12:00", changes=[1]), FULL_CHANGE, lead_time_start=start)
    assert (found.changes, found.p50_seconds) == (1, days * DAY)


def test_it_ends_with_the_first_successful_deployment_that_contains_the_change() -> None:
    """A tool that takes the newest one is ten times off."""
    facts = [deployment(n, f"03-{n + 1:02}", changes=[n]) for n in range(1, 9)]
    changes = [change(n, f"03-{n:02}T12:00") for n in range(1, 9)]
    found = scope_of(BASELINE, *reversed(facts), *changes)
    assert found.metrics.lead_time.p50_seconds == found.metrics.lead_time.mean_seconds == 12 * HOUR
    assert delivering_deployments(BASELINE, *facts, *changes) == {n: n for n in range(1, 9)}


def test_a_change_that_several_deployments_list_stays_with_the_first() -> None:
    facts = (deployment(1, "03-05", changes=[1, 1]), deployment(2, "03-06", changes=[1, 2]), change(1), change(2))
    assert delivering_deployments(BASELINE, *facts) == {1: 1, 2: 2}


def test_each_scope_has_its_own_first_deployment_of_a_change() -> None:
    facts = [
        *(deployment(n, "02-01", environment=f"prod-{n}") for n in (1, 2)),
        *(deployment(n + 10, f"03-0{n + 4}", environment=f"prod-{n}", changes=[1]) for n in (1, 2)),
        deployment(5, "03-02", environment="staging", changes=[1]),
    ]
    found = [scope_of(*(f for f in facts if f.environment == f"prod-{n}"), change(1)) for n in (1, 2)]
    assert [one.metrics.lead_time.p50_seconds for one in found] == [4 * DAY, 5 * DAY]


def test_a_change_belongs_to_the_window_of_the_deployment_that_delivered_it() -> None:
    facts = (deployment(1, "02-29T23:59", changes=[1]), deployment(2, "03-01", changes=[2]), change(1), change(2))
    found = scope_of(BASELINE, *facts)
    assert [number_of(one.change) for one in found.evidence.lead_times] == [2]
    assert found.previous is not None
    assert found.previous.lead_time.excluded.negative == 1  # change 1 began on 1 March


def test_changes_of_failed_and_cancelled_attempts_belong_to_the_next_success() -> None:
    facts = (
        failed_deployment(1, "03-05", changes=[1, 2]),
        deployment(2, "03-06", status="cancelled", changes=[2, 3]),
        deployment(3, "03-07", changes=[4]),
        deployment(4, "03-08", changes=[1, 5]),
        *(change(n) for n in range(1, 6)),
    )
    assert delivering_deployments(BASELINE, *facts) == {1: 3, 2: 3, 3: 3, 4: 3, 5: 4}


def test_a_failure_that_reached_users_delivers_nothing_either() -> None:
    facts = (failed_deployment(1, "03-05", changes=[1], reached_users=True), deployment(2, "03-06"), change(1))
    assert delivering_deployments(BASELINE, *facts) == {1: 2}


def test_an_earlier_failed_attempt_of_the_same_sha_does_not_make_the_success_a_redeployment() -> None:
    facts = (failed_deployment(1, "03-05", sha="a" * 40), deployment(2, "03-06", sha="a" * 40, changes=[1]), change(1))
    assert delivering_deployments(BASELINE, *facts) == {1: 2}


def test_a_redeployment_of_the_same_sha_delivers_nothing_new() -> None:
    """Changes of a failed attempt keep waiting when an old sha is deployed again."""
    facts = (
        failed_deployment(1, "03-05", changes=[1]),
        deployment(2, "03-06", sha=BASELINE.sha, changes=[2]),
        deployment(3, "03-07", changes=[2, 3]),
        *(change(n) for n in range(1, 4)),
    )
    assert delivering_deployments(BASELINE, *facts) == {1: 3, 2: 3, 3: 3}


def test_deployments_without_a_sha_are_no_redeployments_of_each_other() -> None:
    facts = (deployment(1, "03-05", sha=None), deployment(2, "03-06", sha=None, changes=[1]), change(1))
    assert delivering_deployments(BASELINE, *facts) == {1: 2}


def test_the_first_known_success_only_bounds_the_next_and_its_changes_are_counted_as_left_out() -> None:
    """Trap 9."""
    facts = (deployment(1, "03-05", changes=[1, 2, 3]), deployment(2, "03-06", changes=[4]))
    changes = [change(n, "2023-01-01") for n in (1, 2, 3)]
    found = metrics_of(*facts, *changes, change(4, "03-05T12:00")).lead_time
    assert (found.changes, found.p50_seconds, found.excluded.first_deployment) == (1, 12 * HOUR, 3)


def test_what_failed_before_the_first_known_success_came_with_it() -> None:
    found = metrics_of(
        failed_deployment(1, "03-04", changes=[1]), deployment(2, "03-05", changes=[2]), change(1), change(2)
    )
    assert (found.lead_time.changes, found.lead_time.excluded.first_deployment) == (0, 2)


def test_a_first_success_that_was_compared_with_an_earlier_one_counts() -> None:
    facts = (deployment(1, "03-05", changes=[1], previous="github:deployment:0"), change(1))
    assert metrics_of(*facts).lead_time.p50_seconds == 4 * DAY


def test_a_second_success_that_says_nothing_of_its_previous_counts() -> None:
    assert lead_time(deployment(1, "03-05", changes=[1], previous=None), change(1)).changes == 1


def test_exclusions_are_counted_once_by_the_first_hit_and_add_up_with_the_changes() -> None:
    """Change 1 combines everything: of the first deployment, a bot's, without a start."""
    facts = (
        deployment(1, "02-28", changes=[1]),
        deployment(2, "03-05", changes=[2, 3, 4, 5, 6]),
        change(1, None, bot=True),
        change(2, None, bot=True),
        change(3, "03-06", bot=True),
        change(4, None),
        change(5, "03-06"),
        change(6, "03-04"),
    )
    found = metrics_of(*facts, window="2024-02-28..2024-04-01").lead_time
    assert found.excluded == schema.Excluded(first_deployment=1, bots=2, no_start=1, negative=1)
    assert found.changes + 1 + 2 + 1 + 1 == 6
    found = metrics_of(*facts, window="2024-02-28..2024-04-01", exclude_bots=False).lead_time
    assert found.excluded == schema.Excluded(first_deployment=1, bots=0, no_start=2, negative=2)


def test_the_changes_of_bots_count_where_the_user_wants_them() -> None:
    facts = (deployment(1, "03-05", changes=[1, 2]), change(1, bot=True), change(2))
    assert (lead_time(*facts).changes, lead_time(*facts).excluded.bots) == (1, 1)
    assert (lead_time(*facts, exclude_bots=False).changes, lead_time(*facts, exclude_bots=False).excluded.bots) == (
        2,
        0,
    )


def test_a_change_that_is_listed_without_a_fact_has_no_start() -> None:
    for start in ("first-commit", "commit", "opened", "merged"):
        assert lead_time(deployment(1, changes=[1]), lead_time_start=start).excluded.no_start == 1


@pytest.mark.parametrize("start", ["first-commit", "commit", "opened", "merged"])
def test_a_change_without_the_start_that_is_chosen_has_none(start: str) -> None:
    found = lead_time(deployment(1, changes=[1]), change(1, None), lead_time_start=start)
    assert (found.changes, found.p50_seconds, found.excluded.no_start) == (0, None, 1)
    assert str(found.reason).startswith("every delivered change is excluded (1 ")


def test_a_negative_span_is_dropped_and_counted_and_never_clamped() -> None:
    facts = (deployment(1, "03-05", changes=[1, 2]), change(1, "03-05T00:00:01"), change(2, "03-05"))
    found = lead_time(*facts)
    assert (found.changes, found.p50_seconds, found.excluded.negative) == (1, 0, 1)


@pytest.mark.parametrize("start", ["first-commit", "commit", "opened", "merged"])
def test_a_direct_commit_has_its_authored_time_as_every_start(start: str) -> None:
    one = direct_commit(1, "03-04", opened_at=None, merged_at="03-04T12:00")
    assert lead_time(deployment(1, "03-05", changes=[commit_id(1)]), one, lead_time_start=start).p50_seconds == DAY


def test_in_commit_mode_every_commit_counts_by_itself() -> None:
    """72, 48 and 24 h of the pull request, 12 h of the direct commit: the median of the four is 36 h."""
    facts = (
        deployment(1, "03-10", changes=[1, commit_id(2)]),
        change(1, "03-07", commits=commits("03-07", "03-08", "03-09")),
        direct_commit(2, "03-09T12:00"),
    )
    found = lead_time(*facts, lead_time_start="commit")
    assert (found.changes, found.p50_seconds, found.mean_seconds) == (4, 36 * HOUR, 39 * HOUR)
    evidence = scope_of(BASELINE, *facts, lead_time_start="commit").evidence.lead_times
    assert [(one.change, one.sha) for one in evidence] == [
        *((pull_id(1), sha(text)) for text in ("03-07", "03-08", "03-09")),
        (commit_id(2), sha(2)),
    ]


def test_in_commit_mode_exclusions_are_commits_too() -> None:
    facts = (
        deployment(1, "02-28", changes=[1]),
        deployment(2, "03-05", changes=[2, 3, 4, 5]),
        change(1, commits=commits("02-01", "02-02")),
        change(2, bot=True, commits=commits("03-01", "03-02", "03-03")),
        change(3, commits=None),
        change(4, commits=commits("03-04", "03-06", "03-07")),
        change(5, commits=()),
    )
    found = metrics_of(*facts, window="2024-02-28..2024-04-01", lead_time_start="commit").lead_time
    assert found.excluded == schema.Excluded(first_deployment=2, bots=3, no_start=1, negative=2)
    assert found.changes == 1


def test_in_commit_mode_a_commit_that_a_change_names_twice_counts_once() -> None:
    facts = (
        deployment(1, "02-28", changes=[1]),
        deployment(2, "03-05", changes=[2]),
        change(1, commits=(*commits("02-01"), *commits("02-01"))),
        change(2, commits=(*commits("03-01", "03-02"), *commits("03-01"))),
    )
    found = metrics_of(*facts, window="2024-02-28..2024-04-01", lead_time_start="commit").lead_time
    assert (found.changes, found.excluded.first_deployment) == (2, 1)


def test_in_commit_mode_a_commit_of_two_changes_counts_once() -> None:
    facts = (
        deployment(1, "03-05", changes=[1, 2]),
        change(1, commits=commits("03-01")),
        change(2, commits=commits("03-01", "03-02")),
    )
    assert lead_time(*facts, lead_time_start="commit").changes == 2


def test_outside_commit_mode_the_evidence_names_no_sha() -> None:
    (one,) = scope_of(BASELINE, deployment(1, changes=[1]), change(1)).evidence.lead_times
    assert not isinstance(one.sha, str)


def test_squash_and_rebase_do_not_move_the_start() -> None:
    """Trap 10: the merge commit is an hour old, the first commit of the pull request four days."""
    landed = change(1, "03-01", sha="a" * 40, merged_at="03-04T23:00", commits=commits("03-01", "03-02"))
    assert lead_time(deployment(1, "03-05", sha="a" * 40, changes=[1]), landed).p50_seconds == 4 * DAY


def test_the_stages_are_coding_pickup_review_and_delivery() -> None:
    stages = lead_time(deployment(1, "03-05T06:00", changes=[1]), FULL_CHANGE).stages
    assert (stages.coding.p50_seconds, stages.pickup.p50_seconds) == (DAY, DAY)
    assert (stages.review.p50_seconds, stages.delivery.p50_seconds) == (2 * DAY, 30 * HOUR)


def test_a_stage_whose_ends_are_not_known_or_contradict_each_other_is_left_out() -> None:
    one = change(1, "03-03", opened_at="03-02", first_review_at=None, merged_at="03-04")
    stages = lead_time(deployment(1, "03-05", changes=[1]), one).stages
    assert (stages.coding.p50_seconds, stages.pickup.p50_seconds) == (None, None)
    assert (stages.review.p50_seconds, stages.delivery.p50_seconds) == (2 * DAY, DAY)


def test_the_stage_of_a_direct_commit_is_delivery() -> None:
    stages = lead_time(deployment(1, "03-05", changes=[commit_id(1)]), direct_commit(1, "03-04")).stages
    assert (stages.coding.p50_seconds, stages.review.p50_seconds, stages.delivery.p50_seconds) == (None, None, DAY)


def test_stages_count_a_change_once_also_in_commit_mode() -> None:
    """A change of three commits reviewed for 2 days and one of one commit for 4: the median of two is 3."""
    facts = (
        deployment(1, "03-10", changes=[1, 2]),
        change(1, "03-01", opened_at="03-02", merged_at="03-04", commits=commits("03-01", "03-02", "03-03")),
        change(2, "03-01", opened_at="03-02", merged_at="03-06", commits=commits("03-01T12:00")),
    )
    assert lead_time(*facts, lead_time_start="commit").stages.review.p50_seconds == 3 * DAY


def test_excluded_changes_are_in_no_stage() -> None:
    facts = (deployment(1, "03-05", changes=[1]), change(1, opened_at="03-02", merged_at="03-04", bot=True))
    assert lead_time(*facts).stages.review.p50_seconds is None


def test_quantiles_interpolate_linearly() -> None:
    """Trap 1: 1, 2, 3 and 10 h. Type 7: p50 at 1.5 (2.5 h), p75 at 2.25 (3 + 7/4), p90 at 2.7, p95 at 2.85; mean 4."""
    facts = [deployment(n, f"03-05T{hours:02}:00", changes=[n]) for n, hours in enumerate((1, 2, 3, 10), 1)]
    found = lead_time(*facts, *(change(n, "03-05") for n in range(1, 5)))
    hours = (found.p50_seconds, found.p75_seconds, found.p90_seconds, found.p95_seconds, found.mean_seconds)
    assert hours == pytest.approx((2.5 * HOUR, 4.75 * HOUR, 7.9 * HOUR, 8.95 * HOUR, 4 * HOUR))


def test_the_interval_of_the_median_begins_with_six_changes() -> None:
    """With six values, from the least to the greatest: 1/64 on each side."""
    facts = [deployment(n, f"03-05T{n:02}:00", changes=[n]) for n in range(1, 7)]
    changes = [change(n, "03-05") for n in range(1, 7)]
    assert lead_time(*facts[:5], *changes).interval95 is None
    assert lead_time(*facts, *changes).interval95 == (HOUR, 6 * HOUR)


def test_without_data_it_is_null_with_the_reason() -> None:
    nothing = lead_time(failed_deployment(1))
    assert (nothing.p50_seconds, nothing.mean_seconds, nothing.level) == (None, None, None)
    assert nothing.reason == "no successful deployment in the window"
    assert lead_time(deployment(1)).reason == "the deployments in the window delivered no changes"
    assert lead_time(deployment(1, changes=None)).reason == "what the deployments delivered is not known yet"
    left_out = lead_time(deployment(1, changes=[1]), change(1, bot=True)).reason
    assert str(left_out).startswith("every delivered change is excluded (1 ")


def test_what_is_not_known_yet_is_said_in_a_note() -> None:
    found = document_of(BASELINE, deployment(1, changes=None))
    assert found.notes == ["The changes in 1 deployment are not known yet, so they are excluded from lead time."]


def test_ids_of_deployments_stay_in_the_evidence() -> None:
    (one,) = scope_of(BASELINE, deployment(1, "03-05", changes=[1]), change(1)).evidence.lead_times
    assert (one.change, one.deployment, one.seconds) == (pull_id(1), deployment_id(1), 4 * DAY)


def test_a_change_that_was_never_merged_has_no_stage_of_delivery() -> None:
    facts = (deployment(0, "03-01"), deployment(1, "03-05", changes=[1]), change(1, "03-02"))
    found = metrics_of(*facts).lead_time
    assert (found.p50_seconds, found.stages.delivery.p50_seconds) == (3 * DAY, None)


def test_a_direct_commit_without_a_sha_is_named_by_its_id_where_each_commit_counts() -> None:
    facts = (
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[commit_id(1)]),
        direct_commit(1, "03-02", sha=None),
    )
    (lead,) = document_of(*facts, lead_time_start="commit").scopes[0].evidence.lead_times
    assert lead.sha == sha(1)
