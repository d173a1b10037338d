"""What a run that reads only the newest months does not see, and `mode: rebuild` puts right (docs/reliability.md)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import ALL_MONTHS
from dora_metrics.core.metrics.totals import Series
from support.facts import sha
from support.ledger_runs import DAY, START, InMemoryLedger, change, deployment, differences, record_facts_at

LATER = START + 310 * DAY


def sealed() -> InMemoryLedger:
    """A year of one deployment after another; the first ones are behind what is carried."""
    ledger, waits = InMemoryLedger(), change(1, START, title="Faster")
    first = list[Fact]([deployment(1, START), waits, deployment(2, START + DAY, changes=(waits.id,))])
    many = [deployment(1000 + number, START + 40 * DAY + timedelta(minutes=number)) for number in range(120)]
    record_facts_at(ledger, START + 50 * DAY, *first, *many)
    record_facts_at(ledger, LATER, deployment(2000, LATER))
    return ledger


def added_by_hand(ledger: InMemoryLedger) -> None:
    ledger.files["facts/2025/01-by-hand.jsonl"] = encode_fact(deployment(7, START)) + b"\n"


def taken_away_by_hand(ledger: InMemoryLedger) -> None:
    del ledger.files["facts/2025/01.jsonl"]


def ended_again(ledger: InMemoryLedger) -> None:
    """Its beginning is not known, so that nobody looks into the month of its first end."""
    record_facts_at(ledger, LATER, deployment(2, LATER, changes=(change(1, START).id,)))


def rolled_back(ledger: InMemoryLedger) -> None:
    record_facts_at(ledger, LATER, deployment(2001, LATER + DAY / 2, sha=sha(1)))


def reverted_by_title(ledger: InMemoryLedger) -> None:
    back = change(9, LATER, title='Revert "Faster"')
    record_facts_at(ledger, LATER, back, deployment(2001, LATER + DAY / 2, changes=(back.id,)))


HAPPENINGS = (added_by_hand, taken_away_by_hand, ended_again, rolled_back, reverted_by_title)


@pytest.mark.parametrize("happens", HAPPENINGS)
def test_what_reaches_behind_what_is_carried_counts_from_a_rebuild_on(
    happens: Callable[[InMemoryLedger], None],
) -> None:
    """In the totals of all later runs; a window's numbers are found by each run in what it reads."""
    ledger = sealed()
    happens(ledger)
    assert differences(ledger, record_facts_at(ledger, LATER + DAY, deployment(3000, LATER + DAY))) != {}
    assert differences(ledger, record_facts_at(ledger, LATER + DAY, mode="rebuild")) == {}
    later = record_facts_at(ledger, LATER + 2 * DAY, deployment(3001, LATER + 2 * DAY))
    assert later.snapshot.months != ALL_MONTHS
    assert [key for key in differences(ledger, later) if isinstance(key, Series)] == []


def test_workflows_that_judge_by_other_settings_make_each_other_read_everything() -> None:
    """Right, and costly: a checkpoint is made by one set of rules."""
    ledger = sealed()
    for number in range(3):
        for given in ({"count-failed-runs": True}, {}):
            now = LATER + number * DAY
            found = record_facts_at(ledger, now, replace(deployment(3000 + number, now), status="failure"), **given)
            assert found.snapshot.months == ALL_MONTHS
    assert differences(ledger, found) == {}
