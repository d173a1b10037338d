"""Remote write: what is sent, in which requests, and what the answers of the products that take it mean."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.prometheus import exposition_text
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.remote_write import MAX_SERIES, RemoteWrite
from support.mocked_http import MockedHost, mocked
from support.servers import OK, Answer, dripping, listen
from support.sink_payloads import NOW, SHOP, deployment, sink_payload
from support.written_series import EPOCH, Labels, Written

GROUP = {"job": "dora"}
FAST_LIMITS = HttpLimits(connect_seconds=0.4, read_seconds=0.4, tries=2, pause_seconds=0)
OUT_OF_ORDER = b"out of order sample"
OLD = "it has newer samples of these series, or takes none of this time; check this runner's clock"
NO_PATH = "there is nothing at this address; check the path (Prometheus and VictoriaMetrics have /api/v1/write, "


def several(*repositories: str, services: int = 1) -> SinkPayload:
    """The payload of a run on several repositories, each with the same services."""
    names = [(repository, f"service-{number}") for repository in repositories for number in range(services)]
    facts = [
        deployment(number, repository=repository, service=service) for number, (repository, service) in enumerate(names)
    ]
    results = evaluate(facts, Settings(), NOW)
    families = prometheus_families(results, cumulative_totals(results, facts), 1)
    return SinkPayload("acme/central", families)


def test_series_of_a_scope_have_its_team() -> None:
    facts = [deployment(1), deployment(2, service="cart")]
    results = evaluate(facts, Settings.model_validate({"teams": {"pay": "cart"}}), NOW)
    families = prometheus_families(results, cumulative_totals(results, facts), 1)
    outcome, host = send(SinkPayload(SHOP, families), OK)
    assert outcome.status == "done"
    series = [dict(labels) for request in host.requests for labels, _ in Written.of(request).series]
    assert {(each.get("service"), each.get("team")) for each in series} == {
        ("shop", None),
        ("cart", "pay"),
        (None, None),
    }


def send(
    payload: SinkPayload, *answers: Answer, username: str | None = None, token: str | None = None
) -> tuple[Outcome, MockedHost]:
    with mocked(*answers) as host:
        sink = RemoteWrite(f"{host.url}/api/v1/write", GROUP, username, token, FAST_LIMITS)
        return sink.send(payload), host


def said(*answers: Answer) -> tuple[str, int]:
    """Why a payload was not taken, and after how many requests."""
    outcome, host = send(sink_payload(), *answers)
    assert outcome.status == "failed"
    assert outcome.name == "remote write"
    return outcome.detail, len(host.requests)


def exposed(payload: SinkPayload) -> dict[Labels, float]:
    """The series of the text format, with the labels that a Pushgateway would add."""
    return {
        tuple(sorted({"__name__": sample.name, "job": "dora", "repository": SHOP, **labels_of(sample)}.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(exposition_text(payload.families))
        for sample in family.samples
    }


def labels_of(sample: object) -> dict[str, str]:
    labels: dict[str, str] = sample.labels  # type: ignore[attr-defined] # a named tuple without types
    return {name: value for name, value in labels.items() if value}


# What is sent


def test_every_series_is_sent_with_the_values_of_the_text_and_the_time_of_the_computation() -> None:
    payload = sink_payload()
    outcome, host = send(payload)
    written = Written.of(host.requests[0])
    assert outcome == Outcome("remote write", "done", f"{len(written.series)} series")
    expected = exposed(payload)
    assert {labels: points[0][0] for labels, points in written.series} == expected
    assert len(written.series) == len(expected), "no series twice"
    milliseconds = (payload.families.now - EPOCH) // timedelta(milliseconds=1)
    assert {point[1] for _, points in written.series for point in points} == {milliseconds}


def test_one_scope_has_at_most_150_series() -> None:
    payload = sink_payload([deployment(1), deployment(2, status="failure", reached_users=True)])
    written = Written.of(send(payload)[1].requests[0])
    scope = [labels for labels, _ in written.series if "service" in dict(labels)]
    assert 100 < len(scope) <= 150


def test_labels_are_sorted_and_none_is_empty() -> None:
    """As the specification asks; a receiver may refuse other orders."""
    for labels, _ in Written.of(send(sink_payload())[1].requests[0]).series:
        assert list(labels) == sorted(labels)
        assert dict(labels).keys() >= {"__name__", "job", "repository"}
        assert all(value for _, value in labels)


def test_two_repositories_with_the_same_services_have_series_of_their_own() -> None:
    written = Written.of(send(several("acme/shop", "acme/pay"))[1].requests[0])
    labels = [labels for labels, _ in written.series]
    assert len(labels) == len(set(labels))
    assert written.values("dora_deployments_total", repository="acme/pay", source="deployments") == [1]
    assert written.values("dora_ledger_sequence", repository="acme/pay") == [1]
    assert written.repositories == {"acme/shop", "acme/pay"}


def test_of_another_repository_nothing_is_sent() -> None:
    assert Written.of(send(sink_payload())[1].requests[0]).repositories == {SHOP}


@pytest.mark.parametrize("job", ["dora", "team metrics/ä"])
def test_the_job_is_a_label(job: str) -> None:
    with mocked() as host:
        RemoteWrite(host.url, {"job": job}).send(sink_payload())
    assert {dict(labels)["job"] for labels, _ in Written.of(host.requests[0]).series} == {job}


def test_labels_of_the_settings_are_on_every_series() -> None:
    with mocked() as host:
        RemoteWrite(host.url, {"job": "dora", "cluster": "eu-1"}).send(sink_payload())
    assert {dict(labels)["cluster"] for labels, _ in Written.of(host.requests[0]).series} == {"eu-1"}


def test_a_hostile_label_value_arrives_as_it_is() -> None:
    hostile = 'a"b\\c\n{{x}} .* ä\u200b'
    written = Written.of(send(sink_payload([deployment(1, service=hostile)]))[1].requests[0])
    assert written.values("dora_changes_total", service=hostile) == [0]


# Credentials


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({}, None),
        ({"token": "t0ken\n"}, "Bearer t0ken"),
        ({"username": "123", "token": "t0kén\n"}, "Basic " + base64.b64encode("123:t0kén".encode()).decode()),
        ({"username": "123"}, None),
    ],
)
def test_with_a_user_the_token_is_a_password(credentials: dict[str, str], header: str | None) -> None:
    _, host = send(sink_payload(), **credentials)
    assert host.requests[0].headers.get("Authorization") == header


def test_the_name_of_a_target_has_no_secret_in_it_and_tells_tenants_apart() -> None:
    def target(url: str, username: str | None = None, **labels: str) -> str:
        return RemoteWrite(url, GROUP | labels, username, "t0ken").target

    plain = target("https://tsdb.example/api/v1/write")
    assert target("https://someone:s3cret@tsdb.example/api/v1/write/?key=s3cret#s3cret") == plain
    others = {
        target("https://tsdb.example/insert/2/prometheus/api/v1/write"),
        target("https://tsdb.example/api/v1/write", "123"),
        target("https://other.example/api/v1/write"),
        target("http://tsdb.example/api/v1/write"),
        target("https://tsdb.example/api/v1/write", cluster="eu-1"),
        plain,
    }
    assert len(others) == 6
    assert len(plain) == 16


@pytest.mark.parametrize("url", ["http://[::1", "https://", "x"])
def test_an_address_that_is_none_has_a_name_too(url: str) -> None:
    assert len(RemoteWrite(url, GROUP).target) == 16


# Batches


@pytest.fixture(scope="module")
def large() -> SinkPayload:
    payload = several("acme/shop", services=20)
    assert len(list(payload.families.collect())) > 20
    return payload


def test_a_request_has_at_most_2000_series(large: SinkPayload) -> None:
    outcome, host = send(large)
    counts = [len(Written.of(request).series) for request in host.requests]
    assert outcome.detail == f"{sum(counts):,} series"
    assert counts[:-1] == [MAX_SERIES] * (len(counts) - 1)
    assert len(counts) == 2
    all_series = [labels for request in host.requests for labels, _ in Written.of(request).series]
    assert len(all_series) == len(set(all_series))


def test_after_a_refused_batch_no_further_one_is_sent(large: SinkPayload) -> None:
    outcome, host = send(large, Answer(401))
    assert outcome.detail == "HTTP 401: the user, password or token is missing or wrong"
    assert len(host.requests) == 1


@pytest.mark.parametrize("refusal", [Answer(400, OUT_OF_ORDER), Answer(400, b"duplicate sample for timestamp")])
def test_what_is_refused_for_its_time_does_not_stop_the_other_batches(large: SinkPayload, refusal: Answer) -> None:
    """They have other series, so the target may have nothing against them."""
    outcome, host = send(large, refusal, OK)
    assert outcome.status == "failed"
    assert len(host.requests) == 2
    outcome, host = send(large, Answer(413), refusal, OK)
    assert outcome.status == "failed"
    assert [len(Written.of(request).series) for request in host.requests[:3]] == [2_000, 1_000, 1_000]
    assert len(host.requests) == 4


def test_a_request_that_is_too_large_is_sent_in_halves() -> None:
    outcome, host = send(sink_payload(), Answer(413), Answer(413), OK)
    assert outcome.status == "done"
    counts = [len(Written.of(request).series) for request in host.requests]
    assert counts[1] == -(-counts[0] // 2)
    assert counts[2] == -(-counts[1] // 2)
    taken = [labels for request in host.requests[2:] for labels, _ in Written.of(request).series]
    assert len(taken) == len(set(taken)) == counts[0]


def test_a_target_that_finds_everything_too_large_is_not_asked_for_ever() -> None:
    text, count = said(Answer(413))
    assert text == "HTTP 413: the body is too large for the server"
    assert count <= 4


# Answers


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_success_is_one(status: int) -> None:
    assert send(sink_payload(), Answer(status))[0].status == "done"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, OUT_OF_ORDER),  # Prometheus
        (400, b"out of bounds"),  # Prometheus
        (500, b"too old sample"),  # Prometheus 2.42
        (400, b"failed pushing to ingester: user=1: the sample has been rejected (err-mimir-sample-out-of-order)"),
        (400, b"series has a sample with timestamp 1 (err-mimir-sample-timestamp-too-old)"),
        (409, b"store locally for endpoint: conflict: out of order sample"),  # Thanos
        (429, b"too old sample"),
    ],
)
def test_an_old_sample_is_not_sent_again(status: int, body: bytes) -> None:
    text, count = said(Answer(status, body), OK)
    assert text.startswith(f"HTTP {status}: {OLD}")
    assert count == 1


def test_that_it_is_old_is_known_with_a_secret_too_and_the_answer_is_not_quoted() -> None:
    outcome, host = send(sink_payload(), Answer(500, b"too old sample of user t0ken"), token="t0ken")
    assert outcome.detail == f"HTTP 500: {OLD}"
    assert len(host.requests) == 1


@pytest.mark.parametrize("answer", [Answer(429), Answer(500, b"no leader"), Answer(503)])
def test_what_may_pass_is_tried_again(answer: Answer) -> None:
    assert send(sink_payload(), answer, OK)[0].status == "done"
    text, count = said(answer)
    assert text.startswith(f"HTTP {answer.status}: ")
    assert count == FAST_LIMITS.tries


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_any_other_refusal_is_final(status: int) -> None:
    text, count = said(Answer(status, b"no"))
    assert text.startswith(f"HTTP {status}: the ")
    assert count == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b"remote write receiver needs to be enabled with --web.enable-remote-write-receiver"),
        Answer(405),
        Answer(400, b'requestURI: /; unsupported path requested: "/"'),  # VictoriaMetrics
    ],
)
def test_an_address_without_its_path_is_said(answer: Answer) -> None:
    text, count = said(answer)
    assert text.startswith(f"HTTP {answer.status}: {NO_PATH}")
    assert count == 1


def test_other_values_for_the_same_time_are_said() -> None:
    text, count = said(Answer(400, b"duplicate sample for timestamp"))
    assert text.startswith("HTTP 400: it has other values for this time; the next push has a time of its own")
    assert count == 1


def test_a_web_page_is_no_success() -> None:
    """A login, or Grafana itself: nothing takes samples and says so in HTML."""
    text, count = said(Answer(200, b"<html>Log in</html>", {"Content-Type": "text/html; charset=utf-8"}))
    assert text.startswith(f"HTTP 200: the answer is a web page; {NO_PATH}")
    assert count == 1


def test_a_redirect_is_not_followed_and_carries_nothing() -> None:
    with listen() as elsewhere:
        text, _ = said(Answer(307, headers={"Location": f"{elsewhere.url}/api/v1/write"}))
    assert text == "HTTP 307: the server redirects; use the final address"
    assert elsewhere.requests == []


def test_a_body_that_drips_is_waited_for_in_bounded_time() -> None:
    with dripping(b"HTTP/1.1 400 Bad Request\r\n\r\n", OUT_OF_ORDER + b" ") as url:
        outcome = RemoteWrite(url, {"job": "dora"}, limits=FAST_LIMITS).send(sink_payload())
    assert outcome.detail.startswith(f"HTTP 400: {OLD}")


def test_a_clock_behind_the_last_push_is_said() -> None:
    """The run's samples are older than what the target has; the next push has all numbers again."""
    late = sink_payload()
    behind = replace(late, families=replace(late.families, now=NOW - timedelta(hours=1)))
    outcome, host = send(behind, Answer(400, OUT_OF_ORDER))
    assert "check this runner's clock" in outcome.detail
    assert len(host.requests) == 1
