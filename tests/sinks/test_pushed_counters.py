"""No counter is pushed below what the Pushgateway holds, and nothing that it answers prevents the push."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.metrics.high_water_marks import NO_MARKS
from dora_metrics.core.outcome import Outcome
from dora_metrics.pipeline.deliver import deliver
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, raised_marks
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.pushed_counters import decode_pushed_group
from dora_metrics.sinks.pushgateway import Pushgateway
from support import events
from support.facts import change, incident, pull_id, vulnerability
from support.ledger_writer import record_facts
from support.servers import Answer, PushgatewayGroups, dripping, listen, pushgateway
from support.sink_payloads import NOW, SHOP, at, deployment, sink_payload

FAST_LIMITS = HttpLimits(connect_seconds=0.5, read_seconds=0.5, tries=1, pause_seconds=0)
SLOW_LIMITS = HttpLimits(connect_seconds=5, read_seconds=10, tries=2, pause_seconds=0.1)
GROUP = {"job": "dora", "repository": SHOP}
DEPLOYMENTS = "dora_deployments_total"


@dataclass(frozen=True)
class PushingRuns:
    """Runs of one repository that record in a folder and push to a gateway."""

    ledger: Path
    url: str
    repository: str = SHOP
    limits: HttpLimits = SLOW_LIMITS

    def record_and_push(self, *facts: Deployment, teams: Mapping[str, str] | None = None) -> Outcome:
        settings = Settings.model_validate({"pushgateway-url": self.url, "teams": teams or {}})
        run = events.make_run("push", repository=self.repository)
        result = record_facts(self.ledger, *facts, run=run, settings=settings)
        (outcome,) = deliver(result, settings, run, self.limits, read_template=Path.read_text)
        return outcome

    def deployment(self, number: int) -> Deployment:
        moment = at(10 - number)
        return deployment(number, 10 - number, repository=self.repository, started_at=moment - (NOW - at(0.01)))

    @property
    def pushed_deployments(self) -> float:
        groups = PushgatewayGroups.read(self.url)
        return sum(value for _, value in groups.samples(self.repository, "dora_deployments_total"))

    @property
    def pushed_durations(self) -> dict[str, Any]:
        """The histogram of the deployments' durations."""
        group = PushgatewayGroups.read(self.url).group(self.repository) or {}
        (histogram,) = group["dora_deployment_duration_seconds"]["metrics"]
        return {name: histogram[name] for name in ("count", "sum", "buckets")}


def test_a_team_that_is_renamed_takes_its_counters_along_and_leaves_no_series(runs: PushingRuns) -> None:
    """Also where the ledger has lost its marks: what the gateway holds is of a scope, whatever its team is called."""
    first, second = (runs.deployment(number) for number in (1, 2))
    runs.record_and_push(first, second, teams={"pay": "acme/*"})
    shutil.rmtree(runs.ledger)
    runs.record_and_push(first, teams={"payments": "acme/*"})
    groups = PushgatewayGroups.read(runs.url)
    teams = {labels["team"]: value for labels, value in groups.samples(runs.repository, DEPLOYMENTS) if value}
    assert teams == {"payments": 2}


@pytest.fixture
def runs(tmp_path: Path, gateway: str, request: pytest.FixtureRequest) -> PushingRuns:
    return PushingRuns(tmp_path / "ledger", gateway, f"acme/{request.node.name}")


def test_an_older_ledger_that_was_restored_lowers_no_counter(runs: PushingRuns, tmp_path: Path) -> None:
    runs.record_and_push(runs.deployment(1))
    shutil.copytree(runs.ledger, tmp_path / "backup")
    runs.record_and_push(runs.deployment(2), runs.deployment(3))
    newest = runs.pushed_durations
    shutil.rmtree(runs.ledger)
    shutil.copytree(tmp_path / "backup", runs.ledger)
    assert runs.record_and_push().status == "done"
    assert (runs.pushed_deployments, runs.pushed_durations) == (3, newest)
    runs.record_and_push(*map(runs.deployment, (4, 5, 6)))
    assert (runs.pushed_deployments, runs.pushed_durations["count"]) == (4, "4")


def test_series_of_a_scope_that_the_restored_ledger_does_not_know_stay(runs: PushingRuns) -> None:
    runs.record_and_push(replace(runs.deployment(1), service="web"))
    shutil.rmtree(runs.ledger)
    runs.record_and_push(runs.deployment(2))
    assert runs.pushed_deployments == 2


