"""Where the real world comes in: arguments, environment, streams and the clock."""

import gc

gc.disable()  # before the imports: one short run leaves nothing to collect, and looking for it costs a tenth of it

import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from datetime import UTC, datetime  # noqa: E402

from dora_metrics.cli import run  # noqa: E402
from dora_metrics.runtime import Runtime  # noqa: E402


def main() -> int:
    """The exit code of one command."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
    world = Runtime(os.environ, sys.stdin.buffer, sys.stdout, sys.stderr, datetime.now(UTC), time.sleep)
    try:
        code = run(sys.argv[1:], world)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
