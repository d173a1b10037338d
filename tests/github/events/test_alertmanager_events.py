"""Notifications of Alertmanager in a `repository_dispatch`: each alert is an incident; what cannot be read is named."""

import json
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.facts import jsonl
from dora_metrics.core.facts.model import Incident
from dora_metrics.errors import EventError
from dora_metrics.github.events.alertmanager import MAX_ALERTS
from dora_metrics.github.observation import Observation
from support.alerted_shop import alert, notification
from support.events import NOW, at, observe_event

RESOLVED = {"status": "resolved", "endsAt": "2026-11-21T10:30:00.5Z"}


def observe_notification(body: object, **inputs: object) -> Observation:
    payload = {"action": "dora-incident", "client_payload": {"alertmanager": body}}
    return observe_event("repository_dispatch", payload, **inputs)


def observe_alerts(*alerts: object, **inputs: object) -> Observation:
    return observe_notification(notification(*alerts), **inputs)


def only_incident(observed: Observation) -> Incident:
    (fact,) = observed.facts
    assert isinstance(fact, Incident)
    assert (observed.notes, observed.problems) == ((), ())
    return fact


def problems_of(body: object) -> tuple[str, ...]:
    with pytest.raises(EventError) as raised:
        observe_notification(body)
    return raised.value.problems


def labels(**others: object) -> dict[str, object]:
    return {**cast("dict[str, object]", alert()["labels"]), **others}


def test_an_alert_that_fires_is_an_open_incident() -> None:
    observed = observe_alerts(alert())
    incident = only_incident(observed)
    assert incident.id == "alertmanager:c59d274570a8a903:2026-11-21T10:00:00.82Z"
    assert incident.repository == "acme/shop"
    assert (incident.severity, incident.title, incident.source) == ("critical", "The shop is down", "alertmanager")
    assert incident.detected_at == incident.observed_at == at("21T10:00:00.820")
    assert incident.resolved_at is None
    assert (incident.environment, incident.service, incident.deployment) == (None, None, None)
    assert incident.url == "http://prometheus:9090/graph?g0.expr=shop_up+%3D%3D+0&g0.tab=1"
    assert observed.title == "Incident The shop is down is open"


def test_one_that_is_resolved_has_ended() -> None:
    incident = only_incident(observe_alerts(alert(**RESOLVED)))
    assert incident.resolved_at == incident.observed_at == at("21T10:30:00.500")
    assert incident.id == only_incident(observe_alerts(alert())).id


def test_labels_say_where_it_happened_and_what_caused_it() -> None:
    own = labels(environment="prod-eu", service="till", version="v1.4.0")
    incident = only_incident(observe_alerts(alert(labels=own)))
    assert (incident.environment, incident.service, incident.deployment) == ("prod-eu", "till", "v1.4.0")


def test_the_label_deployment_comes_before_version() -> None:
    own = labels(deployment="github:deployment:5", version="v1.4.0")
    assert only_incident(observe_alerts(alert(labels=own))).deployment == "github:deployment:5"


@pytest.mark.parametrize("annotations", [{}, {"summary": ""}, {"summary": "  "}, {"description": "x"}, None])
def test_without_a_summary_the_name_of_the_alert_is_its_title(annotations: object) -> None:
    assert only_incident(observe_alerts(alert(annotations=annotations))).title == "ShopDown"


def test_each_alert_of_a_notification_is_an_incident() -> None:
    other = alert(fingerprint="00000000000000ff", **RESOLVED)
    observed = observe_alerts(alert(), other)
    assert [fact.id.split(":")[1] for fact in observed.facts] == ["c59d274570a8a903", "00000000000000ff"]
    assert observed.title == "2 incidents from alerts: 1 open, 1 resolved"


def test_an_alert_that_is_in_a_notification_twice_counts_once_in_its_later_state() -> None:
    assert only_incident(observe_alerts(alert(**RESOLVED), alert())).resolved_at == at("21T10:30:00.500")


@pytest.mark.parametrize(
    "ends_at", ["0001-01-01T00:00:00Z", "2026-11-21T12:00:00.001Z", "2099-01-01T00:00:00Z", None, 5]
)
def test_an_end_that_cannot_be_one_is_not_a_resolution(ends_at: object) -> None:
    observed = observe_alerts(alert(status="resolved", endsAt=ends_at))
    (fact,) = observed.facts
    assert isinstance(fact, Incident)
    assert fact.resolved_at is None
    assert any("so the incident stays open" in note for note in observed.notes)


