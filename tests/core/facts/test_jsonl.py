"""Facts as JSON Lines: one fact a line, and the problem that is reported for an invalid line."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.facts.jsonl import (
    NotAFactError,
    canonical_line,
    decode_line,
    decode_lines,
    decode_with_lines,
    encode_fact,
    share_repeated_values,
)
from dora_metrics.core.facts.model import Deployment, Fact, UnknownRecord
from support.facts import at, change, deployment, incident, sha, vulnerability
from support.strategies import any_facts

PLAIN_FIELDS: dict[str, Any] = {
    "kind": "deployment",
    "id": "test:d1",
    "repository": "acme/shop",
    "observed_at": "2024-03-05T12:00:00Z",
    "finished_at": "2024-03-05T12:00:00Z",
    "status": "success",
}
MISSING = object()


def fact_line(**fields: object) -> bytes:
    """A deployment with these fields; a field that is MISSING is left out."""
    given = {name: value for name, value in {**PLAIN_FIELDS, **fields}.items() if value is not MISSING}
    return json.dumps(given).encode()


def problem_of(text: bytes) -> str:
    with pytest.raises(NotAFactError) as error:
        decode_line(text)
    return str(error.value)


@given(any_facts)
def test_a_fact_comes_back_from_its_line_as_it_was(fact: Fact) -> None:
    assert decode_line(encode_fact(fact)) == fact


@given(any_facts)
def test_the_line_of_a_fact_is_canonical(fact: Fact) -> None:
    written = encode_fact(fact)
    assert canonical_line(written) == written
    plain = json.loads(written)
    assert list(plain) == sorted(plain)
    assert json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode() == written
    assert b"\n" not in written


@given(any_facts, st.randoms())
def test_canonical_form_is_the_same_whatever_the_order_and_the_spaces_were(fact: Fact, dice: Any) -> None:  # noqa: ANN401
    keys = list(json.loads(encode_fact(fact)).items())
    dice.shuffle(keys)
    loose = json.dumps(dict(keys), indent=None, separators=(" , ", " : ")).encode()
    assert canonical_line(loose) == encode_fact(fact)
    assert decode_line(loose) == fact


def test_the_line_is_utf_8_with_times_in_utc() -> None:
    fact = deployment(1, "2024-03-05T13:00:00+02:00", version="ü")
    assert '"version":"ü"'.encode() in encode_fact(decode_line(encode_fact(fact)))  # type: ignore[arg-type]
    assert json.loads(encode_fact(fact))["finished_at"] == "2024-03-05T13:00:00+02:00"
    assert json.loads(canonical_line(encode_fact(fact)))["finished_at"] == "2024-03-05T11:00:00Z"


def test_an_incident_that_is_reported_once_has_the_line_of_earlier_versions() -> None:
    assert b"also" not in encode_fact(incident(1))
    assert b'"also":["#12"]' in encode_fact(incident(1, also=("#12",)))
    assert decode_line(encode_fact(incident(1))) == incident(1)


def test_other_offsets_become_utc() -> None:
    """Trap 12."""
    found = decode_line(fact_line(finished_at="2024-03-05T13:00:00+02:00", started_at="2024-03-05T05:00:00-05:30"))
    assert isinstance(found, Deployment)
    assert (found.finished_at, found.started_at) == (at("03-05T11:00"), at("03-05T10:30"))
    assert encode_fact(found).count(b"Z") == 3


def test_what_is_left_out_has_its_default() -> None:
    found = decode_line(fact_line())
    assert isinstance(found, Deployment)
    assert (found.v, found.retracted, found.reached_users, found.changes, found.health) == (1, False, False, None, None)


def test_unknown_keys_are_kept() -> None:
    written = fact_line(colour="blue", nested={"b": [1, None], "a": 1})
    assert isinstance(decode_line(written), Deployment)
    assert json.loads(canonical_line(written)) == json.loads(written)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"v": 2, "later": {"a": 1}}, Deployment),
        ({"v": 2, "status": "paused"}, UnknownRecord),
        ({"v": 7, "finished_at": MISSING}, UnknownRecord),
        ({"v": 10**30}, UnknownRecord),
        ({"kind": "build"}, UnknownRecord),
        ({"kind": "build", "observed_at": MISSING}, UnknownRecord),
        ({"kind": "build", "observed_at": 7, "repository": None}, UnknownRecord),
        ({"kind": "Deployment"}, UnknownRecord),
    ],
)
def test_a_newer_version_is_used_where_it_fits_and_what_is_not_known_is_kept_and_ignored(
    fields: dict[str, object], kind: type
) -> None:
    found = decode_line(fact_line(**fields))
    assert type(found) in (kind, Deployment if "v" in fields and fields["v"] == 10**30 else kind)
    assert found.id == "test:d1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"id": MISSING}, "id: required"),
        ({"id": ""}, "id: expected"),
        ({"id": None}, "id: expected"),
        ({"id": 5}, "id: expected"),
        ({"kind": MISSING}, "kind: "),
        ({"kind": None}, "kind: "),
        ({"kind": ""}, "kind: "),
        ({"kind": 1}, "kind: "),
        ({"kind": "build", "id": MISSING}, "id: a string is required"),
        ({"repository": MISSING}, "repository: required"),
        ({"repository": ""}, "repository: "),
        ({"observed_at": MISSING}, "observed_at: required"),
        ({"finished_at": MISSING}, "finished_at: required"),
        ({"finished_at": None}, "finished_at: "),
        ({"finished_at": "2024-03-05T12:00:00"}, "finished_at: expected a time with an offset"),
        ({"finished_at": "2024-03-05"}, "finished_at: expected a time with an offset"),
        ({"finished_at": "yesterday"}, "finished_at: expected a time with an offset"),
        ({"finished_at": "2024-02-30T00:00:00Z"}, "finished_at: expected a time with an offset"),
        ({"finished_at": "2024-03-05T25:00:00Z"}, "finished_at: expected a time with an offset"),
        ({"finished_at": 1709640000}, "finished_at: "),
        ({"finished_at": "0001-01-01T00:00:00+02:00"}, "a time is outside the years 1 to 9999"),
        ({"finished_at": "9999-12-31T23:59:59-01:00"}, "a time is outside the years 1 to 9999"),
        ({"status": MISSING}, "status: required"),
        ({"status": "ok"}, "status: 'ok' is not one of success, failure, cancelled"),
        ({"status": None}, "status: "),
        ({"health": "good"}, "health: 'good' is not one of passed, failed"),
        ({"sha": "abc"}, "sha: expected a full commit sha"),
        ({"sha": "A" * 40}, "sha: expected a full commit sha"),
        ({"sha": ""}, "sha: expected a full commit sha"),
        ({"changes": "x"}, "changes: expected"),
        ({"changes": [1]}, "changes[0]: expected"),
        ({"changes": [""]}, "changes[0]: expected"),
        ({"changes": {}}, "changes: expected"),
        ({"reached_users": "true"}, "reached_users: expected"),
        ({"retracted": 1}, "retracted: expected"),
        ({"commit_count": -1}, "commit_count: expected"),
        ({"commit_count": 1.5}, "commit_count: expected"),
        ({"commit_count": "3"}, "commit_count: expected"),
        ({"v": 0}, "v: expected"),
        ({"v": "1"}, "v: expected"),
        ({"v": True}, "v: expected"),
        ({"v": None}, "v: expected"),
        ({"environment": ["production"]}, "environment: expected"),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_named_with_what_was_expected(fields: dict[str, object], said: str) -> None:
    assert problem_of(fact_line(**fields)).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"nonsense", "not a complete JSON object"),
        (b'{"id":"test:d1","kind":"deploy', "not a complete JSON object"),
        (b"{} {}", "not a complete JSON object"),
        (fact_line() + fact_line(), "not a complete JSON object"),
        (fact_line() + b",", "not a complete JSON object"),
        (b"[]", "a JSON list"),
        (b"7", "a JSON int"),
        (b'"x"', "a JSON str"),
        (b"null", "a JSON NoneType"),
        (b"{}", "kind: "),
        (b"\x00\x00", "not a complete JSON object"),
        (b'{"a": NaN}', "cannot be read as JSON"),
        (b'{"a": 1e999}', "cannot be read as JSON"),
        (b"\xff\xfe{}", "not UTF-8 (byte 1 of the line)"),
        (b"{" * 200_000, "not a complete JSON object"),
        (b"[" * 200_000, "not a complete JSON object"),
        (b'{"kind":"deployment","x":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "nested too deeply"),
        (b"{'kind': 'deployment'}", "not a complete JSON object"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_object_is_told_what_it_is(text: bytes, said: str) -> None:
    assert problem_of(text).startswith(said) or "nested too deeply" in problem_of(text)


def test_of_a_key_that_is_written_twice_the_last_counts() -> None:
    found = decode_line(fact_line()[:-1] + b',"status":"failure"}')
    assert isinstance(found, Deployment)
    assert found.status == "failure"


def test_every_kind_has_its_required_fields() -> None:
    for fact, field in (
        (deployment(1), "finished_at"),
        (incident(1), "detected_at"),
        (vulnerability(1), "detected_at"),
        (change(1), "repository"),
    ):
        plain = json.loads(encode_fact(fact))
        del plain[field]
        assert problem_of(json.dumps(plain).encode()) == f"{field}: required, but missing"


def test_commits_and_reverts_are_checked_too() -> None:
    plain = json.loads(encode_fact(change(1)))
    plain["commits"] = [{"sha": sha(1), "authored_at": "2024-03-01T00:00:00Z"}, {"sha": sha(2)}]
    assert problem_of(json.dumps(plain).encode()) == "commits[1]: object missing required field `authored_at`"
    plain["commits"] = [{"sha": "abc", "authored_at": "2024-03-01T00:00:00Z"}]
    assert (
        problem_of(json.dumps(plain).encode()) == "commits[0].sha: expected a full commit sha, 40 characters of 0-9a-f"
    )


# Many lines at once

LINES = [fact_line(id=f"test:d{n}") for n in range(3)]


def read_both_ways(chunk: bytes) -> tuple[list[str], list[int]]:
    """Ids of the facts and numbers of bad lines; the same whether lines are kept or not."""
    found, bad = decode_lines(chunk)
    pairs, bad_too = decode_with_lines(chunk)
    assert [record for record, _ in pairs] == found
    assert all(decode_line(text) == record for record, text in pairs)
    assert bad == bad_too
    return [record.id for record in found], [one.number for one in bad]


@pytest.mark.parametrize(
    ("chunk", "ids", "bad"),
    [
        (b"", [], []),
        (b"\n\n  \n", [], []),
        (b"\n".join(LINES), ["test:d0", "test:d1", "test:d2"], []),
        (b"\n".join(LINES) + b"\n", ["test:d0", "test:d1", "test:d2"], []),
        (b"\r\n".join(LINES) + b"\r\n", ["test:d0", "test:d1", "test:d2"], []),
        (b"\n\n" + b"\n \n".join(LINES), ["test:d0", "test:d1", "test:d2"], []),
        (LINES[0] + b"\nnonsense\n" + LINES[1] + b"\n{}\n", ["test:d0", "test:d1"], [2, 4]),
        (LINES[0] + LINES[1] + b"\n" + LINES[2], ["test:d2"], [1]),
        (LINES[0].replace(b", ", b",\n") + b"\n" + LINES[1], ["test:d1"], [1, 2, 3, 4, 5, 6]),
        (json.dumps(PLAIN_FIELDS, indent=1).encode(), [], [1, 2, 3, 4, 5, 6, 7, 8]),
        (LINES[0].replace(b", ", b",\n", 1) + b"\n" + LINES[1] + LINES[2], [], [1, 2, 3]),
        (LINES[0] + b"\n" + fact_line(finished_at="0001-01-01T00:00:00+02:00"), ["test:d0"], [2]),
        (LINES[0] + b"\n\xff\n" + LINES[1], ["test:d0", "test:d1"], [2]),
        (LINES[0] + b"\n" + fact_line(id="test:d9", kind="build"), ["test:d0", "test:d9"], []),
    ],
)  # fmt: skip
def test_lines_are_read_one_by_one_however_the_chunk_is_made(chunk: bytes, ids: list[str], bad: list[int]) -> None:
    assert read_both_ways(chunk) == (ids, bad)


def test_line_numbers_go_on_from_the_chunk_before() -> None:
    _, bad = decode_lines(b"nonsense\n", 41)
    assert [(one.number, one.text) for one in bad] == [(41, b"nonsense")]


def change_line(reverts: object) -> bytes:
    fields = {"kind": "change", "id": "test:c1", "repository": "acme/shop", "observed_at": "2024-03-05T12:00:00Z"}
    return json.dumps({**fields, "reverts": reverts}).encode()


@pytest.mark.parametrize("reverts", ["c0", ["c0"], ["c0", "b0"], []])
def test_what_a_change_reverts_is_written_as_it_was_given(reverts: object) -> None:
    fact = decode_line(change_line(reverts))
    assert not isinstance(fact, UnknownRecord)
    assert json.loads(encode_fact(fact))["reverts"] == reverts


@pytest.mark.parametrize("reverts", [5, {"id": "c0"}, [""], ["c0", 5], [["c0"]]])
def test_what_a_change_reverts_is_a_text_or_a_list_of_texts(reverts: object) -> None:
    assert "reverts" in problem_of(change_line(reverts))


@pytest.mark.parametrize("junk", [b"1e999", b"9" * 5_000, b'"\xff"', b"[" * 2_000 + b"]" * 2_000])
def test_an_unknown_key_that_no_json_value_can_be_spoils_no_comparison(junk: bytes) -> None:
    line = encode_fact(incident(1, "03-05"))[:-1] + b',"junk":' + junk + b"}"
    records, bad_lines = decode_lines(line + b"\n")
    assert len(records) + len(bad_lines) == 1
    assert not records or canonical_line(line) == line


def test_equal_names_of_facts_are_in_memory_once() -> None:
    facts = [decode_line(fact_line(id=f"test:d{n}", repository="acme/shop", service="shop")) for n in range(2)]
    share_repeated_values(facts, {})
    names = [(fact.repository, fact.service) for fact in facts if isinstance(fact, Deployment)]
    assert names == [("acme/shop", "shop")] * 2
    assert len({id(name) for pair in names for name in pair}) == len({"acme/shop", "shop"})
