"""A sink that fails returns what happened, the likely cause and the next step, and never a secret.

Each failure of a connection is real, for every sink; a status alone needs no server. A server's answer is quoted on
one line with a limited length, but only if the request held no secret: servers repeat what they were sent, in parts and
in many encodings.
"""

import base64
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from requests.auth import HTTPBasicAuth

from dora_metrics.core.outcome import Outcome
from dora_metrics.core.shapes.shape import ShapedRequest
from dora_metrics.runtime import HttpLimits
from dora_metrics.sinks.base import Sink, SinkPayload
from dora_metrics.sinks.endpoint import Endpoint
from dora_metrics.sinks.pushgateway import Pushgateway, base_url
from dora_metrics.sinks.remote_write import RemoteWrite
from support.mocked_http import MockedHost, mocked
from support.runs import ActionRun, deployment_status, run_action
from support.servers import OK, Answer, Listener, dripping, flooding, free_port, listen, self_signed
from support.sink_payloads import sink_payload

FAST_LIMITS = HttpLimits(connect_seconds=0.4, read_seconds=0.4, tries=2, pause_seconds=0)
USER, PASSWORD = "pusher", "gateway-pa55word"
URL_PASSWORD, TOKEN, KEY, WRITE_TOKEN = "url-pa55word", "endpoint-t0ken", "hm4c-k3y", "wr1te-t0ken"
SECRETS = (
    PASSWORD,
    URL_PASSWORD,
    TOKEN,
    KEY,
    WRITE_TOKEN,
    base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
    base64.b64encode(f"{USER}:{WRITE_TOKEN}".encode()).decode(),
    base64.b64encode(f"someone:{URL_PASSWORD}".encode()).decode(),
)


@dataclass(frozen=True)
class EndpointSink:
    """An endpoint that gets the same request each time, as a sink."""

    endpoint: Endpoint
    name: str = "endpoint"

    def send(self, _: SinkPayload) -> Outcome:
        failure = self.endpoint.send(ShapedRequest(body=b"{}", key="k"))
        return Outcome(self.name, "failed", failure.text) if failure else Outcome(self.name, "done")


MakeSink = Callable[[str], Sink]


def pushgateway_sink(url: str) -> Sink:
    return Pushgateway(_with_password(url), "dora", HTTPBasicAuth(USER, PASSWORD), FAST_LIMITS)


def endpoint_sink(url: str) -> Sink:
    return EndpointSink(Endpoint(_with_password(f"{url}/hook"), TOKEN, KEY, FAST_LIMITS))


def remote_write_sink(url: str) -> Sink:
    return RemoteWrite(_with_password(f"{url}/api/v1/write"), {"job": "dora"}, USER, WRITE_TOKEN, FAST_LIMITS)


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("http://gateway:9091", "http://gateway:9091"),
        ("http://gateway:9091/", "http://gateway:9091"),
        ("http://gateway:9091/metrics", "http://gateway:9091"),
        ("http://gateway:9091/metrics//", "http://gateway:9091"),
        ("https://acme.example/push/metrics", "https://acme.example/push"),
        ("https://acme.example/metrics/push", "https://acme.example/metrics/push"),
        ("https://acme.example/our-metrics", "https://acme.example/our-metrics"),
        ("http://metrics", "http://metrics"),
        ("http://metrics/metrics", "http://metrics"),
    ],
)
def test_a_pushgateways_address_may_be_copied_from_its_own_page(written: str, base: str) -> None:
    assert base_url(written) == base


def _with_password(url: str) -> str:
    return url.replace("://", f"://someone:{URL_PASSWORD}@")


@pytest.fixture(
    params=[pushgateway_sink, endpoint_sink, remote_write_sink], ids=["pushgateway", "endpoint", "remote write"]
)
def aim(request: pytest.FixtureRequest) -> MakeSink:
    made: MakeSink = request.param
    return made


@pytest.fixture(params=["pushgateway", "endpoint", "remote write"])
def aim_plain(request: pytest.FixtureRequest) -> MakeSink:
    """A sink whose requests hold no secret."""
    if request.param == "endpoint":
        return lambda url: EndpointSink(Endpoint(url, limits=FAST_LIMITS))
    if request.param == "remote write":
        return lambda url: RemoteWrite(url, {"job": "dora"}, limits=FAST_LIMITS)
    return lambda url: Pushgateway(url, "dora", limits=FAST_LIMITS)


