"""`make mutants`: how many changes of the core's lines the tests notice, of all of them or of a sample.

mutmut changes a line, runs the tests that touch it, and counts the changes that no test notices. In all of the core
there are thousands, which takes a day; a sample, drawn by chance and always the same, says as much within a few points.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from dora_metrics.core.statistics import wilson

FOLDER, SURVIVORS = Path("mutants"), Path("build/survivors.txt")
ENDS = {1: "killed", 3: "killed", **dict.fromkeys((24, 36, -24, 152, 255), "never ended")}
"""What mutmut's exit codes mean, where a test has noticed the change."""

SEED = 7


def main(wanted: str) -> None:
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    if not FOLDER.exists():
        subprocess.run([mutmut, "run", "of no name"], check=False)  # makes them, and then finds none to run
    names = sorted(results())
    chosen = names if wanted == "all" else sorted(random.Random(SEED).sample(names, min(int(wanted), len(names))))
    subprocess.run([mutmut, "run", "--max-children", "2", *chosen], check=True)
    sys.stdout.write(told(results(), chosen) + "\n")


def results() -> dict[str, int | None]:
    """By name of a mutant how its tests ended; None: they were not run."""
    found: dict[str, int | None] = {}
    for file in FOLDER.rglob("*.meta"):
        found |= json.loads(file.read_text("utf-8"))["exit_code_by_key"]
    return found


def told(found: dict[str, int | None], chosen: list[str]) -> str:
    alive = [name for name in chosen if found[name] not in ENDS]
    SURVIVORS.parent.mkdir(exist_ok=True)
    SURVIVORS.write_text("".join(f"{name}\n" for name in alive), "utf-8")
    ends, dead = Counter(ENDS.get(found[name] or 0) for name in chosen), len(chosen) - len(alive)
    low, high = wilson(dead, len(chosen)) or (0.0, 1.0)
    return (
        f"{dead} of {len(chosen)} killed ({ends['never ended']} by never ending), of {len(found)} there are: "
        f"{dead / len(chosen):.1%}, 95 % interval {low:.1%} to {high:.1%}; the others are in {SURVIVORS}"
    )


if __name__ == "__main__":
    main(sys.argv[1])
