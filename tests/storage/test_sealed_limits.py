"""What a run misses because it reads only the newest months; `mode: rebuild` corrects it (docs/reliability.md)."""

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


def make_sealed_ledger() -> InMemoryLedger:
    """A year of deployments one after another; the first ones are older than what is retained."""
    ledger, waits = InMemoryLedger(), change(1, START, title="Faster")
    first = list[Fact]([deployment(1, START), waits, deployment(2, START + DAY, changes=(waits.id,))])
    many = [deployment(1000 + number, START + 40 * DAY + timedelta(minutes=number)) for number in range(120)]
    record_facts_at(ledger, START + 50 * DAY, *first, *many)
    record_facts_at(ledger, LATER, deployment(2000, LATER))
    return ledger


def add_by_hand(ledger: InMemoryLedger) -> None:
    ledger.files["facts/2025/01-by-hand.jsonl"] = encode_fact(deployment(7, START)) + b"\n"


def remove_by_hand(ledger: InMemoryLedger) -> None:
    del ledger.files["facts/2025/01.jsonl"]


def move_finish_time(ledger: InMemoryLedger) -> None:
    """The deployment has no start, so the month of its first finish is not read."""
    record_facts_at(ledger, LATER, deployment(2, LATER, changes=(change(1, START).id,)))


def roll_back(ledger: InMemoryLedger) -> None:
    record_facts_at(ledger, LATER, deployment(2001, LATER + DAY / 2, sha=sha(1)))


def revert_by_title(ledger: InMemoryLedger) -> None:
    back = change(9, LATER, title='Revert "Faster"')
    record_facts_at(ledger, LATER, back, deployment(2001, LATER + DAY / 2, changes=(back.id,)))


UNSEEN_CHANGES = (add_by_hand, remove_by_hand, move_finish_time, roll_back, revert_by_title)


@pytest.mark.parametrize("happens", UNSEEN_CHANGES)
def test_what_reaches_behind_what_is_carried_counts_from_a_rebuild_on(
    happens: Callable[[InMemoryLedger], None],
) -> None:
    """In the totals of all later runs. A window's numbers come from what each run reads."""
    ledger = make_sealed_ledger()
    happens(ledger)
    assert differences(ledger, record_facts_at(ledger, LATER + DAY, deployment(3000, LATER + DAY))) != {}
    assert differences(ledger, record_facts_at(ledger, LATER + DAY, mode="rebuild")) == {}
    later = record_facts_at(ledger, LATER + 2 * DAY, deployment(3001, LATER + 2 * DAY))
    assert later.snapshot.months != ALL_MONTHS
    assert [key for key in differences(ledger, later) if isinstance(key, Series)] == []


def test_workflows_that_judge_by_other_settings_make_each_other_read_everything() -> None:
    """Correct, and expensive: a checkpoint belongs to one set of rules."""
    ledger = make_sealed_ledger()
    for number in range(3):
        for given in ({"count-failed-runs": True}, {}):
            now = LATER + number * DAY
            found = record_facts_at(ledger, now, replace(deployment(3000 + number, now), status="failure"), **given)
            assert found.snapshot.months == ALL_MONTHS
    assert differences(ledger, found) == {}
