"""The process: hands its arguments, environment, streams and clock to the command line."""

import gc

gc.disable()  # before the imports: a short run leaves nothing to collect, and looking for it takes a tenth of the run

import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from datetime import UTC, datetime  # noqa: E402

from dora_metrics.cli import run  # noqa: E402
from dora_metrics.runtime import Runtime  # noqa: E402


def main() -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
    runtime = Runtime(os.environ, sys.stdin.buffer, sys.stdout, sys.stderr, datetime.now(UTC), time.sleep)
    try:
        code = run(sys.argv[1:], runtime)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
