"""One incident that an issue, a pager and a ticket report counts once."""

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from dora_metrics.core import schema
from dora_metrics.core.facts.model import SEVERITIES, Deployment, Fact, Incident
from dora_metrics.core.metrics.high_water_marks import marks_of_totals
from dora_metrics.core.metrics.totals import count_totals
from support.facts import at, deployment, document_of, failure_rules, incident, issue_id, metrics_of, results_of
from support.strategies import times

PAGER = "pagerduty:Q1"
OTHER_PAGER = "pagerduty:Q2"
TICKET = "jira:OPS-1"
MINUTE = 60.0
DEPLOYED = deployment(1, "03-05T12:00", version="v1")


def report(number: int, incident_id: str, detected_at: str = "03-05T13:00", **fields: Any) -> Incident:  # noqa: ANN401
    return incident(number, detected_at, id=incident_id, **fields)


ISSUE = incident(7, "03-05T13:10", resolved_at=at("03-08"), title="Checkout is down", also=(PAGER,))
PAGE = report(1, PAGER, "03-05T13:00", resolved_at=at("03-05T13:40"), severity="high", title="5xx")


def restored(*facts: Any) -> tuple[int | None, int | None, float | None]:  # noqa: ANN401
    """How many incidents there are, how many are open, and the median time to restore in minutes."""
    restore = metrics_of(DEPLOYED, *facts).incident_restore
    return restore.incidents, restore.open, restore.p50_seconds and restore.p50_seconds / MINUTE


def joined(*facts: Any) -> list[list[str]]:  # noqa: ANN401
    """The ids of the reports of each incident that has several."""
    evidence = [scope.evidence.joined_incidents or [] for scope in document_of(DEPLOYED, *facts).scopes]
    return [each.reports for incidents in evidence for each in incidents]


# Which reports are one incident


def test_an_issue_and_the_page_that_it_names_are_one_incident() -> None:
    assert restored(ISSUE, PAGE) == (1, 0, 40)
    assert joined(ISSUE, PAGE) == [[issue_id(7), PAGER]]


def test_either_of_two_reports_may_name_the_other() -> None:
    facts = (replace(ISSUE, also=()), replace(PAGE, also=("#7",)))
    assert restored(*facts) == (1, 0, 40)


def test_chains_and_circles_of_names_are_one_incident() -> None:
    ticket = report(2, TICKET, also=("#7",))
    assert joined(ISSUE, PAGE, ticket) == [[issue_id(7), TICKET, PAGER]]
    assert joined(ISSUE, replace(PAGE, also=(TICKET,)), ticket) == [[issue_id(7), TICKET, PAGER]]
    assert joined(ISSUE, PAGE, ticket, report(3, OTHER_PAGER)) == [[issue_id(7), TICKET, PAGER]]


def test_a_name_that_leads_nowhere_changes_nothing() -> None:
    alone = replace(ISSUE, also=("pagerduty:Q9", "#99", "https://nowhere.example/1"))
    assert document_of(DEPLOYED, alone) == document_of(DEPLOYED, replace(ISSUE, also=()))


def test_a_name_of_several_incidents_joins_none_and_a_note_says_so() -> None:
    graph = "https://prometheus.example/graph"
    alerts = [report(1, f"alertmanager:c59d274570a8a903:2024-03-0{day}T12:00:00Z", url=graph) for day in (5, 6)]
    document = document_of(DEPLOYED, replace(ISSUE, also=(graph,)), *alerts)
    assert document.scopes[0].metrics.incident_restore.incidents == 3
    (note,) = document.notes
    assert note == (
        "1 name in `also` means several incidents and joins none, such as https://prometheus.example/graph of "
        "github:issue:acme/shop#7. Name the incident by its id."
    )


def test_what_is_withdrawn_joins_nothing() -> None:
    ticket = report(2, TICKET, also=(PAGER,))
    withdrawn = replace(PAGE, retracted=True)
    assert restored(ISSUE, withdrawn, ticket) == (2, 1, restored(ISSUE)[2])
    assert joined(ISSUE, withdrawn, ticket) == []


