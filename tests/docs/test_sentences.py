"""The README and the other pages are in plain English: short sentences and usual words."""

import re
from pathlib import Path
from statistics import median

import pytest

from support.paths import ROOT
from support.plain_words import replaced_phrases

PAGES = sorted(
    [
        *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "tests" / "README.md",
        ROOT / "monitoring" / "README.md",
    ]
)
MAX_MEDIAN_WORDS = 16
MAX_WORDS = 45

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


# --- Measuring ---


def without_code(markdown: str) -> str:
    """A page without code blocks, comments, pictures and addresses.

    Code within a sentence counts as one word, and so does a list of it.
    """
    text = re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]+`(?:, `[^`]+`)*", "code", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def paragraphs(markdown: str) -> list[str]:
    """Paragraphs and items of lists, without headings and tables."""
    text = re.sub(r"^(?:#|\||<).*$", "", without_code(markdown), flags=re.MULTILINE)
    text = re.sub(r"^ *(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    return [" ".join(block.replace("**", "").split()) for block in re.split(r"\n\s*\n", text)]


def table_cells(markdown: str) -> list[str]:
    rows = re.findall(r"^\|(.*)\|$", without_code(markdown), flags=re.MULTILINE)
    return [cell.strip() for row in rows for cell in row.split("|")]


def sentences(texts: list[str]) -> list[str]:
    parts = [part for text in texts for part in re.split(r"(?<=[.?!])[)”\"]* +", text)]
    return [part for part in parts if word_count(part)]


def word_count(sentence: str) -> int:
    return len(re.findall(r"\w[\w'.%-]*", sentence))


def test_prose_is_measured_without_code_tables_and_addresses() -> None:
    page = """# A heading does not count

One [two](https://example.org/three/four) `--five six`. Seven (eight, nine.) Ten?

- An item of a list
- and another one: 1.5 %

| a table | does not |
|---|---|

```bash
neither does this
```
"""
    assert [word_count(sentence) for sentence in sentences(paragraphs(page))] == [3, 3, 1, 5, 4]


# --- The pages ---


@each_page
def test_half_of_the_sentences_are_short(page: Path) -> None:
    lengths = [word_count(sentence) for sentence in sentences(paragraphs(page.read_text("utf-8")))]
    assert median(lengths) <= MAX_MEDIAN_WORDS


@each_page
def test_no_sentence_is_very_long(page: Path) -> None:
    text = page.read_text("utf-8")
    parts = sentences([*paragraphs(text), *table_cells(text)])
    assert [part for part in parts if word_count(part) > MAX_WORDS] == []


@each_page
def test_no_phrase_that_was_replaced_comes_back(page: Path) -> None:
    assert replaced_phrases(without_code(page.read_text("utf-8"))) == []
