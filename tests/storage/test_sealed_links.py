"""Sealed facts count as in one read of everything: links, late facts, and facts that move to another month."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.ledger.layout import ALL_MONTHS
from support.ledger_histories import RandomHistory
from support.ledger_runs import DAY, START, InMemoryLedger, change, deployment, differences, incident, record_facts_at
from support.property_cases import cases

LATER = START + 310 * DAY  # three weeks before the next month is sealed
JANUARY = "facts/2025/01.jsonl"


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(cases(6)))
def test_whatever_happens_in_two_years_a_run_says_what_all_facts_say(seed: int) -> None:
    ledger = InMemoryLedger()
    for number, (now, seen) in enumerate(RandomHistory(seed).runs(50)):
        found = record_facts_at(ledger, now, *seen)
        assert differences(ledger, found) == {}, (number, seen)


def test_changes_that_waited_for_long_are_measured_as_long_as_a_window_shows_their_deployment() -> None:
    """More than are retained while they wait."""
    ledger = InMemoryLedger()
    waiting = [change(number, START + timedelta(hours=number)) for number in range(100, 800)]
    record_facts_at(ledger, START, deployment(1, START), *waiting)
    for month in range(1, 11):
        record_facts_at(ledger, START + 30 * DAY * month, deployment(1 + month, START + 30 * DAY * month))
    released = deployment(50, LATER + DAY, changes=tuple(one.id for one in waiting))
    record_facts_at(ledger, LATER + DAY, released, *waiting)
    for days in (2, 23, 28):
        found = record_facts_at(ledger, LATER + days * DAY, deployment(50 + days, LATER + days * DAY))
        assert found.results.document.scopes[0].metrics.lead_time.changes == 700
        assert found.snapshot.months != ALL_MONTHS
        assert differences(ledger, found) == {}


def test_a_change_that_one_service_has_long_delivered_is_measured_for_the_other_one_too() -> None:
    ledger, slow = InMemoryLedger(), change(7, START)
    record_facts_at(
        ledger, START, *(deployment(number, START, service=name) for number, name in ((1, "web"), (2, "api")))
    )
    record_facts_at(ledger, START + DAY, slow, deployment(3, START + DAY, service="web", changes=(slow.id,)))
    record_facts_at(ledger, LATER, deployment(4, LATER, service="web"))
    record_facts_at(ledger, LATER, slow, deployment(5, LATER, service="api", changes=(slow.id,)))
    for days in (1, 23, 40):
        found = record_facts_at(ledger, LATER + days * DAY)
        assert differences(ledger, found) == {}
    assert found.results.document.scopes[0].metrics.lead_time.changes == 0
    before = found.results.document.scopes[0].previous
    assert before is not None
    assert before.lead_time.changes == 1


def test_after_more_failures_than_are_carried_the_success_before_them_is_known() -> None:
    """Otherwise the next success would look like the first one, whose changes do not count."""
    ledger = InMemoryLedger()
    tries = [deployment(number, START + timedelta(hours=number), status="failure") for number in range(10, 160)]
    record_facts_at(ledger, START, deployment(1, START), deployment(2, START + DAY / 3, changes=None), *tries)
    record_facts_at(ledger, LATER)
    found = record_facts_at(
        ledger, LATER, deployment(500, LATER, changes=(change(7, LATER).id,)), change(7, LATER - DAY)
    )
    assert {"github:deployment:1", "github:deployment:2"} <= {fact.id for fact in found.merge.after.facts}
    assert differences(ledger, found) == {}


def make_sealed_ledger(*facts: Fact) -> InMemoryLedger:
    """A ledger with these facts sealed, so old that none is retained."""
    ledger = InMemoryLedger()
    record_facts_at(ledger, START, *facts)
    many = [deployment(1000 + number, START + 40 * DAY + timedelta(minutes=number)) for number in range(120)]
    record_facts_at(ledger, START + 50 * DAY, *many)
    record_facts_at(ledger, LATER, deployment(2000, LATER))
    return ledger


def test_a_deployment_of_a_sealed_month_that_is_withdrawn_counts_no_longer() -> None:
    brought = [change(number, START) for number in (1, 2)]
    of_long_ago = deployment(7, START, changes=(brought[0].id,))
    carried = deployment(3000, START + 45 * DAY, changes=(brought[1].id,))
    ledger = make_sealed_ledger(deployment(1, START - DAY), of_long_ago, carried, *brought)
    for fact in (of_long_ago, carried):
        withdrawn = replace(fact, retracted=True, observed_at=LATER)
        assert differences(ledger, record_facts_at(ledger, LATER, withdrawn)) == {}


def test_a_deployment_of_a_sealed_month_that_ends_once_more_counts_once() -> None:
    """A late status of an old deployment: the same fact with another time."""
    first = deployment(7, START, started_at=START - timedelta(minutes=5))
    ledger = make_sealed_ledger(first)
    found = record_facts_at(ledger, LATER, replace(first, finished_at=LATER, observed_at=LATER))
    assert differences(ledger, found) == {}
    assert first.id.encode() not in ledger.files.get(JANUARY, b"")
    assert differences(ledger, record_facts_at(ledger, LATER + DAY)) == {}


def test_a_fact_that_moves_into_a_sealed_month_is_counted_there() -> None:
    """As when somebody corrects when it began."""
    outage = incident(7, LATER, LATER)
    ledger = make_sealed_ledger(deployment(1, START - DAY))
    record_facts_at(ledger, LATER, outage)
    record_facts_at(ledger, LATER, replace(outage, detected_at=START, observed_at=LATER + DAY))
    assert differences(ledger, record_facts_at(ledger, LATER + DAY)) == {}


def test_a_change_told_late_is_measured_for_the_sealed_deployment_that_named_it() -> None:
    late = change(7, START)
    ledger = make_sealed_ledger(deployment(1, START - DAY), deployment(2, START + DAY, changes=(late.id,)))
    found = record_facts_at(ledger, LATER + DAY, late)
    assert found.snapshot.months == ALL_MONTHS
    assert differences(ledger, found) == {}


def test_facts_of_files_of_any_name_stay_counted_when_their_month_is_read() -> None:
    """They are where somebody has put them, and not in the file of their month."""
    ledger = InMemoryLedger()
    imported: list[Deployment] = [deployment(number, START + number * DAY) for number in range(20)]
    for path, some in (("facts/2025.jsonl", imported[:10]), ("facts/from-jenkins/a.jsonl", imported[10:])):
        ledger.files[path] = b"".join(encode_fact(fact) + b"\n" for fact in some)
    outage = incident(9, START)
    record_facts_at(ledger, START + 20 * DAY, outage)
    for now in (LATER, LATER + DAY):
        record_facts_at(ledger, now, deployment(now.day + 100, now))
    ended = record_facts_at(ledger, LATER + 2 * DAY, replace(outage, resolved_at=LATER, observed_at=LATER))
    assert differences(ledger, ended) == {}
    told_again = replace(imported[12], url="https://a.example/", observed_at=LATER)
    record_facts_at(ledger, LATER + 3 * DAY, told_again)
    assert differences(ledger, record_facts_at(ledger, LATER + 4 * DAY)) == {}
    assert {"facts/2025.jsonl", "facts/from-jenkins/a.jsonl"} <= ledger.files.keys()


@pytest.mark.parametrize("wrong", [START - 9000 * DAY, START + 9000 * DAY], ids=["slow", "fast"])
def test_a_run_with_a_wrong_clock_changes_no_total(wrong: datetime) -> None:
    """It seals by its own clock; the next run reads everything once and seals again."""
    ledger = make_sealed_ledger(deployment(1, START - DAY))
    record_facts_at(ledger, wrong, deployment(7, LATER))
    for number, reach in ((8, ""), (9, "facts/2025/08")):
        found = record_facts_at(ledger, LATER, deployment(number, LATER))
        assert found.snapshot.months.since == reach
        assert differences(ledger, found) == {}
