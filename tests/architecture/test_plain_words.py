"""Readers get plain words in templates, examples and messages; `tests/docs/test_sentences.py` reads the pages."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT
from support.plain_words import replaced_phrases

PACKAGE = ROOT / "src" / "dora_metrics"

SHOWN_FILES = sorted(
    path for folder in ("templates", "examples") for path in (ROOT / folder).rglob("*") if path.suffix != ".jsonl"
)


@pytest.mark.parametrize(
    "path", [path for path in SHOWN_FILES if path.is_file()], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_template_or_example_has_a_phrase_that_was_replaced(path: Path) -> None:
    assert replaced_phrases(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_message_has_a_phrase_that_was_replaced(path: Path) -> None:
    messages = _messages(ast.parse(path.read_text("utf-8")))
    assert [(message, phrases) for message in messages if (phrases := replaced_phrases(message))] == []


def _messages(module: ast.Module) -> Iterator[str]:
    """Yield the literals of a module that may be sentences, with `…` for each expression in them."""
    docstrings = {id(statement.value) for statement in ast.walk(module) if isinstance(statement, ast.Expr)}
    parts = {id(part) for literal in ast.walk(module) if isinstance(literal, ast.JoinedStr) for part in literal.values}
    for node in ast.walk(module):
        match node:
            case ast.JoinedStr(values):
                yield "".join(str(value.value) if isinstance(value, ast.Constant) else "…" for value in values)
            case ast.Constant(str(text)) if " " in text and not {id(node)} & (docstrings | parts):
                yield text


@pytest.mark.parametrize(
    "text",
    [
        "It is no address.",
        "Told twice; else it fails",
        "It lies in the window",
        "5 beside them",
        "In no number.",
        "It is worse: …, before … (p < 0.05)",
        "It got worse: {}, after {} in the {}",
        "Tags, which are not counted: …",
        "Not counted: …",
    ],
)
def test_the_phrases_are_recognised(text: str) -> None:
    assert replaced_phrases(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "There is no release yet",
        "It is no longer shown",
        "nothing else is written",
        "retold",
        "… is not counted: …, after …",
    ],
)
def test_usual_words_are_none_of_them(text: str) -> None:
    assert replaced_phrases(text) == []
