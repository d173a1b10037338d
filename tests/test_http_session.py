"""One HTTP exchange: its bounds, what is a failure, and what stays private."""

import base64
import gzip
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from dora_metrics.http_session import (
    THREAD_NAME,
    BearerAuth,
    BodyProblem,
    ExchangeFailure,
    ExchangeLimits,
    FailureKind,
    HttpRequest,
    HttpResponse,
    HttpSession,
)
from dora_metrics.runtime import Deadline
from fakes.routing import Answer as FakeAnswer
from fakes.routing import Request as FakeRequest
from fakes.server import Server
from support.servers import Answer, dripping, flooding, free_port, listen, self_signed

LIMITS = ExchangeLimits(connect_seconds=1, silence_seconds=0.5, total_seconds=2, max_body_bytes=1_000)
SECRET = "s3cret-t0ken"


def exchanged(url: str, limits: ExchangeLimits = LIMITS) -> HttpResponse | ExchangeFailure:
    request = HttpRequest("GET", f"{url}/{SECRET}", b"", {"X-Key": SECRET}, BearerAuth(SECRET))
    with HttpSession(limits) as session:
        outcome = session.exchange(request)
    assert SECRET not in repr(request) + repr(outcome)
    return outcome


def answered(url: str, limits: ExchangeLimits = LIMITS) -> HttpResponse:
    response = exchanged(url, limits)
    assert isinstance(response, HttpResponse)
    return response


def test_an_answer_is_its_status_its_headers_in_lower_case_and_its_body() -> None:
    with listen(Answer(404, b"nothing here", {"X-Some": "Thing"})) as listener:
        response = answered(listener.url)
    assert (response.status, response.headers["x-some"], response.body) == (404, "Thing", b"nothing here")
    assert response.body_problem is None


@pytest.mark.parametrize("cookie", ["a=b", f"a=b; expires=1 Feb {'9' * 5_000}", "a=b; expires=1 Feb 99999999"])
def test_cookies_are_neither_kept_nor_read(cookie: str) -> None:
    """The standard library would print a traceback for a year of 5,000 digits; here a warning is an error."""
    with listen(Answer(200, b"", {"Set-Cookie": cookie})) as listener, HttpSession(LIMITS) as session:
        for _ in range(2):
            response = session.exchange(HttpRequest("GET", listener.url))
            assert isinstance(response, HttpResponse)
        assert all("Cookie" not in each.headers for each in listener.requests)


def test_a_body_of_the_limit_is_read_and_of_a_larger_one_its_beginning() -> None:
    with listen(Answer(200, b"x" * 1_000), Answer(200, b"x" * 1_001)) as listener:
        assert answered(listener.url).body_problem is None
        response = answered(listener.url)
    assert (response.body_problem, len(response.body)) == (BodyProblem.TOO_LARGE, 1_000)


def test_the_limit_is_for_the_body_after_decompression() -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    with listen(Answer(200, bomb, {"Content-Encoding": "gzip"})) as listener:
        response = answered(listener.url)
    assert (response.body_problem, len(response.body)) == (BodyProblem.TOO_LARGE, 1_000)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"half of it", cut_after=5),
        Answer(200, b"no gzip", {"Content-Encoding": "gzip"}),
        Answer(200, b"zz\r\n", {"Transfer-Encoding": "chunked"}),
        Answer(200, b"5\r\nhe", {"Transfer-Encoding": "chunked"}),
    ],
    ids=["cut", "not compressed", "no chunk", "half a chunk"],
)
def test_a_body_that_breaks_off_is_named_as_such(answer: Answer) -> None:
    with listen(answer) as listener:
        response = answered(listener.url)
    assert (response.status, response.body_problem) == (200, BodyProblem.CUT)


def test_a_body_that_stops_is_too_slow() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", b"") as url:
        response = answered(url)
    assert (response.body, response.body_problem) == (b"half", BodyProblem.TOO_SLOW)


def test_a_body_that_drips_is_read_until_its_time_is_over() -> None:
    limits = ExchangeLimits(1, 0.5, total_seconds=20, max_body_bytes=1_000, body_seconds=0.5)
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x") as url:
        response = answered(url, limits)
    assert response.body_problem is BodyProblem.TOO_SLOW
    assert 1 <= len(response.body) < 100


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_exchange_ends_when_its_time_is_over_whatever_drips(start: bytes) -> None:
    began = time.monotonic()
    with dripping(start, b"x") as url:
        outcome = exchanged(url)
        took = time.monotonic() - began
    assert isinstance(outcome, HttpResponse) or outcome == ExchangeFailure(FailureKind.DEADLINE, "DeadlineExceeded")
    assert not isinstance(outcome, HttpResponse) or outcome.body_problem is BodyProblem.TOO_SLOW
    assert took < 10


@pytest.mark.parametrize(
    ("start", "wave"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"x" * 60_000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Header: ", b"x" * 10_000),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1_000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 10_000),
    ],
    ids=["100 Continue", "headers", "one header", "body", "chunks", "one chunk's extension"],
)
def test_a_flood_is_cut_off_and_little_of_it_is_kept(start: bytes, wave: bytes) -> None:
    with flooding(start, wave) as flood:
        tracemalloc.start()
        outcome = exchanged(flood.url)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        for thread in threading.enumerate():
            if thread.name == THREAD_NAME:
                thread.join(30)
        assert THREAD_NAME not in {thread.name for thread in threading.enumerate()}, "nobody reads on"
    assert not isinstance(outcome, HttpResponse) or outcome.body_problem is not None
    assert peak_bytes < 15_000_000


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_body_that_grows_by_decompression_takes_no_memory_beyond_its_limit(layers: int) -> None:
    bomb = b"0" * 200_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    headers = {"Content-Encoding": ", ".join(["gzip"] * layers)}
    with listen(Answer(200, bomb, headers)) as listener:
        tracemalloc.start()
        response = answered(listener.url)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (response.body_problem, len(response.body)) == (BodyProblem.TOO_LARGE, 1_000)
    assert peak_bytes < 15_000_000


