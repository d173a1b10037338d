"""How facts are added to the files of a month: little is sent for one fact, and nothing is lost or counted twice."""

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.ledger import month_files
from dora_metrics.core.ledger.layout import parse_ledger, plan_merge
from support.facts import at, deployment
from support.property_cases import cases

MONTH = "facts/2024/03"
SMALL = {
    "MAX_ONLY_FILE_BYTES": 3_000,
    "MAX_SHORT_FILE_BYTES": 2_000,
    "_LARGE_FILE_BYTES": 6_000,
    "MAX_FILE_BYTES": 12_000,
}


def fact(number: int, status: str = "success", seen: int = 0) -> Deployment:
    moment = at(f"03-{1 + number % 28:02}T10:{number % 60:02}")
    made = deployment(number, f"03-{1 + number % 28:02}T10:{number % 60:02}", status=status)
    return replace(made, observed_at=moment.replace(second=seen))


def added(files: Mapping[str, bytes], facts: Iterable[Deployment]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files after a run with some facts, and what it has written."""
    changes = plan_merge(parse_ledger(files), facts).file_changes
    return {path: content for path, content in {**files, **changes}.items() if content}, changes


def statuses(files: Mapping[str, bytes]) -> dict[str, str]:
    facts = parse_ledger(files).facts
    return {each.id: each.status for each in facts if isinstance(each, Deployment)}


def test_a_small_month_is_one_file_in_the_order_of_time() -> None:
    files: dict[str, bytes] = {}
    for number in (3, 1, 2):
        files, _ = added(files, [fact(number)])
    assert files == added({}, [fact(1), fact(2), fact(3)])[0]
    assert list(files) == [f"{MONTH}.jsonl"]


def test_a_fact_is_added_to_a_short_file_and_leaves_the_large_one_alone() -> None:
    files, _ = added({}, map(fact, range(100)))
    first, changes = added(files, [fact(100)])
    assert list(changes) == [f"{MONTH}-2.jsonl"]
    assert list(added(first, [fact(101)])[1]) == [f"{MONTH}-2.jsonl"]


def test_a_record_that_replaces_another_one_lies_in_the_short_file_and_counts() -> None:
    files, _ = added({}, map(fact, range(100)))
    files, changes = added(files, [fact(7, "failure", seen=5)])
    assert list(changes) == [f"{MONTH}-2.jsonl"]
    assert statuses(files)["github:deployment:7"] == "failure"
    assert len(statuses(files)) == 100


def test_short_files_are_merged_without_what_was_replaced_and_large_ones_stay() -> None:
    files, _ = added({}, map(fact, range(600)))
    large = files[f"{MONTH}.jsonl"]
    for number in range(600, 660):
        files, _ = added(files, [fact(number), fact(650, "failure", seen=number % 60)])
        assert len(files) <= 2 + month_files.MAX_SHORT_FILES
    assert files[f"{MONTH}.jsonl"] == large
    assert len(statuses(files)) == 660
    assert max(map(len, files.values())) <= month_files.MAX_FILE_BYTES


def test_many_new_facts_leave_large_files_alone() -> None:
    files, _ = added({}, map(fact, range(600)))
    files, changes = added(files, map(fact, range(600, 800)))
    assert f"{MONTH}.jsonl" not in changes
    assert len(statuses(files)) == 800


def test_a_month_most_of_whose_facts_are_replaced_is_written_again_without_the_old_ones() -> None:
    files, _ = added({}, map(fact, range(600)))
    files, _ = added(files, (fact(number, "failure", seen=5) for number in range(300)))
    assert sum(content.count(b"\n") for content in files.values()) == 600
    assert sum(status == "failure" for status in statuses(files).values()) == 300


def test_what_is_written_grows_with_the_facts_and_not_with_the_month() -> None:
    files: dict[str, bytes] = {}
    written: list[int] = []
    most_files = 0
    for number in range(700):
        files, changes = added(files, [replace(fact(number), url="u" * 600)])
        written.append(sum(map(len, changes.values())))
        most_files = max(most_files, len(files))
    month_bytes = sum(map(len, files.values()))
    assert month_bytes > month_files.MAX_FILE_BYTES, "there is more than one large file"
    assert sorted(written)[len(written) // 2] <= month_files.MAX_SHORT_FILE_BYTES
    assert sum(written) / len(written) <= 2 * month_files.MAX_SHORT_FILE_BYTES
    assert most_files <= month_bytes // (month_files.MAX_FILE_BYTES // 2) + 1 + month_files.MAX_SHORT_FILES


@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 59)), max_size=12), max_size=12))
@settings(max_examples=cases(50), deadline=None)
def test_however_facts_come_the_files_hold_the_newest_of_each(batches: list[list[tuple[int, int]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(month_files, name, value)
        files: dict[str, bytes] = {}
        newest: dict[int, int] = {}
        for batch in batches:
            facts = [fact(number, "failure" if seen % 2 else "success", seen) for number, seen in batch]
            files, _ = added(files, facts)
            for number, seen in batch:
                newest[number] = max(seen, newest.get(number, -1))
        expected = {f"github:deployment:{n}": "failure" if seen % 2 else "success" for n, seen in newest.items()}
        assert statuses(files) == expected
        assert all(len(content) <= SMALL["MAX_FILE_BYTES"] for content in files.values())
        again, changes = added(files, [fact(n, "failure" if s % 2 else "success", s) for n, s in newest.items()])
        assert (again, changes) == (files, {})


CONTENTS = st.dictionaries(
    st.sampled_from([f"{MONTH}.jsonl", f"{MONTH}-2.jsonl", f"{MONTH}-3.jsonl", "facts/2024/04.jsonl", "cursors.json"]),
    st.sets(st.sampled_from("abcdefgh")).map(lambda lines: "".join(f"{line}\n" for line in sorted(lines)).encode()),
)


@given(CONTENTS, CONTENTS)
def test_one_by_one_no_line_is_lost_before_all_new_ones_are_there(
    files: dict[str, bytes], changes: dict[str, bytes]
) -> None:
    def facts_lines(contents: Mapping[str, bytes]) -> set[bytes]:
        facts_files = (content for path, content in contents.items() if path.startswith(month_files.FACTS_FOLDER))
        return {line for content in facts_files for line in content.splitlines()}

    state = dict(files)
    after = facts_lines({**files, **changes})
    for path, content in month_files.changes_one_by_one(changes, files):
        state[path] = content
        is_whole = facts_lines(files) <= facts_lines(state)
        assert is_whole or after <= facts_lines(state)
    assert {path: state.get(path, b"") for path in {**files, **changes}} == {**files, **changes}
