"""Memory and CPU time of `rebuild` for a shard of up to 500 repositories, 800 facts each: `python bench/scale.py`."""

import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "bench")]

import facts as sample_facts  # noqa: E402 - beside this file
import run  # noqa: E402 - beside this file

FACTS_OF_REPOSITORY = 800
FILE_BYTES = 390_000


def ledger(repositories: int) -> Path:
    """A folder with the facts of a year, in files of months as an action writes them."""
    folder = run.WORK / f"shard-{repositories}"
    if not folder.exists():
        lines: defaultdict[str, list[str]] = defaultdict(list)
        for fact in sample_facts.facts(FACTS_OF_REPOSITORY * repositories, repositories):
            lines[str(fact["observed_at"])[:7]].append(sample_facts.line(fact))
        for month, month_lines in lines.items():
            _write_month(folder / "facts" / month[:4], month[5:], month_lines)
    return folder


def _write_month(folder: Path, month: str, lines: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file_lines = FILE_BYTES // max(map(len, lines))
    for part, start in enumerate(range(0, len(lines), file_lines), 1):
        name = f"{month}.jsonl" if part == 1 else f"{month}-{part}.jsonl"
        (folder / name).write_text("".join(lines[start : start + file_lines]), "utf-8")


def main() -> None:
    print("| repositories | facts | MB of facts | memory, MB | CPU seconds |\n|---|---|---|---|---|")
    for repositories in map(int, sys.argv[1:] or ("50", "100", "200", "500")):
        folder = ledger(repositories)
        megabytes = sum(path.stat().st_size for path in folder.glob("facts/**/*.jsonl")) / 1e6
        command = [sys.executable, "-m", "dora_metrics", "rebuild", "--ledger", f"dir:{folder}", "--now", run.NOW]
        used = run.measure(command, {"GITHUB_REPOSITORY": "acme/metrics"})
        count = FACTS_OF_REPOSITORY * repositories
        print(
            f"| {repositories} | {count:,} | {megabytes:.0f} | {used.megabytes:.0f} | {used.cpu_seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
