"""A run in a folder that is killed just before it changes its file number N: `python dying.py FOLDER NOW FACT N`."""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from dora_metrics.core.facts.jsonl import decode
from dora_metrics.core.facts.model import Unknown
from support.ledger_runs import recorded

ENDPOINT = "http://127.0.0.1:1"


def killed_before(change: int) -> None:
    """Lets this process die before it replaces or removes so many files."""
    left = change

    def dying(method: Any) -> Any:  # noqa: ANN401 - two methods of Path
        def call(self: Path, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return method(self, *arguments, **named)

        return call

    for name in ("replace", "unlink"):
        setattr(Path, name, dying(getattr(Path, name)))


def main(root: str, now: str, fact: str, change: str) -> None:
    seen = decode(fact.encode())
    assert not isinstance(seen, Unknown)
    killed_before(int(change))
    recorded(Path(root), datetime.fromisoformat(now), seen, endpoint_url=ENDPOINT)


if __name__ == "__main__":
    main(*sys.argv[1:])
