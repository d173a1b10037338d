"""Cost of a report for 2,000 deployments a week: seconds to render it, its length, requests."""

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
from dora_metrics.core.facts.jsonl import encode_fact  # noqa: E402 - from src
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident  # noqa: E402 - from src
from dora_metrics.core.periods import due_period  # noqa: E402 - from src
from dora_metrics.core.reports.periodic.issue_body import MAX_BODY_UTF16_LENGTH, utf16_length  # noqa: E402 - from src
from dora_metrics.pipeline.evaluate import evaluate  # noqa: E402 - from src
from dora_metrics.pipeline.reports import read_template, render_reports  # noqa: E402 - from src
from dora_metrics.runtime import Runtime  # noqa: E402 - from src
from dora_metrics.settings.model import Settings  # noqa: E402 - from src
from fakes.github import FakeGitHub  # noqa: E402 - from tests

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
DEPLOYMENTS_PER_WEEK, WEEKS = 2_000, 13


def facts() -> list[Fact]:
    """Thirteen weeks of deployments every five minutes, each with a change; every tenth has an incident."""
    records: list[Fact] = []
    for number in range(DEPLOYMENTS_PER_WEEK * WEEKS):
        at = NOW - timedelta(weeks=WEEKS) + timedelta(weeks=WEEKS) / (DEPLOYMENTS_PER_WEEK * WEEKS) * number
        change = f"github:pull:acme/shop#{number}"
        records += [
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
            issue = f"github:issue:acme/shop#{DEPLOYMENTS_PER_WEEK * WEEKS + number}"
            records.append(
                Incident(id=issue, repository="acme/shop", observed_at=at, detected_at=at, resolved_at=at, title="Slow")
            )
    return records


def count_requests(all_facts: list[Fact]) -> tuple[int, int]:
    """Requests of a run that creates the report and closes the last one: for the report, and for the ledger."""
    with FakeGitHub(now=lambda: NOW) as github, tempfile.TemporaryDirectory() as folder:
        repository = github.repository("acme/shop")
        files = _by_month(all_facts)
        repository.commit({"README.md": b"# The ledger of dora-metrics\n", **files}, branch="dora-metrics", parents=[])
        _run_report(github, folder, NOW - timedelta(weeks=1))
        github.requests.clear()
        _run_report(github, folder, NOW)
        operations = [request.operation for request in github.requests]
    ledger = operations[: operations.index("Reports")]
    return len(operations) - len(ledger), len(ledger)


def _by_month(all_facts: list[Fact]) -> dict[str, bytes]:
    """Fact files of a ledger, each at its maximum size."""
    files: dict[str, bytes] = {}
    for fact in sorted(all_facts, key=lambda fact_to_sort: fact_to_sort.defining_time):
        file_number = 1
        month = f"facts/{fact.defining_time:%Y/%m}"
        while len(files.get(path := f"{month}{f'-{file_number}' if file_number > 1 else ''}.jsonl", b"")) > 390_000:
            file_number += 1
        files[path] = files.get(path, b"") + encode_fact(fact) + b"\n"
    return files


def _run_report(github: FakeGitHub, folder: str, now: datetime) -> None:
    environment = {
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": folder,
        "GITHUB_API_URL": github.api_url,
        "DORA_INPUTS": json.dumps({"github-token": github.token, "mode": "report", "report": "weekly"}),
    }
    if code := action.run(Runtime(environment, BytesIO(), StringIO(), StringIO(), now, time.sleep)):
        sys.exit(f"the report ended with {code}")


def main() -> None:
    all_facts, settings = facts(), Settings()
    subject = evaluate(all_facts, settings, NOW)
    start = time.perf_counter()
    period = due_period("weekly", NOW, settings.zone, settings.report_day)
    (letter,) = render_reports(subject, period, settings, partial(read_template, Path())).bodies.values()
    seconds = time.perf_counter() - start
    print("| a report of 2,000 deployments in the week, 26,000 in all | measured | goal |\n|---|---|---|")
    print(f"| seconds to write it | {seconds:.2f} | < 2 |")
    print(f"| characters | {utf16_length(letter.text_of_new_issue(1)):,} | < {MAX_BODY_UTF16_LENGTH:,} |")
    own, ledger = count_requests(all_facts)
    print(f"| requests to make it, close the last one and remember both | {own} | <= 6 |")
    print(f"| requests to read a ledger of that size, and to write it | {ledger} | |")


if __name__ == "__main__":
    main()
