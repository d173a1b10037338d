"""Complete outputs kept as files: one folder a case, with its input and everything that comes out.

`make golden` writes the outputs again; review the diff.

A case holds `case.json` (event, payload, inputs, now) and `facts.jsonl` (the ledger before the run).
The case `demo` takes its input from the sample in the package.
"""

import json
import os
from pathlib import Path

import pytest

from support.golden_cases import CASES, GOLDEN_FOLDER, load_case
from support.runs import run_action

IS_WRITING = os.environ.get("DORA_GOLDEN") == "write"


@pytest.mark.parametrize(
    "name", sorted({*CASES, *(path.parent.name for path in GOLDEN_FOLDER.glob("*/case.json")), "demo"})
)
def test_the_answer_is_the_one_that_was_reviewed(name: str, tmp_path: Path) -> None:
    case = load_case(name)
    case.write_ledger(tmp_path)
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
