"""What a report costs where a repository deploys 2,000 times a week: seconds to write it, its length, requests."""

import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from dora_metrics.commands import action  # noqa: E402 - from src
from dora_metrics.core.facts.jsonl import encode  # noqa: E402 - from src
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident  # noqa: E402 - from src
from dora_metrics.core.periods import due  # noqa: E402 - from src
from dora_metrics.core.reports.periodic.issue_body import LARGEST, length  # noqa: E402 - from src
from dora_metrics.pipeline.evaluate import subject_of  # noqa: E402 - from src
from dora_metrics.pipeline.reports import in_folder, letters  # noqa: E402 - from src
from dora_metrics.runtime import World  # noqa: E402 - from src
from dora_metrics.settings.model import Settings  # noqa: E402 - from src
from fakes.github import FakeGitHub  # noqa: E402 - from tests

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
A_WEEK, WEEKS = 2_000, 13


def facts() -> list[Fact]:
    """Thirteen weeks of deployments every five minutes, each with a change; every tenth has an incident."""
    found: list[Fact] = []
    for number in range(A_WEEK * WEEKS):
        at = NOW - timedelta(weeks=WEEKS) + timedelta(weeks=WEEKS) / (A_WEEK * WEEKS) * number
        change = f"github:pull:acme/shop#{number}"
        found += [
            Deployment(
                id=f"github:deployment:{number}",
                repository="acme/shop",
                service="shop",
                environment="production",
                observed_at=at,
                finished_at=at,
                status="success",
                sha=f"{number:040x}",
                changes=(change,),
                url=f"https://github.com/acme/shop/deployments/{number}",
            ),
            Change(
                id=change,
                repository="acme/shop",
                observed_at=at,
                first_commit_at=at - timedelta(hours=5),
                title=f"Change number {number} of the checkout",
                url=f"https://github.com/acme/shop/pull/{number}",
            ),
        ]
        if number % 10 == 0:
            issue = f"github:issue:acme/shop#{A_WEEK * WEEKS + number}"
            found.append(
                Incident(id=issue, repository="acme/shop", observed_at=at, detected_at=at, resolved_at=at, title="Slow")
            )
    return found


def requests(known: list[Fact]) -> tuple[int, int]:
    """Of a run that makes the report and closes the last one: those for the report, and those for the ledger."""
    with FakeGitHub(now=lambda: NOW) as github, tempfile.TemporaryDirectory() as folder:
        home = github.repository("acme/shop")
        files = _by_month(known)
        home.commit({"README.md": b"# The ledger of dora-metrics\n", **files}, branch="dora-metrics", parents=[])
        _reported(github, folder, NOW - timedelta(weeks=1))
        github.requests.clear()
        _reported(github, folder, NOW)
        asked = [one.operation for one in github.requests]
    ledger = asked[: asked.index("Reports")]
    return len(asked) - len(ledger), len(ledger)


def _by_month(known: list[Fact]) -> dict[str, bytes]:
    """In files as large as a ledger has them at most."""
    files: dict[str, bytes] = {}
    for fact in sorted(known, key=lambda one: one.defining_time):
        part = 1
        month = f"facts/{fact.defining_time:%Y/%m}"
        while len(files.get(path := f"{month}{f'-{part}' if part > 1 else ''}.jsonl", b"")) > 390_000:
            part += 1
        files[path] = files.get(path, b"") + encode(fact) + b"\n"
    return files


def _reported(github: FakeGitHub, folder: str, now: datetime) -> None:
    environment = {
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": folder,
        "GITHUB_API_URL": github.api_url,
        "DORA_INPUTS": json.dumps({"github-token": github.token, "mode": "report"}),
    }
    if code := action.action(World(environment, BytesIO(), StringIO(), StringIO(), now, time.sleep)):
        sys.exit(f"the report ended with {code}")


def main() -> None:
    known, settings = facts(), Settings()
    subject = subject_of(known, settings, NOW)
    began = time.perf_counter()
    period = due("weekly", NOW, settings.zone, settings.report_day)
    (letter,) = letters(subject, "acme/shop", period, settings, partial(in_folder, Path())).letters.values()
    seconds = time.perf_counter() - began
    print("| a report of 2,000 deployments in the week, 26,000 in all | measured | goal |\n|---|---|---|")
    print(f"| seconds to write it | {seconds:.2f} | < 2 |")
    print(f"| characters | {length(letter.text(1)):,} | < {LARGEST:,} |")
    own, ledger = requests(known)
    print(f"| requests to make it, close the last one and remember both | {own} | <= 6 |")
    print(f"| requests to read a ledger of that size, and to write it | {ledger} | |")


if __name__ == "__main__":
    main()
