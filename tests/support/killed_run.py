"""A run that is killed before its file change number N: `python killed_run.py FOLDER NOW FACT N`."""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from dora_metrics.core.facts.jsonl import decode_line
from dora_metrics.core.facts.model import Repository, UnknownRecord
from support.ledger_runs import record_facts_at

ENDPOINT = "http://127.0.0.1:1"


def kill_before_change(change: int) -> None:
    """Kill this process before it replaces or removes its file number `change`, counted from 0."""
    remaining = change

    def counted(function: Any) -> Any:  # noqa: ANN401 - two functions of os
        def call(path: str, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as above
            nonlocal remaining
            if function is remove and path.endswith(".new"):  # what a killed run may have left of a temporary file
                return function(path, *arguments, **keywords)
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            remaining -= 1
            return function(path, *arguments, **keywords)

        return call

    remove = os.unlink
    for name in ("replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))


def main(root: str, now: str, fact: str, change: str) -> None:
    decoded = decode_line(fact.encode())
    assert not isinstance(decoded, Repository | UnknownRecord)
    kill_before_change(int(change))
    record_facts_at(Path(root), datetime.fromisoformat(now), decoded, endpoint_url=ENDPOINT)


if __name__ == "__main__":
    main(*sys.argv[1:])
