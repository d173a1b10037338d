"""Files of the repository that are templates of users, for reports and for endpoints."""

from pathlib import Path

from dora_metrics.core.reports.sandbox import TemplateError

MAX_TEMPLATE_BYTES = 1_000_000


def read_template(workspace: Path, path: Path) -> str:
    """Read a file of the repository.

    Raises:
        OSError: if it cannot be read.
        UnicodeDecodeError: if it is not UTF-8.
        TemplateError: if there is none, it links to a file outside the workspace, is no regular file, or is too large.
    """
    resolved = (workspace / path).resolve()
    if not resolved.is_relative_to(workspace.resolve()):
        raise TemplateError("it links to a file outside the workspace")
    if not resolved.exists():
        raise TemplateError("there is no such file")
    if not (resolved.is_file() or resolved.is_dir()):
        raise TemplateError("it is not a regular file")
    check_template_size(resolved.stat().st_size)
    return resolved.read_text("utf-8")


def check_template_size(size_bytes: int) -> None:
    """Raise a TemplateError if a template is too large."""
    if size_bytes > MAX_TEMPLATE_BYTES:
        raise TemplateError(f"it has more than {MAX_TEMPLATE_BYTES:,} bytes")


def template_problem(error: Exception) -> str:
    """Say why a template could not be read or used, from what reading or rendering raised."""
    match error:
        case FileNotFoundError():
            return "there is no such file on the default branch, from which it is read"
        case OSError():
            return str(error.strerror)
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case _:
            return str(error)
