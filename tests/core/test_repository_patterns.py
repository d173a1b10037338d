"""The setting `repositories`: which texts are patterns, and which repositories they select."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.core.repository_patterns import RepositoryPattern, is_selected, parse_pattern
from dora_metrics.errors import SettingsError
from dora_metrics.settings.loading import INPUT, Layer, load_settings
from support.property_cases import cases


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("acme/shop", RepositoryPattern("acme/shop")),
        ("acme/*", RepositoryPattern("acme/*")),
        ("!acme/test-*", RepositoryPattern("acme/test-*", is_exclusion=True)),
        ("acme/* topic:payments", RepositoryPattern("acme/*", topics=frozenset({"payments"}))),
        (
            "acme/api-*  -topic:legacy topic:Go topic:payments Fork:true",
            RepositoryPattern(
                "acme/api-*",
                topics=frozenset({"go", "payments"}),
                excluded_topics=frozenset({"legacy"}),
                forks="included",
            ),
        ),
        ("acme/* fork:only", RepositoryPattern("acme/*", forks="only")),
    ],
)
def test_a_pattern_has_the_qualifiers_of_githubs_search(text: str, pattern: RepositoryPattern) -> None:
    assert parse_pattern(text) == pattern


HOW_TO_WRITE = "is not a repository; write owner/name, owner/*, or !owner/name to leave one out"
QUALIFIERS = "is not a qualifier; after a pattern, write topic:NAME, -topic:NAME, fork:true or fork:only"
ADVICE = "has no effect after `!`; leave out by topic with a pattern such as owner/* -topic:NAME"
CONTRADICTION = "its qualifiers contradict each other, so no repository has them all"
PROBLEMS = {
    "*/x": "'*/x' has `*` in place of an owner; write owner/* for each owner",
    "ac*/x": "'ac*/x' has `*` in place of an owner; write owner/* for each owner",
    "acme": f"'acme' {HOW_TO_WRITE}",
    "*": f"'*' {HOW_TO_WRITE}",
    "acme/a/b": f"'acme/a/b' {HOW_TO_WRITE}",
    "!": f"'!' {HOW_TO_WRITE}",
    "acme/* language:go": f"'acme/* language:go': `language:go` {QUALIFIERS}",
    "acme/* topic:": f"'acme/* topic:': `topic:` {QUALIFIERS}",
    "acme/shop topic:a": "'acme/shop topic:a': a full name includes its repository anyway; leave `topic:a` out",
    "!acme/* topic:a": f"'!acme/* topic:a': `topic:a` {ADVICE}",
    "acme/* topic:a -topic:a": f"'acme/* topic:a -topic:a': {CONTRADICTION}",
    "acme/* fork:true fork:only": f"'acme/* fork:true fork:only': {CONTRADICTION}",
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_what_is_not_a_pattern_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings([Layer(INPUT, {"repositories": text})])
    assert refused.value.problems == (f"input repositories: {PROBLEMS[text]}",)


def test_a_list_of_patterns_is_separated_by_commas() -> None:
    loaded = load_settings([Layer(INPUT, {"repositories": "acme/* topic:a -topic:b, !acme/x\nother/tool"})])
    assert loaded.repositories == ("acme/* topic:a -topic:b", "!acme/x", "other/tool")


@given(st.text(alphabet="ac!*/-: topicfrk\t", max_size=30))
@settings(max_examples=cases(200))
def test_a_pattern_that_is_accepted_selects_by_name_like_its_parsed_form(text: str) -> None:
    try:
        pattern = parse_pattern(text)
    except ValueError:
        return
    for name in ("a/c", "ac/topic", "acme/shop"):
        assert is_selected(name, [text]) == (pattern.matches(name) and not pattern.is_exclusion)


def test_the_last_pattern_that_matches_a_name_decides() -> None:
    patterns = ("acme/* topic:payments", "!acme/test-*", "acme/test-shop")
    assert [is_selected(f"Acme/{name}", patterns) for name in ("api", "test-api", "TEST-shop")] == [True, False, True]
    assert not is_selected("other/api", patterns)
