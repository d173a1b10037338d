"""Complete outputs kept as files: one folder a case, with its input and everything that comes out.

`make golden` writes the outputs again; review the diff.

A case holds `case.json` (event, payload, inputs, now) and `facts.jsonl` (the ledger before the run).
The case `demo` takes its input from the sample in the package.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest

from dora_metrics.commands.demo import NOW
from dora_metrics.core import windows
from dora_metrics.core.facts.jsonl import decode_lines
from dora_metrics.core.ledger.layout import parse_ledger, plan_merge
from support.runs import run_action

GOLDEN_FOLDER = Path(__file__).parent
CASES = sorted(path.parent.name for path in GOLDEN_FOLDER.glob("*/summary.md"))
IS_WRITING = os.environ.get("DORA_GOLDEN") == "write"


@dataclass(frozen=True)
class Case:
    """One event and the ledger before it."""

    event: str
    payload: dict[str, object]
    inputs: dict[str, object]
    now: datetime
    ledger: dict[str, bytes]


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


@pytest.mark.parametrize(
    "name", sorted({*CASES, *(path.parent.name for path in GOLDEN_FOLDER.glob("*/case.json")), "demo"})
)
def test_the_answer_is_the_one_that_was_reviewed(name: str, tmp_path: Path) -> None:
    case = load_case(name)
    for path, content in case.ledger.items():
        (tmp_path / "ledger" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ledger" / path).write_bytes(content)
    ran = run_action(tmp_path, case.event, case.payload, case.inputs, now=case.now)
    metrics = json.dumps(json.loads(ran.outputs["metrics"]), indent=1, ensure_ascii=False) + "\n"
    outputs = {
        "summary.md": ran.summary,
        "log.txt": ran.log,
        "metrics.json": metrics,
    }
    if (tmp_path / "ledger").exists():  # a run without anything to keep begins no ledger
        outputs["metrics.prom"] = (tmp_path / "ledger" / "metrics.prom").read_text("utf-8")
    assert (GOLDEN_FOLDER / name / "metrics.prom").exists() == ("metrics.prom" in outputs) or IS_WRITING
    for file, text in outputs.items():
        if IS_WRITING:
            (GOLDEN_FOLDER / name).mkdir(exist_ok=True)
            (GOLDEN_FOLDER / name / file).write_text(text, "utf-8", newline="\n")
        assert (GOLDEN_FOLDER / name / file).read_text("utf-8") == text
