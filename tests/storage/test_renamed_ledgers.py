"""A ledger whose repository is renamed while its months are sealed counts the same as one that is not renamed."""

from collections import Counter
from datetime import datetime

import pytest

from dora_metrics.core.facts.jsonl import decode_line, encode_fact
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import MonthSelection
from dora_metrics.core.ledger.month_files import FACTS_FOLDER
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.metrics.totals import Totals
from support.ledger_histories import RandomHistory
from support.ledger_runs import InMemoryLedger, differences, record_facts_at
from support.property_cases import cases

RUNS = 70


def under(name: str, fact: Fact) -> Fact:
    """A fact of acme/shop as it is observed when the repository has another name."""
    renamed = decode_line(encode_fact(fact).replace(b"acme/shop", name.encode()))
    assert isinstance(renamed, Fact)
    return renamed


def names_at(seed: int, number: int) -> str:
    """The name at a run: two renames, at runs that depend on the seed."""
    first = 10 + 7 * seed % 30
    return "acme/shop" if number < first else "acme/store" if number < first + 20 else "umbrella/shop"


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(cases(3)))
def test_renames_change_no_total_wherever_a_ledger_is_sealed(seed: int) -> None:
    ledger, unnamed = InMemoryLedger(), InMemoryLedger()
    for number, (now, facts) in enumerate(RandomHistory(seed).runs(RUNS)):
        name = names_at(seed, number)
        renamed = record_facts_at(ledger, now, *(under(name, fact) for fact in facts), names=[name])
        without_rename = record_facts_at(unnamed, now, *facts)
        assert differences(ledger, renamed) == {}
        assert renamed.totals == in_the_name_of(name, without_rename.totals)
    assert "checkpoint.json" in ledger.files


def in_the_name_of(name: str, totals: Totals) -> Totals:
    """The totals of acme/shop as those of another name; facts name their services."""
    scopes = {series: series.scope._replace(repository=name) for series in totals}
    return Counter({series._replace(scope=scopes[series]): number for series, number in totals.items()})


class CountingLedger(InMemoryLedger):
    """Counts the facts files of each reading."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        extended = super().read_more(snapshot, months)
        self.counts.append(sum(path.startswith(FACTS_FOLDER) for path in extended.files))
        return extended


def test_a_rename_reads_all_months_once() -> None:
    ledger = CountingLedger()
    runs = list(RandomHistory(3).runs(RUNS))
    for now, facts in runs[:60]:
        record_facts_at(ledger, now, *facts, names=["acme/shop"])

    def months_read(now: datetime, facts: list[Fact]) -> int:
        ledger.counts.clear()
        record_facts_at(ledger, now, *(under("acme/store", fact) for fact in facts), names=["acme/store"])
        return max(ledger.counts)

    at_rename, after_it = months_read(runs[60][0], []), months_read(runs[61][0], [])
    assert after_it < at_rename == sum(path.startswith(FACTS_FOLDER) for path in ledger.files)
