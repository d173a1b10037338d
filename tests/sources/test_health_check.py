"""The health check: what counts as healthy, how long it takes, and what stays secret."""

import time
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.sources.health_check import HealthCheckRequest, HealthCheckResult, check_health
from support.mocked_http import mocked
from support.runs import PausedClock
from support.servers import OK, Answer, dripping, free_port, listen, self_signed

SECRET = "s3cret-t0ken"


class RecordedPauses:
    """Sleeps that are recorded instead of waited for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def run_check(url: str, pause: RecordedPauses | None = None, **options: Any) -> HealthCheckResult:  # noqa: ANN401
    question = HealthCheckRequest(**{
        "url": f"{url}/{SECRET}?key={SECRET}", "healthy_statuses": ("200-299",), "retries": 2, "total_seconds": 5,
        "try_seconds": 0.4, "first_pause_seconds": 1, **options,
    })  # fmt: skip
    assert SECRET not in repr(question)
    found = check_health(question, pause or RecordedPauses())
    assert SECRET not in found.text
    return found


def test_a_service_that_says_it_is_well_passes_at_once() -> None:
    with mocked(Answer(204)) as listener:
        assert run_check(listener.url) == HealthCheckResult("passed", "passed (HTTP 204, 1 try)")
    (request,) = listener.requests
    assert (request.method, request.path, request.body) == ("GET", f"/{SECRET}?key={SECRET}", b"")


def test_a_service_that_starts_slowly_is_asked_again_after_growing_pauses() -> None:
    pauses = RecordedPauses()
    with listen(Answer(503), Answer(drop=True), OK) as listener:
        assert run_check(listener.url, pauses) == HealthCheckResult("passed", "passed (HTTP 200, 3 tries)")
    assert pauses.seconds == [1, 2]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(500, SECRET.encode()), "failed: HTTP 500 (3 tries)"),
        (Answer(404), "failed: HTTP 404 (3 tries)"),
        (Answer(drop=True), "failed: no connection (3 tries)"),
        (Answer(hang=True), "failed: no answer in time (3 tries)"),
    ],
)
def test_a_service_that_is_not_well_fails_after_all_tries(answer: Answer, said: str) -> None:
    with listen(answer) as listener:
        assert run_check(listener.url) == HealthCheckResult("failed", said)
    assert len(listener.requests) == 3


def test_nobody_there_is_a_service_that_is_not_well() -> None:
    assert run_check(f"http://127.0.0.1:{free_port()}") == HealthCheckResult(
        "failed", "failed: no connection (3 tries)"
    )


def test_without_retries_it_is_asked_once() -> None:
    with mocked(Answer(503)) as listener:
        assert run_check(listener.url, retries=0) == HealthCheckResult("failed", "failed: HTTP 503 (1 try)")
    assert len(listener.requests) == 1


@pytest.mark.parametrize(
    ("statuses", "status", "health"),
    [
        (("200",), 200, "passed"),
        (("200",), 201, "failed"),
        (("200-299", "401"), 401, "passed"),
        (("200-204",), 204, "passed"),
        (("200-204",), 205, "failed"),
        (("302",), 302, "passed"),
        (("500-599",), 503, "passed"),
    ],
)
def test_the_statuses_that_mean_healthy_are_those_of_the_settings(
    statuses: tuple[str, ...], status: int, health: str
) -> None:
    with mocked(Answer(status, headers={"Location": "/elsewhere"})) as listener:
        assert run_check(listener.url, healthy_statuses=statuses, retries=0).health == health


def test_a_redirect_of_the_same_scheme_is_followed() -> None:
    with listen() as elsewhere, listen(Answer(307, headers={"Location": f"{elsewhere.url}/well"})) as listener:
        assert run_check(listener.url).health == "passed"
    assert [request.path for request in elsewhere.requests] == ["/well"]
    with listen(Answer(302, headers={"Location": "/well"}), OK) as listener:
        assert run_check(listener.url).health == "passed"
    assert listener.requests[1].path == "/well"


@pytest.mark.parametrize("location", ["/login", "http://{}/login", "http://other:t0ken@{}/login"])
def test_a_redirect_is_followed_without_credentials(location: str) -> None:
    with listen() as elsewhere:
        redirect = Answer(302, headers={"Location": location.format(elsewhere.host)})
        with listen(redirect, OK) as listener:
            found = run_check(f"http://user:s3cret@{listener.host}/health?token=t0ken")
    assert found.health == "passed"
    first, second = [*listener.requests, *elsewhere.requests]
    assert "Authorization" in first.headers
    assert "Authorization" not in second.headers
    assert second.path == "/login"


@pytest.mark.parametrize("location", ["https://127.0.0.1:1/", "ftp://127.0.0.1/", "file:///etc/passwd", "javascript:x"])
def test_a_redirect_to_another_scheme_says_nothing_about_the_service(location: str) -> None:
    with mocked(Answer(301, headers={"Location": location})) as listener:
        found = run_check(listener.url)
    assert found == HealthCheckResult(
        None, "not recorded: it redirects to another scheme, which is not followed; use the final address"
    )
    assert len(listener.requests) == 1


@pytest.mark.parametrize(
    ("location", "said"),
    [(None, "HTTP 302"), ("", "HTTP 302"), ("http://[", "a redirect to nowhere"), ("/again", "more than 5 redirects")],
)
def test_a_redirect_to_nowhere_or_in_a_circle_is_no_sign_of_health(location: str | None, said: str) -> None:
    headers = {} if location is None else {"Location": location}
    with mocked(Answer(302, headers=headers)) as listener:
        found = run_check(listener.url, retries=0)
    assert found.health == "failed"
    assert found.text in (f"failed: {said} (1 try)", "failed: more than 5 redirects (1 try)")


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port", "http://" + "a" * 64 + ".example"])
def test_an_address_that_is_none_says_nothing_about_the_service(url: str) -> None:
    found = run_check(url)
    assert found.health is None
    assert found.text.startswith("not recorded: the address is not valid")


def test_a_certificate_that_nobody_vouches_for_is_no_sign_of_health(tmp_path: Path) -> None:
    with listen(tls=self_signed(tmp_path)) as listener:
        found = run_check(listener.url.replace("http:", "https:"))
    assert found == HealthCheckResult("failed", "failed: the TLS connection failed (3 tries)")


def test_all_tries_together_take_no_longer_than_they_may() -> None:
    began = time.monotonic()
    with listen(Answer(hang=True)) as listener:
        found = run_check(listener.url, total_seconds=0.9, retries=10)
        took = time.monotonic() - began
    assert found.health == "failed"
    assert took < 2
    assert len(listener.requests) <= 4


def test_a_server_that_lets_its_answer_drip_is_left_alone_with_it() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x") as url:
        began = time.monotonic()
        assert run_check(url, retries=0) == HealthCheckResult("failed", "failed: no answer in time (1 try)")
        assert time.monotonic() - began < 1.5


def test_an_endless_body_is_not_read() -> None:
    with listen(Answer(200, b"ok", {"Content-Length": "1000000000"})) as listener:
        assert run_check(listener.url).health == "passed"


@pytest.mark.parametrize(
    ("seconds_left", "health", "text"),
    [
        (0, None, "not recorded: GitHub was slow, so no time was left to wait until the service is healthy"),
        (2, None, "not recorded: GitHub was slow, so no time was left to wait until the service is healthy"),
        (3.5, "failed", "failed: HTTP 503 (3 tries)"),
        (5, "failed", "failed: HTTP 503 (3 tries)"),
    ],
)
def test_a_check_that_the_run_cuts_short_says_nothing_about_the_service(
    seconds_left: float, health: str | None, text: str
) -> None:
    """Three tries need the pauses of 1 s and 2 s between them."""
    clock = PausedClock()
    with listen(Answer(503)) as service:
        check = HealthCheckRequest(service.url, ("200",), 2, 5, 0.4, 1, seconds_left)
        assert check_health(check, clock.pause, clock.monotonic) == HealthCheckResult(health, text)  # type: ignore[arg-type]
    assert clock.seconds <= seconds_left