def test_an_end_before_the_start_is_none() -> None:
    (fact,) = observe_alerts(alert(status="resolved", endsAt="2026-11-21T09:00:00Z")).facts
    assert isinstance(fact, Incident)
    assert fact.resolved_at is None


def test_the_end_of_an_alert_that_fires_says_nothing() -> None:
    """It is when Alertmanager would take the alert for resolved without another report."""
    assert only_incident(observe_alerts(alert(endsAt="2026-11-21T10:04:00Z"))).resolved_at is None


def test_an_alert_about_the_metrics_is_never_an_incident() -> None:
    observed = observe_alerts(alert(labels=labels(alertname="DoraChangeFailureRateHigh")))
    assert observed.facts == ()
    assert observed.title == "Nothing to record: none of its alerts is an incident of this ledger"
    assert "begins with `Dora`" in observed.notes[0]


def test_it_hides_no_other_alert() -> None:
    own = alert(labels=labels(alertname="DoraLeadTimeHigh"), fingerprint="00000000000000ff")
    assert len(observe_alerts(own, alert()).facts) == 1


def test_an_alert_of_another_repository_is_not_recorded() -> None:
    observed = observe_alerts(alert(labels=labels(repository="acme/pay")))
    assert (observed.facts, observed.notes, observed.problems) == ((), (), ())
    (warning,) = observed.warnings
    assert warning == (
        "1 alert is not recorded, because the label `repository` names what this ledger does not cover: acme/pay. "
        "Add it to `repositories`, or correct the label in the rule"
    )
    assert observed.title == "Nothing to record: none of its alerts is an incident of this ledger"


def test_of_many_such_repositories_three_are_named_and_all_alerts_counted() -> None:
    alerts = [alert(labels=labels(repository=f"acme/{name}")) for name in "aabcde"]
    (warning,) = observe_alerts(*alerts).warnings
    assert warning.startswith("6 alerts are not recorded")
    assert "cover: acme/a, acme/b, acme/c and 2 more. Add" in warning


def test_a_label_that_is_not_the_name_of_a_repository_is_not_shown() -> None:
    observed = observe_alerts(alert(labels=labels(repository="acme/<b>::error::")), alert(), repositories="acme/*")
    assert len(observed.facts) == 1
    assert observed.warnings == (
        "1 alert is not recorded, because the label `repository` is not `OWNER/NAME`. Correct it in the rule",
    )


def test_a_ledger_of_several_repositories_has_it() -> None:
    (fact,) = observe_alerts(alert(labels=labels(repository="acme/pay")), repositories="acme/*").facts
    assert fact.repository == "acme/pay"


def test_a_notification_without_alerts_has_nothing_to_record() -> None:
    assert observe_alerts().title == "Nothing to record: the notification has no alerts"


def test_of_more_than_a_hundred_alerts_the_first_hundred_are_recorded() -> None:
    alerts = [alert(fingerprint=f"{number:016x}") for number in range(MAX_ALERTS + 40)]
    observed = observe_alerts(*alerts)
    assert len(observed.facts) == MAX_ALERTS
    (problem,) = observed.problems
    assert "only the first 100 of 140 alerts are recorded" in problem
    assert "group_by: ['...']" in problem


def test_alerts_that_alertmanager_left_out_are_a_problem() -> None:
    (problem,) = observe_notification(notification(alert(), truncatedAlerts=3)).problems
    assert "left out 3 alerts" in problem


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"startsAt": None}, "startsAt: expected a time such as 2026-11-21T12:00:00.123Z, but it is null"),
        ({"startsAt": "yesterday"}, "startsAt: expected a time such as 2026-11-21T12:00:00.123Z, but it is another"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "startsAt: expected a time such as"),
        ({"startsAt": "2026-11-21T12:11:00Z"}, "startsAt: expected a time that is not in the future"),
        ({"startsAt": "2026-11-21T10:00:00." + "1" * 400 + "Z"}, "startsAt: expected a time with fewer digits"),
        ({"status": "suppressed"}, "status: expected one of firing, resolved, but it is another string"),
        ({"status": None}, "status: expected one of firing, resolved, but it is null"),
        ({"labels": None}, "labels: expected an object, but it is null"),
        ({"labels": ["alertname"]}, "labels: expected an object, but it is a list"),
        ({"annotations": "down"}, "annotations: expected an object, but it is another string"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, object], problem: str) -> None:
    (found,) = problems_of(notification(alert(**fields)))
    assert found.startswith(f"client_payload.alertmanager.alerts[0].{problem}")


