"""Incidents: issues with an incident label, read again at every event."""

import itertools
from collections.abc import Iterable

import pytest
import yaml

from dora_metrics.core.facts import jsonl
from dora_metrics.core.facts.model import Incident
from dora_metrics.core.ledger.layout import parse_ledger, plan_merge
from dora_metrics.github.events import incidents
from dora_metrics.github.events.observe import LedgerAnswers, observe
from dora_metrics.settings.model import Settings
from support.events import Payload, at, form, incident, issue, make_run, observe_event, sample
from support.paths import ROOT

CLOSED: Payload = {
    "state": "closed",
    "closed_at": "2026-11-20T15:40:00Z",
    "updated_at": "2026-11-20T15:40:00Z",
}


def incident_of(payload: Payload) -> Incident:
    return incident(observe_event("issues", payload))


def merged(facts: Iterable[Incident]) -> Incident:
    """The state of the only incident in a ledger that these facts came to in this order."""
    ledger = parse_ledger({})
    for fact in facts:
        ledger = plan_merge(ledger, [fact]).after
    (state,) = (fact for fact in ledger.facts if isinstance(fact, Incident))
    return state


def test_an_issue_without_an_incident_label_is_no_incident() -> None:
    assert observe_event("issues", issue("opened", "bug")).facts == ()


def test_incident_labels_are_whole_labels_in_any_case() -> None:
    assert observe_event("issues", issue("opened", "Incident")).facts
    assert observe_event("issues", issue("opened", "incidental")).facts == ()
    assert observe_event("issues", issue("opened", "outage"), incident_labels="outage,incident").facts


def test_a_pull_request_is_never_an_incident() -> None:
    assert observe_event("issues", issue(pull_request={"url": "https://x"})).facts == ()


@pytest.mark.parametrize("action", ["assigned", "locked", "pinned", "milestoned", "typed"])
def test_actions_that_change_no_incident(action: str) -> None:
    assert observe_event("issues", issue(action)).facts == ()


def test_opened_and_labeled_at_creation_are_the_same_fact() -> None:
    assert incident_of(issue("opened")) == incident_of(issue("labeled", event={"label": {"name": "incident"}}))


def test_closed_as_completed_restores() -> None:
    fact = incident_of(sample("issues.closed.completed"))
    assert (fact.resolved_at, fact.retracted) == (at("20T15:40"), False)


def test_closed_without_a_reason_restores() -> None:
    assert incident_of(issue("closed", **CLOSED)).resolved_at == at("20T15:40")


@pytest.mark.parametrize("reason", ["not_planned", "duplicate"])
def test_closed_as_something_else_is_no_restoration_but_a_withdrawal(reason: str) -> None:
    fact = incident_of(sample(f"issues.closed.{reason}"))
    assert (fact.resolved_at, fact.retracted) == (None, True)


def test_reopened_is_open_whatever_the_stale_closed_at_says() -> None:
    payload = sample("issues.reopened")
    assert payload["issue"]["closed_at"]
    fact = incident_of(payload)
    assert (fact.resolved_at, fact.retracted) == (None, False)


def test_transferred_withdraws_the_old_repositorys_incident() -> None:
    fact = incident_of(sample("issues.transferred"))
    assert (fact.id, fact.retracted) == ("github:issue:acme/shop#7", True)


def test_transferred_in_keeps_the_time_and_the_form_of_the_old_issue() -> None:
    fact = incident_of(sample("issues.opened.transferred"))
    assert (fact.detected_at, fact.observed_at) == (at("20T14:12:30"), at("20T17:00"))
    assert (fact.severity, fact.deployment, fact.retracted) == ("high", "v1.4.0", False)


SAME_SECOND: Payload = {"updated_at": "2026-11-20T15:40:00Z"}
STATES_IN_ORDER = {
    "labeled": issue("labeled", **SAME_SECOND),
    "closed": issue("closed", **CLOSED),
    "reopened": issue("reopened", state_reason="reopened", **SAME_SECOND),
    "deleted": issue("deleted", **CLOSED),
}


@pytest.mark.parametrize(("earlier", "later"), list(itertools.combinations(STATES_IN_ORDER, 2)))
def test_of_two_states_in_one_second_the_later_one_counts(earlier: str, later: str) -> None:
    before, after = (incident_of(STATES_IN_ORDER[name]) for name in (earlier, later))
    assert merged([before, after]) == merged([after, before]) == after


