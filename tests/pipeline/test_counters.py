"""The ledger keeps the high-water marks of the counters: they survive everything that a ledger goes through."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Vulnerability
from dora_metrics.core.ledger.layout import COUNTERS_FILE, LedgerContents
from dora_metrics.core.metrics.totals import Series
from dora_metrics.core.scope import Scope
from dora_metrics.github.events.observe import Observation
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.pipeline.record import Recorder, RecordRequest
from dora_metrics.settings.model import Settings
from dora_metrics.storage.directory import DirectoryStorage
from support.ledger_runs import DAY, START, InMemoryLedger, deployment, incident, record_facts_at
from support.prometheus_text import SeriesKey, counter_values, shop_value

NOW = START + 5 * DAY
DEPLOYMENTS = "dora_deployments_total"
SCOPE = Scope("acme/shop", "shop", "production")
FIRST, SECOND = (deployment(number, START + number * DAY) for number in (1, 2))
OUTAGE = incident(9, START + DAY + timedelta(hours=1), START + DAY + timedelta(hours=2))

ALERT = Vulnerability(
    id="github:dependabot:acme/shop#1",
    repository="acme/shop",
    observed_at=START,
    detected_at=START,
    fixed_at=START + DAY,
    severity="high",
)


def withdrawn(deployed: Deployment) -> Deployment:
    return replace(deployed, retracted=True, observed_at=NOW)


def written_deployments(ledger: InMemoryLedger) -> float | None:
    values = counter_values(ledger.files["metrics.prom"].decode())
    return shop_value(values, "dora_deployments_total", source="deployments")


@pytest.fixture
def ledger() -> InMemoryLedger:
    """A ledger of two deployments and an incident, from which one deployment and the incident were withdrawn."""
    ledger = InMemoryLedger()
    record_facts_at(ledger, NOW, FIRST, SECOND, OUTAGE)
    record_facts_at(ledger, NOW, withdrawn(SECOND), replace(OUTAGE, retracted=True, observed_at=NOW))
    return ledger


def test_what_is_withdrawn_lowers_no_counter_of_the_file_and_the_gauges_follow_at_once(ledger: InMemoryLedger) -> None:
    values = counter_values(ledger.files["metrics.prom"].decode())
    assert written_deployments(ledger) == 2
    assert shop_value(values, "dora_incident_restore_seconds_count") == 1
    labels = 'environment="production",repository="acme/shop",service="shop"'
    text = ledger.files["metrics.prom"].decode()
    assert f'dora_deployment_frequency_per_day{{{labels},window="7d"}} {1 / 7}' in text
    assert 'dora_ledger_facts{repository="acme/shop"} 3.0' in text


def test_the_counter_grows_again_when_its_total_has_caught_up(ledger: InMemoryLedger) -> None:
    found = []
    for number in (3, 4):
        record_facts_at(ledger, NOW, deployment(number, START + number * DAY))
        found.append(written_deployments(ledger))
    assert found == [2, 3]


def test_a_run_that_lowers_totals_or_leaves_them_does_not_write_the_marks(ledger: InMemoryLedger) -> None:
    before = ledger.files[COUNTERS_FILE]
    sequence = ledger.files["sequence"]
    record_facts_at(ledger, NOW)
    record_facts_at(ledger, NOW, **{"failure-rules": "explicit"})
    assert ledger.files[COUNTERS_FILE] == before
    assert ledger.files["sequence"] == sequence


def test_a_rebuild_keeps_the_marks(ledger: InMemoryLedger) -> None:
    record_facts_at(ledger, NOW, mode="rebuild")
    assert written_deployments(ledger) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"buckets_seconds":[],"scopes":[]}'])
def test_marks_that_are_lost_or_broken_begin_with_the_totals_of_the_facts(
    ledger: InMemoryLedger, content: bytes
) -> None:
    ledger.files[COUNTERS_FILE] = content
    record_facts_at(ledger, NOW)
    assert written_deployments(ledger) == 1
    record_facts_at(ledger, NOW, withdrawn(FIRST))
    assert written_deployments(ledger) == 1


def test_a_setting_that_counts_less_lowers_no_counter_and_one_that_counts_more_is_kept_at_once() -> None:
    ledger = InMemoryLedger()
    failed = deployment(2, START + 2 * DAY, status="failure")
    found = []
    for counts in (False, True, False):
        record_facts_at(ledger, NOW, FIRST, failed, **{"count-failed-runs": counts})
        found.append(written_deployments(ledger))
    assert found == [1, 2, 2]


def test_marks_of_sealed_months_stay_when_a_fact_of_them_is_withdrawn() -> None:
    ledger = InMemoryLedger()
    for month in range(9):
        moment = START + 30 * DAY * month
        record_facts_at(ledger, moment, deployment(month, moment))
    assert "checkpoint.json" in ledger.files
    result = record_facts_at(ledger, moment, replace(deployment(0, START), retracted=True, observed_at=moment))
    assert result.totals[Series("dora_deployments_total", SCOPE, "deployments")] == 8
    found = [written_deployments(ledger)]
    for number in (10, 11):
        record_facts_at(ledger, moment, deployment(number, moment))
        found.append(written_deployments(ledger))
    assert found == [9, 9, 10]


@pytest.mark.parametrize("teams", [{"pay": "acme/*"}, {"payments": "shop"}, {"pay": "acme/other"}, {}])
def test_a_scope_that_joins_or_leaves_a_team_keeps_its_counters(ledger: InMemoryLedger, teams: dict[str, str]) -> None:
    """Two were deployed, one was withdrawn: the mark is 2, the total 1."""
    record_facts_at(ledger, NOW, teams={"pay": "acme/shop"})
    marks = ledger.files[COUNTERS_FILE]
    record_facts_at(ledger, NOW, teams=teams)
    assert ledger.files[COUNTERS_FILE] == marks
    values = counter_values(ledger.files["metrics.prom"].decode())
    counts = {
        dict(labels).get("team"): value for (name, labels), value in values.items() if name == DEPLOYMENTS and value
    }
    team = next((name for name, pattern in teams.items() if pattern != "acme/other"), None)
    assert counts == {team: 2}


def test_another_team_leaves_the_checkpoint_as_it_is() -> None:
    ledger = InMemoryLedger()
    for month in range(9):
        moment = START + 30 * DAY * month
        record_facts_at(ledger, moment, deployment(month, moment), teams={"pay": "acme/*"})
    sealed = ledger.files["checkpoint.json"]
    record_facts_at(ledger, moment, teams={"web": "shop"})
    assert ledger.files["checkpoint.json"] == sealed
    assert 'team="web"' in ledger.files["metrics.prom"].decode()


def test_a_ledger_without_facts_has_no_marks() -> None:
    ledger = InMemoryLedger()
    record_facts_at(ledger, NOW)
    assert COUNTERS_FILE not in ledger.files


def record(root: Path, observe: Callable[[LedgerContents], Observation]) -> RunResult:
    return Recorder(DirectoryStorage(root), Settings(), NOW, time.sleep).record(RecordRequest(observe))


def test_a_run_that_another_one_has_overtaken_takes_its_marks_over(tmp_path: Path) -> None:
    """The other one records a deployment and withdraws it again, between this run's reading and its writing."""
    other_runs: list[tuple[Fact, ...]] = [(FIRST, SECOND), (withdrawn(SECOND),)]

    def observe(_contents: LedgerContents) -> Observation:
        while other_runs:
            record_facts_at(tmp_path, NOW, *other_runs.pop(0))
        return Observation((deployment(3, START + 3 * DAY, service="api"),), "")

    result = record(tmp_path, observe)
    values = counter_values((tmp_path / "metrics.prom").read_text("utf-8"))
    assert result.snapshot.sequence == 3
    assert shop_value(values, "dora_deployments_total", source="deployments") == 2
    assert shop_value(values, "dora_deployments_total", source="deployments", service="api") == 1


