"""The setting `labels`: how it can be written, and which names and values a series can have."""

from typing import Any

import pytest

from dora_metrics.errors import SettingsError
from dora_metrics.settings.config_file import config_layer
from dora_metrics.settings.loading import INPUT, Layer, load_settings
from dora_metrics.settings.metric_labels import RESERVED

BOTH = {"cluster": "eu-1", "team": "payments"}


def problems_of(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    with pytest.raises(SettingsError) as caught:
        load_settings([Layer(INPUT, {"labels": value})])
    return tuple(caught.value.problems)


@pytest.mark.parametrize(
    "text",
    [
        "labels: {cluster: eu-1, team: payments}",
        "labels:\n  cluster: eu-1\n  team: payments",
        'labels: "cluster: eu-1, team: payments"',
        "labels: cluster=eu-1,team=payments",
        "labels: |\n  cluster: eu-1\n  team: payments\n",
    ],
)
def test_a_file_has_a_mapping_or_a_text(text: str) -> None:
    assert load_settings([config_layer("dora.yml", text.encode())]).labels == BOTH


@pytest.mark.parametrize(
    "text",
    [
        "cluster: eu-1, team: payments",
        "cluster=eu-1\nteam=payments\n",
        "{cluster: eu-1, team: payments}",
        '{"cluster": "eu-1", "team": "payments"}',
        " cluster : eu-1 ,, team = 'payments' ",
    ],
)
def test_an_input_is_a_text(text: str) -> None:
    assert load_settings([Layer(INPUT, {"labels": text})]).labels == BOTH


def test_a_value_may_have_what_separates_names_from_values() -> None:
    assert load_settings([Layer(INPUT, {"labels": "zone=a=b:c"})]).labels == {"zone": "a=b:c"}


def test_a_whole_number_is_a_value() -> None:
    assert load_settings([config_layer("dora.yml", b"labels: {shard: 7}")]).labels == {"shard": "7"}


def test_without_the_setting_there_are_none() -> None:
    assert load_settings([Layer(INPUT, {"labels": ""})]).labels == {}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_labels_of_the_metrics_are_taken(name: str) -> None:
    (problem,) = problems_of({name: "x"})
    expected = f"{name!r} is a label that the metrics or Prometheus have already; choose another name"
    assert problem == f"input labels: {expected}"


@pytest.mark.parametrize("name", ["1st", "a-b", "a.b", "ä", "", " ", "a b", "a\n", 7, True])
def test_a_name_is_one_that_prometheus_takes(name: object) -> None:
    (problem,) = problems_of({name: "x"})
    assert "is not a name of a label; write letters, digits and _, and begin with no digit" in problem


def test_names_that_begin_with_two_underscores_are_prometheus_own() -> None:
    (problem,) = problems_of({"__name__": "x"})
    assert "'__name__' is a label that the metrics or Prometheus have already" in problem


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "cluster: a label needs a value"),
        ("  ", "cluster: a label needs a value"),
        (None, "cluster: a label needs a value"),
        (["eu-1"], "cluster: a label needs a value"),
        (1.5, "cluster: 1.5 is not a string in YAML; put the value in quotes"),
        (False, "cluster: false is not a string in YAML; put the value in quotes"),
        ("x" * 201, "cluster: the value is longer than 200 characters"),
        ("a\tb", "cluster: 'a\\tb' has characters that cannot be printed"),
        ("a\u202eb", "cluster: 'a\\u202eb' has characters that cannot be printed"),
    ],
)
def test_a_value_is_a_text_that_can_be_read(value: object, problem: str) -> None:
    assert problems_of({"cluster": value}) == (f"input labels: {problem}",)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("eu-1", "'eu-1' is not a label; write one such as cluster: eu-1"),
        ("a=1,a=2", "'a' is there twice"),
        ({f"l{number}": "x" for number in range(6)}, "6 labels are too many; at most 5 are possible"),
        (["cluster=eu-1"], "expected labels such as cluster: eu-1"),
        (7, "expected labels such as cluster: eu-1"),
    ],
)
def test_what_is_no_list_of_labels(value: object, problem: str) -> None:
    assert problems_of(value) == (f"input labels: {problem}",)


def test_all_problems_are_named() -> None:
    (problem,) = problems_of({"job": "x", "cluster": ""})
    assert "'job' is a label" in problem
    assert "cluster: a label needs a value" in problem
