"""Text in styles, and its layout in a width: paragraphs and tables. It knows no codes of a terminal."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

Style = Literal["plain", "bold", "muted", "best", "good", "fair", "poor"]

COLUMN_GAP = 2
_NARROWEST_LAST_COLUMN = 24
"""A table whose last column gets less room than it needs, and less than this, has its rows as paragraphs."""

_INVISIBLE_CATEGORIES = frozenset({"Mn", "Me", "Cf"})


class Span(Struct, frozen=True):
    """A text in one style."""

    text: str
    style: Style = "plain"


StyledLine = tuple[Span, ...]


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide character, none for a combining one."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in _INVISIBLE_CATEGORIES:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Paragraph(Struct, frozen=True):
    """Spans that follow each other, wrapped at spaces. Lines after the first are indented by `hanging` columns more."""

    spans: StyledLine = ()
    indent: int = 0
    hanging: int = 0

    def with_texts(self, change: Callable[[str], str]) -> "Paragraph":
        """Return the same paragraph with changed texts."""
        return Paragraph(_with_texts(self.spans, change), self.indent, self.hanging)

    def lines(self, width: int) -> Iterator[StyledLine]:
        """Yield lines of at most `width` columns; an empty line if there is no text."""
        hanging = self.indent + self.hanging
        for position, line in enumerate(wrap(self.spans, width - self.indent, width - hanging)):
            margin = " " * (hanging if position else self.indent)
            yield (Span(margin), *line) if margin and line else line


class Table(Struct, frozen=True):
    """Rows of as many cells each. The last column is wrapped if the width is too small for it.

    Where there is no room for that either, each row is a paragraph, the first cell on a line of its own.
    """

    rows: Sequence[Sequence[Span]]
    indent: int = 0

    def with_texts(self, change: Callable[[str], str]) -> "Table":
        """Return the same table with changed texts."""
        return Table([_with_texts(row, change) for row in self.rows], self.indent)

    def lines(self, width: int) -> Iterator[StyledLine]:
        """Yield lines of at most `width` columns."""
        columns = zip(*self.rows, strict=True)
        *column_widths, last_width = (max(display_width(cell.text) for cell in column) for column in columns)
        room = width - self.indent - sum(column_widths) - COLUMN_GAP * len(column_widths)
        is_narrow = room < min(last_width, _NARROWEST_LAST_COLUMN)
        for row in self.rows:
            yield from self._stacked(row, width) if is_narrow else self._aligned(row, column_widths, room)

    def _aligned(self, row: Sequence[Span], column_widths: Sequence[int], room: int) -> Iterator[StyledLine]:
        padded = [_padded(cell, cell_width) for cell, cell_width in zip(row, column_widths, strict=False)]
        margin = self.indent + sum(column_widths) + COLUMN_GAP * len(column_widths)
        for position, line in enumerate(wrap(row[-1:], room, room)):
            yield (Span(" " * margin), *line) if position else (Span(" " * self.indent), *padded, *line)

    def _stacked(self, row: Sequence[Span], width: int) -> Iterator[StyledLine]:
        """The first cell on its line, the others after each other below it."""
        first, *others = row
        texts = [cell for cell in others if cell.text.strip()]
        separated = [part for cell in texts for part in (Span(" · ", "muted"), cell)][1:]
        if first.text.strip():
            yield from Paragraph((first,), self.indent).lines(width)
        yield from Paragraph(tuple(separated), self.indent + COLUMN_GAP).lines(width)


Block = Paragraph | Table

EMPTY_LINE = Paragraph()


def _with_texts(spans: Iterable[Span], change: Callable[[str], str]) -> StyledLine:
    return tuple(Span(change(span.text), span.style) for span in spans)


def _padded(cell: Span, width: int) -> Span:
    return Span(cell.text + " " * (width - display_width(cell.text) + COLUMN_GAP), cell.style)


def wrap(spans: Iterable[Span], first_width: int, width: int) -> list[StyledLine]:
    """Break spans into lines at spaces; the first has `first_width` columns. A longer word is cut."""
    lines: list[list[Span]] = [[]]
    room = max(first_width, 1)
    for word in _words(spans, max(min(first_width, width), 1)):
        word_width = display_width(word.text)
        if word_width > room and not word.text.isspace():
            lines.append([])
            room = max(width, 1)
        if lines[-1] or not word.text.isspace():
            lines[-1].append(word)
            room -= word_width
    return [_joined(line) for line in lines]


def _words(spans: Iterable[Span], longest: int) -> Iterator[Span]:
    """Yield words and the spaces between them; a word that is longer than a line in parts."""
    for span in spans:
        for word in re.findall(r"\s+|\S+", span.text):
            yield from (Span(part, span.style) for part in _parts(word, longest))


def _parts(word: str, longest: int) -> Iterator[str]:
    part, part_width = "", 0
    for character in word:
        width = _character_width(character)
        if part and part_width + width > longest:
            yield part
            part, part_width = "", 0
        part, part_width = part + character, part_width + width
    yield part


def _joined(words: list[Span]) -> StyledLine:
    """Join neighbours of one style, without spaces at the end."""
    while words and words[-1].text.isspace():
        words.pop()
    joined: list[Span] = []
    for word in words:
        if joined and joined[-1].style == word.style:
            joined[-1] = Span(joined[-1].text + word.text, word.style)
        else:
            joined.append(word)
    return tuple(joined)
