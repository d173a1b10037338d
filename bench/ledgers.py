"""Ledgers of any age for the measurements: deployments with a change each, written straight into git."""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from dora_metrics.core.facts.model import Change, Commit, Deployment, Fact  # noqa: E402 - as above
from dora_metrics.core.ledger import layout  # noqa: E402 - from src
from fakes.repository import Repository  # noqa: E402 - from tests

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BRANCH = "dora-metrics"
DAY = timedelta(days=1)


def facts(days: int, a_day: int, last_sha: str) -> Iterator[Fact]:
    """Deployments up to now, each after the change that it delivered; `last_sha` is that of the last one."""
    rng = random.Random(7)
    count, last_success = days * a_day, None
    for number in range(1, count + 1):
        at = NOW - DAY / a_day * (count - number + 1)
        merged = change(number, at, rng)
        sha = last_sha if number == count else random_sha(rng)
        yield merged
        yield Deployment(
            id=f"github:deployment:{number}",
            repository="acme/shop",
            source="deployments",
            url=f"https://github.com/acme/shop/deployments/{number}",
            environment="production",
            sha=sha,
            ref="main",
            version=f"v1.{number}.0",
            status="success" if number % 17 else "failure",
            observed_at=at,
            started_at=at - timedelta(minutes=9),
            finished_at=at,
            changes=(merged.id,),
            previous=last_success,
            commit_count=3,
        )
        last_success = f"github:deployment:{number}" if number % 17 else last_success


def change(number: int, at: datetime, rng: random.Random) -> Change:
    began = at - timedelta(hours=rng.lognormvariate(3, 1))
    merged = began + (at - began) / 2
    return Change(
        id=f"github:pull:acme/shop#{number}",
        repository="acme/shop",
        source="github",
        url=f"https://github.com/acme/shop/pull/{number}",
        sha=random_sha(rng),
        title="Make the basket keep its contents over a restart",
        labels=("feature", "backend"),
        branch=f"basket-{number}",
        observed_at=merged,
        first_commit_at=began,
        opened_at=began + (at - began) / 4,
        merged_at=merged,
        commits=tuple(Commit(sha=random_sha(rng), authored_at=began + (at - began) / 8 * n) for n in range(3)),
    )


def random_sha(rng: random.Random) -> str:
    return f"{rng.getrandbits(160):040x}"


def write_ledger(repository: Repository, facts: Iterator[Fact]) -> int:
    """Write facts to the ledger's branch as the action would, without a checkpoint; return their size in bytes."""
    changes = layout.plan_merge(layout.parse_ledger({}), facts).file_changes
    files = {**changes, layout.README_FILE: layout.README_TITLE, layout.SEQUENCE_FILE: b"1\n"}
    repository.commit(files, message="As it was", branch=BRANCH, parents=[])
    return sum(map(len, changes.values()))
