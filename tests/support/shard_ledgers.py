"""The facts of an organisation, in one ledger or in those of several shards, and runs that show them together."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Severity, StoredFact, Vulnerability
from dora_metrics.core.ledger import layout
from dora_metrics.core.linking.former_names import RepositoryNames
from support.facts import sha
from support.runs import NOW, ActionRun, run_action

SEVERITIES: tuple[Severity, ...] = ("critical", "high", "low")
DERIVED = ("metrics.json", "evidence.json", "history.json", "index.html")


def organisation_facts(repositories: int = 12, deployments: int = 9, seed: int = 18) -> Iterator[Fact]:
    """Yield the facts of some repositories; incidents of one may name a deployment of another one."""
    rng = random.Random(seed)
    for number in range(repositories):
        yield from _repository_facts(f"acme/service-{number}", number * 1000, deployments + number % 3, rng)
    for number in range(0, repositories, 2):
        blamed = rng.randrange(repositories) * 1000 + 3
        yield _incident(f"acme/service-{number}", number, rng, deployment=f"github:deployment:{blamed}")


def _repository_facts(name: str, first: int, count: int, rng: random.Random) -> Iterator[Fact]:
    for number in range(first, first + count):
        finished = _time(rng)
        change_id = f"github:pull:{name}#{number}"
        began = finished - timedelta(hours=rng.uniform(1, 90))
        yield Change(
            id=change_id, repository=name, observed_at=finished, sha=sha(change_id), title=f"Pull {number}",
            first_commit_at=began, opened_at=began + timedelta(hours=1), merged_at=finished - timedelta(minutes=30),
        )  # fmt: skip
        yield Deployment(
            id=f"github:deployment:{number}", repository=name, environment="production", source="deployments",
            service=rng.choice((None, None, "api")), observed_at=finished, started_at=finished - timedelta(minutes=9),
            finished_at=finished, status=rng.choices(("success", "failure"), (9, 1))[0], sha=sha(number),
            changes=(change_id,), reached_users=rng.random() < 0.5,
        )  # fmt: skip
    yield _incident(name, first + count, rng)
    yield Vulnerability(
        id=f"github:dependabot:{name}#{first}", repository=name, observed_at=NOW, detected_at=_time(rng),
        severity=rng.choice(SEVERITIES),
    )  # fmt: skip


def _incident(name: str, number: int, rng: random.Random, deployment: str | None = None) -> Incident:
    detected = _time(rng)
    return Incident(
        id=f"github:issue:{name}#{number}", repository=name, observed_at=NOW, detected_at=detected,
        resolved_at=rng.choice((None, detected + timedelta(hours=2))), environment="production",
        severity=rng.choice(SEVERITIES), deployment=deployment, title="Checkout answers 500",
    )  # fmt: skip


def _time(rng: random.Random) -> datetime:
    return NOW - timedelta(days=70) * rng.random()


def shard_of(fact: StoredFact, shards: int) -> int:
    """Return the shard, counted from 0, whose syncs read the repository of a fact."""
    return int(hashlib.sha256(fact.repository.lower().encode()).hexdigest(), 16) % shards


def ledger_files(facts: Iterable[StoredFact]) -> dict[str, bytes]:
    """Return the files of a ledger as syncs leave it, without what is computed from the facts."""
    recorded = list(facts)
    contents = layout.parse_ledger({}, known=RepositoryNames.of(recorded))
    files = layout.plan_merge(contents, recorded).file_changes
    return {layout.README_FILE: layout.README_TITLE, layout.SEQUENCE_FILE: b"1\n", **files}


def write_ledger(root: Path, facts: Iterable[StoredFact]) -> None:
    """Write a ledger into a folder."""
    for path, content in ledger_files(facts).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def write_shards(folder: Path, facts: Iterable[StoredFact], shards: int) -> list[str]:
    """Write the ledger of each shard; return them as `shard-ledgers` names them."""
    by_shard: list[list[StoredFact]] = [[] for _ in range(shards)]
    for fact in facts:
        by_shard[shard_of(fact, shards)].append(fact)
    for number, own in enumerate(by_shard, 1):
        write_ledger(folder / f"shard-{number}of{shards}", own)
    return [f"dir:shard-{number}of{shards}" for number in range(1, shards + 1)]


def run_in(
    folder: Path,
    event: str,
    payload: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    **inputs: object,
) -> ActionRun:
    """Run the action in a folder; inputs are written with an underscore for each hyphen."""
    inputs_by_name = {name.replace("_", "-"): value for name, value in inputs.items()}
    return run_action(folder, event, payload, inputs_by_name, environment=environment)


def show_all(folder: Path, ledgers: Iterable[str], ledger: str = "dir:all", **inputs: Any) -> ActionRun:  # noqa: ANN401
    """Run the final job: it reads these ledgers and writes `ledger`."""
    settings = {"mode": "rebuild", "ledger": ledger, "shard-ledgers": "\n".join(ledgers), **inputs}
    return run_in(folder, "workflow_dispatch", {"inputs": {}}, **settings)


def show_one(folder: Path, facts: Iterable[StoredFact], **inputs: Any) -> ActionRun:  # noqa: ANN401
    """Run a rebuild of one ledger, `one`, that holds all facts."""
    write_ledger(folder / "one", facts)
    settings = {"mode": "rebuild", "ledger": "dir:one", "repositories": "acme/*", **inputs}
    return run_in(folder, "workflow_dispatch", {"inputs": {}}, **settings)


def shown(root: Path) -> dict[str, bytes]:
    """Return what a run derived in a ledger, without what its text says about where the facts are."""
    files = {name: (root / name).read_bytes() for name in DERIVED} | files_in(root / "badges")
    lines = (root / "metrics.prom").read_bytes().splitlines()
    numbers = b"\n".join(
        line for line in lines if b"dora_ledger_sequence" not in line
    )  # it counts the run's own writes
    return {**files, "index.html": shown_on(files["index.html"]), "metrics.prom": numbers}


def shown_on(page: bytes) -> bytes:
    """Return a page without its last lines, which say where the facts are."""
    above, _, below = page.partition(b"<footer>")
    return above + below.partition(b"</footer>")[2]


def files_in(root: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
