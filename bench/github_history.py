"""Cost of reading a repository's history from a fake GitHub: requests, and seconds at 100 ms a request."""

import json
import sys
import tempfile
import time
from io import BytesIO, StringIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from dora_metrics.commands import action  # noqa: E402 - from src
from dora_metrics.runtime import Runtime  # noqa: E402 - from src
from fakes.faults import latency  # noqa: E402 - from tests
from fakes.github import FakeGitHub  # noqa: E402 - from tests
from support.github_history import NOW  # noqa: E402 - from tests
from support.large_repository import fill_repository  # noqa: E402 - from tests

LATENCY_SECONDS = 0.1


def measure_sync(github: FakeGitHub, folder: Path) -> tuple[int, float]:
    """Requests and seconds of one sync, as the action runs it, with its ledger on a branch."""
    github.requests.clear()
    environment = {
        "GITHUB_EVENT_NAME": "schedule",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_API_URL": github.api_url,
        "DORA_INPUTS": json.dumps({"github-token": github.token, "report": "weekly"}),
    }
    start = time.perf_counter()
    code = action.run(Runtime(environment, BytesIO(), StringIO(), StringIO(), NOW, time.sleep))
    if code:
        sys.exit(f"the sync ended with {code}")
    return len(github.requests), time.perf_counter() - start


def main() -> None:
    with FakeGitHub(now=lambda: NOW) as github, tempfile.TemporaryDirectory() as folder:
        fill_repository(github.repository("acme/shop"))
        github.fail(latency(LATENCY_SECONDS), times=None)
        first, second = measure_sync(github, Path(folder)), measure_sync(github, Path(folder))
    print("| what | requests | goal | seconds at 100 ms each | goal |\n|---|---|---|---|---|")
    print(f"| first sync of 350 pull requests, 900 commits, 150 deployments, 70 issues, with its ledger and report "
          f"| {first[0]} | <= 25 | {first[1]:.1f} | <= 5 |")  # fmt: skip
    print(f"| second sync right after | {second[0]} | <= 4 | {second[1]:.1f} | |")


if __name__ == "__main__":
    main()
