"""Where the real world comes in: arguments, environment, streams and the clock."""

import gc
import os
import sys
import time
from datetime import UTC, datetime

from dora_metrics.cli import run
from dora_metrics.world import World


def main() -> int:
    """The exit code of one command."""
    gc.disable()  # one short run; a million facts would only be walked through again and again
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
    world = World(os.environ, sys.stdin.buffer, sys.stdout, sys.stderr, datetime.now(UTC), time.sleep)
    return run(sys.argv[1:], world)


if __name__ == "__main__":
    sys.exit(main())
