"""A stream that people read: whether it is a terminal, how wide it is, and whether it shows colours."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from dora_metrics.core.reports.styled_text import Block
from dora_metrics.github import console

_WIDTH_WITHOUT_TERMINAL = 100
_NARROWEST = 20


@dataclass(frozen=True)
class Terminal:
    """Where and how to print a summary.

    Attributes:
        stream: where it goes, a terminal or a file.
        width: in columns; at least 20.
        has_colours: whether styles are shown.
    """

    stream: TextIO
    width: int
    has_colours: bool

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str]) -> "Terminal":
        """Return a stream as its environment describes it: COLUMNS, NO_COLOR, FORCE_COLOR, TERM (https://no-color.org)."""
        return cls(stream, max(_width(stream, environment), _NARROWEST), _has_colours(stream, environment))

    def show(self, blocks: Iterable[Block]) -> None:
        """Write blocks from top to bottom, no line longer than the width."""
        for block in blocks:
            for line in block.with_texts(_neutral).lines(self.width):
                console.write_styled_line(self.stream, line, has_colours=self.has_colours)


def _neutral(text: str) -> str:
    """Return a text as one line that is no command, without tabs, whose width nobody knows."""
    return console.neutral_line(text).replace("\t", " ")


def _width(stream: TextIO, environment: Mapping[str, str]) -> int:
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _WIDTH_WITHOUT_TERMINAL
    except (OSError, ValueError):  # no terminal, or no file at all
        return _WIDTH_WITHOUT_TERMINAL


def _has_colours(stream: TextIO, environment: Mapping[str, str]) -> bool:
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return bool(environment.get("FORCE_COLOR")) or stream.isatty()
