"""Cost of 90 days of history for Prometheus: CPU, memory, and what promtool needs: `python bench/openmetrics.py`."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "bench")]

import facts as sample_facts  # noqa: E402 - beside this file
from run import Measurement, measure  # noqa: E402 - beside this file

NOW = "2026-11-01T00:00:00Z"
FACTS_PER_SCOPE = 1_200
"""A year of a deployment a day with two changes each, and an incident for every tenth."""

CASES = (
    ("90d", "1d", 1, "<= 5 s"),
    ("90d", "1d", 10, "<= 60 s"),
    ("90d", "1d", 100, ""),
    ("90d", "1h", 1, ""),
    ("830d", "1h", 1, ""),
)
"""Period, step, number of scopes and the goal for the CPU time."""


def facts_file(folder: Path, scopes: int) -> Path:
    path = folder / f"{scopes}.jsonl"
    facts = sample_facts.facts(FACTS_PER_SCOPE * scopes, repositories=scopes)
    path.write_text("".join(json.dumps(fact) + "\n" for fact in facts), "utf-8")
    return path


def history(facts: Path, text: Path, since: str, step: str) -> Measurement:
    options = ["--format", "openmetrics", "--since", since, "--step", step, "--now", NOW]
    command = [sys.executable, "-m", "dora_metrics", "compute", "--facts", str(facts), *options]
    return measure(["sh", "-c", 'exec "$@" > "$0"', str(text), *command])


def blocks(text: Path, folder: Path) -> Measurement:
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=2160h", str(text)]
    return measure([*command, str(folder)])


def main() -> None:
    print("| history | facts | size, MB | CPU, s | goal | memory, MB | promtool, s |\n|---|---|---|---|---|---|---|")
    for since, step, scopes, goal in CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            facts, text = facts_file(folder, scopes), folder / "history.om"
            made = history(facts, text, since, step)
            size = text.stat().st_size / 1e6
            seconds = f"{blocks(text, folder / 'data').seconds:.1f}" if shutil.which("promtool") else "not installed"
            label = f"{since}, every {step}, {scopes} scope{'s' if scopes > 1 else ''}"
            figures = f"{size:.1f} | {made.cpu_seconds:.1f} | {goal} | {made.megabytes:.0f} | {seconds}"
            print(f"| {label} | {FACTS_PER_SCOPE * scopes:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
