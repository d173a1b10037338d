"""The process: hands its arguments, environment, streams and clock to the command line."""

import gc

gc.disable()  # before the imports: a short run leaves nothing to collect, and looking for it takes a tenth of the run

import signal  # noqa: E402

signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job that is cancelled during the imports ends without a traceback

import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from io import BytesIO  # noqa: E402
from typing import NoReturn  # noqa: E402

from dora_metrics.cli import run  # noqa: E402
from dora_metrics.errors import CancelledError  # noqa: E402
from dora_metrics.runtime import OutputStream, Runtime  # noqa: E402


def main() -> int:
    """Run one command and return its exit code; 1 if what it printed could not be written."""
    sys.stdout, sys.stderr = output, errors = OutputStream.of(sys.stdout), OutputStream.of(sys.stderr)
    stdin = sys.stdin.buffer if sys.stdin else BytesIO()
    runtime = Runtime(os.environ, stdin, output, errors, datetime.now(UTC), time.sleep)
    for number in (signal.SIGINT, signal.SIGTERM):  # process 1 of a container ignores those without a handler
        signal.signal(number, _cancel)
    try:
        code = run(sys.argv[1:], runtime)
    except CancelledError as cancelled:
        errors.write("dora-metrics: cancelled\n")
        code = cancelled.exit_code
    except SystemExit as end:  # of `--help`, `--version`, or wrong arguments
        code = int(end.code or 0)
    finally:
        is_written = _finish(output, errors)
        gc.freeze()  # the end of the interpreter looks for cycles even so: another tenth of the run
    return code if is_written else code or 1


def _cancel(number: int, _frame: object) -> NoReturn:
    raise CancelledError(number)


def _finish(output: OutputStream, errors: OutputStream) -> bool:
    """Write what is left; return whether all of standard output was written, and say it if not.

    A reader that has closed the pipe, as `head` does, has what it wants: nothing is said then.
    """
    output.flush()
    problem = output.problem
    if problem and not isinstance(problem, BrokenPipeError):
        reason = f"cannot write to standard output ({problem.strerror}); the output is incomplete"
        errors.write(f"dora-metrics: {reason}\n")
    errors.flush()
    for stream, number in ((output, 1), (errors, 2)):
        if stream.problem:  # what is still in its buffer would fail again when the interpreter ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return problem is None


if __name__ == "__main__":
    sys.exit(main())
