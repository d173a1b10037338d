"""Layout of styled text: aligned columns, wrapped lines, and no line that is wider than the terminal."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.reports.styled_text import (
    EMPTY_LINE,
    Block,
    Paragraph,
    Span,
    StyledLine,
    Table,
    display_width,
    wrap,
)


def text_of(line: StyledLine) -> str:
    return "".join(span.text for span in line)


def texts(block: Block, width: int) -> list[str]:
    return [text_of(line) for line in block.lines(width)]


def table(*rows: Iterable[str], indent: int = 0) -> Table:
    return Table([[Span(text) for text in row] for row in rows], indent)


def test_columns_are_aligned() -> None:
    assert texts(table(("Lead time", "1 d"), ("Recovery", "2 h 52 min"), indent=2), 80) == [
        "  Lead time  1 d",
        "  Recovery   2 h 52 min",
    ]


def test_a_wide_character_takes_two_columns_and_a_combining_one_none() -> None:
    assert (display_width("日本"), display_width("e\u0301"), display_width("\u200b"), display_width("abc")) == (
        4,
        1,
        0,
        3,
    )
    assert texts(table(("日本", "x"), ("ab", "y")), 80) == ["日本  x", "ab    y"]


def test_the_last_column_is_wrapped_below_itself() -> None:
    rows = table(("Failed", "v2.13.0 was reverted by #457 and fixed after 2 h"), ("Why", "short"))
    assert texts(rows, 40) == [
        "Failed  v2.13.0 was reverted by #457 and",
        "        fixed after 2 h",
        "Why     short",
    ]


def test_without_room_for_the_last_column_a_row_is_a_paragraph() -> None:
    rows = table(("Change failure rate", "13.6 %", "–", "3 of 22 deployments failed"))
    assert texts(rows, 30) == ["Change failure rate", "  13.6 % · – · 3 of 22", "  deployments failed"]


def test_a_paragraph_without_text_is_an_empty_line() -> None:
    assert texts(EMPTY_LINE, 80) == [""]


def test_a_paragraph_may_hang() -> None:
    assert texts(Paragraph((Span("- one two three"),), 2, 2), 11) == ["  - one two", "    three"]


def test_styles_stay_with_their_words() -> None:
    (line,) = Paragraph((Span("Page: ", "muted"), Span("a b", "bold"))).lines(80)
    assert line == (Span("Page: ", "muted"), Span("a b", "bold"))


def test_a_word_that_is_longer_than_a_line_is_cut() -> None:
    assert [text_of(line) for line in wrap((Span("abcdefgh ij"),), 4, 4)] == ["abcd", "efgh", "ij"]


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=4), st.integers(20, 120), st.integers(0, 4))
def test_no_line_of_a_table_is_wider_than_the_terminal(
    rows: list[tuple[str, str, str]], width: int, indent: int
) -> None:
    block = table(*rows, indent=indent)
    assert max((display_width(text) for text in texts(block, width)), default=0) <= width


@given(words, st.integers(20, 120))
def test_wrapping_loses_no_word(text: str, width: int) -> None:
    lines = [text_of(line) for line in wrap((Span(text),), width, width)]
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize("width", [1, 2, 5])
def test_even_the_narrowest_width_ends(width: int) -> None:
    assert texts(Paragraph((Span("日本 text"),), 4), width)