def test_an_issue_read_after_it_was_closed_and_reopened_in_one_second_is_open() -> None:
    facts = [incident_of(issue("edited", **{**CLOSED, "state": "open"})), incident_of(issue("closed", **CLOSED))]
    assert merged(facts).resolved_at is None


@pytest.mark.parametrize("action", ["deleted", "transferred"])
def test_removal_wins_over_what_was_seen_at_the_same_time(action: str) -> None:
    known, gone = incident_of(issue("closed", **CLOSED)), incident_of(issue(action, **CLOSED))
    assert gone.retracted
    assert max(known, gone, key=lambda fact: (fact.observed_at, jsonl.canonical_json(fact))) == gone


def test_taking_the_label_away_withdraws() -> None:
    assert incident_of(issue("unlabeled", "bug", event={"label": {"name": "Incident"}})).retracted
    assert not incident_of(issue("unlabeled", "incident", event={"label": {"name": "bug"}})).retracted
    assert observe_event("issues", issue("unlabeled", "bug", event={"label": {"name": "ui"}})).facts == ()


@pytest.mark.parametrize("label", ["postmortem", "Post-mortem"])
def test_a_postmortem_is_no_incident_of_its_own(label: str) -> None:
    review = issue("opened", "incident", label)
    observation = observe_event("issues", review)
    assert observation.facts == ()
    assert f"has the label {label.lower()}, so it is not an incident itself" in observation.title
    assert observe_event("issues", review, incident_labels=f"incident, {label}").facts
    assert observe_event("issues", issue("opened", "incident", "needs-postmortem")).facts


def test_a_recorded_incident_that_becomes_a_postmortem_is_withdrawn_until_it_is_none() -> None:
    recorded_id = incident_of(issue()).id
    labelled = issue("labeled", "incident", "postmortem", event={"label": {"name": "postmortem"}})
    withdrawn = observe(make_run("issues"), labelled, Settings(), frozenset(), LedgerAnswers(recorded_id.__eq__))
    assert incident(withdrawn).retracted
    unlabelled = issue("unlabeled", "incident", event={"label": {"name": "postmortem"}})
    assert not incident_of(unlabelled).retracted


@pytest.mark.parametrize(
    ("answer", "detected", "note"),
    [
        ("2026-11-20T15:05+02:00", "20T13:05", ""),
        ("2026-11-20 13:05 UTC", "20T13:05", ""),
        ("2026-11-20T13:05:30.5Z", "20T13:05:30.5", ""),
        ("2026-11-20 13:05", "20T13:05", "is read as UTC"),
        ("2026-11-20T14:12:31Z", "20T14:12:30", "is in the future"),
        ("2026-11-20", "20T14:12:30", "is not a time"),
        ("around noon", "20T14:12:30", "is not a time"),
        ("2026-13-45T99:00Z", "20T14:12:30", "is not a time"),
        ("9999-12-31T23:59-14:00", "20T14:12:30", "is not a time"),
        ("_No response_", "20T14:12:30", ""),
        ("", "20T14:12:30", ""),
    ],
)
def test_detected_at_is_the_forms_else_when_the_issue_was_opened(answer: str, detected: str, note: str) -> None:
    observed = observe_event("issues", issue(body=form(detected_at=answer, severity="low")))
    assert incident(observed).detected_at == at(detected)
    assert note in "".join(observed.notes)
    assert bool(observed.notes) == bool(note)


@pytest.mark.parametrize(
    ("body", "deployment"),
    [
        (form(deployment="`v1.2.3`"), "v1.2.3"),
        (form(deployment="v1.2.3\r\nor the one before"), "v1.2.3"),
        (form(deployment="_No response_"), None),
        (form(deployment=""), None),
        (form(deployment="unknown"), None),
        (form(deployment="v1") + "\ndeployment: v2", "v1"),
        ("Broken.\nDeployment: v2", "v2"),
        ("- **Root cause:** `v2`.", "v2"),
        ("root cause: the disk was full", None),
        ("```\ndeployment: v2\n```", None),
        ("~~~~ text\n~~~\ndeployment: v2\n~~~~\nroot cause: v3", "v3"),
        ("<!-- deployment: v2 -->", None),
        ("<!--\ndeployment: v2", None),
        ("```inline``` text\ndeployment: v2", "v2"),
        ("mydeployment: v2", None),
        (None, None),
    ],
)
def test_the_deployment_that_an_incident_names(body: str | None, deployment: str | None) -> None:
    assert incident_of(issue(body=body)).deployment == deployment