def test_an_incident_whose_only_report_is_withdrawn_is_as_before() -> None:
    assert restored(replace(ISSUE, retracted=True), PAGE) == restored(PAGE)


# What the reports say together


def test_it_is_detected_with_the_first_report_and_has_the_highest_severity() -> None:
    assert restored(ISSUE, replace(PAGE, detected_at=at("03-05T13:20"))) == (1, 0, 30)
    worse = report(2, TICKET, severity="critical", also=(PAGER,))
    totals = count_open(ISSUE, replace(PAGE, resolved_at=None), worse)
    assert totals == {"critical": 1}


def count_open(*facts: Any) -> dict[str, int]:  # noqa: ANN401
    (history,) = results_of(DEPLOYED, *facts).evaluation.histories
    open_incidents = [each.incident for each in history.incidents if each.incident.resolved_at is None]
    return {str(each.severity): 1 for each in open_incidents}


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({issue_id(7): "03-08", PAGER: "03-05T13:40"}, "03-05T13:40"),
        ({issue_id(7): "03-05T13:20", PAGER: "03-05T13:40"}, "03-05T13:40"),
        ({issue_id(7): None, PAGER: "03-05T13:40"}, "03-05T13:40"),
        ({issue_id(7): "03-08", PAGER: None}, None),
        ({PAGER: "03-05T13:40", OTHER_PAGER: "03-05T14:00", TICKET: "03-09"}, "03-05T14:00"),
        ({PAGER: "03-05T13:40", OTHER_PAGER: None}, None),
        ({issue_id(7): "03-05T15:00", TICKET: "03-05T14:00"}, "03-05T15:00"),
        ({issue_id(7): "03-05T15:00", TICKET: None}, None),
        ({"statuspage:1": "03-05T16:00", "dispatch:pager-1": "03-05T14:00"}, "03-05T14:00"),
    ],
)
def test_what_pages_or_watches_says_when_it_ended_and_tickets_only_among_themselves(
    ends: dict[str, str | None], expected: str | None
) -> None:
    names = tuple(ends)
    facts = [report(1, name, resolved_at=end and at(end), also=names) for name, end in ends.items()]
    for order in permutations(facts):
        (history,) = results_of(DEPLOYED, *order).evaluation.histories
        assert [each.incident.resolved_at for each in history.incidents] == [expected and at(expected)]


def test_the_deployment_that_any_report_names_has_failed_by_it() -> None:
    later = deployment(2, "03-05T12:30")
    assert failure_rules(DEPLOYED, later, ISSUE, PAGE) == {2: "incident"}
    assert failure_rules(DEPLOYED, later, replace(ISSUE, deployment="v1"), PAGE) == {1: "explicit"}
    assert failure_rules(DEPLOYED, later, ISSUE, replace(PAGE, deployment="v1")) == {1: "explicit"}


def test_what_people_named_counts_before_what_a_system_named() -> None:
    later = deployment(2, "03-05T12:30", version="v2")
    facts = (replace(ISSUE, deployment="v1"), replace(PAGE, deployment="v2"))
    assert failure_rules(DEPLOYED, later, *facts) == {1: "explicit"}


def test_a_number_is_a_pull_request_of_the_repository_of_its_report() -> None:
    delivering = deployment(2, "03-05T12:30", changes=["github:pull:acme/incidents#3"])
    elsewhere = replace(ISSUE, repository="acme/incidents", service=None, deployment="#3")
    assert failure_rules(DEPLOYED, delivering, elsewhere, PAGE) == {2: "explicit"}


def test_it_counts_where_the_reports_say_it_happened() -> None:
    elsewhere = deployment(3, "03-05T12:10", service="pay")
    issue = replace(ISSUE, service=None, environment=None)
    scopes = document_of(DEPLOYED, elsewhere, issue, replace(PAGE, service="pay")).scopes
    assert [(scope.service, scope.metrics.incident_restore.incidents) for scope in scopes] == [("pay", 1), ("shop", 0)]