def test_what_the_gateway_holds_does_not_become_a_mark_of_the_ledger(runs: PushingRuns, tmp_path: Path) -> None:
    runs.record_and_push(runs.deployment(1), runs.deployment(2))
    other = PushingRuns(tmp_path / "other", runs.url, runs.repository)
    other.record_and_push(other.deployment(1))
    assert other.pushed_deployments == 2
    assert b'["dora_deployments_total","deployments",1]' in (other.ledger / "counters.json").read_bytes()


def test_the_counters_of_the_repository_that_had_the_name_before_are_not_pushed_for_the_one_that_took_it(
    runs: PushingRuns,
) -> None:
    settings = Settings.model_validate({"pushgateway-url": runs.url})
    later = {"repository": runs.repository, "now": NOW + timedelta(days=1)}
    attempts = [
        (events.make_run("push", repository=runs.repository, now=at(20)), [runs.repository], [1, 2]),
        (events.make_run("push", **later), [f"{runs.repository}-renamed", runs.repository], [3]),
    ]
    pushed = []
    for run, names, numbers in attempts:
        result = record_facts(runs.ledger, *map(runs.deployment, numbers), run=run, names=names, settings=settings)
        list(deliver(result, settings, run, SLOW_LIMITS, read_template=Path.read_text))
        pushed.append(runs.pushed_deployments)
    assert pushed == [2, 1]


def test_a_gateway_that_has_lost_everything_gets_the_marks_of_the_ledger(runs: PushingRuns, tmp_path: Path) -> None:
    runs.record_and_push(runs.deployment(1), runs.deployment(2))
    runs.record_and_push(replace(runs.deployment(2), retracted=True, observed_at=NOW))
    with pushgateway(tmp_path) as url:
        restarted = PushingRuns(runs.ledger, url, runs.repository)
        restarted.record_and_push()
        assert restarted.pushed_deployments == 2


def test_what_was_pushed_is_read_back_exactly(gateway: str) -> None:
    """Otherwise a sum could creep upwards by itself with each push."""
    facts: list[Fact] = [
        deployment(1, 30, repository="a/b", service="shop"),
        deployment(2, 20, repository="a/b", service="shop", started_at=at(20.000001234), changes=(pull_id(1),)),
        replace(change(1), repository="a/b", first_commit_at=at(21.3333333)),
        replace(incident(1), repository="a/b", detected_at=at(19.9), resolved_at=at(19.123456789)),
        replace(vulnerability(1), repository="a/b", detected_at=at(9), fixed_at=at(1.7)),
    ]
    results = evaluate(facts, Settings(), NOW)
    sink = Pushgateway(gateway, "dora", limits=SLOW_LIMITS)
    assert sink.send(sink_payload(facts, "a/b")).status == "done"
    pushed = sink.pushed_group("a/b").counters
    marks = raised_marks(NO_MARKS, results.evaluation, cumulative_totals(results, facts))
    assert pushed == marks
    assert len(pushed.values) > 60


def test_a_run_with_the_same_facts_and_lower_marks_leaves_the_push_to_the_newer_one(runs: PushingRuns) -> None:
    """A newer run whose settings count more has raised the marks."""
    run = events.make_run("push", repository=runs.repository)
    narrow, wide = (
        Settings.model_validate({"pushgateway-url": runs.url, "count-failed-runs": counts}) for counts in (False, True)
    )
    failed = replace(runs.deployment(2), status="failure")
    older = record_facts(runs.ledger, runs.deployment(1), failed, run=run, settings=narrow)
    newer = record_facts(runs.ledger, run=run, settings=wide)
    (pushed,) = deliver(newer, wide, run, SLOW_LIMITS, read_template=Path.read_text)
    (overtaken,) = deliver(older, narrow, run, SLOW_LIMITS, read_template=Path.read_text)
    assert (pushed.status, overtaken.status, runs.pushed_deployments) == ("done", "skipped", 2)


@pytest.mark.parametrize("name", ["acme/shop.js", 'a b/ü"\n', "%2F/+ ?#", "日本/語", "-/_"])
def test_the_group_of_any_repository_is_read(gateway: str, name: str) -> None:
    sink = Pushgateway(gateway, "dora", limits=SLOW_LIMITS)
    sink.send(sink_payload([deployment(repository=name)], name))
    assert {scope.repository for scope in sink.pushed_group(name).counters.scopes} == {name}


