"""The workflow runner: log lines and commands, step outputs, job summary. On a command line, the log is plain lines."""

import errno
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from dora_metrics.github import console


def append_whole(path: Path, content: bytes) -> None:
    """Append all of a content to a file, or nothing: half of it would spoil what is in the file, and what follows.

    Raises:
        OSError: if it is not there.
    """
    with path.open("ab", buffering=0) as file:
        length_before = file.seek(0, os.SEEK_END) if path.is_file() else None
        is_whole = False
        try:
            is_whole = file.write(content) == len(content)
        finally:
            if not is_whole and length_before is not None:
                file.truncate(length_before)
    if not is_whole:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def unreachable_file(environment: Mapping[str, str]) -> str | None:
    """Return the file of a runner that a container may not use; None if there is none, or outside of a container."""
    if environment.get("DORA_IN_CONTAINER") != "true":
        return None
    accesses = {"GITHUB_EVENT_PATH": os.R_OK, "GITHUB_OUTPUT": os.W_OK, "GITHUB_STEP_SUMMARY": os.W_OK}
    files = ((environment.get(name, ""), access) for name, access in accesses.items())
    return next((file for file, access in files if file and not os.access(file, access)), None)


@dataclass(frozen=True)
class Runner:
    """The log and the files in which a step leaves its results; a path is None if there is no such file.

    `has_commands`: whether something reads the log that obeys workflow commands. Otherwise they are plain lines.
    """

    log: TextIO
    output_path: Path | None
    summary_path: Path | None
    has_commands: bool = True

    @classmethod
    def of(cls, environment: Mapping[str, str], log: TextIO) -> "Runner":
        """Return the runner that the environment variables describe."""
        output, summary = (environment.get(name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"))
        has_commands = environment.get("GITHUB_ACTIONS") == "true"
        return cls(log, Path(output) if output else None, Path(summary) if summary else None, has_commands)

    def info(self, text: str) -> None:
        """Write a line to the log."""
        console.write_line(self.log, text)

    def start_group(self, title: str) -> None:
        """Fold the lines until `end_group` in the workflow's log."""
        if self.has_commands:
            console.write_command(self.log, "group", title)
        else:
            self.info(title)

    def end_group(self) -> None:
        if self.has_commands:
            console.write_command(self.log, "endgroup")

    def annotate(self, level: Literal["notice", "warning", "error"], title: str, text: str) -> None:
        """Annotate the workflow run with something that the user must act on."""
        if self.has_commands:
            console.write_command(self.log, level, text, title)
        else:
            program, _, subject = title.partition(": ")
            for line in text.splitlines():
                self.info(f"{program}: {level}: {subject}: {line}")

    def show_settings_problem(self, problem: str) -> None:
        """Annotate the workflow run with a wrong setting; on a terminal, print it as `compute` does."""
        if self.has_commands:
            self.annotate("error", "dora-metrics: settings", problem)
        else:
            self.info(f"dora-metrics: {problem}")

    def write_outputs(self, values: Mapping[str, str]) -> bool:
        """Set the step's outputs, each with a random delimiter; return False, after a warning, if that fails."""
        if self.output_path is None:
            return True
        lines = []
        for name, value in values.items():
            delimiter = f"dora_{secrets.token_hex(16)}"
            lines.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
        return self._append(self.output_path, "".join(lines), "outputs")

    def append_summary(self, markdown: str) -> bool:
        """Append to the job summary, or to the log if there is none; return False, after a warning, if that fails."""
        if self.summary_path is None:
            console.write_text(self.log, markdown)
            return True
        return self._append(self.summary_path, markdown, "summary")

    def _append(self, path: Path, text: str, file_kind: str) -> bool:
        """Append to a file; return False, after a warning, if that fails."""
        try:
            append_whole(path, text.encode("utf-8", "replace"))
        except OSError as problem:
            self.annotate("warning", f"dora-metrics: {file_kind}", f"cannot write {path} ({problem.strerror})")
            return False
        return True