def test_a_repository_of_issues_only_is_not_where_it_happened() -> None:
    issue = replace(ISSUE, repository="acme/incidents", service="help")
    (scope,) = document_of(DEPLOYED, issue, replace(PAGE, service=None, environment=None)).scopes
    assert (scope.repository, scope.metrics.incident_restore.incidents) == ("acme/shop", 1)


def test_a_report_that_states_an_environment_decides_whether_it_is_production() -> None:
    issue = replace(ISSUE, environment=None)
    staging = replace(PAGE, environment="staging")
    document = document_of(DEPLOYED, issue, staging)
    assert document.scopes[0].metrics.incident_restore.incidents == 0
    assert "1 incident outside production is not counted." in document.notes
    assert restored(replace(ISSUE, environment="production"), staging)[0] == 1


def test_a_fix_of_any_report_ends_the_failure() -> None:
    for target in (PAGER, issue_id(7)):
        fix = deployment(2, "03-05T13:15", remediates=target)
        recovery = metrics_of(DEPLOYED, fix, ISSUE, PAGE).recovery_time
        assert recovery.p50_seconds == 75 * MINUTE


# What readers see


def test_the_evidence_and_a_note_name_the_reports() -> None:
    document = document_of(DEPLOYED, ISSUE, PAGE)
    (failure,) = document.scopes[0].evidence.failed_deployments
    assert failure.because == ("github:issue:acme/shop#7 detected 1 h after it; also reported as pagerduty:Q1")
    assert document.notes == [
        "1 incident was reported more than once and counts once: github:issue:acme/shop#7 (also pagerduty:Q1)."
    ]


def test_the_note_names_five_incidents_and_the_evidence_five_reports() -> None:
    pairs = [
        fact
        for number in range(10, 17)
        for fact in (incident(number, also=(f"pagerduty:P{number}",)), report(1, f"pagerduty:P{number}"))
    ]
    (note,) = document_of(DEPLOYED, *pairs).notes
    assert note.startswith("7 incidents were reported more than once and count once each: github:issue:acme/shop#10 (")
    assert note.endswith("#14 (also pagerduty:P14) and 2 more.")
    many = [report(1, f"pagerduty:P{number}", also=("#7",)) for number in range(10, 20)]
    (failure,) = document_of(DEPLOYED, ISSUE, *many).scopes[0].evidence.failed_deployments
    assert failure.because.endswith("pagerduty:P13, pagerduty:P14 and 5 more")


def test_an_unmatched_incident_names_its_reports() -> None:
    (scope,) = document_of(DEPLOYED, replace(ISSUE, deployment="v9"), PAGE).scopes
    (unmatched,) = scope.evidence.unmatched_incidents
    assert (unmatched.incident, unmatched.because) == (
        issue_id(7),
        "names v9, which is not a recorded production deployment that counts; also reported as pagerduty:Q1",
    )


def test_incidents_that_are_reported_once_have_the_evidence_of_before() -> None:
    (scope,) = document_of(DEPLOYED, PAGE).scopes
    assert scope.evidence.joined_incidents is UNSET


# Counters


def test_a_counter_does_not_fall_when_two_incidents_turn_out_to_be_one() -> None:
    before, after = (totals_of(DEPLOYED, replace(ISSUE, also=also), PAGE) for also in ((), (PAGER,)))
    marks = marks_of_totals(before) | marks_of_totals(after)
    counts = {series.name: value for series, value in marks.values.items() if series.name == "dora_incidents_total"}
    assert counts == {"dora_incidents_total": 2}
    assert sum(value for series, value in after.items() if series.name == "dora_incidents_total") == 1


