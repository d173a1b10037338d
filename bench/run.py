"""The figures of docs/performance.md, on this machine: `make bench`. Ratios matter; seconds only illustrate."""

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "bench"
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "bench")]

import facts as sample_facts  # noqa: E402 - beside this file
import git_history  # noqa: E402 - beside this file

from dora_metrics.core.facts import jsonl  # noqa: E402 - from src

NOW = "2026-11-01T00:00:00Z"


@dataclass(frozen=True)
class Measurement:
    seconds: float
    megabytes: float
    cpu_seconds: float


def fastest(command: list[str], environment: dict[str, str] | None = None, times: int = 1) -> Measurement:
    """The fastest of several runs, and its peak memory."""
    return min((measure(command, environment) for _ in range(times)), key=lambda measurement: measurement.seconds)


def measure(command: list[str], environment: dict[str, str] | None = None) -> Measurement:
    """Run a command once."""
    script = (
        "import resource, subprocess, sys, time; s = time.perf_counter();"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(time.perf_counter() - s, used.ru_maxrss, used.ru_utime + used.ru_stime, code)"
    )
    path = {"PYTHONPATH": str(ROOT / "src")}
    completed = subprocess.run(
        [sys.executable, "-c", script, *command],
        capture_output=True, text=True, check=True, env={**os.environ, **path, **(environment or {})},
    )  # fmt: skip
    seconds, kilobytes, cpu_seconds, code = completed.stdout.split()
    if code != "0":
        sys.exit(f"{command[:4]} ended with {code}: {completed.stderr[-500:]}")
    return Measurement(float(seconds), int(kilobytes) / 1024, float(cpu_seconds))


def facts_file(count: int) -> Path:
    path = WORK / f"{count}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            file.writelines(sample_facts.line(fact) for fact in sample_facts.facts(count))
    return path


def compute(count: int, times: int) -> Measurement:
    command = [sys.executable, "-m", "dora_metrics", "compute", "--facts", str(facts_file(count)), "--now", NOW]
    return fastest(command, times=times)


def many_incidents(count: int) -> Measurement:
    """As many incidents as deployments in one scope, most of them on few deployments, half of them by name."""
    path = WORK / f"pile-{count}.jsonl"
    common = {"v": 1, "repository": "acme/shop", "service": "shop", "environment": "production", "observed_at": NOW}
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            at = f"2026-09-{number * 28 // count + 1:02}T{number % 24:02}:{number % 60:02}:{number % 59:02}Z"
            sha = f"{number % 997:040x}"
            deployment = {
                "kind": "deployment",
                "id": f"x:d{number}",
                "sha": sha,
                "status": "success",
                "finished_at": at,
            }
            named = sha if number % 2 else None
            incident = {
                "kind": "incident",
                "id": f"x:i{number}",
                "detected_at": "2026-09-30T00:00:00Z",
                "deployment": named,
            }
            file.writelines(json.dumps(common | fact) + "\n" for fact in (deployment, incident))
    return fastest(
        [sys.executable, "-m", "dora_metrics", "compute", "--facts", str(path), "--now", NOW, "--window", "all"]
    )


def many_repositories(count: int) -> Measurement:
    """One deployment in each of many repositories, over all time."""
    path = WORK / f"repositories-{count}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            at = f"2026-09-{number * 28 // count + 1:02}T{number % 24:02}:{number % 60:02}:00Z"
            fact = {
                "v": 1, "kind": "deployment", "id": f"x:{number}", "repository": f"acme/{number}", "status": "success",
                "environment": "production", "finished_at": at, "observed_at": NOW,
            }  # fmt: skip
            file.write(json.dumps(fact) + "\n")
    return fastest(
        [sys.executable, "-m", "dora_metrics", "compute", "--facts", str(path), "--now", NOW, "--window", "all"]
    )


def exponent(small: Measurement, large: Measurement, times: float) -> float:
    """The power of the input's size that the CPU time grows with."""
    return math.log(large.cpu_seconds / small.cpu_seconds) / math.log(times)


def git_report(commits: int, tags: int) -> tuple[Measurement, Measurement]:
    """`report` on a git history and `git log` of it, taken in turns because the machine's speed varies."""
    folder = WORK / f"history-{commits}-{tags}"
    if not folder.exists():
        git_history.make(folder, commits, tags)
    report = [sys.executable, "-m", "dora_metrics", "report", "--git", str(folder), "--window", "all", "--now", NOW]
    log = ["git", "-C", str(folder), "log", "--all", "--format=%H %P %ct %at"]
    rounds = [(measure(report, None), measure(log, None)) for _ in range(7)]
    reports, logs = zip(*rounds, strict=True)
    return min(reports, key=lambda measurement: measurement.seconds), min(
        logs, key=lambda measurement: measurement.seconds
    )


def decoding_microseconds(count: int) -> float:
    """Microseconds to decode one fact."""
    chunk = facts_file(count).read_bytes()
    start = time.perf_counter()
    jsonl.decode_lines(chunk)
    return (time.perf_counter() - start) / count * 1e6


def main() -> None:
    small, large = compute(100_000, 3), compute(1_000_000, 1)
    half, whole = many_incidents(10_000), many_incidents(20_000)
    few, many = many_repositories(1_250), many_repositories(5_000)
    (report, log), (longer, _), (tagged, _) = (
        git_report(18_000, 300),
        git_report(72_000, 300),
        git_report(18_000, 3_000),
    )
    rows = [
        ("compute on 1,000,000 facts, seconds", large.seconds, "<= 20, stretch 8"),
        ("its memory, GB", large.megabytes / 1024, "<= 2.5, stretch 1"),
        ("its time, times that of 100,000 facts", large.seconds / small.seconds, "<= 11"),
        ("20,000 incidents on 20,000 deployments, seconds", whole.seconds, ""),
        ("its time compared with 10,000 of each", whole.seconds / half.seconds, "no quadratic step: below 4"),
        ("1,250 to 5,000 repositories with `window: all`, exponent of the CPU time", exponent(few, many, 4), "<= 1.1"),
        ("report on 18,000 commits and 300 tags, seconds", report.seconds, f"<= {3 * log.seconds + 0.5:.2f}"),
        ("its time beyond half a second, times that of `git log`", (report.seconds - 0.5) / log.seconds, "<= 3"),
        ("its memory, MB", report.megabytes, ""),
        ("its time, times as much with ten times the tags", tagged.seconds / report.seconds, "not 10"),
        ("its time, times as much with four times the commits", longer.seconds / report.seconds, "<= 4"),
        ("decoding one fact, microseconds", decoding_microseconds(100_000), ""),
    ]
    print("| what | figure | goal |\n|---|---|---|")
    for label, figure, goal in rows:
        print(f"| {label} | {figure:.2f} | {goal} |")
    python, cores = sys.version.split()[0], os.cpu_count()
    print(f"\nPython {python}, {cores} cores")
    print(f"git log of 18,000 commits {log.seconds:.2f} s")


if __name__ == "__main__":
    main()
