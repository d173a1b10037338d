"""`counters.json`: what is written is read back, equal marks give equal files, and a broken file is like none."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.ledger.counters_file import decode_marks, encode_marks, marks_files, read_marks
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks
from dora_metrics.core.metrics.totals import BUCKETS_SECONDS, SUM_PART, Series
from dora_metrics.core.scope import Scope

SHOP = Scope("acme/shop", "shop", "production")
ONE_EACH = HighWaterMarks(
    Counter({
        Series("dora_deployments_total", SHOP, "pushes"): 3,
        Series("dora_lead_time_seconds", SHOP, "", SUM_PART - 1): 2,
        Series("dora_lead_time_seconds", SHOP, "", SUM_PART): 7_200_000_001,
    }),
    frozenset({SHOP, Scope("acme/api", "api", "production")}),
)  # fmt: skip

scopes = st.builds(Scope, *[st.text(st.characters(exclude_categories=["Cs"]), max_size=3)] * 3)
series = st.builds(
    Series, st.sampled_from("ab"), scopes, st.sampled_from(["", "x"]), st.none() | st.integers(0, SUM_PART)
)


@given(st.dictionaries(series, st.integers(1, 2**63 - 1)), st.frozensets(scopes, max_size=3))
def test_what_is_written_is_read_back(values: dict[Series, int], others: frozenset[Scope]) -> None:
    marks = HighWaterMarks(Counter(values), others | {each.scope for each in values})
    assert decode_marks(encode_marks(marks)) == marks


def test_the_file_does_not_depend_on_the_order_in_which_series_were_seen() -> None:
    reverse = HighWaterMarks(Counter(dict(reversed(ONE_EACH.values.items()))), ONE_EACH.scopes)
    assert encode_marks(reverse) == encode_marks(ONE_EACH)


def test_the_file_is_canonical_json_on_one_line() -> None:
    content = encode_marks(ONE_EACH)
    assert content.count(b"\n") == 1
    assert content.startswith(b'{"buckets_seconds":[300,900,')
    shop = msgspec.json.decode(content)["scopes"][1]
    assert shop == {
        "counters": [["dora_deployments_total", "pushes", 3]],
        "environment": "production",
        "histograms": [["dora_lead_time_seconds", "", [*[0] * 19, 2, 7_200_000_001]]],
        "repository": "acme/shop",
        "service": "shop",
    }


def test_no_marks_are_no_file() -> None:
    assert encode_marks(NO_MARKS) == b""


def file_with(**fields: object) -> bytes:
    """A file with one scope."""
    scope = {"repository": "a/b", "service": "b", "environment": "production", "counters": [], "histograms": []}
    return msgspec.json.encode({"buckets_seconds": BUCKETS_SECONDS, "scopes": [{**scope, **fields}]})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"scopes":[]}',
        file_with(counters=[["dora_changes_total", "", -1]]),
        file_with(counters=[["dora_changes_total", "", 1.5]]),
        file_with(counters=[["dora_changes_total", "", "many"]]),
        file_with(counters=[["dora_changes_total", "", 2**63]]),
        file_with().replace(b'"counters":[]', b'"counters":[["dora_changes_total","",%s]]' % (b"9" * 5000)),
        file_with(histograms=[["dora_lead_time_seconds", "", [1, 2]]]),
        file_with(repository=None),
        file_with().replace(b"[300,", b"[60,300,"),
    ],
)
def test_a_broken_file_is_like_none(content: bytes) -> None:
    assert decode_marks(content) == NO_MARKS


def test_a_scope_that_is_there_twice_has_the_greater_values() -> None:
    name = "dora_changes_total"
    low, high = ({"counters": [[name, "", number]]} for number in (1, 2))
    file = msgspec.json.decode(file_with(**low))
    file["scopes"] += msgspec.json.decode(file_with(**high))["scopes"]
    found = decode_marks(msgspec.json.encode(file))
    assert found.values == {Series(name, Scope("a/b", "b", "production")): 2}


def test_a_series_that_this_version_does_not_write_is_kept() -> None:
    content = file_with(counters=[["dora_newer_total", "", 5]])
    assert (
        encode_marks(decode_marks(content)) == msgspec.json.encode(msgspec.json.decode(content), order="sorted") + b"\n"
    )


# Two files


def counted(*values: int) -> HighWaterMarks:
    """Marks of one counter in as many scopes."""
    scopes = [Scope("acme/shop", f"service-{number:03}", "production") for number in range(len(values))]
    marks = {
        Series("dora_deployments_total", scope, "pushes"): value for scope, value in zip(scopes, values, strict=True)
    }
    return HighWaterMarks(Counter(marks), frozenset(scopes))


def stored(marks: HighWaterMarks, files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in {**files, **marks_files(marks, files)}.items() if content}


def test_the_marks_of_one_scope_are_one_file() -> None:
    files = stored(counted(2), stored(counted(1), {}))
    assert list(files) == ["counters.json"]
    assert read_marks(files) == counted(2)


def test_of_many_scopes_only_the_changed_ones_are_written_until_they_are_many_too() -> None:
    before = stored(counted(*[1] * 200), {})
    one_changed = stored(counted(2, *[1] * 199), before)
    assert one_changed["counters.json"] == before["counters.json"]
    assert len(one_changed["counters-new.json"]) < 500
    assert read_marks(one_changed) == counted(2, *[1] * 199)
    many_changed = stored(counted(*[3] * 100, *[1] * 100), one_changed)
    assert list(many_changed) == ["counters.json"]
    assert read_marks(many_changed) == counted(*[3] * 100, *[1] * 100)


def test_a_scope_that_is_gone_is_in_neither_file() -> None:
    before = stored(counted(2, *[1] * 199), stored(counted(*[1] * 200), {}))
    marks = counted(*[1] * 200)
    gone = Scope("acme/shop", "service-000", "production")
    left = HighWaterMarks(Counter({s: v for s, v in marks.values.items() if s.scope != gone}), marks.scopes - {gone})
    assert read_marks(stored(left, before)) == left
