"""One request to GitHub: its address and headers, and answers that are not complete."""

import time
from datetime import UTC, datetime

import pytest

from dora_metrics.github.client import Client, UncertainOutcomeError
from dora_metrics.github.transport import ApiResponse, Transport, TransportFailure
from support.mocked_http import mocked
from support.servers import OK, Answer, dripping, listen

TOKEN = "ghs_s3cret"
SHOP = {"owner": "acme", "name": "shop", "ref": "refs/heads/main"}
CUT = Answer(200, b'{"data": {}}', cut_after=5)


def client(url: str) -> Client:
    return Client(TOKEN, url, lambda _: None, timeout_seconds=1)


@pytest.mark.parametrize(
    ("base", "graphql"),
    [("", "/graphql"), ("/", "/graphql"), ("/api/v3", "/api/graphql"), ("/api/v3/", "/api/graphql")],
)
def test_graphql_has_its_address_beside_that_of_rest(base: str, graphql: str) -> None:
    with mocked(Answer(200, b'{"data": {}}')) as github:
        transport = Transport(TOKEN, f"{github.url}{base}", 1)
        transport.graphql("query { viewer { login } }", {})
        transport.rest("GET", "/repos/acme/shop", {"per_page": 100, "after": "a&b"})
    assert [(request.method, request.path) for request in github.requests] == [
        ("POST", graphql),
        ("GET", f"{base.rstrip('/')}/repos/acme/shop?after=a%26b&per_page=100"),
    ]


def test_a_request_says_who_sends_it_what_it_takes_and_which_version_of_the_api_it_means() -> None:
    with mocked(Answer(200, b"{}")) as github:
        Transport(TOKEN, github.url, 1).rest("POST", "/x", body={"title": "Größe"})
    (request,) = github.requests
    names = ("Authorization", "User-Agent", "Accept", "X-GitHub-Api-Version", "Content-Type")
    assert [request.headers[name] for name in names] == [
        f"Bearer {TOKEN}",
        "dora-metrics",
        "application/vnd.github+json",
        "2022-11-28",
        "application/json",
    ]
    assert request.json == {"title": "Größe"}


def test_answers_are_utf_8_whatever_their_headers_say() -> None:
    answer = Answer(200, '{"title": "Größe"}'.encode(), {"Content-Type": "text/plain; charset=latin-1"})
    with mocked(answer) as github:
        response = Transport(TOKEN, github.url, 1).rest("GET", "/x")
    assert isinstance(response, ApiResponse)
    assert response.data == {"title": "Größe"}


def test_an_answer_above_the_limit_is_none() -> None:
    with listen(Answer(200, b'{"a": 1}'), Answer(200, b'{"a": 10}')) as github:
        transport = Transport(TOKEN, github.url, 1, max_answer_bytes=8)
        assert isinstance(transport.rest("GET", "/x"), ApiResponse)
        assert transport.rest("GET", "/x") == TransportFailure("its answer was larger than the limit")
        assert transport.graphql("query", {}) == TransportFailure("its answer was larger than the limit")


def test_an_answer_with_a_file_may_be_larger() -> None:
    with mocked(Answer(200, b'{"content": "AAAA"}')) as github:
        transport = Transport(TOKEN, github.url, 1, max_answer_bytes=8)
        for repository in ("repos/acme/shop", "repositories/7"):
            assert isinstance(transport.rest("GET", f"/{repository}/git/blobs/0a1b"), ApiResponse)
            answer = transport.rest("GET", f"/{repository}/git/trees/0a1b", {"recursive": "1"})
            assert answer == TransportFailure("its answer was larger than the limit")


def test_an_answer_that_breaks_off_is_asked_for_again_where_that_is_harmless() -> None:
    with listen(CUT, CUT, Answer(200, b'{"data": {"repository": {"ref": null}}}'), CUT) as github:
        one = client(github.url)
        assert one.query("Head", SHOP) == {"repository": {"ref": None}}
        assert one.request_count == 3
        with pytest.raises(UncertainOutcomeError, match="its answer was cut off"):
            one.mutate("Append", {"input": {}})
        assert len(github.requests) == 4
        with pytest.raises(UncertainOutcomeError, match="its answer was cut off"):
            one.get("/x", {})
        assert len(github.requests) == 7


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"])
def test_an_answer_that_drips_holds_a_run_for_a_bounded_time(start: bytes) -> None:
    with dripping(start, b"x") as url:
        began = time.monotonic()
        with pytest.raises(UncertainOutcomeError, match="GitHub did not answer"):
            client(url).mutate("Append", {"input": {}})
        assert time.monotonic() - began < 12


@pytest.mark.parametrize(
    ("date", "sent_at"),
    [
        ("Sat, 21 Nov 2026 12:00:00 GMT", datetime(2026, 11, 21, 12, tzinfo=UTC)),
        ("Sat, 21 Nov 2026 12:00:00 +0100", datetime(2026, 11, 21, 11, tzinfo=UTC)),
        ("Sat, 21 Nov 2026 12:00:00 -0000", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 01 Jan 0100 00:00:00 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Sat, 21 Nov 2026 99:00:00 GMT", None),
        ("0, 0, 0", None),
        ("", None),
    ],
)
def test_the_time_of_an_answer_is_one_that_can_be(date: str, sent_at: datetime | None) -> None:
    assert ApiResponse(200, {"date": date}, {}).sent_at == sent_at


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"3", b"{", b""])
def test_rest_without_an_object_is_no_answer(body: bytes) -> None:
    with mocked(Answer(200, body)) as github, pytest.raises(UncertainOutcomeError, match="GitHub's answer"):
        client(github.url).post("/x", {})


def test_an_answer_without_content_is_no_answer() -> None:
    with mocked(OK) as github, pytest.raises(UncertainOutcomeError, match="no data"):
        client(github.url).get("/x", {})
