"""Numbers of pull requests that occur again: further commits, copies on other lines, and other pull requests."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora_metrics.core.facts import ids
from support.git_repository import GitRepository, ReportCommand, merge_message
from support.property_cases import cases
from support.tools import require_tool


def test_numbers_that_begin_again_on_the_same_line_are_other_pull_requests(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    """As in a repository that was moved: its history has the numbers of the old place."""
    old = repository.release("v1.1.0", "Old basket (#1)", start, at="03-02")
    topic = repository.commit("Old topic", old, at="03-03")
    old_merge = repository.release("v1.2.0", merge_message(2), old, topic, at="03-04")
    new = repository.release("v2.0.0", "New basket (#1)", old_merge, at="03-05", tagged="03-06")
    topic = repository.commit("New topic", new, at="03-07")
    new_merge = repository.release("v2.1.0", merge_message(2), new, topic, at="03-08")
    found = report(repository.folder)
    assert found.lead_time_hours == {"#1": 0, "#2": 24, f"#1:{new}": 24, f"#2:{new_merge}": 24}
    assert "In the whole history, 2 pull requests have the number of an earlier one" in found.notes
    assert [ids.short(f"github:pull:acme/shop#1:{new}"), ids.number(f"github:pull:acme/shop#1:{new}")] == ["#1", "#1"]
    merged = report(repository.folder, "--lead-time-start", "merged")
    assert merged.lead_time_hours == {"#1": 0, "#2": 0, f"#1:{new}": 24, f"#2:{new_merge}": 0}


def test_an_issue_that_several_releases_name_hides_none_of_their_commits(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    one = repository.release("v1.1.0", "Checkout, part 1 (#12)", start, at="03-02")
    two = repository.release("v1.2.0", "Checkout, part 2 (#12)", one, at="03-03")
    three = repository.release("v1.3.0", "Checkout, part 3 (#12)", two, at="03-04")
    found = report(repository.folder)
    assert found.changes == {"v1.0.0": [start], "v1.1.0": ["#12"], "v1.2.0": [f"#12:{two}"], "v1.3.0": [f"#12:{three}"]}


def test_a_copy_on_another_line_is_no_change_though_it_took_several_commits(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    one = repository.commit("Step one (#7)", start, at="03-02")
    repository.release("v1.1.0", "Step two (#7)", one, at="03-03")
    one = repository.commit("Step one (#7)", start, at="03-04")
    repository.release("v1.0.1", "Step two (#7)", one, at="03-05")
    found = report(repository.folder)
    assert found.lead_time_hours == {"#7": 24}
    assert "number of an earlier one" not in found.notes


def test_a_number_that_begins_again_after_a_copy_is_another_pull_request(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    """The old one came first on a line of its own. Main has a copy, and the copy of the new one is no change either."""
    repository.release("v1.0.1", "Old basket (#7)", start, at="03-02")
    main = repository.release("v1.1.0", "Old basket (#7)", start, at="03-03")
    new = repository.release("v2.0.0", "New basket (#7)", main, at="03-05")
    repository.release("v1.1.1", "New basket (#7)", main, at="03-06")
    found = report(repository.folder)
    assert list(found.lead_time_hours) == ["#7", f"#7:{new}"]
    assert "1 pull request has the number of an earlier one" in found.notes


def test_a_revert_means_the_newest_pull_request_with_the_number_that_it_names(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    old = repository.release("v1.1.0", "Old basket (#7)", start, at="03-02")
    topic = repository.commit("New topic", old, at="03-03")
    new = repository.release("v2.0.0", merge_message(7), old, topic, at="03-04")
    for number, text in enumerate(
        ("Reverts acme/shop#7", f"This reverts commit {new}.", f"This reverts commit {topic}."), 1
    ):
        repository.release(f"v2.{number}.0", f"Back\n\n{text}", new, at=f"03-0{number + 4}")
        assert report(repository.folder).failure_rules == {"v2.0.0": "revert"}, text
        repository.git("update-ref", "-d", f"refs/tags/v2.{number}.0")


def test_a_revert_finds_the_copy_of_a_pull_request_whose_number_occurred_before(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    main = repository.release("v1.1.0", "Old basket (#7)", start, at="03-02")
    repository.release("v2.0.0", "New basket (#7)", main, at="03-03")
    copy = repository.release("v1.1.1", "New basket (#7)", main, at="03-04")
    repository.release("v1.1.2", f"Back\n\nThis reverts commit {copy}.", copy, at="03-06")
    found = report(repository.folder)
    assert found.failure_rules == {"v1.1.1": "revert"}


@settings(max_examples=cases(10), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=8))
def test_on_one_line_every_deployment_has_a_change_for_each_of_its_numbers(history: list[tuple[int, bool]]) -> None:
    """Whatever the numbers are, and whichever commits are tagged."""
    require_tool("git")
    with tempfile.TemporaryDirectory() as folder:
        repository = GitRepository.create(Path(folder) / "shop")
        sha = repository.release("v1.0.0", "Start", at="03-01")
        numbers: set[int] = set()
        expected: dict[str, int] = {}
        for day, (number, is_tagged) in enumerate([*history[:-1], (history[-1][0], True)], 2):
            sha = repository.commit(f"Work (#{number})", sha, at=f"03-{day:02}")
            numbers.add(number)
            if is_tagged:
                repository.tag(f"v1.{day}.0", sha)
                expected[f"v1.{day}.0"] = len(numbers)
                numbers = set()
        found = ReportCommand(Path(folder))(repository.folder)
        counts = {name: len(changes or ()) for name, changes in found.changes.items()}
        assert counts == {"v1.0.0": 1, **expected}
        assert found.metrics["lead_time"]["changes"] == sum(expected.values())
