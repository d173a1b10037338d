"""A ledger in a folder loses nothing if its run is killed while it seals a month or changes a sealed one.

A folder has no commits: files change one by one, and a run may die, or another one read, between any two of them.
"""

import json
import shutil
import signal
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.checkpoint import Checkpoint
from dora_metrics.core.ledger.checkpoint_files import checkpoint_files, read_checkpoint
from dora_metrics.core.ledger.layout import CHECKPOINT_FILE, NEW_CHECKPOINT_FILE, LedgerContents
from dora_metrics.github.events.observe import Observation
from dora_metrics.pipeline.record import Recorder, RecordRequest
from dora_metrics.settings.model import Settings
from dora_metrics.storage.directory import DirectoryStorage
from support import killed_run, ledger_writer
from support.ledger_runs import (
    DAY,
    START,
    deployment,
    exposition_from_all_facts,
    exposition_lines,
    incident,
    record_facts_at,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

OCTOBER, NOVEMBER = START + 290 * DAY, START + 305 * DAY
OUTAGE = incident(9, START)

RUNS: dict[str, Fact] = {
    "seals a month": deployment(1000, NOVEMBER),
    "adds to a sealed month": deployment(1001, START + 3 * DAY),
    "ends what a sealed month has begun": changed(OUTAGE, resolved_at=NOVEMBER, observed_at=NOVEMBER),
}


@pytest.fixture(scope="module")
def aged_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that is sealed up to July and, since November began, has August to seal. Tests change copies of it."""
    root = tmp_path_factory.mktemp("aged-ledger")
    busy_day = [deployment(3_000 + number, START) for number in range(60)]
    record_facts_at(root, START, deployment(1, START), OUTAGE, *busy_day, endpoint_url=killed_run.ENDPOINT)
    for month in range(1, 10):
        at = START + 30 * DAY * month
        record_facts_at(root, OCTOBER, deployment(1 + month, at), endpoint_url=killed_run.ENDPOINT)
    return root


def kill_before_change(root: Path, fact: Fact, change: int) -> bool:
    """Kill a run with this fact before its file change number `change`; return whether it made that many."""
    code = killed_run.exit_code_of_run(root, NOVEMBER, [fact], change)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def ids_in_facts_files(root: Path) -> set[str]:
    lines = (line for path in root.glob("facts/**/*.jsonl") for line in path.read_bytes().splitlines())
    return {json.loads(line)["id"] for line in lines}


def primary_files(root: Path) -> dict[str, bytes]:
    """All files except those that count changes; the checkpoint as it is read, since it may be in one file or two."""
    found = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    kept = {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
    others = {path: content for path, content in kept.items() if path not in ("sequence", "metrics.prom")}
    return {**others, **whole_checkpoint(others)}


def whole_checkpoint(files: dict[str, bytes]) -> dict[str, bytes]:
    """Both files of a ledger's checkpoint as one."""
    fingerprint = json.loads(files[CHECKPOINT_FILE])["rules"]
    return checkpoint_files(read_checkpoint(files, fingerprint), Checkpoint(fingerprint), files)


def assert_killed_runs_heal(ledger: Path, tmp_path: Path, name: str) -> Path:
    """Kill a run before each of its changes, and run it again. Return the ledger of a run that nobody killed."""
    whole = shutil.copytree(ledger, tmp_path / "whole")
    record_facts_at(whole, NOVEMBER, RUNS[name], endpoint_url=killed_run.ENDPOINT)
    change, goes_on = 0, True
    while goes_on:
        root = shutil.copytree(ledger, tmp_path / str(change))
        goes_on = kill_before_change(root, RUNS[name], change)
        run_result = record_facts_at(root, NOVEMBER, RUNS[name], endpoint_url=killed_run.ENDPOINT)
        assert primary_files(root) == primary_files(whole), change
        assert exposition_lines(root) == exposition_from_all_facts(root, run_result)
        change += 1
    assert change > 6
    return whole


@pytest.mark.parametrize("name", RUNS)
def test_wherever_a_run_is_killed_the_same_run_again_leaves_the_same_ledger(
    aged_ledger: Path, tmp_path: Path, name: str
) -> None:
    assert_killed_runs_heal(aged_ledger, tmp_path, name)


def test_a_run_that_is_killed_while_it_changes_a_part_of_the_checkpoint_leaves_no_wrong_one(
    aged_ledger: Path, tmp_path: Path
) -> None:
    ledger = shutil.copytree(aged_ledger, tmp_path / "sealed")
    record_facts_at(ledger, NOVEMBER, RUNS["seals a month"], endpoint_url=killed_run.ENDPOINT)
    whole = assert_killed_runs_heal(ledger, tmp_path, "ends what a sealed month has begun")
    assert (whole / CHECKPOINT_FILE).read_bytes() == (ledger / CHECKPOINT_FILE).read_bytes()
    assert (whole / NEW_CHECKPOINT_FILE).exists()


@pytest.mark.parametrize("name", RUNS)
def test_wherever_a_run_is_killed_another_one_counts_what_lies_in_the_ledger(
    aged_ledger: Path, tmp_path: Path, name: str
) -> None:
    change, goes_on = 0, True
    while goes_on:
        root = shutil.copytree(aged_ledger, tmp_path / str(change))
        goes_on = kill_before_change(root, RUNS[name], change)
        for days in (0, 1):
            found = record_facts_at(root, NOVEMBER + days * DAY, deployment(2000 + days, NOVEMBER))
            assert exposition_lines(root) == exposition_from_all_facts(root, found), change
        change += 1


def test_a_run_that_is_killed_while_it_rewrites_a_month_of_several_files_loses_no_fact(tmp_path: Path) -> None:
    base = tmp_path / "base"
    record_facts_at(base, NOVEMBER, *(deployment(number, NOVEMBER) for number in range(1_200)))
    assert len(list(base.glob("facts/2025/11*.jsonl"))) > 1
    recorded_ids = ids_in_facts_files(base)
    url = "https://github.com/acme/shop/deployments"
    longer = [deployment(n, NOVEMBER, url=url, observed_at=NOVEMBER + timedelta(seconds=1)) for n in range(400)]
    change, goes_on = 0, True
    while goes_on:
        root = shutil.copytree(base, tmp_path / str(change))
        goes_on = killed_run.exit_code_of_run(root, NOVEMBER, longer, change) != 0
        assert recorded_ids <= ids_in_facts_files(root), change
        change += 1
    assert change > 4
    assert (
        sum(url.encode() in line for path in root.glob("facts/*/*") for line in path.read_bytes().splitlines()) == 400
    )


def test_a_run_that_read_before_another_one_was_killed_seals_nothing_that_it_has_not_seen(
    aged_ledger: Path, tmp_path: Path
) -> None:
    """The other run added to a sealed month, removed the checkpoint, and could not increment the sequence."""
    root = shutil.copytree(aged_ledger, tmp_path / "ledger")
    assert not kill_before_change(
        shutil.copytree(aged_ledger, tmp_path / "unharmed"), RUNS["adds to a sealed month"], 100
    )
    deaths: list[bool] = []

    def observe(_: LedgerContents) -> Observation:
        if not deaths:
            deaths.append(kill_before_change(root, RUNS["adds to a sealed month"], 3))
            assert not (root / CHECKPOINT_FILE).exists()
            assert b"github:deployment:1001" in (root / "facts/2025/01.jsonl").read_bytes()
        return Observation((RUNS["seals a month"],), "")

    run = replace(ledger_writer.RUN, now=NOVEMBER)
    eyes = RecordRequest(observe)
    Recorder(DirectoryStorage(root), Settings.model_validate({}), run.now, time.sleep).record(eyes)
    for later in (timedelta(), DAY):
        again: datetime = NOVEMBER + later
        assert exposition_lines(root) == exposition_from_all_facts(
            root, record_facts_at(root, again, RUNS["adds to a sealed month"])
        )
