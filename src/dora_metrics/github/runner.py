"""The workflow runner: log lines and commands, step outputs, job summary.

The runner executes every log line that looks like a command, whoever wrote it: `::cmd::` at the start of a line,
`##[cmd]` anywhere in it. Untrusted text is escaped before it is written.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

_ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"


_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that change the direction of a line."""


def escape_line(text: str) -> str:
    """Return the text as one line that the runner does not take for a command."""
    one_line = _BIDI_CONTROLS.sub("", text).replace("\r", "%0D").replace("\n", "%0A")
    return one_line.replace("::", f":{_ZERO_WIDTH_SPACE}:").replace("##[", f"##{_ZERO_WIDTH_SPACE}[")


def _escape_data(text: str) -> str:
    """Escape the message of a workflow command."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace("##[", f"##{_ZERO_WIDTH_SPACE}[")


def _escape_property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


@dataclass(frozen=True)
class Runner:
    """The log and the files in which a step leaves its results; a path is None if there is no such file."""

    log: TextIO
    output_path: Path | None
    summary_path: Path | None

    @classmethod
    def of(cls, environment: Mapping[str, str], log: TextIO) -> "Runner":
        """Return the runner that the environment variables describe."""
        output, summary = (environment.get(name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"))
        return cls(log, Path(output) if output else None, Path(summary) if summary else None)

    def info(self, text: str) -> None:
        """Write a line to the log."""
        self.log.write(escape_line(text) + "\n")

    def start_group(self, title: str) -> None:
        """Fold the lines until `end_group` in the workflow's log."""
        self.log.write(f"::group::{_escape_data(title)}\n")

    def end_group(self) -> None:
        self.log.write("::endgroup::\n")

    def annotate(self, level: Literal["notice", "warning", "error"], title: str, text: str) -> None:
        """Annotate the workflow run with something that the user must act on."""
        self.log.write(f"::{level} title={_escape_property(title)}::{_escape_data(text)}\n")

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
            for line in markdown.splitlines():
                self.info(line)
            return True
        return self._append(self.summary_path, markdown, "summary")

    def _append(self, path: Path, text: str, file_kind: str) -> bool:
        """Append to a file; return False, after a warning, if that fails."""
        try:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as problem:
            self.annotate("warning", f"dora-metrics: {file_kind}", f"{path} cannot be written ({problem.strerror})")
            return False
        return True
