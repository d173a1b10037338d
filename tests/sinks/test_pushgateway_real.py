"""A real Pushgateway and a real Prometheus: what is pushed is read back correctly.

A run lives for seconds, so what it pushes is cumulative over the ledger. The experiment shows that `increase()`,
`rate()` and `histogram_quantile()` then return the true values, and that the usual approach, a fresh counter of 1
per run, does not. Other tests are about the gateway itself: groups, grouping keys, passwords.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isnan
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, push_to_gateway
from requests.auth import HTTPBasicAuth

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.ledger.layout import OUTBOX_FILE
from dora_metrics.core.metrics.totals import BUCKETS_SECONDS
from dora_metrics.core.outcome import Outcome
from dora_metrics.github.events.observe import Run
from dora_metrics.pipeline.deliver import deliver
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.pushgateway import Pushgateway
from dora_metrics.storage.base import Storage
from dora_metrics.storage.directory import DirectoryStorage
from support import events
from support.ledger_writer import record_facts
from support.runs import run_action
from support.servers import SCRAPE_INTERVAL_SECONDS, Prometheus, PushgatewayGroups, prometheus, pushgateway
from support.sink_payloads import NOW, SHOP, deployment, sink_payload

SLOW_LIMITS = HttpLimits(connect_seconds=5, read_seconds=10, tries=2, pause_seconds=0.1)

LEAD_HOURS = (2, 14, 30, 3, 60, 15, 20, 16, 90, 4, 18, 200)
FAILED = (3, 7, 11)
FAILURE_SHARE = len(FAILED) / len(LEAD_HOURS)
MEDIAN = statistics.median(LEAD_HOURS) * 3600.0
MEAN = statistics.mean(LEAD_HOURS) * 3600.0
MEDIANS_BUCKET = (43200.0, 86400.0)
SCRAPES = "count_over_time(dora_ledger_facts[2m])"


@dataclass(frozen=True)
class ScrapedMetrics:
    """Query results after all runs: of ours (prefix `dora`) and of the usual approach (prefix `naive`)."""

    prometheus: Prometheus

    @property
    def extrapolation(self) -> float:
        """`increase` extrapolates beyond the first and last scrape, by half a scrape or 1.1 of one."""
        return 2 / ((self.prometheus.value(SCRAPES) or 0) - 1)

    def increase(self, prefix: str) -> float | None:
        return self.prometheus.value(f"sum(increase({prefix}_deployments_total[2m]))")

    def mean(self) -> float | None:
        return self.prometheus.value(
            "sum(rate(dora_lead_time_seconds_sum[2m])) / sum(rate(dora_lead_time_seconds_count[2m]))"
        )

    def failure_share(self) -> float | None:
        return self.prometheus.value(
            "sum(increase(dora_deployment_failures_total[2m])) / sum(increase(dora_deployments_total[2m]))"
        )

    def naive_failure_share(self) -> float | None:
        failures = 'sum(increase(naive_deployments_total{status="failure"}[2m]))'
        return self.prometheus.value(f"{failures} / sum(increase(naive_deployments_total[2m]))")

    def median(self, prefix: str) -> float | None:
        rates = f"sum by (le) (rate({prefix}_lead_time_seconds_bucket[2m]))"
        return self.prometheus.value(f"histogram_quantile(0.5, {rates})")


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScrapedMetrics]:
    """Twelve deployments, three of which fail, each pushed by its own run and scraped before the next."""
    folder = tmp_path_factory.mktemp("experiment")
    with pushgateway(folder) as url, prometheus(folder, url) as server:
        deploy(folder, url, 0, lead_hours=1)
        server.await_at_least("sum(dora_deployments_total)", 1)
        for number, lead_hours in enumerate(LEAD_HOURS, 1):
            push_naively(url, "failure" if number in FAILED else "success", lead_hours * 3600)
            deploy(folder, url, number, lead_hours)
            if number in FAILED:
                report_incident(folder, url, number)
            server.await_at_least("sum(dora_deployments_total)", number + 1)
            time.sleep(SCRAPE_INTERVAL_SECONDS)
        server.await_at_least("sum(dora_deployment_failures_total)", len(FAILED))
        server.await_at_least(SCRAPES, 20)
        yield ScrapedMetrics(server)


def deploy(folder: Path, url: str, number: int, lead_hours: float) -> None:
    """Two runs: a pull request is merged, and a deployment delivers it."""
    finished = NOW - timedelta(days=13 - number)
    opened = finished - timedelta(hours=lead_hours)
    merged = {"merged_at": timestamp(opened), "closed_at": timestamp(opened), "updated_at": timestamp(opened)}
    pull = events.pull_request(number=number + 1, created_at=timestamp(opened), **merged)
    event_run(folder, url, "pull_request", pull, number)
    change = f"github:pull:{SHOP}#{number + 1}"
    fields = {"id": str(number), "finished_at": timestamp(finished), "sha": f"{number + 1:040x}", "changes": [change]}
    event_run(folder, url, "repository_dispatch", events.dispatch("dora-deployment", **fields), number)


def report_incident(folder: Path, url: str, number: int) -> None:
    """One more run: an incident that names the deployment."""
    about = {"id": f"i{number}", "title": "Checkout answers 500", "deployment": f"dispatch:{number}"}
    detected = timestamp(NOW - timedelta(days=13 - number, hours=-1))
    event_run(
        folder, url, "repository_dispatch", events.dispatch("dora-incident", detected_at=detected, **about), number
    )


def event_run(folder: Path, url: str, event: str, payload: events.Payload, number: int) -> None:
    inputs = {"pushgateway-url": url, "lead-time-start": "opened", "incident-window": "1h"}
    ran = run_action(folder, event, payload, inputs, now=NOW - timedelta(days=13 - number, hours=-2))
    assert (ran.code, "Pushgateway ✓" in ran.summary) == (0, True), ran.log


def timestamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def push_naively(url: str, status: str, seconds: float) -> None:
    """Push as actions without a history do: a fresh registry, a counter of 1, one observation."""
    registry = CollectorRegistry()
    Counter("naive_deployments", "Deployments.", ["status"], registry=registry).labels(status).inc()
    histogram = Histogram("naive_lead_time_seconds", "Lead time.", registry=registry, buckets=BUCKETS_SECONDS)
    histogram.observe(seconds)
    push_to_gateway(url, "naive", registry)


def test_the_increase_of_deployments_is_their_number(read: ScrapedMetrics) -> None:
    assert read.increase("dora") == pytest.approx(len(LEAD_HOURS), rel=read.extrapolation)


def test_the_share_of_failures_by_increase_is_the_change_failure_rate(read: ScrapedMetrics) -> None:
    assert read.failure_share() == pytest.approx(FAILURE_SHARE, rel=read.extrapolation)


def test_the_quantile_of_the_histogram_lies_in_the_bucket_of_the_median_lead_time(read: ScrapedMetrics) -> None:
    low, high = MEDIANS_BUCKET
    assert low < MEDIAN <= high
    assert low < (read.median("dora") or 0) <= high


def test_the_mean_of_the_histogram_is_the_mean_lead_time(read: ScrapedMetrics) -> None:
    assert read.mean() == pytest.approx(MEAN)


def test_the_gauges_are_exact(read: ScrapedMetrics) -> None:
    deployments = len(LEAD_HOURS) + 1
    for name, expected in {
        "dora_lead_time_p50_seconds": MEDIAN,
        "dora_change_failure_ratio": len(FAILED) / deployments,
        "dora_deployment_frequency_per_day": deployments / 30,
    }.items():
        assert read.prometheus.value(f'{name}{{window="30d"}}') == pytest.approx(expected, rel=1e-12)


def test_the_series_are_one_a_source_however_many_runs_there_were(read: ScrapedMetrics) -> None:
    assert read.prometheus.value("count(dora_deployments_total)") == 5
    assert read.prometheus.value("sum(resets(dora_deployments_total[2m]))") == 0


def test_counters_of_one_a_run_are_wrong_in_every_window(read: ScrapedMetrics) -> None:
    assert read.increase("naive") == 0
    share = read.naive_failure_share()
    assert share is None or isnan(share)
    low, high = MEDIANS_BUCKET
    assert not low < (read.median("naive") or 0) <= high


def push(url: str, *facts: Deployment, repository: str = SHOP, user: tuple[str, str] | None = None) -> Outcome:
    auth = HTTPBasicAuth(user[0].encode(), user[1].encode()) if user else None
    return Pushgateway(url, "dora", auth, SLOW_LIMITS).send(sink_payload(facts, repository))


@pytest.mark.parametrize(
    "name", ["acme/shop", "acme/shop.js", 'a b/ü"\n', "a/b/c", "%2F/+ ?#", "acme/\\{}", "日本/語", "-/_", "a/="]
)
def test_any_repository_name_arrives_intact_as_grouping_key_and_label(gateway: str, name: str) -> None:
    assert push(gateway, deployment(repository=name), repository=name).status == "done"
    ((labels, value),) = [
        (labels, value)
        for labels, value in PushgatewayGroups.read(gateway).samples(name, "dora_deployments_total")
        if labels["source"] == "deployments"
    ]
    assert (labels["repository"], value) == (name, 1)


def test_a_push_replaces_its_group_and_no_other(gateway: str) -> None:
    other = "acme/other"
    push(gateway, deployment(repository=other, environment="live"), repository=other)
    before = PushgatewayGroups.read(gateway).group(other)
    push(gateway, deployment(1), deployment(2, environment="prod"))
    assert environments(gateway) == {"production", "prod"}
    push(gateway, deployment(1))
    assert environments(gateway) == {"production"}
    assert before is not None
    assert PushgatewayGroups.read(gateway).group(other) == before


def push_of_cluster(url: str, cluster: str, count: int) -> Outcome:
    facts = [deployment(number, 1 + number) for number in range(count)]
    return Pushgateway(url, "dora", None, SLOW_LIMITS, labels={"cluster": cluster}).send(sink_payload(facts, SHOP))


def test_two_clusters_with_one_repository_replace_nothing_of_each_other(tmp_path: Path) -> None:
    clusters = ("eu-1", 'a b/ü"\n')
    with pushgateway(tmp_path) as url, prometheus(tmp_path, url) as server:
        assert push(url, deployment()).status == "done"
        for count, cluster in enumerate(clusters, 2):
            assert push_of_cluster(url, cluster, count).status == "done"
        server.await_at_least("sum(dora_deployments_total)", 1 + 2 + 3)
        counts = {each["metric"].get("cluster"): each["value"][1] for each in server.vector(BY_CLUSTER)}
        assert counts == {None: "1", clusters[0]: "2", clusters[1]: "3"}
        assert server.value("count(push_time_seconds)") == 3
        assert server.value('count({__name__=~"dora_.+",cluster="eu-1"})') == server.value(
            'count({__name__=~"dora_.+",cluster=""})'
        )


BY_CLUSTER = "sum by (cluster) (dora_deployments_total)"


def test_counters_are_read_back_from_the_group_of_the_same_labels(tmp_path: Path) -> None:
    with pushgateway(tmp_path) as url:
        push(url, *(deployment(number, 1 + number) for number in range(7)))
        push_of_cluster(url, "eu-1", 3)
        gateway = Pushgateway(url, "dora", None, SLOW_LIMITS, labels={"cluster": "eu-1"})
        deployments = [
            count
            for series, count in gateway.pushed_group(SHOP).counters.values.items()
            if series.name == "dora_deployments_total"
        ]
        assert sum(deployments) == 3
        other = Pushgateway(url, "dora", None, SLOW_LIMITS, labels={"cluster": "us-1"})
        assert not other.pushed_group(SHOP).counters.values


def test_labels_of_the_inputs_are_pushed_and_in_the_file_of_the_ledger(tmp_path: Path, gateway: str) -> None:
    inputs = {"pushgateway-url": gateway, "labels": "cluster: eu-1\nteam: payments"}
    event = events.dispatch("dora-deployment", id="1")
    for _ in range(2):
        ran = run_action(tmp_path, "repository_dispatch", event, inputs)
        assert "Pushgateway ✓" in ran.summary
    labels = {"cluster": "eu-1", "team": "payments", "job": "dora", "repository": SHOP}
    assert any(group["labels"] == labels for group in PushgatewayGroups.read(gateway).groups)
    (file,) = tmp_path.rglob("metrics.prom")
    series = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all('cluster="eu-1"' in line and 'team="payments"' in line for line in series)


def environments(url: str) -> set[str]:
    return {labels["environment"] for labels, _ in PushgatewayGroups.read(url).samples(SHOP, "dora_changes_total")}


def test_what_the_gateway_does_not_take_is_quoted(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Gauge("dora_deployments_total", "Of another type.", registry=registry)
    with pushgateway(tmp_path) as url:
        push_to_gateway(url, "other", registry)
        outcome = push(url, deployment())
    assert outcome.status == "failed"
    assert outcome.detail.startswith("HTTP 400: the server rejects what was sent (answer: pushed metrics are invalid")


# Made with crypt(3) of these passwords at cost 4, the minimum.
PASSWORDS = {"pusher": "correct horse", "drücker": "pässwörd ł"}
WEB_CONFIG = """
basic_auth_users:
  pusher: $2b$04$doraMetricsTestSalt20uuDlmZXM8dmoN5dJrHZpyjXMOVQWaYKm
  drücker: $2b$04$doraMetricsTestSalt20uD1k.klVPr.J0VrjiKEjNUO2hrd.gji2