@pytest.mark.parametrize("has_alert", [False, True])
def test_a_service_that_only_an_issue_names_has_no_series(has_alert: bool) -> None:  # noqa: FBT001 - a parameter
    """Nor has an environment. An alert that names no service belongs to every scope of its repository."""
    ledger = InMemoryLedger()
    alerts = [ALERT, replace(ALERT, id="github:dependabot:acme/shop#2", service="till")] if has_alert else []
    record_facts_at(ledger, NOW, FIRST, OUTAGE, *alerts)
    before = written_series(ledger)
    invented = [("spam-1", "production"), ("shop", "prod-spam"), ("till", "production"), ("till", "prod-spam")]
    for number, (service, environment) in enumerate([*invented, ("shop", "production")]):
        moved = replace(OUTAGE, service=service, environment=environment, observed_at=NOW + timedelta(minutes=number))
        record_facts_at(ledger, NOW + timedelta(minutes=number), moved)
        assert written_series(ledger) == before
        assert fixed_count(ledger) == has_alert
        written = ledger.files["metrics.prom"] + ledger.files[COUNTERS_FILE]
        assert b"spam" not in written
        assert b"till" not in written


def written_series(ledger: InMemoryLedger) -> set[SeriesKey]:
    return set(counter_values(ledger.files["metrics.prom"].decode()))


def fixed_count(ledger: InMemoryLedger) -> float:
    """The vulnerabilities that all scopes together have fixed."""
    values = counter_values(ledger.files["metrics.prom"].decode())
    return sum(value for (name, _), value in values.items() if name == "dora_vulnerability_remediation_seconds_count")


def test_a_service_that_once_deployed_keeps_its_series() -> None:
    ledger = InMemoryLedger()
    record_facts_at(ledger, NOW, FIRST, replace(SECOND, service="till"))
    record_facts_at(ledger, NOW, replace(withdrawn(SECOND), service="till"))
    assert b'service="till"' in ledger.files["metrics.prom"]
