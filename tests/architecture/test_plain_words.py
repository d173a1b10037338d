"""Readers of templates and pages get plain words: phrases that were replaced once do not come back."""

import re
from pathlib import Path

import pytest

from support.paths import ROOT

REPLACED = ("beside", "nought", "anew", "blamed", "as the system", "so many", "tells of", "of whom", "what speaks for")
"""Next to, zero, again, attributed, system, a number, reports, whose and evidence are the usual words."""

TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*") if path.is_file())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_template_has_a_phrase_that_was_replaced(path: Path) -> None:
    words = " ".join(path.read_text("utf-8").lower().split())
    assert [phrase for phrase in REPLACED if re.search(rf"\b{phrase}\b", words)] == []
