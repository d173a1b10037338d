"""`make mutants`: how many changed lines of the core the tests notice, of all of them or of a sample.

mutmut changes a line, runs the tests that execute it, and counts the changes that no test notices. The core has
thousands of them, which takes a day. A random sample, always the same one, is accurate to a few points.
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
"""mutmut's exit codes that mean that a test noticed the change."""

SEED = 7


def main(sample_size: str) -> None:
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    if not FOLDER.exists():
        subprocess.run([mutmut, "run", "of no name"], check=False)  # generates the mutants and matches none of them
    names = sorted(exit_codes())
    chosen = (
        names if sample_size == "all" else sorted(random.Random(SEED).sample(names, min(int(sample_size), len(names))))
    )
    subprocess.run([mutmut, "run", "--max-children", "2", *chosen], check=True)
    sys.stdout.write(summarise(exit_codes(), chosen) + "\n")


def exit_codes() -> dict[str, int | None]:
    """Exit code of the tests by name of the mutant; None if they were not run."""
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
