"""The setting `teams` in a file: its order, its problems, and what it may not be combined with."""

import pytest

from dora_metrics.errors import SettingsError
from dora_metrics.settings.config_file import config_layer
from dora_metrics.settings.loading import INPUT, Layer, load_settings

ADVICE = "write owner/name, owner/name:service, or the name of a service; * is any text"

FILE = config_layer("dora.yml", b"teams:\n  b: acme/*\n  a: [acme/shop, checkout]\n")


def problems_of(*layers: Layer) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(layers)
    return list(caught.value.problems)


def test_teams_keep_the_order_of_the_file() -> None:
    settings = load_settings([FILE])
    assert settings.teams == {"b": ("acme/*",), "a": ("acme/shop", "checkout")}
    assert settings.policy.teams is not None
    assert settings.policy.teams.names == ("b", "a")


def test_without_any_there_is_nothing_to_ask() -> None:
    assert load_settings([config_layer("dora.yml", b"teams: {}")]).policy.teams is None


def test_problems_have_the_file_and_the_team() -> None:
    text = b"teams: {pay: [], web: 'x:', b: acme/x, c: acme/x}"
    assert problems_of(config_layer("dora.yml", text)) == [
        "dora.yml: teams: pay: it has no patterns; write one such as acme/pay-*",
        f"dora.yml: teams: web: 'x:' is not a pattern; {ADVICE}",
        "dora.yml: teams: acme/x is in b and in c; the first one always wins, so keep it in one",
    ]


@pytest.mark.parametrize("labels", ["team: pay", "cluster=eu, team=pay", {"team": "pay"}])
def test_a_label_team_of_every_series_contradicts_teams(labels: object) -> None:
    assert problems_of(FILE, Layer(INPUT, {"labels": labels})) == [
        "input labels: team is the label that `teams` sets, from the scope of each series; remove it here"
    ]


def test_the_label_stays_possible_without_teams() -> None:
    layers = [config_layer("dora.yml", b"teams: {}"), Layer(INPUT, {"labels": "team: pay"})]
    assert load_settings(layers).labels == {"team": "pay"}


def test_invalid_labels_are_a_problem_of_their_own() -> None:
    (problem,) = problems_of(FILE, Layer(INPUT, {"labels": "team"}))
    assert problem == "input labels: 'team' is not a label; write one such as cluster: eu-1"