def totals_of(*facts: Fact) -> Any:  # noqa: ANN401
    results = results_of(*facts, window="all")
    return count_totals(results.evaluation.histories, facts, results.policy)


# Properties

REPORT_IDS = [*(issue_id(number) for number in (1, 2)), TICKET, "statuspage:1", PAGER, OTHER_PAGER, "dispatch:p"]
reports = st.builds(
    Incident,
    id=st.sampled_from(REPORT_IDS),
    repository=st.just("acme/shop"),
    observed_at=times,
    detected_at=times,
    resolved_at=st.none() | times,
    service=st.sampled_from([None, "shop"]),
    environment=st.sampled_from([None, "production", "staging"]),
    severity=st.sampled_from([None, *SEVERITIES]),
    title=st.sampled_from([None, "a", "b"]),
    deployment=st.sampled_from([None, "v1", "v2", "v3"]),
    retracted=st.sampled_from([False, False, False, True]),
    also=st.lists(st.sampled_from([*REPORT_IDS, "jira:OPS-9"]), max_size=2).map(tuple),
)
histories = st.lists(reports, max_size=7, unique_by=lambda each: each.id)
DEPLOYMENTS = [deployment(number, f"03-{number:02}", version=f"v{number % 3}") for number in range(1, 28, 3)]


@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_the_reports_changes_nothing(facts: list[Incident], dice: Any) -> None:  # noqa: ANN401
    shuffled = list(facts)
    dice.shuffle(shuffled)
    assert document_of(*DEPLOYMENTS, *shuffled, window="all") == document_of(*DEPLOYMENTS, *facts, window="all")


@given(histories)
def test_the_numbers_are_those_of_a_world_in_which_each_incident_is_reported_once(facts: list[Incident]) -> None:
    assert numbers(DEPLOYMENTS, facts) == numbers(DEPLOYMENTS, map(reported_once, groups_of(facts)))


def numbers(deployments: Iterable[Deployment], incidents: Iterable[Incident]) -> list[object]:
    document = document_of(*deployments, *incidents, window="all")
    return [(scope.metrics, scope.weeks, failed(scope), unmatched(scope)) for scope in document.scopes]


def failed(scope: schema.ScopeMetrics) -> list[object]:
    failures = scope.evidence.failed_deployments
    return [(each.deployment, each.rule, each.remediated_by, each.recovered_at) for each in failures]


def unmatched(scope: schema.ScopeMetrics) -> list[str]:
    return [each.incident for each in scope.evidence.unmatched_incidents]


def groups_of(facts: list[Incident]) -> list[list[Incident]]:
    """The reports of each incident, by comparing each with each until nothing changes any more."""
    groups = [[fact] for fact in facts if not fact.retracted]
    while pair := next((pair for pair in permutations(groups, 2) if is_linked(*pair)), None):
        groups = [group for group in groups if group not in pair] + [pair[0] + pair[1]]
    return groups


def is_linked(first: list[Incident], second: list[Incident]) -> bool:
    return any(name == each.id for report in first for name in report.also for each in second)


def reported_once(group: list[Incident]) -> Incident:
    """The incident of some reports, as docs/definitions.md says it."""
    order = sorted(group, key=lambda each: (rank(each), each.detected_at, each.id))
    watching = [each for each in order if rank(each) == 2] or order
    ends = [each.resolved_at for each in watching]
    environments = [each.environment for each in order if each.environment]
    return replace(
        order[0],
        service=next((each.service for each in order if each.service), None),
        environment="production" if "production" in environments else next(iter(environments), None),
        severity=next((level for level in SEVERITIES if level in [each.severity for each in order]), None),
        detected_at=min(each.detected_at for each in order),
        resolved_at=None if None in ends else max(end for end in ends if end),
        deployment=next((each.deployment for each in order if each.deployment), None),
        also=(),
    )


def rank(each: Incident) -> int:
    if each.id.startswith("github:issue:"):
        return 0
    return 1 if each.id.startswith(("jira:", "statuspage:")) else 2
