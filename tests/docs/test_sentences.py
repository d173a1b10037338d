"""The README and the other pages are in plain English: short sentences and usual words."""

import re
from pathlib import Path
from statistics import median

import pytest

from support.paths import ROOT

PAGES = sorted(
    [
        *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "tests" / "README.md",
    ]
)
MAX_MEDIAN_WORDS = 16
MAX_WORDS = 45

REPLACED = {
    "anew": "again",
    "as it is by now": "the present state",
    "behind it": "after it",
    "beside": "also, next to",
    "blamed": "attributed to",
    "comes with": "has",
    "each with what": "with the evidence for each",
    "gives way to": "is replaced by",
    "goes without": "has no",
    "lies in": "is in",
    "nought": "zero",
    "of whom": "whose",
    "so many": "the number",
    "tells of": "reports",
    "the night": "the nightly run",
    "to the letter": "exactly",
    "told": "reported",
    "what speaks for": "evidence",
    "whom it": "a sentence of its own",
    "whose fault": "attributed to",
    r"(?<![\w] )else": "otherwise, at the start of a clause",
}
"""Words that make a sentence sound translated, and the usual ones."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


# --- Measuring ---


def without_code(markdown: str) -> str:
    """A page without code blocks, comments, pictures and addresses. Code within a sentence counts as one word."""
    text = re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]+`", "code", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def paragraphs(markdown: str) -> list[str]:
    """Paragraphs and items of lists, without headings and tables."""
    text = re.sub(r"^(?:#|\||<).*$", "", without_code(markdown), flags=re.MULTILINE)
    text = re.sub(r"^ *(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    return [" ".join(block.replace("**", "").split()) for block in re.split(r"\n\s*\n", text)]


def sentences(markdown: str) -> list[str]:
    """The sentences of a page's prose."""
    parts = [part for block in paragraphs(markdown) for part in re.split(r"(?<=[.?!])[)”\"]* +", block)]
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
    assert [word_count(sentence) for sentence in sentences(page)] == [3, 3, 1, 5, 4]


# --- The pages ---


@each_page
def test_half_of_the_sentences_are_short(page: Path) -> None:
    lengths = [word_count(sentence) for sentence in sentences(page.read_text("utf-8"))]
    assert median(lengths) <= MAX_MEDIAN_WORDS


@each_page
def test_no_sentence_is_very_long(page: Path) -> None:
    too_long = [part for part in sentences(page.read_text("utf-8")) if word_count(part) > MAX_WORDS]
    assert too_long == []


@each_page
def test_usual_words_are_used(page: Path) -> None:
    text = " ".join(without_code(page.read_text("utf-8")).split())
    hits = {phrase: usual for phrase, usual in REPLACED.items() if re.search(rf"\b{phrase}\b", text, re.IGNORECASE)}
    assert hits == {}
