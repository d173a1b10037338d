"""Rows as lines: the form of times, and characters that databases refuse."""

import msgspec
import pytest

from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.rows.ndjson import encode_rows
from dora_metrics.core.rows.tables import TABLES
from dora_metrics.core.windows import parse_window
from support.facts import at, incident

BY_NAME = {table.name: table for table in TABLES}


def encoded(table: str, *facts: object) -> list[bytes]:
    policy = Policy()
    source = JudgedFacts.of(evaluate_facts(facts, policy), facts, policy, parse_window("30d", policy.zone), at("04-01"))  # type: ignore[arg-type]
    return list(encode_rows(BY_NAME[table], source.rows(BY_NAME[table])))


def test_a_time_always_has_microseconds() -> None:
    lines = encoded("incidents", incident(1, "03-05T12:00"), incident(2, "03-05T12:00:00.5"))
    times = [msgspec.json.decode(line)["detected_at"] for line in lines]
    assert times == ["2024-03-05T12:00:00.000000Z", "2024-03-05T12:00:00.500000Z"]


@pytest.mark.parametrize("title", ['a\nb "c" \u2028', r"C:\u0000", "é 😀"])
def test_a_row_is_one_line_and_keeps_its_texts(title: str) -> None:
    (line,) = encoded("incidents", incident(1, title=title))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert msgspec.json.decode(line)["title"] == title


@pytest.mark.parametrize("table", ["incidents", "facts"])
def test_a_nul_character_is_left_out(table: str) -> None:
    (line,) = encoded(table, incident(1, title="a\0b", also=("x\0y",)))
    row = msgspec.json.decode(line)
    assert (row.get("title") or row["fact"]["title"]) == "ab"
    assert b"u0000" not in line
