"""docs/troubleshooting.md quotes messages that the program has."""

import re

import pytest

from support.paths import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
SOURCES = [*(ROOT / "src").rglob("*.py"), *(ROOT / "templates").rglob("*.j2")]
PROGRAM = "\n".join(path.read_text("utf-8") for path in SOURCES)
QUOTES = re.findall(r'^\| [^|]*?"([^"|]+)"', PAGE, flags=re.MULTILINE)


def test_messages_are_quoted() -> None:
    assert len(QUOTES) >= 5


@pytest.mark.parametrize("quote", QUOTES)
def test_a_message_that_is_quoted_is_one_of_the_program(quote: str) -> None:
    """Apart from values in it: numbers, names in backticks, and what `…` stands for."""
    parts = [part.strip() for part in re.split(r"…|\d+|`[^`]*`", quote)]
    assert [part for part in parts if part and part not in PROGRAM] == []