@pytest.fixture(autouse=True)
def keeps_secrets(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Around every test: no log and no stream shows a secret."""
    caplog.set_level("DEBUG")
    yield
    streams = capfd.readouterr()
    assert_no_secret(caplog.text + streams.out + streams.err)


def assert_no_secret(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text or quote(secret) in text] == []


def failure_text(sink: Sink, outcome: Outcome) -> str:
    """Why the payload was not delivered."""
    assert outcome.status == "failed"
    assert outcome.name == sink.name
    assert_no_secret(repr(sink) + repr(outcome) + outcome.detail)
    assert outcome.detail.isprintable()
    return outcome.detail


def deliver_to(aim: MakeSink, *answers: Answer) -> tuple[str, Listener]:
    with listen(*answers) as listener:
        sink = aim(listener.url)
        return failure_text(sink, sink.send(sink_payload())), listener


def refused(aim: MakeSink, *answers: Answer) -> tuple[str, MockedHost]:
    """Like `deliver_to` but without a server, for tests that depend on statuses alone."""
    with mocked(*answers) as host:
        sink = aim(host.url)
        return failure_text(sink, sink.send(sink_payload())), host


def test_nobody_listens(aim: MakeSink) -> None:
    sink = aim(f"http://127.0.0.1:{free_port()}")
    assert failure_text(sink, sink.send(sink_payload())) == (
        "no connection (2 tries); the server is down, or this runner cannot reach its host and port"
    )


def test_a_host_that_does_not_exist(aim: MakeSink) -> None:
    sink = aim("http://nowhere.invalid:9091")
    assert failure_text(sink, sink.send(sink_payload())).startswith("no connection (2 tries); the server is down")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "[::1", "host:port", "-", "exa mple"])
def test_an_address_that_is_none(aim: MakeSink, host: str) -> None:
    sink = aim(f"http://{host}/")
    assert "the address is not valid" in failure_text(sink, sink.send(sink_payload())) or host == "-"


def test_a_server_that_never_answers(aim: MakeSink) -> None:
    said, listener = deliver_to(aim, Answer(hang=True))
    assert said == "no answer (2 tries of 0.4 s); the server hangs or is overloaded"
    assert len(listener.requests) == 2


def test_a_connection_that_is_cut_before_the_answer(aim: MakeSink) -> None:
    said, listener = deliver_to(aim, Answer(drop=True))
    assert said == "the connection closed before an answer (2 tries); check the log of the server or its proxy"
    assert len(listener.requests) == 2


def test_https_where_the_server_speaks_http(aim: MakeSink) -> None:
    with listen() as listener:
        sink = aim(listener.url.replace("http:", "https:"))
        said = failure_text(sink, sink.send(sink_payload()))
    assert said == "the TLS connection failed; check the certificate, and whether the address should use https"
    assert listener.requests == []


def test_what_was_refused_is_quoted_on_one_bounded_line(aim_plain: MakeSink) -> None:
    said, listener = deliver_to(
        aim_plain, Answer(400, b"line 3:\r\n\tduplicate\x1b[31m \xff ::error::x" + b" x" * 100_000)
    )
    assert said.startswith("HTTP 400: the server rejects what was sent (answer: line 3: duplicate")
    assert len(said) < 300
    assert len(listener.requests) == 1


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "the user, password or token is missing or wrong"),
        (403, "the credentials do not allow this"),
        (404, "there is nothing at this address; check the path"),
        (413, "the body is too large for the server"),
        (422, "the server refused"),
        (500, "the server has a problem"),
        (501, "the server has a problem"),
    ],
)
def test_a_status_says_what_to_look_at(aim: MakeSink, status: int, hint: str) -> None:
    assert refused(aim, Answer(status))[0].startswith(f"HTTP {status}: {hint}")


def test_a_server_that_is_back_at_the_second_try_gets_everything(aim: MakeSink) -> None:
    with mocked(Answer(503), OK) as listener:
        assert aim(listener.url).send(sink_payload()).status == "done"
    first, second = listener.requests
    assert first.body == second.body


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_with_a_problem_is_asked_so_many_times_and_no_more(aim_plain: MakeSink, status: int) -> None:
    said, listener = refused(aim_plain, Answer(status, b"upstream is gone"))
    assert said == f"HTTP {status}: the server has a problem (answer: upstream is gone)"
    assert len(listener.requests) == 2


@pytest.mark.parametrize(
    "after", ["3600", "Fri, 31 Dec 2199 23:59:59 GMT", "soon", "9" * 5000, "Fri, 31 Dec 99999 23:59:59 GMT", "-1"]
)
def test_a_wish_to_be_asked_later_is_granted_within_bounds(aim: MakeSink, after: str) -> None:
    """The test ends at all: an hour is longer than any test."""
    said, listener = deliver_to(aim, Answer(429, headers={"Retry-After": after}))
    assert said == "HTTP 429: too many requests"
    assert len(listener.requests) == 2


def test_headers_that_never_end_are_no_answer_in_bounded_time(aim: MakeSink) -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x") as url:
        began = time.monotonic()
        sink = aim(url)
        said = failure_text(sink, sink.send(sink_payload()))
    assert re.fullmatch(r"no complete answer in [\d.]+ s; the server is too slow or overloaded", said)
    assert time.monotonic() - began < 10


def test_a_passing_failure_whose_body_never_ends_is_quoted_as_far_as_it_came_in_time(aim_plain: MakeSink) -> None:
    with dripping(b"HTTP/1.1 500 Internal Server Error\r\n\r\n", b"no ") as url:
        sink = aim_plain(url)
        said = failure_text(sink, sink.send(sink_payload()))
    assert said.startswith("HTTP 500: the server has a problem (answer: no no")


@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_body_without_end_is_cut_off_whatever_the_status_is(aim: MakeSink, status: int) -> None:
    """A body that is read to its end before the next try would be as large as the server can send in the time."""
    with flooding(f"HTTP/1.1 {status} Status\r\n\r\n".encode(), b"x" * 100_000) as flood:
        outcome = aim(flood.url).send(sink_payload())
        assert flood.is_cut_off.wait(10)
    assert outcome.status == ("done" if status == 200 else "failed")
    assert flood.sent_bytes / flood.connection_count < 20_000_000, "what the buffers of two sockets hold"


def test_all_sinks_of_a_run_have_one_deadline(tmp_path: Path) -> None:
    """The Pushgateway takes all of it, with its two requests, so the endpoint gets none."""
    limits = HttpLimits(connect_seconds=0.3, read_seconds=20, tries=3, pause_seconds=0, total_seconds=0.5)
    with listen(Answer(hang=True)) as gateway, listen() as endpoint:
        inputs = {"pushgateway-url": gateway.url, "endpoint-url": endpoint.url}
        ran = run_action(tmp_path, "deployment_status", deployment_status(), inputs, limits=limits)
    assert endpoint.requests == []
    problem = "no complete answer in the 0.5 s that all sinks of a run share; a server is too slow"
    assert f"Pushgateway ✗ {problem}" in ran.summary
    no_time = "no time was left for it, because the sinks before it took all that they share"
    assert f"endpoint ✗ {no_time}; 1 fact is kept for the next run" in ran.summary


def test_a_run_gives_its_sinks_a_minute() -> None:
    assert HttpLimits().total_seconds == 60


def test_a_refusal_whose_body_drips_is_quoted_as_far_as_it_came_in_time(aim_plain: MakeSink) -> None:
    with dripping(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"no ") as url:
        sink = aim_plain(url)
        said = failure_text(sink, sink.send(sink_payload()))
    assert said.startswith("HTTP 400: the server rejects what was sent (answer: no no")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(aim: MakeSink, status: int) -> None:
    with listen() as elsewhere:
        said, _ = deliver_to(aim, Answer(status, headers={"Location": f"{elsewhere.url}/{URL_PASSWORD}"}))
    assert said.startswith(f"HTTP {status}: ")
    assert "use the" in said
    assert elsewhere.requests == []


@pytest.mark.parametrize("location", [None, "", "http://[", "\xff\xfe"])
def test_a_redirect_to_nowhere_is_no_success(aim: MakeSink, location: str | None) -> None:
    headers = {} if location is None else {"Location": location}
    assert deliver_to(aim, Answer(302, headers=headers))[0] == "HTTP 302: the server redirects; use the final address"


def test_a_success_whose_body_breaks_off_is_a_success(aim: MakeSink) -> None:
    with listen(Answer(200, b"thank you", cut_after=3)) as listener:
        assert aim(listener.url).send(sink_payload()).status == "done"


def test_a_success_whose_body_never_ends_is_a_success(aim: MakeSink) -> None:
    with listen(Answer(200, b"ok", {"Content-Length": "1000000"})) as listener:
        assert aim(listener.url).send(sink_payload()).status == "done"


def test_a_refusal_whose_body_breaks_off_is_quoted_as_far_as_it_came(aim_plain: MakeSink) -> None:
    said, _ = deliver_to(aim_plain, Answer(400, b"bad label name", cut_after=9))
    assert said == "HTTP 400: the server rejects what was sent (answer: bad label)"


def test_a_refusal_that_cannot_be_decoded_is_a_refusal(aim_plain: MakeSink) -> None:
    said, _ = deliver_to(aim_plain, Answer(400, b"no gzip", {"Content-Encoding": "gzip"}))
    assert said.startswith("HTTP 400: the server rejects what was sent")


def test_an_answer_to_a_request_with_a_secret_is_not_quoted(aim: MakeSink) -> None:
    said, _ = deliver_to(aim, Answer(401, b"who is this?"))
    assert said == "HTTP 401: the user, password or token is missing or wrong"


HIDDEN = "S3K&RET=42"
"""A secret that looks different in a URL, in JSON and in HTML."""


@pytest.mark.parametrize("echo", [HIDDEN, quote(HIDDEN), HIDDEN.replace("&", "&amp;"), HIDDEN[:-1], " ".join(HIDDEN)])
@pytest.mark.parametrize(
    "place",
    [
        "{url}/ingest?token={secret}",
        "{url}?{secret}",
        "{url}/services/{secret}",
        "{url}/services/{secret}/in",
        "{url}/services/{secret}/metrics",
        "{user}{secret}@{host}/",
        "{user}{secret}:@{host}/",
        "{user}me:{secret}@{host}",
    ],
)
def test_no_part_of_an_address_is_shown_that_a_server_repeats(aim_plain: MakeSink, place: str, echo: str) -> None:
    with mocked(Answer(401, f"invalid token {echo}".encode())) as host:
        address = place.format(
            url=host.url, user="http://", host=host.url.removeprefix("http://"), secret=quote(HIDDEN, safe="")
        )
        sink = aim_plain(address)
        said = failure_text(sink, sink.send(sink_payload()))
    assert said == "HTTP 401: the user, password or token is missing or wrong"


@pytest.mark.parametrize(("token", "key"), [(TOKEN, None), (None, KEY)])
def test_an_endpoint_with_a_token_or_a_key_is_not_quoted(token: str | None, key: str | None) -> None:
    with mocked(Answer(400, f'["{token}", "{key}"]'.encode())) as host:
        sink = EndpointSink(Endpoint(host.url, token, key, FAST_LIMITS))
        said = failure_text(sink, sink.send(sink_payload()))
    assert said == "HTTP 400: the server rejects what was sent"


def test_a_proxy_with_credentials_is_not_quoted(aim_plain: MakeSink, monkeypatch: pytest.MonkeyPatch) -> None:
    with listen(Answer(407, f"wrong password: {URL_PASSWORD}".encode())) as proxy:
        monkeypatch.setenv("http_proxy", _with_password(proxy.url))
        monkeypatch.setenv("no_proxy", "")
        sink = aim_plain("http://sink.example")
        said = failure_text(sink, sink.send(sink_payload()))
    assert said == "HTTP 407: the server refused"
    assert proxy.requests


@pytest.mark.parametrize("ending", ["", "/", "/metrics"])
def test_an_answer_of_a_plain_address_is_quoted(ending: str) -> None:
    with mocked(Answer(400, b"bad label name")) as host:
        sink = Pushgateway(f"{host.url}{ending}", "dora", limits=FAST_LIMITS)
        said = failure_text(sink, sink.send(sink_payload()))
    assert said == "HTTP 400: the server rejects what was sent (answer: bad label name)"


def test_a_certificate_that_nobody_vouches_for(aim: MakeSink, tmp_path: Path) -> None:
    with listen(tls=self_signed(tmp_path)) as listener:
        sink = aim(listener.url.replace("http:", "https:"))
        said = failure_text(sink, sink.send(sink_payload()))
    assert said == "the TLS connection failed; check the certificate, and whether the address should use https"
    assert listener.requests == []


@pytest.mark.parametrize("token", ["endpoint-t0ken\n", " endpoint-t0ken", "endpoint-t0ken\r\n"])
def test_a_token_that_was_pasted_with_its_line_break_works(token: str) -> None:
    with mocked() as listener:
        assert EndpointSink(Endpoint(listener.url, token, limits=FAST_LIMITS)).send(sink_payload()).status == "done"
    assert listener.requests[0].headers["Authorization"] == "Bearer endpoint-t0ken"


@pytest.mark.parametrize("token", ["endpoint-\nt0ken", "endpoint-t0ken\u0142", "endpoint-t0ken\ud800"])
def test_a_token_that_no_header_can_carry_is_named_and_not_shown(token: str) -> None:
    with listen() as listener:
        sink = EndpointSink(Endpoint(listener.url, token, limits=FAST_LIMITS))
        said = failure_text(sink, sink.send(sink_payload()))
    assert said == "the token has a line break or characters outside Latin-1, which cannot be sent; paste it again"
    assert token not in said


def run_with_both_sinks(folder: Path, listener: Listener | MockedHost, **inputs: object) -> ActionRun:
    """Run the action with both sinks at a listener."""
    given = {
        "pushgateway-url": _with_password(listener.url),
        "pushgateway-username": USER,
        "pushgateway-password": PASSWORD,
        "endpoint-url": _with_password(listener.url),
        "endpoint-token": TOKEN,
        "endpoint-secret": KEY,
        **inputs,
    }
    ran = run_action(folder, "deployment_status", deployment_status(), given)
    assert_no_secret(ran.log + ran.summary + str(ran.outputs))
    return ran


@pytest.mark.parametrize("answer", [Answer(503), Answer(401), Answer(drop=True), Answer(hang=True), Answer(302)])
def test_failed_sinks_are_warnings_named_in_the_summary_and_spare_the_job(tmp_path: Path, answer: Answer) -> None:
    with listen(answer) as listener:
        ran = run_with_both_sinks(tmp_path, listener)
    assert ran.code == 0
    for name in ("Pushgateway", "endpoint"):
        assert f"::warning title=dora-metrics%3A {name}::" in ran.log
        assert f"{name} ✗ " in ran.summary
    assert "reached production" in ran.summary
    assert ran.outputs["deployment-frequency"] != ""


def test_failed_sinks_fail_a_strict_job_after_everything_else_is_done(tmp_path: Path) -> None:
    with mocked(Answer(503)) as listener:
        ran = run_with_both_sinks(tmp_path, listener, strict="true")
    assert ran.code == 1
    assert "reached production" in ran.summary
    assert ran.outputs["metrics"] != ""


def test_sinks_that_work_leave_a_strict_job_in_peace(tmp_path: Path) -> None:
    with mocked() as listener:
        ran = run_with_both_sinks(tmp_path, listener, strict="true")
    assert ran.code == 0
    assert "Pushgateway ✓" in ran.summary
    assert "endpoint ✓ 1 fact" in ran.summary
    assert "::warning" not in ran.log


def test_a_sink_that_fails_does_not_stop_the_other(tmp_path: Path) -> None:
    with listen() as listener:
        ran = run_with_both_sinks(tmp_path, listener, **{"pushgateway-url": f"http://127.0.0.1:{free_port()}"})
    assert ran.code == 0
    assert "Pushgateway ✗ no connection" in ran.summary
    assert "endpoint ✓" in ran.summary


def test_what_a_server_says_is_text_in_the_log_and_the_summary(tmp_path: Path) -> None:
    hostile = "\n::set-output name=x::y\n##[error]z <img src=x> @everyone | `a` \u202egnp"
    with listen(Answer(400, hostile.encode())) as listener:
        addresses = {"pushgateway-url": listener.url, "endpoint-url": listener.url}
        ran = run_action(tmp_path, "deployment_status", deployment_status(), addresses)
    assert "answer: " in ran.summary
    commands = [line for line in ran.log.splitlines() if line.startswith("::")]
    assert all(line.startswith("::warning title=dora-metrics%3A ") for line in commands)
    assert len(commands) == 2
    assert "##[" not in ran.log
    assert "<img" not in ran.summary
    assert "@everyone" not in ran.summary
    assert "\u202e" not in ran.summary + ran.log
