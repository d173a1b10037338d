"""Ledgers that grow old, for tests: facts at any time, runs that see them, and what all facts together say."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import msgspec

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.layout import EVERYTHING, Reach, blob, month_of
from dora_metrics.core.metrics.comparison import Subject
from dora_metrics.core.metrics.totals import Totals
from dora_metrics.core.reports.prometheus import text
from dora_metrics.core.scope import Scope
from dora_metrics.github.events.observe import Observed
from dora_metrics.pipeline.evaluate import families_of, subject_of, totals_of
from dora_metrics.pipeline.record import Eyes, Recorded, record
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from dora_metrics.storage.base import Ledger, Snapshot, counted, sequence
from dora_metrics.storage.directory import DirectoryLedger
from support import ledger_writer
from support.facts import sha

BEGAN = datetime(2025, 1, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)


class InMemory:
    """A ledger that is kept nowhere, for histories of many runs."""

    name = "memory"
    remembers = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, reach: Reach = EVERYTHING) -> Snapshot:
        beside = {path: self.files[path] for path in layout.ROOT_FILES if path in self.files}
        number = sequence(beside.pop(layout.SEQUENCE, b""))
        return self.more(Snapshot(beside, number), reach)

    def more(self, seen: Snapshot, reach: Reach) -> Snapshot:
        within = (path for path in self.files if path.startswith(layout.FACTS) and reach.holds(month_of(path)))
        return replace(seen, files={**seen.files, **{path: self.files[path] for path in within}}, reach=reach)

    def listed(self, seen: Snapshot, places: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {path: blob(content) for path, content in self.files.items() if path.startswith(tuple(places))}

    def overtaken(self, seen: Snapshot) -> bool:
        return sequence(self.files.get(layout.SEQUENCE, b"")) != seen.sequence

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        number, changes = counted(seen.sequence, changes)
        self.files = {path: content for path, content in {**self.files, **changes}.items() if content}
        beside = {path for path, content in changes.items() if not content} | {layout.SEQUENCE}
        files = {path: content for path, content in {**seen.files, **changes}.items() if path not in beside}
        return replace(seen, files=files, sequence=number)


def recorded(root: Path | Ledger, now: datetime, *facts: Fact, **given: object) -> Recorded:
    """A run at that time which saw these facts; `given` are settings."""
    eyes = Eyes(lambda _: Observed(facts, ""), whole=given.get("mode") == "rebuild")
    ledger = DirectoryLedger(root) if isinstance(root, Path) else root
    return record(eyes, ledger, Settings.model_validate(given), replace(ledger_writer.RUN, now=now), time.sleep)


def deployment(number: int, at: datetime, **fields: object) -> Deployment:
    made = Deployment(
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
    return msgspec.structs.replace(made, **fields)


def change(number: int, merged: datetime, **fields: object) -> Change:
    made = Change(
        id=f"github:pull:acme/shop#{number}",
        repository="acme/shop",
        observed_at=merged,
        merged_at=merged,
        first_commit_at=merged - DAY,
    )
    return msgspec.structs.replace(made, **fields)


def incident(number: int, at: datetime, resolved: datetime | None = None) -> Incident:
    return Incident(
        id=f"github:issue:acme/shop#{number}",
        repository="acme/shop",
        observed_at=resolved or at,
        detected_at=at,
        resolved_at=resolved,
    )


def exposed(root: Path) -> list[str]:
    """What the ledger says to Prometheus, without the number of its state."""
    lines = (root / "metrics.prom").read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("dora_ledger_sequence")]


def from_all_facts(root: Path, found: Recorded) -> list[str]:
    """The same, computed from all facts that lie in the ledger."""
    facts = fact_files.read(str(root), BytesIO()).facts
    subject = subject_of(facts, Settings(), found.subject.now)
    exposed = text(families_of(subject, totals_of(subject, facts), 0)).splitlines()
    return [line for line in exposed if not line.startswith("dora_ledger_sequence")]


def differences(ledger: InMemory, found: Recorded) -> dict[object, tuple[object, object]]:
    """What a run says otherwise than all facts that lie in the ledger: totals, and the numbers of its scopes."""
    facts = layout.read(ledger.files).facts
    subject = subject_of(facts, Settings(), found.subject.now)
    said, true = _said(found.subject, found.totals), _said(subject, totals_of(subject, facts))
    return {key: (said.get(key), true.get(key)) for key in said.keys() | true.keys() if said.get(key) != true.get(key)}


def _said(subject: Subject, totals: Totals) -> dict[object, object]:
    """Scopes without a deployment are left out: nothing is carried of one whose incidents have ended."""
    deployed = {record.scope for record in subject.records.records if record.deployments}
    scopes = ((Scope(one.repository, one.service, one.environment), one) for one in subject.document.scopes)
    numbers: dict[object, object] = {scope: one for scope, one in scopes if scope in deployed}
    return numbers | dict(totals)
