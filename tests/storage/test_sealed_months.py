"""A ledger that grows: a run reads a bounded part of it, and its numbers are those of all facts."""

import random
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace as changed

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.ledger.layout import ALL_MONTHS
from dora_metrics.pipeline.evaluate import evaluate
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from support.facts import sha
from support.ledger_runs import (
    DAY,
    START,
    change,
    deployment,
    exposition_from_all_facts,
    exposition_lines,
    incident,
    record_facts_at,
    totals_of_all_facts,
)

MONTH = "facts/2025/01.jsonl"


def weeks_of_work(weeks: int) -> Iterator[tuple[datetime, list[Fact]]]:
    """Facts of each week: deployments of two services, waiting changes, failures of each kind, open incidents."""
    chance = random.Random(7)
    waiting: list[str] = []
    still_open: list[Incident] = []
    number = 0
    for week in range(weeks):
        at, seen = START + 7 * DAY * week, list[Fact]()
        for _ in range(chance.randrange(4)):
            number += 1
            hotfix = ("hotfix",) if chance.random() < 0.2 else ()
            reverts = waiting[-1] if waiting and chance.random() < 0.1 else None
            seen.append(change(number, at - DAY, labels=hotfix, reverts=reverts, bot=chance.random() < 0.1))
            waiting.append(seen[-1].id)
        for hours in sorted(chance.sample(range(100), chance.randrange(1, 4))):
            number += 1
            part = [waiting.pop(0) for _ in range(min(len(waiting), chance.randrange(3)))]
            seen.append(
                deployment(
                    number,
                    at + timedelta(hours=hours),
                    service=chance.choice(("web", "api")),
                    status=chance.choice(("success", "success", "success", "failure", "cancelled")),
                    sha=sha(number if chance.random() < 0.8 else number - 2),
                    changes=tuple(part),
                    started_at=at,
                    health=chance.choice((None, None, "passed", "failed")),
                )
            )
        if chance.random() < 0.4:
            number += 1
            still_open.append(incident(number, at + timedelta(hours=101)))
            seen.append(still_open[-1])
        if still_open and chance.random() < 0.3:
            ended = still_open.pop(0)
            seen.append(changed(ended, resolved_at=at + 5 * DAY, observed_at=at + 5 * DAY))
        yield at + 6 * DAY, seen


def test_eighteen_months_of_runs_say_at_any_time_what_all_facts_say(tmp_path: Path) -> None:
    """The links of this history reach no further back than what is retained."""
    for week, (now, seen) in enumerate(weeks_of_work(80)):
        found = record_facts_at(tmp_path, now, *seen)
        if week % 8 == 7:
            assert exposition_lines(tmp_path) == exposition_from_all_facts(tmp_path, found)
            facts = fact_files.read(str(tmp_path), BytesIO()).facts
            whole = evaluate(facts, Settings(), found.results.now).document
            assert msgspec.structs.replace(found.results.document, notes=[]) == msgspec.structs.replace(whole, notes=[])
    assert found.snapshot.months.since == "facts/2026/04"


def test_counters_never_fall_when_a_month_closes(tmp_path: Path) -> None:
    before: dict[str, float] = {}
    for now, seen in weeks_of_work(60):
        record_facts_at(tmp_path, now, *[fact for fact in seen if isinstance(fact, Deployment | Change)])
        after = {
            name: float(number)
            for line in exposition_lines(tmp_path)
            if not line.startswith("#") and "_total{" in line
            for name, number in [line.rsplit(" ", 1)]
            if "failures" not in name and "rework" not in name
        }
        assert all(after[name] >= number for name, number in before.items())
        before = after


AGED_LEDGER_WEEKS = 60
AFTER_AGED_LEDGER = START + 7 * DAY * (AGED_LEDGER_WEEKS - 1) + 7 * DAY
"""When the next run of the aged ledger is due: the day after its last one."""


@pytest.fixture(scope="module")
def aged_ledger_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("aged-ledger")
    for now, seen in weeks_of_work(AGED_LEDGER_WEEKS):
        record_facts_at(root, now, *seen)
    assert now + DAY == AFTER_AGED_LEDGER
    return root


@pytest.fixture
def aged_ledger(aged_ledger_template: Path, tmp_path: Path) -> Path:
    """A ledger of 60 weeks, for one test to change."""
    return shutil.copytree(aged_ledger_template, tmp_path / "ledger")


def test_a_run_writes_the_checkpoint_only_when_what_it_says_changes(aged_ledger: Path) -> None:
    now = AFTER_AGED_LEDGER
    before = (aged_ledger / "checkpoint.json").read_bytes()
    record_facts_at(aged_ledger, now, deployment(10_000, now))
    assert (aged_ledger / "checkpoint.json").read_bytes() == before


def test_a_late_fact_of_a_sealed_month_has_the_totals_computed_from_all_facts(aged_ledger: Path) -> None:
    now = AFTER_AGED_LEDGER
    late = deployment(10_000, START + DAY, service="web", changes=("github:pull:acme/shop#1",))
    run_result = record_facts_at(aged_ledger, now, late)
    assert run_result.snapshot.months == ALL_MONTHS
    assert run_result.totals == totals_of_all_facts(aged_ledger, run_result)
    run_result = record_facts_at(aged_ledger, now + DAY, deployment(10_001, now + DAY, service="web"))
    assert run_result.snapshot.months.since == "facts/2025/11"
    assert run_result.totals == totals_of_all_facts(aged_ledger, run_result)