def test_the_deployment_may_be_a_label() -> None:
    assert incident_of(issue("labeled", "incident", "Deployment: v3")).deployment == "v3"
    assert incident_of(issue("labeled", "incident", "deployment:")).deployment is None


def test_environment_and_service_are_the_forms() -> None:
    fact = incident_of(issue(body=form(environment="eu", service="till")))
    assert (fact.environment, fact.service) == ("eu", "till")
    assert (incident_of(issue()).environment, incident_of(issue()).service) == (None, None)


def test_an_answer_cannot_overwrite_the_fields_above_it() -> None:
    fact = incident_of(issue(body=form(severity="low") + form(what_happens="### Severity\n\ncritical")))
    assert fact.severity == "low"


LEVELS = {
    "critical": [
        "severity:critical",
        "critical",
        "SEV0",
        "sev-1",
        "S1",
        "P0",
        "prio/P1",
        "priority 1",
        "incident: sev1",
    ],
    "high": ["severity/high", "sev2", "S2", "P2", "priority: high", "high severity", "🔥 high", "level_high"],
    "medium": ["severity: medium", "sev 3", "S3", "P3", "medium"],
    "low": ["Severity - Low", "sev4", "S4", "P4", "low priority"],
    None: [
        "prefix",
        "P1000",
        "P5",
        "sev9",
        "aws s3",
        "low hanging fruit",
        "critical-path",
        "highway",
        "1",
        "severity",
        "",
    ],
}


@pytest.mark.parametrize(("level", "label"), [(level, label) for level, labels in LEVELS.items() for label in labels])
def test_severity_of_labels(level: str | None, label: str) -> None:
    assert incidents.severity_of_labels(["bug", label]) == level


def test_the_worst_label_counts_and_the_form_before_labels() -> None:
    assert incident_of(issue("opened", "incident", "P3", "sev1", "low")).severity == "critical"
    assert incident_of(issue("opened", "incident", "sev1", body=form(severity="Low: nobody noticed"))).severity == "low"
    assert incident_of(issue("opened", "incident", "sev1", body=form(severity="_No response_"))).severity == "critical"
    assert incident_of(issue("opened", "incident", "sev1", body=form(severity="awful"))).severity == "critical"


def test_sentences() -> None:
    assert observe_event("issues", issue()).title == "Incident acme/shop#7 is open"
    assert observe_event("issues", issue("closed", **CLOSED)).title == "Incident acme/shop#7 was resolved"
    assert observe_event("issues", issue("deleted")).title == "Incident acme/shop#7 is withdrawn"


@pytest.mark.parametrize("piece", [" ", "#", "*", "_", "<!--", "```\n", "### ", "deployment:", ">", "\n", "`", "s "])
def test_hostile_bodies_are_read_in_no_time(piece: str) -> None:
    body = "### Severity\n\n" + piece * (65_536 // len(piece)) + "x"
    assert incident_of(issue(body=body)).id == "github:issue:acme/shop#7"
    assert incident_of(issue(body="deployment:" + piece * 60_000 + "x y")).deployment is None


def test_the_shipped_form_is_the_one_that_is_read() -> None:
    example = (ROOT / "examples" / "incident-form.yml").read_text(encoding="utf-8")
    assert example == (ROOT / ".github" / "ISSUE_TEMPLATE" / "incident.yml").read_text(encoding="utf-8")
    shipped = yaml.safe_load(example)
    labels = [field["attributes"]["label"] for field in shipped["body"]]
    given = dict(zip(labels, ["critical", "2026-11-20T14:05Z", "v1.4.0", "All is lost."], strict=True))
    body = "\n\n".join(f"### {label}\n\n{answer}" for label, answer in given.items())
    fact = incident_of(issue("opened", *shipped["labels"], body=body))
    assert (fact.severity, fact.detected_at, fact.deployment) == ("critical", at("20T14:05"), "v1.4.0")
    assert shipped["body"][0]["attributes"]["options"] == ["critical", "high", "medium", "low"]
    assert incidents.form_answers(body)["what is happening?"] == "All is lost."
