"""The cases whose complete outputs are kept as files in `tests/golden/`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from dora_metrics.commands.demo import NOW
from dora_metrics.core import windows
from dora_metrics.core.facts.jsonl import decode_lines
from dora_metrics.core.ledger.layout import parse_ledger, plan_merge
from support.paths import ROOT

GOLDEN_FOLDER = ROOT / "tests" / "golden"
CASES = sorted(path.parent.name for path in GOLDEN_FOLDER.glob("*/summary.md"))


@dataclass(frozen=True)
class Case:
    """One event and the ledger before it."""

    event: str
    payload: dict[str, object]
    inputs: dict[str, object]
    now: datetime
    ledger: dict[str, bytes]

    def write_ledger(self, folder: Path) -> None:
        """Write the ledger before the event into `folder`, where a run of the action looks for it."""
        for path, content in self.ledger.items():
            (folder / "ledger" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "ledger" / path).write_bytes(content)


def load_case(name: str) -> Case:
    if name == "demo":
        sample = files("dora_metrics") / "sample"
        payload = json.loads((sample / "event.json").read_text("utf-8"))
        ledger = dict(_ledger_files(Path(str(sample / "ledger"))))
        return Case("repository_dispatch", payload, {}, windows.parse_instant(NOW), ledger)
    case = json.loads((GOLDEN_FOLDER / name / "case.json").read_text("utf-8"))
    facts, _ = decode_lines((GOLDEN_FOLDER / name / "facts.jsonl").read_bytes())
    ledger = plan_merge(parse_ledger({}), facts).file_changes  # type: ignore[arg-type]
    return Case(case["event"], case["payload"], case.get("inputs", {}), windows.parse_instant(case["now"]), ledger)


def _ledger_files(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*.jsonl")):
        yield path.relative_to(root).as_posix(), path.read_bytes()
