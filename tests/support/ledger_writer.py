"""A run that records facts in a folder. As a script: many runs in a process of their own."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dora_metrics.core.facts.model import Deployment, Fact, Repository
from dora_metrics.core.linking.former_names import RepositoryNames, observed_repository
from dora_metrics.github.events.observe import Observation, Run
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.pipeline.record import Recorder, RecordRequest
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Storage
from dora_metrics.storage.directory import DirectoryStorage

RUN = Run("push", "acme/shop", datetime(2026, 11, 21, 12, tzinfo=UTC), run_id="1")


def record_facts(
    ledger: Path | Storage,
    *facts: Fact,
    run: Run = RUN,
    settings: Settings | None = None,
    names: Sequence[str] = (),
    **inputs: Any,  # noqa: ANN401 - inputs of the action
) -> RunResult:
    """Record these facts in one run, up to the point where sinks are called; `inputs` make settings.

    `names` are the present names of repositories 1, 2 and so on, as far as the run sees them.
    """
    resolved = settings or Settings.model_validate(inputs)
    storage = DirectoryStorage(ledger) if isinstance(ledger, Path) else ledger

    def identify(known: RepositoryNames) -> tuple[Repository, ...]:
        records = (observed_repository(known, number, name, run.now) for number, name in enumerate(names, 1))
        return tuple(record for record in records if record)

    reads_everything = resolved.mode == "rebuild"
    request = RecordRequest(lambda _: Observation(facts, ""), identify=identify, reads_everything=reads_everything)
    return Recorder(storage, resolved, run.now, time.sleep).record(request)


def deployment(name: str, finished: datetime) -> Deployment:
    return Deployment(
        id=f"test:{name}", repository="acme/shop", observed_at=finished, finished_at=finished, status="success"
    )


def main(root: str, name: str, count: str) -> None:
    """Record `count` facts over three months, one a run; print the id of each recorded fact."""
    for number in range(int(count)):
        fact = deployment(f"{name}-{number}", datetime(2026, 9, 1, tzinfo=UTC) + timedelta(days=number * 7 % 80))
        record_facts(Path(root), fact, endpoint_url="http://127.0.0.1:1")
        sys.stdout.write(fact.id + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