def test_an_exchange_ends_when_a_time_that_it_shares_with_others_is_over() -> None:
    with dripping(b"", b"x") as slow, listen() as listener, HttpSession(LIMITS) as session:
        deadline = Deadline(0.3)
        first = session.exchange(HttpRequest("GET", slow), max_seconds=deadline.seconds_left)
        second = session.exchange(HttpRequest("GET", listener.url), max_seconds=deadline.seconds_left)
    assert first == second == ExchangeFailure(FailureKind.DEADLINE, "DeadlineExceeded")
    assert listener.requests == [], "nothing is sent after that"


def test_a_session_goes_on_after_an_exchange_that_took_too_long() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x") as slow, listen(Answer(204)) as listener, HttpSession(LIMITS) as one:
        assert isinstance(one.exchange(HttpRequest("GET", slow)), ExchangeFailure)
        response = one.exchange(HttpRequest("GET", listener.url))
    assert isinstance(response, HttpResponse)
    assert response.status == 204


@pytest.mark.parametrize(
    ("answer", "kind"), [(Answer(hang=True), FailureKind.SILENCE), (Answer(drop=True), FailureKind.CUT)]
)
def test_a_server_without_an_answer_is_a_failure_with_a_kind(answer: Answer, kind: FailureKind) -> None:
    with listen(answer) as listener:
        outcome = exchanged(listener.url)
    assert isinstance(outcome, ExchangeFailure)
    assert outcome.kind is kind


def test_a_port_without_a_server_is_a_failure_with_a_kind() -> None:
    outcome = exchanged(f"http://127.0.0.1:{free_port()}")
    assert isinstance(outcome, ExchangeFailure)
    assert outcome.kind is FailureKind.NO_CONNECTION


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://[::1", FailureKind.BAD_ADDRESS),
        ("ftp://127.0.0.1", FailureKind.BAD_ADDRESS),
        ("nonsense", FailureKind.BAD_ADDRESS),
    ],
)
def test_an_address_that_cannot_be_used_is_a_failure_with_a_kind(url: str, kind: FailureKind) -> None:
    outcome = exchanged(url)
    assert isinstance(outcome, ExchangeFailure)
    assert outcome.kind is kind


def test_a_certificate_that_nobody_vouches_for_is_a_failure(tmp_path: Path) -> None:
    with listen(tls=self_signed(tmp_path)) as listener:
        outcome = exchanged(listener.url.replace("http:", "https:"))
    assert isinstance(outcome, ExchangeFailure)
    assert outcome.kind is FailureKind.TLS


def test_a_header_that_cannot_be_sent_is_a_failure() -> None:
    with listen() as listener, HttpSession(LIMITS) as session:
        outcomes = [
            session.exchange(HttpRequest("GET", listener.url, headers={"X": value})) for value in ("a\nb", "\u0142")
        ]
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, ExchangeFailure)]
    assert kinds == [FailureKind.BAD_HEADER] * 2


def test_a_redirect_is_an_answer_like_any_other() -> None:
    with listen() as elsewhere, listen(Answer(302, headers={"Location": elsewhere.url})) as listener:
        assert answered(listener.url).status == 302
    assert elsewhere.requests == []


def test_a_body_that_nobody_wants_is_not_read() -> None:
    endless = Answer(200, b"ok", {"Content-Length": "1000000000"})
    with listen(endless) as listener, HttpSession(LIMITS) as session:
        response = session.exchange(HttpRequest("GET", listener.url), reads_body=lambda _: False)
    assert isinstance(response, HttpResponse)
    assert (response.body, response.body_problem) == (b"", None)


def test_neither_a_token_nor_the_credentials_of_an_address_are_replaced_by_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login any password other\n", "utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with listen() as listener, HttpSession(LIMITS) as session:
        session.exchange(HttpRequest("GET", listener.url, auth=BearerAuth(f"{SECRET}\n")))
        session.exchange(HttpRequest("GET", listener.url.replace("://", "://someone:else@")))
    assert [request.headers["Authorization"] for request in listener.requests] == [
        f"Bearer {SECRET}",
        "Basic c29tZW9uZTplbHNl",
    ]


def test_credentials_of_netrc_go_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\ndefault login me password other\n", "utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with listen() as listener, HttpSession(LIMITS) as session:
        for method in ("GET", "PUT", "POST"):
            session.exchange(HttpRequest(method, listener.url))
        session.exchange(HttpRequest("GET", listener.url.replace("://", "://you:own@")))
    authorizations = [request.headers.get("Authorization") for request in listener.requests]
    assert authorizations == [None, None, None, f"Basic {base64.b64encode(b'you:own').decode()}"]


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen(Answer(200, b"from the proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert answered("http://far.example").body == b"from the proxy"
    assert proxy.requests[0].path == f"http://far.example/{SECRET}"


def test_exchanges_with_one_host_share_a_connection() -> None:
    def answer(_: FakeRequest) -> FakeAnswer:
        return FakeAnswer(200, {"some": "thing"})

    server = Server(answer)
    opened = 0
    original = server.process_request

    def count(request: object, client_address: object) -> None:
        nonlocal opened
        opened += 1
        original(request, client_address)

    server.process_request = count  # type: ignore[method-assign]
    try:
        with HttpSession(LIMITS) as session:
            for _ in range(3):
                session.exchange(HttpRequest("POST", f"http://127.0.0.1:{server.server_port}", b"{}"))
    finally:
        server.close()
    assert opened == 1
