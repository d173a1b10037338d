"""The state of a fact is its record with the greatest (observed_at, canonical JSON)."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.facts.jsonl import canonical_line, decode_line, encode_fact
from dora_metrics.core.facts.merge import NewestRecords
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.month_files import MAX_FILE_BYTES
from dora_metrics.sources import fact_files
from support.facts import at, deployment, incident, metrics_of
from support.strategies import any_facts


def line_with_unknown_keys(fact: Fact, more: int) -> bytes:
    """The line of a fact with a key unknown to this version; 0 adds none."""
    plain = json.loads(encode_fact(fact))
    return json.dumps({**plain, **({"colour": more} if more else {})}, separators=(",", ":")).encode()


fact_lines = st.lists(st.builds(line_with_unknown_keys, any_facts, st.integers(0, 2)), max_size=12)


def merged_files(*parts: list[bytes]) -> dict[str, bytes]:
    """State of each id as its canonical line; each part is a file."""
    files = {f"facts/2024/{number:02}.jsonl": b"\n".join(part) for number, part in enumerate(parts, 1)}
    return {identity: canonical_line(entry.json) for identity, entry in layout.parse_ledger(files).lines_by_id.items()}


def merged_by_definition(part: list[bytes]) -> dict[str, bytes]:
    found: dict[str, list[tuple[Any, bytes]]] = {}
    for text in part:
        record = decode_line(text)
        found.setdefault(record.id, []).append((record.observed_at, canonical_line(text)))
    return {identity: max(states)[1] for identity, states in found.items()}


def computed_facts(part: list[bytes]) -> dict[str, object]:
    """The same as `compute` reads it."""
    return {fact.id: fact for fact in fact_files.read("-", BytesIO(b"\n".join(part))).facts}


@given(fact_lines)
def test_the_state_is_what_the_definition_says(one: list[bytes]) -> None:
    assert merged_files(one) == merged_by_definition(one)
    assert computed_facts(one) == {identity: decode_line(text) for identity, text in merged_by_definition(one).items()}


@given(fact_lines, fact_lines)
def test_merging_is_commutative(one: list[bytes], other: list[bytes]) -> None:
    assert merged_files(one, other) == merged_files(other, one) == merged_files(one + other)
    assert computed_facts(one + other) == computed_facts(other + one)


@given(fact_lines, fact_lines, fact_lines)
def test_merging_is_associative(a: list[bytes], b: list[bytes], c: list[bytes]) -> None:
    left = merged_files(list(merged_files(a, b).values()), c)
    assert left == merged_files(a, list(merged_files(b, c).values())) == merged_files(a, b, c)


@given(fact_lines)
def test_merging_is_idempotent(one: list[bytes]) -> None:
    assert merged_files(one, one) == merged_files(list(merged_files(one).values())) == merged_files(one)
    assert computed_facts(one + one) == computed_facts(one)


@given(fact_lines, st.data())
def test_neither_order_nor_duplication_nor_the_split_into_files_matters(one: list[bytes], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(one + data.draw(st.lists(st.sampled_from(one), max_size=3)) if one else one))
    middle = data.draw(st.integers(0, len(shuffled)))
    assert merged_files(shuffled[:middle], shuffled[middle:]) == merged_files(one)
    assert computed_facts(shuffled) == computed_facts(one)


@given(fact_lines, st.data())
def test_states_may_be_added_and_settled_in_any_order(one: list[bytes], data: st.DataObject) -> None:
    state = NewestRecords()
    state.add(decode_line(text) for text in one)
    state.resolve_ties((decode_line(text), text) for text in data.draw(st.permutations(one)))
    assert state.records == {identity: decode_line(text) for identity, text in merged_by_definition(one).items()}
    assert not state.tied_ids


def test_unknown_keys_survive_the_merge_and_decide_between_equals() -> None:
    blue, red = (encode_fact(deployment(1))[:-1] + more for more in (b',"colour":"blue"}', b',"colour":"red"}'))
    for order in ([blue, red, blue], [red, blue]):
        assert json.loads(merged_files(order)["github:deployment:1"])["colour"] == "red"


def test_a_line_that_spells_a_time_in_another_offset_is_the_same_record() -> None:
    elsewhere = encode_fact(deployment(1, "2024-03-05T13:00:00+01:00"))
    assert merged_files([elsewhere, encode_fact(deployment(1))]) == merged_files([encode_fact(deployment(1))])


def test_an_incident_that_is_updated_ten_times_is_one_in_its_newest_state() -> None:
    """Trap 2, trap 30."""
    states = [incident(1, observed_at=f"03-05T14:{minute:02}", title=str(minute)) for minute in range(9)]
    resolved = incident(1, observed_at="03-05T15:00", resolved_at="03-05T15:00")
    seen = [encode_fact(fact) for fact in (resolved, *states, resolved)]
    (fact,) = computed_facts(seen).values()
    assert fact == resolved


def test_a_retraction_counts_when_it_is_newer_and_is_undone_when_it_is_older() -> None:
    said, taken_back = incident(1, observed_at="03-05T14:00"), incident(1, observed_at="03-05T15:00", retracted=True)
    again = incident(1, observed_at="03-05T16:00")
    assert computed_facts([encode_fact(one) for one in (taken_back, said)]) == {said.id: taken_back}
    assert computed_facts([encode_fact(one) for one in (again, taken_back, said)]) == {said.id: again}
    assert metrics_of(deployment(1), taken_back).incident_restore.incidents == 0


def test_a_folder_is_all_its_jsonl_files_and_not_the_ledgers_other_ones(tmp_path: Path) -> None:
    for name, number in (
        ("facts/2024/03.jsonl", 1),
        ("deep/er/x.jsonl", 2),
        ("quarantine.jsonl", 3),
        ("outbox.jsonl", 4),
        ("a.json", 5),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode_fact(deployment(number)) if number < 3 else b"no fact")
    (tmp_path / "folder.jsonl").mkdir()
    read = fact_files.read(str(tmp_path), BytesIO())
    assert sorted(fact.id for fact in read.facts) == ["github:deployment:1", "github:deployment:2"]


# Storage in the ledger


def applied_facts(files: dict[str, bytes], *seen: Fact) -> dict[str, bytes]:
    changes = layout.plan_merge(layout.parse_ledger(files), seen).file_changes
    return {path: content for path, content in {**files, **changes}.items() if content}


@given(st.lists(any_facts, max_size=8), st.data())
def test_the_files_are_the_same_whatever_order_the_facts_came_in_and_however_often(
    seen: list[Fact], data: st.DataObject
) -> None:
    at_once = applied_facts({}, *seen)
    one_by_one: dict[str, bytes] = {}
    for fact in data.draw(st.permutations(seen + seen[:3])):
        one_by_one = applied_facts(one_by_one, fact)
    assert one_by_one == at_once
    assert merged_files(*(content.splitlines() for content in at_once.values())) == merged_files(
        [encode_fact(fact) for fact in seen]
    )


@given(st.lists(any_facts, max_size=8))
def test_what_is_known_already_changes_no_file_and_is_no_news(seen: list[Fact]) -> None:
    files = applied_facts({}, *seen)
    plan = layout.plan_merge(layout.parse_ledger(files), seen)
    assert (plan.file_changes, plan.new_facts) == ({}, ())


def test_facts_lie_in_the_month_of_their_defining_time_in_order() -> None:
    files = applied_facts(
        {},
        deployment(2, "03-05"),
        deployment(1, "03-06"),
        deployment(3, "2023-12-31T23:59"),
        incident(1, "03-05T01:00"),
    )
    assert {path: [decode_line(text).id[-1] for text in content.splitlines()] for path, content in files.items()} == {
        "facts/2023/12.jsonl": ["3"],
        "facts/2024/03.jsonl": ["2", "1", "1"],
    }


def test_a_fact_whose_defining_time_moves_moves_to_its_month() -> None:
    files = applied_facts({}, deployment(1, "02-29", status="failure"), deployment(2, "02-28"))
    later = deployment(1, "03-01", observed_at="03-01T01:00")
    changes = layout.plan_merge(layout.parse_ledger(files), [later]).file_changes
    assert list(changes) == ["facts/2024/03.jsonl", "facts/2024/02.jsonl"], (
        "what gains comes first, so that nothing is lost"
    )
    assert applied_facts(files, later)["facts/2024/03.jsonl"] == encode_fact(later) + b"\n"
    assert b"deployment:1" not in applied_facts(files, later)["facts/2024/02.jsonl"]


def test_unknown_records_and_keys_are_kept_where_a_file_is_rewritten() -> None:
    unknown = b'{"id":"b1","kind":"build","observed_at":"2024-03-02T00:00:00Z","x":[1]}'
    coloured = encode_fact(deployment(1))[:-1] + b',"zebra":true}'
    files = applied_facts({"facts/2024/03.jsonl": unknown + b"\n" + coloured + b"\n"}, deployment(2, "03-07"))
    kept = files["facts/2024/03.jsonl"].splitlines()
    assert kept == [unknown, coloured, encode_fact(deployment(2, "03-07"))]


def test_a_line_that_is_no_fact_is_set_aside_and_kept() -> None:
    files = applied_facts({"facts/2024/03.jsonl": encode_fact(deployment(1)) + b"\nnonsense \xff\n"}, deployment(2))
    assert b"nonsense" not in files["facts/2024/03.jsonl"]
    (aside,) = [json.loads(text) for text in files[layout.QUARANTINE_FILE].splitlines()]
    assert (aside["file"], aside["line"], aside["text"]) == ("facts/2024/03.jsonl", 2, "nonsense \\xff")


def test_a_month_is_split_before_a_file_passes_its_limit() -> None:
    many = [deployment(n, f"03-05T12:{n % 60:02}", version="v" * 400) for n in range(600)]
    files = applied_facts({}, *many)
    assert list(files) == ["facts/2024/03.jsonl", "facts/2024/03-2.jsonl"]
    assert max(map(len, files.values())) <= MAX_FILE_BYTES
    assert len(layout.parse_ledger(files).facts) == 600
    retracted = deployment(0, "03-05T12:00", observed_at="03-06", retracted=True)
    assert applied_facts(files, retracted).keys() - files.keys() == {"facts/2024/03-3.jsonl"}


def test_a_month_that_shrinks_loses_its_second_file() -> None:
    many = [deployment(n, version="v" * 500) for n in range(500)]
    files = applied_facts({}, *many)
    gone = [deployment(n, "04-01T00:00", observed_at="04-02") for n in range(499)]
    assert sorted(applied_facts(files, *gone)) == ["facts/2024/03.jsonl", "facts/2024/04.jsonl"]


def test_the_known_state_of_an_id_is_at_hand() -> None:
    contents = layout.parse_ledger(applied_facts({}, deployment(1)))
    assert contents.fact_by_id("github:deployment:1") == deployment(1)
    assert contents.fact_by_id("nobody") is None
    assert [fact.observed_at for fact in contents.facts] == [at("03-05T12:00")]
