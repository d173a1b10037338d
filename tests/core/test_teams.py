"""The setting `teams`: what is valid, and which team a scope belongs to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.teams import MAX_NAME_CHARACTERS, Teams, parse_teams

TEAMS = Teams.parse(
    {
        "payments": ["acme/pay-*", "acme/shop:checkout"],
        "shop": "acme/shop",
        "platform": "acme/infra-*, gateway, *-proxy",
        "others": "acme/*",
    }
)


def scope(repository: str, service: str | None = None, environment: str = "production") -> Scope:
    return Scope(repository, service or repository.rpartition("/")[2], environment)


@pytest.mark.parametrize(
    ("of_scope", "team"),
    [
        (scope("acme/pay-api"), "payments"),
        (scope("acme/pay-"), "payments"),
        (scope("acme/pay"), "others"),
        (scope("acme/pay-api", "worker"), "payments"),
        (scope("acme/shop", "checkout"), "payments"),
        (scope("acme/shop", "checkout", "prod-eu"), "payments"),
        (scope("acme/shop"), "shop"),
        (scope("acme/shop", "web"), "shop"),
        (scope("acme/infra-dns"), "platform"),
        (scope("acme/edge", "gateway"), "platform"),
        (scope("beta/gateway"), "platform"),
        (scope("beta/edge", "tcp-proxy"), "platform"),
        (scope("beta/edge"), None),
        (scope("beta/acme"), None),
    ],
    ids=str,
)
def test_the_first_team_of_the_file_that_matches_has_the_scope(of_scope: Scope, team: str | None) -> None:
    assert TEAMS.team_of(of_scope) == team


def test_a_team_further_up_wins_over_a_more_exact_pattern() -> None:
    teams = Teams.parse({"all": "acme/*", "shop": "acme/shop"})
    assert teams.team_of(scope("acme/shop")) == "all"


@pytest.mark.parametrize("pattern", ["ACME/Shop", "acme/shop:CHECKOUT", "Check*", "*/*:*OUT"])
def test_upper_and_lower_case_are_the_same(pattern: str) -> None:
    teams = Teams.parse({"Payments": pattern})
    assert teams.team_of(Scope("Acme/shop", "checkOut", "production")) == "Payments"


def test_names_of_services_may_have_what_separates_others() -> None:
    teams = Teams.parse({"web": "*/*:web/ui:v2"})
    assert teams.team_of(scope("acme/shop", "web/ui:v2")) == "web"
    assert teams.team_of(scope("acme/shop", "web/ui")) is None


def test_without_the_setting_no_scope_has_a_team() -> None:
    assert Policy().team_of(scope("acme/shop")) is None


def test_teams_are_in_the_order_of_the_file() -> None:
    assert TEAMS.names == ("payments", "shop", "platform", "others")


def test_a_change_of_teams_keeps_checkpoints_valid() -> None:
    assert replace(Policy(), teams=TEAMS).fingerprint == Policy().fingerprint


ADVICE = "is not a pattern; write owner/name, owner/name:service, or the name of a service; * is any text"
NAME_RULE = f"the name of a team has 1 to {MAX_NAME_CHARACTERS} printable characters, and no space at either end"


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ({"a": []}, ["a: it has no patterns; write one such as acme/pay-*"]),
        ({"a": None}, ["a: it has no patterns; write one such as acme/pay-*"]),
        ({"a": " , "}, ["a: it has no patterns; write one such as acme/pay-*"]),
        ({"a": ["acme/x", ""]}, ["a: a pattern is empty; leave it out"]),
        ({"a": "acme/x/y"}, [f"a: 'acme/x/y' {ADVICE}"]),
        ({"a": "acme/"}, [f"a: 'acme/' {ADVICE}"]),
        ({"a": "acme/x:"}, [f"a: 'acme/x:' {ADVICE}"]),
        ({"a": "x:y"}, [f"a: 'x:y' {ADVICE}"]),
        ({"a": "https://github.com/acme/x"}, [f"a: 'https://github.com/acme/x' {ADVICE}"]),
        ({"a": "check\0out"}, [f"a: 'check\\x00out' {ADVICE}"]),
        ({"a": "x" * 301}, [f"a: {'x' * 60!r}… is longer than 300 characters"]),
        (
            {"a": ["acme/*", "!acme/x"]},
            ["a: '!acme/x' cannot exclude: the first team that matches has the scope, so put the exception before it"],
        ),
        ({"a": {"acme": "x"}}, ["a: expected a list: separate items with commas or line breaks, or use a YAML list"]),
        ({"a": [True]}, ["a: true is not a string in YAML; put the item in quotes"]),
        ({"": "acme/x"}, [f": {NAME_RULE}"]),
        ({" a": "acme/x"}, [f" a: {NAME_RULE}"]),
        ({"a\nb": "acme/x"}, [f"a\nb: {NAME_RULE}"]),
        ({"a" * 81: "acme/x"}, [f"{'a' * 60}: {NAME_RULE}"]),
        ({False: "acme/x"}, ["False: the name is not a string in YAML; put it in quotes"]),
        (
            {"pay": "acme/x", "Pay": "acme/y"},
            ["pay and Pay differ only in upper and lower case; write one team"],
        ),
        (
            {"a": "acme/x", "b": "acme/y, ACME/X"},
            ["ACME/X is in a and in b; the first one always wins, so keep it in one"],
        ),
    ],
)  # fmt: skip
def test_every_problem_is_named(value: object, problems: list[str]) -> None:
    with pytest.raises(ValueError, match=r".*") as raised:
        parse_teams(value)
    assert list(raised.value.args) == problems


@pytest.mark.parametrize("value", ["payments", ["acme/x"], 7, True])
def test_what_is_not_a_mapping_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a mapping; write names of teams with patterns"):
        parse_teams(value)


def test_all_problems_are_there_at_once() -> None:
    with pytest.raises(ValueError, match="no patterns") as raised:
        parse_teams({"a": [], "b": ["x:", "acme/"], "c": "acme/x", "d": "acme/x"})
    assert len(raised.value.args) == 4


def test_a_number_is_a_name_and_one_text_is_a_list() -> None:
    assert parse_teams({7: "acme/a, acme/b"}) == {"7": ("acme/a", "acme/b")}


names = st.text("ab-*", min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from("xyz"), st.lists(names, min_size=1, max_size=3)), st.text("ab-", max_size=5))
def test_a_scope_has_the_team_of_the_first_pattern_that_matches_alone(
    patterns: dict[str, list[str]], service: str
) -> None:
    alone = [
        team
        for team, each in patterns.items()
        for pattern in each
        if Teams({team: (pattern,)}).team_of(scope("acme/shop", service or "a"))
    ]
    together = Teams({team: tuple(each) for team, each in patterns.items()}).team_of(scope("acme/shop", service or "a"))
    assert together == next(iter(alone), None)