"""


@pytest.fixture(scope="module")
def locked_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("locked")
    config = folder / "web.yml"
    config.write_text(WEB_CONFIG, "utf-8")
    with pushgateway(folder, f"--web.config.file={config}") as url:
        yield url


@pytest.mark.parametrize("user", list(PASSWORDS.items()), ids=["ascii", "unicode"])
def test_the_right_password_opens_the_gateway(locked_gateway: str, user: tuple[str, str]) -> None:
    assert push(locked_gateway, deployment(), user=user).status == "done"


@pytest.mark.parametrize("user", [("pusher", "wrong"), ("nobody", "correct horse"), None])
def test_a_wrong_password_is_named(locked_gateway: str, user: tuple[str, str] | None) -> None:
    outcome = push(locked_gateway, deployment(), user=user)
    assert outcome.status == "failed"
    assert outcome.detail.startswith("HTTP 401: the user, password or token is missing or wrong")


@pytest.mark.parametrize("user", list(PASSWORDS.items()), ids=["ascii", "unicode"])
def test_user_and_password_of_the_inputs_are_used(tmp_path: Path, locked_gateway: str, user: tuple[str, str]) -> None:
    name, password = user
    for given, mark in ((password, "✓"), (f"{password}!", "✗ HTTP 401: the user, password or token")):
        inputs = {"pushgateway-url": locked_gateway, "pushgateway-username": name, "pushgateway-password": given}
        ran = run_action(tmp_path, "repository_dispatch", events.dispatch("dora-deployment", id="1"), inputs)
        assert f"Pushgateway {mark}" in ran.summary
        assert given not in ran.log + ran.summary


@dataclass(frozen=True)
class GatewayRuns:
    """Runs of one repository that share a ledger and a gateway."""

    ledger: Storage
    settings: Settings
    run: Run

    def record(self, number: int) -> RunResult:
        fact = deployment(number, 10 - number, repository=self.run.repository)
        return record_facts(self.ledger, fact, run=self.run, settings=self.settings)

    def deliver(self, recorded: RunResult) -> Outcome:
        (outcome,) = deliver(recorded, self.settings, self.run, SLOW_LIMITS, read_template=Path.read_text)
        return outcome

    def push_and_read(self, url: str) -> float:
        return sum(
            value for _, value in PushgatewayGroups.read(url).samples(self.run.repository, "dora_deployments_total")
        )


@pytest.fixture
def writer(tmp_path: Path, gateway: str, request: pytest.FixtureRequest) -> GatewayRuns:
    settings = Settings.model_validate({"pushgateway-url": gateway})
    return GatewayRuns(
        DirectoryStorage(tmp_path), settings, events.make_run("push", repository=f"acme/{request.node.name}")
    )


def test_a_run_that_was_overtaken_leaves_the_push_to_the_newer_one(writer: GatewayRuns, gateway: str) -> None:
    older, newer = writer.record(1), writer.record(2)
    assert writer.deliver(newer).status == "done"
    assert writer.deliver(older).status == "skipped"
    assert writer.push_and_read(gateway) == 2


def test_a_run_is_not_overtaken_by_one_that_brought_no_facts(writer: GatewayRuns, gateway: str) -> None:
    """Otherwise it would leave the push to a run that has left it to this one."""
    recorded = writer.record(1)
    assert writer.ledger.write(writer.ledger.read(), {OUTBOX_FILE: b'{"id":"x"}\n'}, "acknowledge") is not None
    assert writer.deliver(recorded).status == "done"
    assert writer.push_and_read(gateway) == 1
