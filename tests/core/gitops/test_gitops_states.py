"""What an object says of its present state is recorded once, whatever revision or time it says it with."""

from datetime import timedelta
from typing import Any

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.gitops.deployments import completed_deployments, new_deployments
from dora_metrics.core.gitops.occurrence import Occurrence
from support.facts import at, sha
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

    def test_a_reading_before_the_newest_rollout_says_nothing_new(self) -> None:
        recorded = [("A", "03-05T12:00", True), ("B", "03-06T12:00", True)]
        assert not any(is_new(name, "03-06T11:59", recorded, is_time_of_asking=True) for name in "AC")
        assert is_new("A", "03-06T12:01", recorded, is_time_of_asking=True)


def read_together(ledger: list[Deployment], *states: Occurrence) -> list[str]:
    """Record what one reading says; return its notes."""
    new = new_deployments(states, ledger, EVERYTHING, "acme/shop")
    ledger += new.deployments
    return list(new.notes)


def undated(name: str, time: str, **fields: object) -> Occurrence:
    return occurrence(name, time, is_time_of_asking=True, **fields)


class TestSeveralClusters:
    """Objects of one name in one environment, without times of their own."""

    def test_two_revisions_are_two_deployments_however_often_they_are_read(self) -> None:
        ledger: list[Deployment] = []
        for day in range(1, 8):
            notes = read_together(ledger, *(undated(name, f"03-0{day}T04:00") for name in "AB"))
            assert notes[0].startswith("Several objects of one name, at different revisions: flux-system/shop (product")
        assert [each.sha for each in ledger] == [sha("A"), sha("B")]

    def test_a_new_revision_in_one_of_them_is_a_deployment(self) -> None:
        ledger: list[Deployment] = []
        for day, names in enumerate(("AB", "CB", "CB", "CC", "CC"), start=1):
            notes = read_together(ledger, *(undated(name, f"03-0{day}T04:00") for name in names))
        assert sorted(str(each.sha) for each in ledger) == sorted(map(sha, "ABC"))
        assert notes == []

    def test_so_it_is_if_one_of_them_keeps_a_time(self) -> None:
        ledger: list[Deployment] = []
        for day in range(2, 8):
            dated = occurrence("A" if day < 5 else "C", f"03-0{1 if day < 5 else 5}T03:00")
            read_together(ledger, dated, undated("B", f"03-0{day}T04:00"))
        assert [each.sha for each in ledger] == [sha("A"), sha("B"), sha("C")]

    def test_a_recovery_right_after_a_failure_is_recorded(self) -> None:
        ledger: list[Deployment] = []
        read_together(ledger, undated("B", "03-01T04:00"))
        read_together(ledger, undated("A", "03-02T04:00", succeeded=False), undated("B", "03-02T04:00"))
        for day in range(3, 6):
            read_together(ledger, *(undated(name, f"03-0{day}T04:00") for name in "AB"))
        assert [(each.sha, each.status) for each in ledger] == [
            (sha("B"), "success"),
            (sha("A"), "failure"),
            (sha("A"), "success"),
        ]

    def test_environments_keep_them_apart(self) -> None:
        ledger: list[Deployment] = []
        for day, names in enumerate(("AB", "BB", "AB"), start=1):
            states = zip(names, ("prod-eu", "prod-us"), strict=True)
            time = f"03-0{day}T04:00"
            assert read_together(ledger, *(undated(name, time, environment=place) for name, place in states)) == []
        assert len(ledger) == 4


CHART: dict[str, Any] = {"revision": "1.0.0", "sha": None}


class TestCompleted:
    """What was recorded without a commit gets the one that a reading finds."""

    def complete(self, ledger: list[Deployment], *occurrences: Occurrence) -> list[tuple[str, str | None]]:
        completed = completed_deployments(occurrences, ledger, EVERYTHING, "acme/shop", lambda *_: None)
        return [(each.id, each.sha) for each in completed]

    def test_a_report_without_a_commit(self) -> None:
        ledger = recorded_one_by_one([occurrence("A", "03-05T12:00", **CHART)])
        read = occurrence("A", "03-05T11:55", revision="1.0.0", observed_at=at("03-06"))
        assert self.complete(ledger, read) == [(ledger[0].id, sha("A"))]

    def test_one_that_has_a_commit_keeps_it(self) -> None:
        ledger = recorded_one_by_one([occurrence("A", "03-05T12:00", revision="1.0.0")])
        assert self.complete(ledger, occurrence("B", "03-05T12:00", revision="1.0.0")) == []

    def test_another_rollout_of_the_same_chart_stays_without(self) -> None:
        ledger = recorded_one_by_one([occurrence("A", "03-05T12:00", **CHART)])
        assert self.complete(ledger, occurrence("A", "03-06T12:00", revision="1.0.0")) == []

    def test_a_state_completes_the_last_rollout_of_it(self) -> None:
        times = ("03-05T12:00", "03-06T12:00")
        ledger = recorded_one_by_one(occurrence("A", time, **CHART) for time in times)
        read = occurrence("A", "03-09T04:00", revision="1.0.0", is_time_of_asking=True)
        assert self.complete(ledger, read) == [(ledger[1].id, sha("A"))]

    def test_the_newer_record_wins(self) -> None:
        ledger = recorded_one_by_one([occurrence("A", "03-05T12:00", **CHART)])
        (completed,) = completed_deployments(
            [occurrence("A", "03-05T12:00", revision="1.0.0")], ledger, EVERYTHING, "acme/shop", lambda *_: None
        )
        assert completed.observed_at == ledger[0].observed_at + timedelta(microseconds=1)
