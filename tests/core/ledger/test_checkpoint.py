"""Sealing old months changes no number: properties over random facts, and each rule by itself."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.model import Fact, Vulnerability
from dora_metrics.core.ledger.checkpoint import (
    MAX_RETAINED_CHANGES,
    MAX_RETAINED_DEPLOYMENTS,
    Checkpoint,
    base_totals_without,
    compact,
    first_month_needed,
    ledger_state,
)
from dora_metrics.core.metrics.totals import Series, Totals, add_totals, histogram_of
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import parse_window
from support.facts import (
    at,
    change,
    deployment,
    deployment_id,
    failed_deployment,
    incident,
    issue_id,
    pull_id,
    sha,
    vulnerability,
)
from support.strategies import fact_lists, times

POLICY = Policy()
EMPTY = Checkpoint("rules")
SHOP = Scope("acme/shop", "shop", "production")
MAY = at("05-01")


def sealed_ids(facts: Iterable[Fact], until: datetime) -> set[str]:
    return {fact.id for fact in facts if fact.defining_time < until}


def seal(facts: list[Fact], until: datetime = MAY, before: Checkpoint = EMPTY) -> Checkpoint:
    return compact(ledger_state(facts, POLICY), before, until, sealed_ids(facts, until))


def retained_facts(facts: Iterable[Fact], checkpoint: Checkpoint) -> list[Fact]:
    assert checkpoint.until
    return [*checkpoint.retained_facts, *(fact for fact in facts if fact.defining_time >= checkpoint.until)]


def totals_from(facts: Iterable[Fact], checkpoint: Checkpoint) -> Totals:
    """Totals of a run that reads only what is not sealed."""
    return add_totals(checkpoint.base_totals, ledger_state(retained_facts(facts, checkpoint), POLICY).totals)


def retained_ids(*facts: Fact) -> list[str]:
    return sorted(fact.id for fact in seal(list(facts)).retained_facts)


@given(fact_lists(), times)
def test_what_is_counted_stays_the_same_wherever_a_ledger_is_sealed(facts: list[Fact], until: datetime) -> None:
    assert totals_from(facts, seal(facts, until)) == ledger_state(facts, POLICY).totals


@given(fact_lists(), st.tuples(times, times).map(sorted))
def test_sealing_in_two_steps_counts_the_same(facts: list[Fact], steps: list[datetime]) -> None:
    first = seal(facts, steps[0])
    seen = retained_facts(facts, first)
    second = seal(seen, steps[1], first)
    assert totals_from(seen, second) == ledger_state(facts, POLICY).totals


@given(fact_lists(), times, st.data())
def test_a_fact_that_counts_again_changes_no_total(facts: list[Fact], until: datetime, data: st.DataObject) -> None:
    found = seal(facts, until)
    seen = retained_facts(facts, found)
    hidden = [fact for fact in facts if fact.id not in {one.id for one in seen}]
    again = data.draw(st.lists(st.sampled_from(hidden), unique=True)) if hidden else []
    base = base_totals_without(found.base_totals, again, seen, POLICY)
    assert add_totals(base, ledger_state([*seen, *again], POLICY).totals) == totals_from(facts, found)


def test_the_last_hundred_deployments_of_a_scope_are_carried() -> None:
    start = at("03-01")
    many = [deployment(n, f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%M}") for n in range(150)]
    assert retained_ids(*many) == sorted(deployment_id(n) for n in range(150 - MAX_RETAINED_DEPLOYMENTS, 150))


def test_the_last_deployment_of_each_release_line_is_retained_however_old() -> None:
    old_line = deployment(500, "01-01", descends_from=())
    main = [deployment(number, f"0{1 + number // 25}-{1 + number % 25:02}T12:00") for number in range(1, 100)]
    linked = [replace(each, descends_from=(previous.id,)) for previous, each in pairwise(main)]
    more = [deployment(600 + hour, f"04-26T{hour:02}:00", commit_count=0, descends_from=()) for hour in range(20)]
    retained = retained_ids(old_line, main[0], *linked, *more)
    assert old_line.id in retained
    assert linked[-1].id in retained
    assert main[0].id not in retained


def test_deployments_elsewhere_are_not_carried_but_the_last_that_says_so() -> None:
    """Otherwise a repository with recorded environments would look like one without."""
    staging = [deployment(n, f"03-0{n}", environment="staging") for n in (1, 2, 3)]
    assert retained_ids(*staging) == [deployment_id(3)]


def test_a_change_is_carried_until_a_deployment_has_delivered_it() -> None:
    delivered = deployment(1, "03-05", changes=(pull_id(1),))
    assert retained_ids(delivered, change(1, merged_at=at("03-02")), change(2, merged_at=at("03-06"))) == [
        deployment_id(1),
        pull_id(2),
    ]


def test_the_newest_changes_of_a_repository_that_never_deploys_are_carried() -> None:
    many = [change(n, merged_at=at("03-01") + timedelta(minutes=n)) for n in range(MAX_RETAINED_CHANGES + 10)]
    assert retained_ids(*many) == sorted(pull_id(n) for n in range(10, MAX_RETAINED_CHANGES + 10))


def test_an_incident_is_carried_while_it_is_open_ends_later_or_is_attributed_to_what_is_carried() -> None:
    attributed = incident(1, "03-05T13:00", resolved_at=at("03-06"))
    facts: list[Fact] = [
        deployment(1, "03-05T12:00"),
        attributed,
        incident(2, "03-20", resolved_at=at("03-21")),
        incident(3, "03-20", resolved_at=None),
        incident(4, "03-20", resolved_at=at("05-02")),
    ]
    assert retained_ids(*facts) == [deployment_id(1), issue_id(1), issue_id(3), issue_id(4)]


def test_the_reports_of_an_incident_are_carried_together() -> None:
    page = incident(1, "03-05", resolved_at=at("03-06"), id="pagerduty:Q1")
    issue = incident(2, "03-05", resolved_at=at("03-07"), also=("pagerduty:Q1",))
    is_open = replace(issue, resolved_at=None)
    assert retained_ids(page, issue) == []
    assert retained_ids(page, is_open) == [issue_id(2), "pagerduty:Q1"]
    assert retained_ids(page, replace(issue, detected_at=at("05-02"))) == ["pagerduty:Q1"]


def test_an_open_report_that_is_closed_later_moves_no_counter() -> None:
    facts: list[Fact] = [
        deployment(1, "03-05T12:00"),
        incident(1, "03-05T13:00", resolved_at=at("03-06"), id="pagerduty:Q1"),
        incident(2, "03-05T14:00", also=("pagerduty:Q1",)),
    ]
    checkpoint = seal(facts)
    closed = [replace(each, resolved_at=at("05-06")) if each.id == issue_id(2) else each for each in facts]
    seen = [each for each in closed if each.id in {retained.id for retained in checkpoint.retained_facts}]
    counted = add_totals(checkpoint.base_totals, ledger_state(seen, POLICY).totals)
    assert counted == ledger_state(closed, POLICY).totals
    assert counted[Series("dora_incidents_total", SHOP)] == 1


def test_the_deployment_that_an_open_incident_is_attributed_to_is_carried_however_old() -> None:
    early = deployment(999, "03-01T00:00")
    many = [deployment(n, f"{at('03-02') + timedelta(minutes=n):%Y-%m-%dT%H:%M}") for n in range(120)]
    assert deployment_id(999) in retained_ids(early, *many, incident(1, "03-01T01:00", resolved_at=None))
    assert deployment_id(999) not in retained_ids(early, *many)


def test_a_vulnerability_is_carried_until_it_has_ended() -> None:
    is_open = Vulnerability(id="open", repository="acme/shop", observed_at=MAY, detected_at=at("03-01"))
    fixed = replace(is_open, id="fixed", fixed_at=at("03-02"))
    dismissed = replace(is_open, id="dismissed", dismissed_at=at("03-02"))
    ends_later = replace(is_open, id="ends later", fixed_at=at("05-02"))
    assert retained_ids(is_open, fixed, dismissed, ends_later) == ["ends later", "open"]


def test_a_fixed_vulnerability_is_carried_until_a_deployment_has_brought_the_fix() -> None:
    fixed = vulnerability(1, "03-01", fixed_at="03-10")
    assert retained_ids(deployment(1, "03-05"), fixed) == [fixed.id, deployment_id(1)]
    assert retained_ids(deployment(1, "03-12"), fixed) == [deployment_id(1)]
    assert retained_ids(deployment(1, "03-05"), deployment(2, "05-02"), fixed) == [fixed.id, deployment_id(1)]
    eu = deployment(3, "03-04", environment="prod-eu")
    assert fixed.id in retained_ids(deployment(1, "03-12"), eu, fixed)


def test_the_newest_fixes_that_never_go_live_are_carried() -> None:
    fixed = [
        vulnerability(n, "03-01", fixed_at=at("03-10") + timedelta(minutes=n)) for n in range(MAX_RETAINED_CHANGES + 10)
    ]
    assert set(retained_ids(deployment(1, "03-05"), *fixed)) == {deployment_id(1), *(one.id for one in fixed[10:])}


def test_an_open_incident_that_ends_later_is_counted_once_with_its_deployments_recovery() -> None:
    failed_one, still = deployment(1, "03-05T12:00"), incident(1, "03-05T13:00", resolved_at=None)
    later = deployment(2, "05-05T12:00")
    found = seal([failed_one, still, later])
    assert {fact.id for fact in found.retained_facts} == {deployment_id(1), issue_id(1)}
    seen: list[Fact] = [failed_one, replace(still, resolved_at=at("05-06")), later]
    counted = add_totals(found.base_totals, ledger_state(seen, POLICY).totals)
    assert counted == ledger_state(seen, POLICY).totals
    recovery = histogram_of(counted, "dora_recovery_time_seconds", SHOP)
    assert recovery.cumulative_counts[-1] == 1
    assert recovery.sum_seconds == (at("05-06") - at("03-05T12:00")).total_seconds()


def test_a_change_that_waited_for_months_is_measured_when_it_is_delivered() -> None:
    first, waits = deployment(1, "03-01"), change(1, "03-02", merged_at=at("03-03"))
    found = seal([first, waits])
    then = deployment(2, "06-01", changes=(pull_id(1),), sha=sha("new"))
    counted = add_totals(found.base_totals, ledger_state([*found.retained_facts, then], POLICY).totals)
    assert counted == ledger_state([first, waits, then], POLICY).totals
    assert counted[Series("dora_changes_total", SHOP)] == 1


def test_pipeline_failures_are_counted_across_a_seal() -> None:
    facts: list[Fact] = [
        failed_deployment(1, "03-01"),
        deployment(2, "03-02"),
        failed_deployment(3, "05-02"),
        deployment(4, "05-03"),
    ]
    counted = totals_from(facts, seal(facts))
    assert [n for series, n in counted.items() if series.name == "dora_pipeline_failures_total"] == [2]


@pytest.mark.parametrize(
    ("text", "since"),
    [("30d", "02-01"), ("7d", "02-01"), ("90d", "2023-11-01"), ("all", None), ("2024-04-01..2024-05-01", "02-01")],
)
def test_a_run_needs_the_months_of_its_windows_and_of_ninety_days(text: str, since: str | None) -> None:
    found = first_month_needed(parse_window(text, POLICY.zone), at("05-15T12:00"))
    assert found == (at(since) if since else None)


def test_the_parts_of_an_attempt_are_retained_together_and_count_once_towards_the_limit() -> None:
    def part(number: int, run: int, finished_at: str) -> Fact:
        url = f"https://github.com/acme/shop/actions/runs/{run}/job/{number}"
        return deployment(number, finished_at, url=url, sha=sha(run))

    facts: list[Fact] = [
        part(run * 2 + leg, run, f"04-{1 + run // 24:02}T{run % 24:02}:0{leg}")
        for run in range(MAX_RETAINED_DEPLOYMENTS + 5)
        for leg in (0, 1)
    ]
    made = seal(facts)
    assert len(made.retained_facts) == 2 * MAX_RETAINED_DEPLOYMENTS
    assert deployments_counted(made, facts) == MAX_RETAINED_DEPLOYMENTS + 5


def test_an_attempt_across_the_seal_keeps_its_changes_until_its_last_part_is_sealed() -> None:
    url = "https://github.com/acme/shop/actions/runs/7"
    facts: list[Fact] = [
        deployment(1, "04-20"),
        deployment(2, "04-30T23:59", url=f"{url}/job/2", sha=sha("a"), changes=(1,), previous=deployment_id(1)),
        deployment(3, "05-01T00:01", url=f"{url}/job/3", sha=sha("a"), changes=(), previous=deployment_id(2)),
        change(1, "04-10"),
    ]
    made = seal(facts)
    state = ledger_state(retained_facts(facts, made), POLICY)
    (history,) = state.evaluation.histories
    assert [each.change_id for each in history.lead_times.measured] == [pull_id(1)]
    assert deployments_counted(made, facts) == 2


def deployments_counted(made: Checkpoint, facts: list[Fact]) -> int:
    """The counter of deployments, as a run computes it from a checkpoint."""
    totals = add_totals(made.base_totals, ledger_state(retained_facts(facts, made), POLICY).totals)
    return totals[Series("dora_deployments_total", SHOP, "deployments")]
