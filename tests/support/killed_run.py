"""A run in a process of its own that is killed before its file change number N."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.facts.jsonl import decode_line, encode_fact
from dora_metrics.core.facts.model import Fact, Repository, UnknownRecord
from support.ledger_runs import record_facts_at

ENDPOINT = "http://127.0.0.1:1"


def exit_code_of_run(root: Path, now: datetime, facts: Sequence[Fact], change: int) -> int | None:
    """Run the recording of facts; it dies before its file change number `change`, if it makes that many."""
    process = _fork_server().Process(target=_run, args=(str(root), now, [*map(encode_fact, facts)], change))
    process.start()
    process.join()
    return process.exitcode


@cache
def _fork_server() -> ForkServerContext:
    """Start a process that loads the program once; each run is a fork of it. Before Python 3.13 it needs the path."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def _run(root: str, now: datetime, lines: Sequence[bytes], change: int) -> None:
    facts = [fact for fact in map(decode_line, lines) if not isinstance(fact, Repository | UnknownRecord)]
    _kill_before_change(change)
    record_facts_at(Path(root), now, *facts, endpoint_url=ENDPOINT)


def _kill_before_change(change: int) -> None:
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
