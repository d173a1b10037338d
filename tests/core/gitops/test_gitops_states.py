"""What an object says of its present state is recorded once, whatever revision or time it says it with."""

from dora_metrics.core.gitops.deployments import new_deployments
from support.facts import at
from support.rollouts import EVERYTHING, occurrence, recorded_one_by_one


def is_new(state_revision: str, time: str, recorded: list[tuple[str, str, bool]], **fields: object) -> bool:
    """Whether a state is new to a ledger with some rollouts: their revisions, times and results."""
    ledger = recorded_one_by_one(
        occurrence(name, at_time, succeeded=succeeded) for name, at_time, succeeded in recorded
    )
    state = occurrence(state_revision, time, **fields)
    return bool(new_deployments([state], ledger, EVERYTHING, "acme/shop").deployments)


class TestUnchangedSince:
    def test_a_later_revision_that_made_no_difference_is_not_new(self) -> None:
        recorded = [("A", "03-05T12:00", True), ("B", "03-06T12:00", True)]
        assert not is_new("C", "03-06T12:00", recorded, unchanged_since=at("03-06T12:00"))

    def test_a_report_of_it_is_later_than_the_object_says(self) -> None:
        assert not is_new("B", "03-05T12:00", [("A", "03-05T12:01", True)], unchanged_since=at("03-05T12:00"))

    def test_a_deployment_shortly_before_is_another_one(self) -> None:
        assert is_new("B", "03-05T12:05", [("A", "03-05T12:00", True)], unchanged_since=at("03-05T12:05"))

    def test_a_failure_since_then_is_another_one(self) -> None:
        recorded = [("A", "03-05T12:00", True), ("B", "03-06T12:00", False)]
        assert is_new("B", "03-06T12:30", recorded, unchanged_since=at("03-06T12:30"))
        assert not is_new("B", "03-06T12:00", recorded, succeeded=False, unchanged_since=at("03-06T12:00"))


class TestTimeOfAsking:
    def test_the_last_recorded_rollout_has_led_to_it(self) -> None:
        assert not is_new("A", "03-09T04:00", [("A", "03-05T12:00", True)], is_time_of_asking=True)
        assert is_new("B", "03-09T04:00", [("A", "03-05T12:00", True)], is_time_of_asking=True)

    def test_so_it_has_where_a_tool_reports_each_rollout_once(self) -> None:
        fields = {"revision": "1.0.0", "sha": None}
        ledger = recorded_one_by_one([occurrence("A", "03-05T12:00", **fields)])
        state = occurrence("A", "03-09T04:00", is_time_of_asking=True, **fields)
        assert not new_deployments([state], ledger, EVERYTHING, "acme/shop").deployments

    def test_a_return_is_new(self) -> None:
        recorded = [("A", "03-05T12:00", True), ("B", "03-06T12:00", True)]
        assert is_new("A", "03-09T04:00", recorded, is_time_of_asking=True)

    def test_health_that_fails_later_is_not(self) -> None:
        assert not is_new("A", "03-09T04:00", [("A", "03-05T12:00", True)], succeeded=False, is_time_of_asking=True)
        assert is_new("A", "03-09T04:00", [("A", "03-05T12:00", False)], is_time_of_asking=True)

    def test_without_any_record_it_is_new(self) -> None:
        assert is_new("A", "03-09T04:00", [], is_time_of_asking=True)
