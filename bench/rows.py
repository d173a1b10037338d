"""What the rows of 100,000 facts of 200 repositories cost, with the start of the program: `python bench/rows.py`."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import facts as sample_facts
from run import NOW, measure

FACTS = 100_000
REPOSITORIES = 200


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = map(sample_facts.line, sample_facts.facts(FACTS, REPOSITORIES))
        (folder / "facts.jsonl").write_text("".join(lines), "utf-8")
        options = ["--facts", str(folder / "facts.jsonl"), "--now", NOW]
        rows = measure([sys.executable, "-m", "dora_metrics", "rows", *options, "--to", str(folder / "rows")])
        megabytes = sum(path.stat().st_size for path in (folder / "rows").iterdir()) / 1e6
    print("| what | figure | goal |\n|---|---|---|")
    print(f"| rows of {FACTS:,} facts of {REPOSITORIES} repositories: CPU seconds | {rows.cpu_seconds:.1f} | <= 5 |")
    print(f"| their size | {megabytes:.0f} MB | |")
    print(f"| memory | {rows.megabytes:.0f} MB | |")


if __name__ == "__main__":
    main()
