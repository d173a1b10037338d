"""Which stage takes longest is said only of changes whose stages are all known; otherwise what hides them is."""

from typing import Any

import pytest

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Commit
from dora_metrics.core.metrics.calculate import measured_changes_in
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.stages import StageBreakdown, break_down_stages, median_seconds_by_stage
from support.facts import at, change, commit_id, deployment, direct_commit, pull_id, results_of, sha

FIRST = deployment(0, "02-01")
DEPLOYED = "03-05T12:00"


def complete(number: int) -> Any:  # noqa: ANN401
    """Coding 12 h, review 12 h, delivery 84 h."""
    return change(number, "03-01", opened_at="03-01T12:00", merged_at="03-02")


def squash(number: int) -> Any:  # noqa: ANN401
    """A pull request of a git history, of which only the commit on the main branch is known."""
    return change(number, "03-02", merged_at="03-02", commits=(Commit(sha(pull_id(number)), at("03-02")),))


def unopened(number: int) -> Any:  # noqa: ANN401
    return change(number, "03-01", merged_at="03-02")


def out_of_order(number: int) -> Any:  # noqa: ANN401
    """Opened before its first commit was authored, as after a rebase that rewrote it."""
    return change(number, "03-01T12:00", opened_at="03-01", merged_at="03-02")


def results_for(*facts: Any, start: str = "first-commit") -> Results:  # noqa: ANN401
    listed = [fact.id for fact in facts]
    return results_of(FIRST, *facts, deployment(1, DEPLOYED, changes=listed), lead_time_start=start)


def breakdown_of(*facts: Any, start: str = "first-commit") -> StageBreakdown:  # noqa: ANN401
    results = results_for(*facts, start=start)
    (history,) = results.evaluation.histories
    return break_down_stages(measured_changes_in(history, results.window), start)


def lead_time_of(*facts: Any) -> schema.LeadTime:  # noqa: ANN401
    (scope,) = results_for(*facts).document.scopes
    return scope.metrics.lead_time


def test_the_longest_stage_has_the_largest_median() -> None:
    breakdown = breakdown_of(complete(1), complete(2), complete(3))
    assert (breakdown.is_comparable, breakdown.longest_stage) == (True, "delivery")
    assert breakdown.has_dominant_stage
    assert breakdown.median_seconds("review") == 12 * 3600
    assert breakdown.longest_stage_text() == (
        "3 d 12 h from merge to deployment (coding 12 h, review 12 h; medians of 3 changes)"
    )
    assert breakdown.hidden_stages_text() == ""


def test_one_old_branch_does_not_decide_the_longest_stage() -> None:
    """Four years of coding are 97 % of the time of these changes."""
    old = change(4, "2020-03-01", opened_at="03-01T12:00", merged_at="03-02")
    breakdown = breakdown_of(complete(1), complete(2), complete(3), old, squash(5))
    assert breakdown.longest_stage_text() == (
        "3 d 12 h from merge to deployment (coding 12 h, review 12 h; medians of 4 of 5 changes)"
    )


def test_a_longest_stage_is_dominant_if_it_takes_as_long_as_the_others_together() -> None:
    """Coding and review 24 h each, and delivery 48 h; then one hour less of it."""
    for merged, is_dominant in (("03-03T12:00", True), ("03-03T13:00", False)):
        facts = [change(number, "03-01T12:00", opened_at="03-02T12:00", merged_at=merged) for number in (1, 2, 3)]
        assert breakdown_of(*facts).has_dominant_stage is is_dominant


def test_stages_without_a_median_above_zero_are_not_compared_and_nothing_is_hidden() -> None:
    """Each change takes its time in another stage."""
    facts = [
        change(1, "03-01", opened_at=DEPLOYED, merged_at=DEPLOYED),
        change(2, DEPLOYED, opened_at=DEPLOYED, merged_at=DEPLOYED),
        change(3, "03-01", opened_at="03-01", merged_at=DEPLOYED),
        squash(4),
    ]
    breakdown = breakdown_of(*facts)
    assert len(breakdown.complete) == 3
    assert (breakdown.is_comparable, breakdown.hidden_stages_text()) == (False, "")


def test_two_changes_are_too_few_to_say_anything() -> None:
    for kind in (complete, squash):
        breakdown = breakdown_of(kind(1), kind(2))
        assert not breakdown.is_comparable
        assert not breakdown.has_dominant_stage
        assert breakdown.hidden_stages_text() == ""


@pytest.mark.parametrize(("squashes", "is_comparable"), [(3, True), (4, False)])
def test_half_of_the_changes_must_have_all_stages(squashes: int, is_comparable: bool) -> None:  # noqa: FBT001
    breakdown = breakdown_of(*map(complete, range(1, 4)), *map(squash, range(10, 10 + squashes)))
    assert breakdown.is_comparable is is_comparable
    assert bool(breakdown.hidden_stages_text()) is not is_comparable


def test_what_hides_the_stages_is_said_by_kind_the_most_frequent_first() -> None:
    facts = [squash(1), squash(2), direct_commit(3), unopened(4), unopened(5), out_of_order(6)]
    assert breakdown_of(*facts).hidden_stages_text() == (
        "2 of 6 changes were squash-merged, which hides when coding began; "
        "2 have no record of when their pull requests were opened; "
        "1 is a commit without a pull request, so it has no coding or review stage; "
        "1 has stages that are not recorded, or not in order"
    )


def test_a_direct_commit_hides_the_stages_although_its_delivery_is_measured_from_its_start() -> None:
    breakdown = breakdown_of(*map(direct_commit, range(1, 4)))
    assert [each.change_id for each in breakdown.incomplete] == [commit_id(number) for number in range(1, 4)]
    assert breakdown.hidden_stages_text() == (
        "all 3 changes are commits without a pull request, so they have no coding or review stage"
    )


def test_changes_that_all_lack_a_time_of_opening_are_said_in_the_negative() -> None:
    breakdown = breakdown_of(*map(unopened, range(1, 4)))
    assert breakdown.hidden_stages_text() == ("none of the 3 changes has a record of when its pull request was opened")


def test_lead_time_from_the_merge_on_is_one_stage_with_nothing_to_compare() -> None:
    breakdown = breakdown_of(complete(1), complete(2), complete(3), start="merged")
    assert not breakdown.is_comparable
    assert breakdown.hidden_stages_text() == ""


@pytest.mark.parametrize("kind", [squash, direct_commit, unopened])
def test_no_change_waits_for_deployment_all_the_time_where_its_other_stages_are_hidden(kind: Any) -> None:  # noqa: ANN401
    stages = lead_time_of(*map(kind, range(1, 4))).stages
    assert stages.delivery.p50_seconds is not None
    assert median_seconds_by_stage(stages) == {}


def test_the_wait_for_deployment_has_a_median_beside_those_of_other_stages() -> None:
    medians = median_seconds_by_stage(lead_time_of(complete(1), squash(2)).stages)
    assert list(medians) == ["coding", "review", "delivery"]