def test_the_group_of_another_job_or_repository_is_not_read(gateway: str) -> None:
    Pushgateway(gateway, "dora", limits=SLOW_LIMITS).send(sink_payload([deployment(repository="a/one")], "a/one"))
    assert Pushgateway(gateway, "other", limits=SLOW_LIMITS).pushed_group("a/one").counters == NO_MARKS
    assert Pushgateway(gateway, "dora", limits=SLOW_LIMITS).pushed_group("a/on").counters == NO_MARKS


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(401),
        Answer(500),
        Answer(302, headers={"Location": "http://127.0.0.1:1/"}),
        Answer(200, b"<html>"),
        Answer(200, b'{"data":[{"labels"'),
        Answer(200, b'{"data":[]}', cut_after=5),
        Answer(200, b"x", {"Content-Encoding": "gzip"}),
        Answer(hang=True),
        Answer(drop=True),
    ],
)
def test_a_gateway_that_cannot_be_read_gets_the_push(tmp_path: Path, answer: Answer) -> None:
    with listen(answer, Answer(200)) as listener:
        runs = PushingRuns(tmp_path, listener.url, limits=FAST_LIMITS)
        assert runs.record_and_push(runs.deployment(1)).status == "done"
    assert [request.method for request in listener.requests] == ["GET", "PUT"]
    assert b'source="deployments"} 1.0' in listener.requests[1].body


def test_an_answer_that_never_ends_is_no_answer_in_bounded_time() -> None:
    for start in (b"HTTP/1.1 200 OK\r\nX: ", b'HTTP/1.1 200 OK\r\n\r\n{"data":['):
        with dripping(start, b"1,") as url:
            assert Pushgateway(url, "dora", limits=FAST_LIMITS).pushed_group(SHOP).counters == NO_MARKS


def test_an_answer_that_is_larger_than_the_limit_is_not_read_to_its_end() -> None:
    padding = b" " * 17_000_000
    with listen(Answer(200, padding + answer_with(counter_family("3")))) as listener:
        assert Pushgateway(listener.url, "dora", limits=SLOW_LIMITS).pushed_group(SHOP).counters == NO_MARKS


LABELS = {"repository": SHOP, "service": "shop", "environment": "production", "job": "dora", "instance": ""}


def counter_family(value: object, name: str = "dora_changes_total", **labels: object) -> dict[str, object]:
    return {name: {"type": "COUNTER", "metrics": [{"labels": {**LABELS, **labels}, "value": value}]}}


def histogram_family(**fields: object) -> dict[str, object]:
    sample = {"labels": LABELS, "count": "1", "sum": "2", "buckets": {"+Inf": "1"}, **fields}
    return {"dora_lead_time_seconds": {"type": "HISTOGRAM", "metrics": [sample]}}


def answer_with(families: dict[str, object]) -> bytes:
    return json.dumps({"status": "success", "data": [{"labels": GROUP, "push_time_seconds": 1, **families}]}).encode()


def test_bounds_are_read_as_the_gateway_writes_them() -> None:
    buckets = {"300": "1", "2.592e+06": "2", "1.5552e+07": "2", "+Inf": "3", "77": "9"}
    marks = decode_pushed_group(answer_with(histogram_family(buckets=buckets, sum="1.8e+06")), GROUP).counters
    assert {series.part: value for series, value in marks.values.items()} == {
        0: 1, 15: 2, 18: 2, 19: 3, 20: 1_800_000_000_000,
    }  # fmt: skip


def test_families_of_others_are_ignored() -> None:
    families = {**counter_family("5", "theirs_total"), **counter_family("7", "dora_level"), **counter_family("3")}
    assert list(decode_pushed_group(answer_with(families), GROUP).counters.values.values()) == [3]


@pytest.mark.parametrize(
    "families",
    [
        counter_family("NaN"),
        counter_family("+Inf"),
        counter_family("-1"),
        counter_family("1e999999"),
        counter_family("1e300"),
        counter_family("1e-99999999999999999999"),
        counter_family("0e999999999999999999999"),
        counter_family(""),
        counter_family("many"),
        counter_family(3),
        counter_family("3", service=None),
        histogram_family(sum="NaN"),
        histogram_family(buckets={"far": "1"}),
        histogram_family(buckets=[]),
        {"dora_changes_total": []},
        {"labels": None},
    ],
)
def test_numbers_that_no_counter_can_have_are_no_marks(families: dict[str, object]) -> None:
    assert decode_pushed_group(answer_with(families), GROUP).counters == NO_MARKS


@given(st.binary())
def test_any_bytes_are_no_marks(content: bytes) -> None:
    assert decode_pushed_group(content, GROUP).counters == NO_MARKS