def test_an_incident_of_a_sealed_month_that_ends_now_reads_its_month_and_no_other(tmp_path: Path) -> None:
    record_facts_at(tmp_path, START, deployment(1, START), incident(9, START + timedelta(hours=1)))
    for month in range(1, 14):
        now = START + 30 * DAY * month
        record_facts_at(tmp_path, now, deployment(100 + month, now))
    ended = incident(9, START + timedelta(hours=1), now)
    found = record_facts_at(tmp_path, now, ended)
    assert MONTH in found.snapshot.files
    assert "facts/2025/02.jsonl" not in found.snapshot.files
    assert exposition_lines(tmp_path) == exposition_from_all_facts(tmp_path, found)
    assert b'"resolved_at":"20' in (tmp_path / MONTH).read_bytes()
    found = record_facts_at(tmp_path, now, deployment(500, now))
    assert MONTH not in found.snapshot.files
    assert exposition_lines(tmp_path) == exposition_from_all_facts(tmp_path, found)


def test_an_incident_of_a_sealed_month_that_ends_rewrites_a_small_part_of_the_checkpoint(tmp_path: Path) -> None:
    outage = incident(9, START + timedelta(hours=1))
    record_facts_at(tmp_path, START, *(deployment(number, START) for number in range(90)), outage)
    now = START + 390 * DAY
    record_facts_at(tmp_path, now, deployment(100, now))
    before = (tmp_path / "checkpoint.json").read_bytes()
    for number in range(2):
        ended = changed(outage, resolved_at=now, observed_at=now + DAY * number)
        found = record_facts_at(tmp_path, now + DAY * number, ended)
        assert exposition_lines(tmp_path) == exposition_from_all_facts(tmp_path, found)
        found = record_facts_at(tmp_path, now + DAY * number, deployment(200 + number, now))
        assert MONTH not in found.snapshot.files
        assert exposition_lines(tmp_path) == exposition_from_all_facts(tmp_path, found)
        assert (tmp_path / "checkpoint.json").read_bytes() == before
        assert 0 < len((tmp_path / "checkpoint-new.json").read_bytes()) < len(before) / 20


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_change_of_a_sealed_month_that_is_delivered_now_is_measured_in_this_run_and_the_next(
    tmp_path: Path, *, known: bool
) -> None:
    """GitHub names the change when it compares the deployment with the one before, recorded or not."""
    waits = change(1, START + DAY)
    first: list[Fact] = [deployment(1, START), waits]
    record_facts_at(tmp_path, START, *first[: 2 if known else 1])
    for month in range(1, 14):
        now = START + 30 * DAY * month
        record_facts_at(tmp_path, now, deployment(100 + month, now))
    then: list[list[Fact]] = [[deployment(500, now, changes=(waits.id,)), waits], [deployment(501, now)]]
    for number, seen in enumerate(then):
        found = record_facts_at(tmp_path, now + number * DAY, *seen)
        assert found.results.document.scopes[0].metrics.lead_time.changes == 1
        assert exposition_lines(tmp_path) == exposition_from_all_facts(tmp_path, found)


def test_another_definition_reads_everything_once_and_is_right_for_all_time(aged_ledger: Path) -> None:
    now = AFTER_AGED_LEDGER
    settings = {"count-failed-runs": True}
    first = record_facts_at(aged_ledger, now, deployment(10_000, now), **settings)
    second = record_facts_at(aged_ledger, now, deployment(10_001, now), **settings)
    assert (first.snapshot.months, second.snapshot.months.since) == (ALL_MONTHS, "facts/2025/11")
    assert second.totals == totals_of_all_facts(aged_ledger, second, **settings)


def test_a_longer_window_reads_as_far_as_it_reaches(aged_ledger: Path) -> None:
    now = AFTER_AGED_LEDGER
    first = record_facts_at(aged_ledger, now, deployment(10_000, now), window="150d")
    second = record_facts_at(aged_ledger, now, deployment(10_001, now), window="150d")
    assert second.snapshot.months.since == "facts/2025/05"
    facts = fact_files.read(str(aged_ledger), BytesIO()).facts
    given = Settings.model_validate({"window": "150d"})
    assert second.results.document.scopes == evaluate(facts, given, second.results.now).document.scopes
    assert first.snapshot.months == ALL_MONTHS


def test_the_window_of_everything_reads_everything_and_leaves_the_checkpoint_to_others(aged_ledger: Path) -> None:
    now = AFTER_AGED_LEDGER
    record_facts_at(aged_ledger, now, deployment(10_000, now), window="all")
    found = record_facts_at(aged_ledger, now, deployment(10_001, now))
    assert found.snapshot.months.since == "facts/2025/11"
    assert exposition_lines(aged_ledger) == exposition_from_all_facts(aged_ledger, found)


@pytest.mark.parametrize("content", [b"", b"{}", b"broken", b"\xff"])
def test_a_checkpoint_that_is_lost_or_broken_is_made_anew_from_all_facts(aged_ledger: Path, content: bytes) -> None:
    now = AFTER_AGED_LEDGER
    (aged_ledger / "checkpoint.json").write_bytes(content)
    found = record_facts_at(aged_ledger, now, deployment(10_000, now, service="web"))
    assert exposition_lines(aged_ledger) == exposition_from_all_facts(aged_ledger, found)
    assert record_facts_at(aged_ledger, now, deployment(10_001, now)).snapshot.months.since == "facts/2025/11"


def test_a_rebuild_judges_by_all_facts_and_changes_none(aged_ledger: Path) -> None:
    now = AFTER_AGED_LEDGER
    facts = {path: path.read_bytes() for path in aged_ledger.rglob("facts/*/*.jsonl")}
    found = record_facts_at(aged_ledger, now, mode="rebuild")
    assert found.snapshot.months == ALL_MONTHS
    assert exposition_lines(aged_ledger) == exposition_from_all_facts(aged_ledger, found)
    assert {path: path.read_bytes() for path in aged_ledger.rglob("facts/*/*.jsonl")} == facts
