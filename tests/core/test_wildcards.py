"""Patterns in which `*` is any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.wildcards import matches


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("*", "", True), ("a*", "a", True), ("a*a", "a", False), ("a*a", "aa", True), ("*b*", "abc", True),
        ("*b*", "ac", False), ("a*b*c", "a-b-b-c", True), ("a*b", "ac", False), ("ab", "abc", False), ("**", "a", True),
    ],
)  # fmt: skip
def test_a_star_is_any_text(pattern: str, text: str, is_match: bool) -> None:  # noqa: FBT001 - a row of the table
    assert matches(pattern, text) is is_match


@given(st.lists(st.text("ab/", max_size=3), min_size=1, max_size=5), st.lists(st.text("ab/", max_size=3), max_size=4))
def test_a_text_made_of_a_pattern_matches_it(parts: list[str], fillings: list[str]) -> None:
    text = "".join(part + filling for part, filling in zip(parts, [*fillings, *[""] * len(parts)], strict=False))
    last_filling = fillings[len(parts) - 1 : len(parts)]
    assert matches("*".join([*parts, *[""] * len(last_filling)]), text)
