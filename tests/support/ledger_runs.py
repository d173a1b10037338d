"""Ledgers that span many months: facts at any time, runs that record them, and the numbers of all facts together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.layout import ALL_MONTHS, MonthSelection, git_blob_sha, is_at_one_of
from dora_metrics.core.ledger.month_files import FACTS_FOLDER, month_of_path
from dora_metrics.core.ledger.snapshot import Snapshot, parse_sequence, with_next_sequence
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.totals import Totals
from dora_metrics.core.reports.prometheus import exposition_text
from dora_metrics.core.scope import Scope
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from dora_metrics.storage.base import Storage
from support.facts import sha
from support.ledger_writer import RUN, record_facts

START = datetime(2025, 1, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)


class InMemoryLedger:
    """A ledger kept in memory, for histories of many runs."""

    name = "memory"
    is_persistent = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        root_files = {path: self.files[path] for path in layout.ROOT_FILES if path in self.files}
        number = parse_sequence(root_files.pop(layout.SEQUENCE_FILE, b""))
        return self.read_more(Snapshot(root_files, number), months)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        within = (path for path in self.files if path.startswith(FACTS_FOLDER) and months.includes(month_of_path(path)))
        return msgspec.structs.replace(
            snapshot, files={**snapshot.files, **{path: self.files[path] for path in within}}, months=months
        )

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {path: git_blob_sha(content) for path, content in self.files.items() if is_at_one_of(path, paths)}

    def has_changed_since(self, snapshot: Snapshot) -> bool:
        return parse_sequence(self.files.get(layout.SEQUENCE_FILE, b"")) != snapshot.sequence

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        number, changes = with_next_sequence(snapshot.sequence, changes)
        self.files = {path: content for path, content in {**self.files, **changes}.items() if content}
        return snapshot.with_changes(changes, number)


def record_facts_at(
    ledger: Path | Storage,
    now: datetime,
    *facts: Fact,
    **inputs: Any,  # noqa: ANN401 - inputs of the action
) -> RunResult:
    """Record these facts in a run at `now`; `inputs` make settings."""
    return record_facts(ledger, *facts, run=replace(RUN, now=now), **inputs)


def deployment(number: int, at: datetime, **fields: object) -> Deployment:
    default = Deployment(
        id=f"github:deployment:{number}",
        repository="acme/shop",
        environment="production",
        observed_at=at,
        finished_at=at,
        status="success",
        sha=sha(number),
        source="deployments",
        changes=(),
    )
    return msgspec.structs.replace(default, **fields)


def change(number: int, merged: datetime, **fields: object) -> Change:
    default = Change(
        id=f"github:pull:acme/shop#{number}",
        repository="acme/shop",
        observed_at=merged,
        merged_at=merged,
        first_commit_at=merged - DAY,
    )
    return msgspec.structs.replace(default, **fields)


def incident(number: int, at: datetime, resolved: datetime | None = None) -> Incident:
    return Incident(
        id=f"github:issue:acme/shop#{number}",
        repository="acme/shop",
        observed_at=resolved or at,
        detected_at=at,
        resolved_at=resolved,
    )


def exposition_lines(root: Path) -> list[str]:
    """Lines of metrics.prom except the ledger's sequence number."""
    lines = (root / "metrics.prom").read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("dora_ledger_sequence")]


def exposition_from_all_facts(root: Path, run_result: RunResult) -> list[str]:
    """The same lines, computed from all facts in the ledger."""
    facts = fact_files.read(str(root), BytesIO()).facts
    subject = evaluate(facts, Settings(), run_result.results.now)
    lines = exposition_text(prometheus_families(subject, cumulative_totals(subject, facts), 0)).splitlines()
    return [line for line in lines if not line.startswith("dora_ledger_sequence")]


def totals_of_all_facts(root: Path, run_result: RunResult, **inputs: object) -> Totals:
    """The totals computed from all facts in the ledger, without a checkpoint and without high-water marks."""
    facts = fact_files.read(str(root), BytesIO()).facts
    return cumulative_totals(evaluate(facts, Settings.model_validate(inputs), run_result.results.now), facts)


def differences(ledger: InMemoryLedger, run_result: RunResult) -> dict[object, tuple[object, object]]:
    """Totals and scope numbers in which a run differs from all facts in the ledger, as (reported, expected)."""
    facts = layout.parse_ledger(ledger.files).facts
    subject = evaluate(facts, Settings(), run_result.results.now)
    reported, expected = (
        _numbers(run_result.results, run_result.totals),
        _numbers(subject, cumulative_totals(subject, facts)),
    )
    return {
        key: (reported.get(key), expected.get(key))
        for key in reported.keys() | expected.keys()
        if reported.get(key) != expected.get(key)
    }


def _numbers(subject: Results, totals: Totals) -> dict[object, object]:
    """Totals, and numbers of the scopes with a deployment; resolved incidents of other scopes are not retained."""
    deployed = {record.scope for record in subject.evaluation.histories if record.deployments}
    scopes = (
        (Scope(scope_metrics.repository, scope_metrics.service, scope_metrics.environment), scope_metrics)
        for scope_metrics in subject.document.scopes
    )
    numbers: dict[object, object] = {scope: scope_metrics for scope, scope_metrics in scopes if scope in deployed}
    return numbers | dict(totals)
