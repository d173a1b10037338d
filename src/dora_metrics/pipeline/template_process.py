"""Render templates of users in a process of their own, with limits on its time, memory and output.

Jinja's sandbox keeps a template from Python. It does not keep it from doubling a text until the memory is full, in one
expression that no counter sees. This process may fail in any way; the run goes on without it.
"""

import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, TypeVar

import msgspec

from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.reports.sandbox import TemplateError

T = TypeVar("T")

_MAX_REASON_LENGTH = 300


@dataclass(frozen=True)
class TemplateLimits:
    """Limits of a process that renders.

    Attributes:
        cpu_seconds: of the processor. Not on Windows.
        memory_bytes: of its address space. Only on Linux, where the container is; macOS does not enforce it.
        total_seconds: until it is killed.
        result_bytes: of the rendered texts as JSON.
    """

    cpu_seconds: int = 10
    memory_bytes: int = 1_000_000_000
    total_seconds: float = 20
    result_bytes: int = 10_000_000


DEFAULT_LIMITS = TemplateLimits()


@dataclass(frozen=True)
class _Job:
    """What the process does: `render`, which can be pickled, returns what JSON can hold."""

    render: Callable[[], object]
    limits: TemplateLimits


class _RenderResult(msgspec.Struct, omit_defaults=True):
    """What the process answers: what was rendered, as JSON, or why nothing was."""

    rendered: msgspec.Raw = msgspec.Raw(b"null")
    problem: str = ""


def render_apart(render: Callable[[], T], rendered_type: type[T], limits: TemplateLimits = DEFAULT_LIMITS) -> T:
    """Call a function that renders a user's template, in a process.

    Args:
        render: a function of a module, or a `partial` of one; its arguments are pickled. It raises a TemplateError if
            the template cannot be rendered.
        rendered_type: what it returns; msgspec encodes it as JSON and decodes it.
        limits: of the process.

    Raises:
        TemplateError: if it raised one, or did not return within the limits.
    """
    try:
        exit_code, result = _run_job(_Job(render, limits))
    except OSError as problem:
        raise TemplateError(f"a process for it cannot be started ({problem.strerror})") from None
    if exit_code or result is None:
        raise TemplateError(_limits_text(limits))
    if result.problem:
        raise TemplateError(result.problem)
    return msgspec.json.decode(result.rendered, type=rendered_type)


def _run_job(job: _Job) -> tuple[int, _RenderResult | None]:
    """Return the exit code and the result of a process; None if it left none that can be used."""
    with TemporaryFile() as job_file, TemporaryFile() as result_file:
        pickle.dump(job, job_file)
        job_file.seek(0)
        exit_code = _run_process(job_file, result_file, job.limits)
        result_file.seek(0)
        return exit_code, _decode_result(result_file.read(job.limits.result_bytes + 1), job.limits)


def _run_process(job_file: BinaryIO, result_file: BinaryIO, limits: TemplateLimits) -> int:
    """Return the exit code of a process that has ended or was killed; it gets none of our variables, so no secret."""
    folders = [folder for folder in sys.path if Path(folder).is_absolute()]
    command = [sys.executable, "-P", "-c", _PROGRAM, *folders]
    with subprocess.Popen(
        command, stdin=job_file, stdout=result_file, stderr=subprocess.DEVNULL, env=_ENVIRONMENT
    ) as process:
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(limits.total_seconds)
        finally:
            process.kill()  # if it takes too long, or this run is cancelled; one that has ended gets no signal
    return process.returncode


_ENVIRONMENT = {"SYSTEMROOT": r"C:\Windows"} if sys.platform == "win32" else {}
"""What a program needs to start; Windows needs the place of its libraries."""

_PROGRAM = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import main; main()"


def _decode_result(content: bytes, limits: TemplateLimits) -> _RenderResult | None:
    if len(content) > limits.result_bytes:
        return None
    try:
        return msgspec.json.decode(content, type=_RenderResult)
    except UNREADABLE_JSON:
        return None


def _limits_text(limits: TemplateLimits) -> str:
    return (
        f"it needs more than {limits.cpu_seconds} s of processor time, {limits.total_seconds:.3g} s or "
        f"{limits.memory_bytes // 1_000_000:,} MB; make fewer or shorter loops and texts"
    )


def main() -> None:
    """Render the job on standard input, and write the result to standard output. What runs in the process."""
    job: _Job = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the process that started this one
    _limit_this_process(job.limits)
    sys.stdout.buffer.write(msgspec.json.encode(_render(job)))


def _render(job: _Job) -> _RenderResult:
    try:
        return _RenderResult(msgspec.Raw(msgspec.json.encode(job.render())))
    except TemplateError as error:
        return _RenderResult(problem=str(error)[:_MAX_REASON_LENGTH])


if sys.platform == "win32":

    def _limit_this_process(limits: TemplateLimits) -> None:
        """Do nothing: on Windows the process has only the deadline and the limit of its result."""
else:
    import resource

    def _limit_this_process(limits: TemplateLimits) -> None:
        """Limit what the process may use from now on; a limit that the system does not know is left out."""
        for kind, limit in (
            (resource.RLIMIT_CPU, limits.cpu_seconds),
            (resource.RLIMIT_AS, limits.memory_bytes),
            (resource.RLIMIT_FSIZE, limits.result_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            _, hard = resource.getrlimit(kind)
            is_allowed = hard == resource.RLIM_INFINITY or limit <= hard
            if is_allowed:
                with suppress(ValueError, OSError):
                    resource.setrlimit(kind, (limit, limit))
