"""The real Prometheus and the real VictoriaMetrics take what is written: values, repetitions, and the past."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.outcome import Outcome
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.remote_write import RemoteWrite
from support.ledger_writer import record_facts
from support.runs import ActionRun, deployment_status, run_action
from support.servers import Prometheus, prometheus, victoria_metrics, writable_prometheus
from support.sink_payloads import SHOP, deployment, sink_payload

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
A_MINUTE = timedelta(minutes=1)
"""VictoriaMetrics does not show the first sample of a series at its own time, but right after it."""

Start = Callable[[Path], AbstractContextManager[Prometheus]]

PRODUCTS: Mapping[str, Start] = {"Prometheus": writable_prometheus, "VictoriaMetrics": victoria_metrics}
TAKE_OLD_SAMPLES: Mapping[str, Start] = {
    "Prometheus with a window": lambda folder: writable_prometheus(folder, "100d"),
    "VictoriaMetrics": victoria_metrics,
}


@pytest.fixture(params=sorted(PRODUCTS))
def product(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Prometheus]:
    with PRODUCTS[request.param](tmp_path) as started:
        yield started


@pytest.fixture(params=sorted(TAKE_OLD_SAMPLES))
def patient(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Prometheus]:
    """What takes old samples."""
    with TAKE_OLD_SAMPLES[request.param](tmp_path) as started:
        yield started


def computed_at(moment: datetime, *facts: Deployment) -> SinkPayload:
    payload = sink_payload(facts or (deployment(finished_at=moment - DAY, observed_at=moment - DAY),))
    return replace(payload, families=replace(payload.families, now=moment))


def write(product: Prometheus, payload: SinkPayload) -> Outcome:
    return RemoteWrite(f"{product.url}/api/v1/write", {"job": "dora"}).send(payload)


def make_searchable(product: Prometheus) -> None:
    """VictoriaMetrics shows a new series about a second later; Prometheus has no such address."""
    flush = f"{product.url}/internal/force_flush"
    if requests.get(flush, timeout=5).ok:
        time.sleep(1.5)
        requests.get(flush, timeout=5)


def series_at(product: Prometheus, moment: datetime) -> dict[tuple[tuple[str, str], ...], float]:
    """All series at a time, by their labels, once two answers in a row are the same and hold any."""
    series: dict[tuple[tuple[str, str], ...], float] = {}
    for _ in range(50):
        make_searchable(product)
        before, series = (
            series,
            {
                tuple(sorted(each["metric"].items())): float(each["value"][1])
                for each in product.vector('{job="dora"}', moment)
            },
        )
        if series and series == before:
            break
        time.sleep(0.1)
    return series


def series_of(payload: SinkPayload) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(
            sorted({"repository": SHOP, **sample.labels, "__name__": sample.name, "job": "dora"}.items())
        ): sample.value
        for family in payload.families.collect()
        for sample in family.samples
    }


def test_every_series_arrives_with_its_value(product: Prometheus) -> None:
    payload = computed_at(NOW)
    assert write(product, payload).status == "done"
    assert series_at(product, NOW) == pytest.approx(series_of(payload), rel=1e-9)  # VictoriaMetrics rounds a little


def test_the_same_samples_may_arrive_twice(product: Prometheus) -> None:
    payload = computed_at(NOW)
    assert [write(product, payload).status for _ in range(2)] == ["done", "done"]
    assert series_at(product, NOW) == pytest.approx(series_of(payload), rel=1e-9)  # VictoriaMetrics rounds a little


def test_a_later_push_continues_the_series(product: Prometheus) -> None:
    first, second = deployment(1, finished_at=NOW - 2 * DAY), deployment(2, finished_at=NOW - DAY)
    assert write(product, computed_at(NOW - timedelta(minutes=2), first)).status == "done"
    assert write(product, computed_at(NOW - timedelta(minutes=1), first, second)).status == "done"
    make_searchable(product)
    deployments = 'sum(dora_deployments_total{source="deployments"})'
    values = [float(product.vector(deployments, NOW - timedelta(minutes=age))[0]["value"][1]) for age in (2, 1)]
    assert values == [1, 2]


def test_prometheus_refuses_a_clock_behind_the_last_push(tmp_path: Path) -> None:
    with writable_prometheus(tmp_path) as product:
        assert write(product, computed_at(NOW)).status == "done"
        outcome = write(product, computed_at(NOW - timedelta(minutes=5)))
    assert outcome.status == "failed"
    assert "newer samples of these series" in outcome.detail


def test_prometheus_without_its_receiver_says_so(tmp_path: Path) -> None:
    with prometheus(tmp_path, "http://127.0.0.1:1") as product:
        outcome = write(product, computed_at(NOW))
    assert "needs --web.enable-remote-write-receiver" in outcome.detail


def test_victoria_metrics_without_the_path_says_so(tmp_path: Path) -> None:
    with victoria_metrics(tmp_path) as product:
        outcome = RemoteWrite(product.url, {"job": "dora"}).send(computed_at(NOW))
    assert "check the path" in outcome.detail


# The past


def past_deployments() -> list[Deployment]:
    """Ten deployments, one every tenth day, of a quarter."""
    finished = [NOW - timedelta(days=95 - 10 * number) for number in range(10)]
    return [deployment(number, finished_at=moment, observed_at=moment) for number, moment in enumerate(finished)]


def rebuild(folder: Path, product: Prometheus) -> ActionRun:
    record_facts(folder / "ledger", *past_deployments())
    inputs = {"mode": "rebuild", "remote-write-url": f"{product.url}/api/v1/write"}
    return run_action(folder, "workflow_dispatch", {"inputs": {}}, inputs, now=datetime.now(UTC))


def deployments_of_days(product: Prometheus) -> list[float]:
    """The number of deployments so far, at the beginning of each day that has a sample, oldest first."""
    make_searchable(product)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    results = [
        product.vector('sum(dora_deployments_total{source="deployments"})', midnight - age * DAY + A_MINUTE)
        for age in range(89, -1, -1)
    ]
    return [float(result[0]["value"][1]) for result in results if result]


def expected_days() -> list[float]:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    finished = [each.finished_at for each in past_deployments()]
    return [sum(moment <= midnight - age * DAY for moment in finished) for age in range(89, -1, -1)]


def test_the_past_arrives_as_it_happened(patient: Prometheus, tmp_path: Path) -> None:
    ran = rebuild(tmp_path, patient)
    assert "remote write: past ✓ the last 90 days" in ran.summary
    assert deployments_of_days(patient) == expected_days()


def test_the_past_arrives_also_after_the_present(patient: Prometheus, tmp_path: Path) -> None:
    write(patient, computed_at(datetime.now(UTC)))
    rebuild(tmp_path, patient)
    assert deployments_of_days(patient) == expected_days()


def test_nothing_of_the_past_is_sent_again(patient: Prometheus, tmp_path: Path) -> None:
    rebuild(tmp_path, patient)
    ran = rebuild(tmp_path, patient)
    assert "remote write: past" not in ran.summary
    assert "remote write ✓" in ran.summary


def test_an_empty_prometheus_takes_the_past_without_a_window(tmp_path: Path) -> None:
    """It comes before the present, oldest first."""
    with writable_prometheus(tmp_path) as product:
        ran = rebuild(tmp_path, product)
        assert "remote write: past ✓ the last 90 days" in ran.summary
        assert deployments_of_days(product) == expected_days()


def test_a_prometheus_that_has_newer_samples_gets_the_present_only(tmp_path: Path) -> None:
    with writable_prometheus(tmp_path) as product:
        event = deployment_status(99, at=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
        run_action(tmp_path, "deployment_status", event, {"remote-write-url": f"{product.url}/api/v1/write"}, now=NOW)
        ran = rebuild(tmp_path, product)
        assert "remote write: past: the target takes no older samples, so its history begins now" in ran.summary
        assert "remote write ✓" in ran.summary
        assert rebuild(tmp_path, product).summary.count("takes no older samples") == 0
        assert deployments_of_days(product) == []


def test_a_prometheus_with_a_month_of_window_gets_the_weeks_in_it(tmp_path: Path) -> None:
    with writable_prometheus(tmp_path, "30d") as product:
        write(product, computed_at(datetime.now(UTC)))
        ran = rebuild(tmp_path, product)
        assert "; the target takes no older samples" in ran.summary
        assert 23 <= len(deployments_of_days(product)) <= 30
