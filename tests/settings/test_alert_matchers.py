"""`incident-alerts`: PromQL matchers that select some alerts, and no others."""

import pytest

from dora_metrics.errors import SettingsError
from dora_metrics.settings.alert_matchers import parse_alert_matchers
from dora_metrics.settings.loading import INPUT, Layer, load_settings

URL = {"prometheus-url": "http://prometheus:9090"}


def problems_of(values: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        load_settings([Layer(INPUT, values)])
    return raised.value.problems


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ('dora_incident="true"', 'dora_incident="true"'),
        (' { dora_incident = "true" , } ', 'dora_incident = "true"'),
        ('severity=~"critical|page", team!="lab"', 'severity=~"critical|page", team!="lab"'),
        ("severity='critical'", "severity='critical'"),
        ("severity=`critical`", "severity=`critical`"),
        (r'severity="a\"b}"', r'severity="a\"b}"'),
        ('alertname!=""', 'alertname!=""'),
        ('alertname!~""', 'alertname!~""'),
        ('alertname=~".+"', 'alertname=~".+"'),
        ('severity=~"(?i:critical)"', 'severity=~"(?i:critical)"'),
        ('severity=~"[[:alpha:]]+"', 'severity=~"[[:alpha:]]+"'),
        ('team!="lab",alertname!=""', 'team!="lab",alertname!=""'),
    ],
)
def test_matchers_of_promql_are_accepted(text: str, matchers: str) -> None:
    assert parse_alert_matchers(text) == matchers


@pytest.mark.parametrize("text", ["", " ", "{}", "{ }", ",", "{,}"])
def test_no_matcher_would_be_every_alert(text: str) -> None:
    with pytest.raises(ValueError, match="it selects every alert"):
        parse_alert_matchers(text)


@pytest.mark.parametrize(
    "text", ['severity=""', 'severity!="info"', 'severity=~".*"', 'severity=~"a|"', 'severity!~"info"', 'a="",b!="x"']
)
def test_matchers_that_an_alert_without_labels_matches_are_refused(text: str) -> None:
    """Prometheus refuses such a selector too, where there is no other matcher."""
    with pytest.raises(ValueError, match="alerts without any of its labels"):
        parse_alert_matchers(text)


@pytest.mark.parametrize(
    "text",
    [
        'dora_incident="true"} or ALERTS{a="b"',
        'dora_incident="true"}[5m]',
        "dora_incident=true",
        'dora_incident=="true"',
        'dora_incident="true" severity="page"',
        'dora_incident="true',
        '1="true"',
        'a="x"b="y"',
        "ALERTS",
        '"dora_incident"="true"',
    ],
)
def test_anything_else_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read from character"):
        parse_alert_matchers(text)


@pytest.mark.parametrize("name", ["__name__", "alertstate"])
def test_the_series_cannot_be_chosen(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot be chosen"):
        parse_alert_matchers(f'{name}="pending"')


@pytest.mark.parametrize("matchers", [{}, {"incident-alerts": ""}, {"incident-alerts": None}])
def test_a_prometheus_needs_matchers(matchers: dict[str, object]) -> None:
    (problem,) = problems_of({**URL, **matchers})
    assert problem.startswith("input prometheus-url: needs incident-alerts as well")


@pytest.mark.parametrize("text", [" ", "{}"])
def test_empty_matchers_are_a_settings_error(text: str) -> None:
    (problem, *_) = problems_of({**URL, "incident-alerts": text})
    assert problem.startswith("input incident-alerts: it selects every alert")


def test_matchers_alone_are_no_error() -> None:
    """A config file serves all workflows of a repository, and only one of them may know the Prometheus."""
    assert load_settings([Layer(INPUT, {"incident-alerts": 'a="b"'})]).prometheus_url is None


def test_external_labels_have_names_of_labels() -> None:
    (problem,) = problems_of({"prometheus-external-labels": {"not a name": "x"}})
    assert "'not a name': not the name of a label" in problem
