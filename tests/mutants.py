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

from dora_metrics.core.statistics import wilson_interval

FOLDER, SURVIVORS = Path("mutants"), Path("build/survivors.txt")
KILLED_EXIT_CODES = {1: "killed", 3: "killed", **dict.fromkeys((24, 36, -24, 152, 255), "never ended")}
"""What mutmut's exit codes mean, where a test has noticed the change."""

SEED = 7


def main(sample_size: str) -> None:
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    if not FOLDER.exists():
        subprocess.run([mutmut, "run", "of no name"], check=False)  # makes them, and then finds none to run
    names = sorted(exit_codes())
    chosen = (
        names if sample_size == "all" else sorted(random.Random(SEED).sample(names, min(int(sample_size), len(names))))
    )
    subprocess.run([mutmut, "run", "--max-children", "2", *chosen], check=True)
    sys.stdout.write(summarise(exit_codes(), chosen) + "\n")


def exit_codes() -> dict[str, int | None]:
    """By name of a mutant how its tests ended; None: they were not run."""
    codes: dict[str, int | None] = {}
    for file in FOLDER.rglob("*.meta"):
        codes |= json.loads(file.read_text("utf-8"))["exit_code_by_key"]
    return codes


def summarise(codes: dict[str, int | None], chosen: list[str]) -> str:
    alive = [name for name in chosen if codes[name] not in KILLED_EXIT_CODES]
    SURVIVORS.parent.mkdir(exist_ok=True)
    SURVIVORS.write_text("".join(f"{name}\n" for name in alive), "utf-8")
    killed_by, killed_count = (
        Counter(KILLED_EXIT_CODES.get(codes[name] or 0) for name in chosen),
        len(chosen) - len(alive),
    )
    low, high = wilson_interval(killed_count, len(chosen)) or (0.0, 1.0)
    return (
        f"{killed_count} of {len(chosen)} killed ({killed_by['never ended']} by never ending), of "
        f"{len(codes)} there are: "
        f"{killed_count / len(chosen):.1%}, 95 % interval {low:.1%} to {high:.1%}; the others are in {SURVIVORS}"
    )


if __name__ == "__main__":
    main(sys.argv[1])