def test_a_missing_start_is_named() -> None:
    without = {name: value for name, value in alert().items() if name != "startsAt"}
    (found,) = problems_of(notification(without))
    assert found.endswith("alerts[0].startsAt: expected a time such as 2026-11-21T12:00:00.123Z, but it is missing")


def test_an_alert_that_cannot_be_read_hides_no_other() -> None:
    observed = observe_alerts(alert(startsAt=None), alert(), "text")
    assert len(observed.facts) == 1
    assert [problem.partition(":")[0] for problem in observed.problems] == [
        "client_payload.alertmanager.alerts[0].startsAt",
        "client_payload.alertmanager.alerts[2]",
    ]


@pytest.mark.parametrize("body", [None, [], "text", 5, {}, {"alerts": None}, {"alerts": {}}])
def test_what_is_not_a_notification_is_named(body: object) -> None:
    (problem,) = problems_of(body)
    assert problem.startswith("client_payload.alertmanager")
    assert "Alertmanager's webhook" in problem


def test_a_notification_may_be_json_in_a_string() -> None:
    """Alertmanager sends a `payload` like that if it is not YAML."""
    assert only_incident(observe_notification(json.dumps(notification(alert())))).title == "The shop is down"


def test_numbers_and_booleans_in_labels_are_texts() -> None:
    """Alertmanager 0.32 and 0.33 make them of texts in a `payload`."""
    own = labels(version=1.4, service=5, dora_incident=True, replica=None, pod={"name": "x"})
    incident = only_incident(observe_alerts(alert(labels=own, annotations={"summary": 500})))
    assert (incident.deployment, incident.service, incident.title) == ("1.4", "5", "500")


@pytest.mark.parametrize("fingerprint", [None, "", "C59D274570A8A903", "x" * 16, 1234567890123456, "c59d"])
def test_a_fingerprint_that_is_none_is_computed(fingerprint: object) -> None:
    assert only_incident(observe_alerts(alert(fingerprint=fingerprint))).id.split(":")[1] == "c59d274570a8a903"


def test_a_notification_as_large_as_a_dispatch_can_be() -> None:
    """GitHub takes 64 KB."""
    large = alert(annotations={"summary": "x" * 30_000, "description": "y" * 34_000})
    assert len(only_incident(observe_alerts(large)).title or "") == 300


def test_other_fields_of_the_payload_are_named() -> None:
    payload = {"action": "dora-incident", "client_payload": {"alertmanager": notification(alert()), "service": "till"}}
    observed = observe_event("repository_dispatch", payload)
    assert observed.notes == ("Unknown fields, ignored: client_payload.service",)


def test_in_a_dispatch_of_a_deployment_it_is_an_unknown_field() -> None:
    payload = {"action": "dora-deployment", "client_payload": {"version": "v2", "alertmanager": notification(alert())}}
    assert "client_payload.alertmanager" in observe_event("repository_dispatch", payload).notes[0]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
JSON = st.recursive(
    SCALARS, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3)
)
TIMES = st.integers(-800_000, 800_000).map(lambda minutes: (NOW + timedelta(minutes=minutes)).isoformat())
ANY_ALERT = st.fixed_dictionaries(
    {},
    optional={
        "status": st.one_of(st.sampled_from(["firing", "resolved"]), JSON),
        "labels": st.one_of(
            st.dictionaries(st.sampled_from(["alertname", "severity", "service", "version"]), SCALARS), JSON
        ),
        "annotations": st.one_of(st.dictionaries(st.just("summary"), SCALARS), JSON),
        "startsAt": st.one_of(TIMES, JSON),
        "endsAt": st.one_of(TIMES, JSON),
        "fingerprint": st.one_of(st.just("c59d274570a8a903"), JSON),
        "generatorURL": st.one_of(st.just("http://prometheus:9090/graph"), JSON),
    },
)


@given(st.lists(st.one_of(ANY_ALERT, JSON), max_size=4))
def test_alerts_of_any_shape_are_recorded_or_named(alerts: list[Any]) -> None:
    try:
        observed = observe_alerts(*alerts)
    except EventError:
        return
    assert len(observed.facts) <= len(alerts)
    for fact in observed.facts:
        assert isinstance(fact, Incident)
        assert jsonl.decode_line(jsonl.encode_fact(fact)) == fact
        assert fact.id.startswith("alertmanager:")
        assert fact.resolved_at is None or fact.detected_at <= fact.resolved_at <= NOW
    unread = len(alerts) - len(observed.facts)
    assert unread == 0 or observed.problems or observed.notes or len(alerts) != len(set(map(json.dumps, alerts)))
