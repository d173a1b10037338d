"""How a stream shows a summary: its width, its colours, and no control characters of strangers."""

import re
from collections.abc import Mapping
from io import StringIO

import pytest

from dora_metrics.core.reports.styled_text import Paragraph, Span, Table, display_width
from dora_metrics.github.terminal import Terminal
from support.hostile_text import HOSTILE, assert_logs_nothing


class TerminalStream(StringIO):
    def isatty(self) -> bool:
        return True


def shown(*spans: Span, environment: Mapping[str, str], stream: StringIO | None = None) -> str:
    out = stream or TerminalStream()
    Terminal.of(out, environment).show([Paragraph(spans)])
    return out.getvalue()


def test_a_terminal_shows_styles_as_colours() -> None:
    line = shown(Span("high", "good"), Span(" of "), Span("elite", "best"), environment={})
    assert line == "\x1b[36mhigh\x1b[0m of \x1b[32melite\x1b[0m\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_colours_can_be_switched_off(environment: dict[str, str]) -> None:
    assert shown(Span("high", "good"), environment=environment) == "high\n"


def test_an_empty_no_color_changes_nothing() -> None:
    """As https://no-color.org has it."""
    assert "\x1b[36m" in shown(Span("high", "good"), environment={"NO_COLOR": ""})


def test_a_file_has_colours_only_if_they_are_forced() -> None:
    assert shown(Span("high", "good"), environment={}, stream=StringIO()) == "high\n"
    assert "\x1b[36m" in shown(Span("high", "good"), environment={"FORCE_COLOR": "1"}, stream=StringIO())


@pytest.mark.parametrize(
    ("columns", "width"), [("40", 40), ("5", 20), ("", 100), ("0", 100), ("wide", 100), ("²", 100)]
)
def test_the_width_is_that_of_columns_but_never_too_small_to_read(columns: str, width: int) -> None:
    assert Terminal.of(StringIO(), {"COLUMNS": columns}).width == width


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("environment", [{}, {"COLUMNS": "20"}, {"NO_COLOR": "1"}])
def test_a_strangers_text_is_no_command_and_no_control_character(text: str, environment: dict[str, str]) -> None:
    stream = TerminalStream()
    blocks = (Paragraph((Span(text, "bold"), Span(text))), Table([(Span(text), Span(text, "muted"))], 2))
    Terminal.of(stream, environment).show(blocks)
    plain = re.sub(r"\x1b\[\d+m", "", stream.getvalue())
    assert_logs_nothing(plain)
    assert max(map(display_width, plain.splitlines())) <= int(environment.get("COLUMNS", "100"))


def test_spans_that_make_a_command_together_do_not_make_one() -> None:
    for first, second in ((":", ":error::x"), ("#", "#[group]x")):
        assert_logs_nothing(shown(Span(first, "bold"), Span(second), environment={}))
