"""`dora-metrics send`: the requests that an endpoint would get, printed to the byte or really sent; and bad input."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dora_metrics.cli import run
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.shapes.shipped import SHIPPED_SHAPES
from dora_metrics.runtime import HttpLimits, Runtime
from support.facts import at, change, deployment, failed_deployment, incident
from support.paths import ROOT
from support.servers import Answer, listen

SAMPLE = str(files("dora_metrics") / "sample" / "ledger")
EXAMPLE = str(ROOT / "examples" / "endpoint-template.json.j2")
LIMITS = HttpLimits(connect_seconds=2, read_seconds=2, tries=1, pause_seconds=0)
FACTS = (
    deployment(1, "03-10"),
    failed_deployment(2, "03-12"),
    incident(3, "03-12T01:00"),
    change(4, merged_at="03-09"),
)
EACH = "{% for fact in facts %}{% request facts=[fact] %}{{ fact.id|tojson }}{% endrequest %}{% endfor %}"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def send(*arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Ran:
    out, err = StringIO(), StringIO()
    runtime = Runtime(environment or {}, BytesIO(stdin), out, err, at("04-01"), lambda _: None, http_limits=LIMITS)
    return Ran(run(("send", *arguments), runtime), out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder has facts and a template."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facts.jsonl").write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in FACTS))
    (tmp_path / "each.j2").write_text(EACH, "utf-8")
    (tmp_path / ".github").mkdir()
    return tmp_path


def dry(*arguments: str, **options: Any) -> Ran:  # noqa: ANN401 - those of `send`
    return send("--dry-run", "--facts", "facts.jsonl", *arguments, **options)


def parts(ran: Ran) -> list[tuple[str, dict[str, str], str]]:
    """The printed requests: first line, headers and body; no body has an empty line."""
    blocks = ran.out.removesuffix("\n").split("\n\n") if ran.out else []
    heads = [head.splitlines() for head in blocks[::2]]
    headers = [dict(line.split(": ", 1) for line in head[1:]) for head in heads]
    return list(zip((head[0] for head in heads), headers, blocks[1::2], strict=True))


# Printed


def test_each_request_is_printed_with_its_line_headers_and_body() -> None:
    ran = dry("--template", "each.j2")
    assert ran.code == 0, ran.err
    assert [(line, body) for line, _, body in parts(ran)] == [
        ("POST https://endpoint.example", json.dumps(fact.id)) for fact in (FACTS[3], *FACTS[:3])
    ]
    headers = parts(ran)[0][1]
    assert headers.keys() == {"Content-Type", "User-Agent", "Idempotency-Key"}
    assert ran.err.splitlines() == [
        "dora-metrics: as of 2024-03-12T01:00:01Z, just after the newest fact for this endpoint; --now sets another",
        "dora-metrics: no --endpoint-url: https://endpoint.example is printed in its place",
        "dora-metrics: 4 requests about 4 of 4 facts; nothing was sent (--dry-run)",
    ]


def test_what_is_printed_is_what_a_server_gets() -> None:
    with listen() as server:
        address = ("--endpoint-url", f"{server.url}/in?key=1")
        printed = parts(dry("--template", EXAMPLE, *address))
        ran = send("--facts", "facts.jsonl", "--template", EXAMPLE, *address)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [f"request {number} of 3: accepted (1 fact)" for number in (1, 2, 3)]
    assert [line for line, _, _ in printed] == [
        f"{request.method} {server.url}{request.path.replace('?key=1', '?***')}" for request in server.requests
    ]
    for (_, headers, _), request in zip(printed, server.requests, strict=True):
        assert headers.items() <= request.headers.items()
    assert server.requests[0].path == "/in/deployments/github%3Adeployment%3A1?key=1"


@pytest.mark.parametrize("name", SHIPPED_SHAPES)
def test_every_shipped_template_can_be_printed(name: str) -> None:
    ran = send("--dry-run", "--template", name, "--facts", SAMPLE)
    assert ran.code == 0, ran.err
    assert ran.out
    assert ran.out == send("--dry-run", "--template", name, "--facts", SAMPLE).out


def test_the_numbers_alone_are_printed_where_a_shape_sends_them_without_facts(folder: Path) -> None:
    (folder / "facts.jsonl").write_bytes(b"")
    ((_, _, body),) = parts(dry("--template", "dora", "--repository", "acme/shop"))
    assert json.loads(body)["facts"] == []
    ran = dry("--template", "each.j2", "--repository", "acme/shop")
    assert (ran.code, ran.out) == (0, "")
    assert "0 requests about 0 of 0 facts" in ran.err


def test_facts_from_standard_input_and_the_event_and_repository_that_were_named() -> None:
    ran = send(
        *("--dry-run", "--facts", "-", "--template", "dora", "--event", "push", "--repository", "acme/api"),
        stdin=encode_fact(FACTS[0]),
    )
    body = json.loads(parts(ran)[0][2])
    assert (body["event"], body["repository"], len(body["facts"])) == ("push", "acme/api", 1)


def test_without_a_name_the_repository_is_that_of_the_newest_fact() -> None:
    assert json.loads(parts(dry("--template", "dora"))[0][2])["repository"] == "acme/shop"


def test_the_time_of_the_run_is_that_of_the_newest_fact_so_that_a_chat_has_news() -> None:
    ran = dry("--template", "slack")
    assert len(parts(ran)) == 1, "the deployment of the day; the one before is older than 24 hours"
    assert dry("--template", "slack", "--now", "2024-04-01T00:00:00Z").out == ""


def test_each_message_counts_its_own_deployment(folder: Path) -> None:
    facts = [deployment(number, f"03-{number + 9}") for number in (1, 2, 3)]
    (folder / "facts.jsonl").write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in facts))
    for name in ("slack", "teams"):
        *_, (_, _, body) = parts(dry("--template", name))
        assert "The 3rd deployment in the last 30 days." in body
    ((_, _, body),) = parts(dry("--template", "dora"))
    (scope,) = json.loads(body)["metrics"]["scopes"]
    assert scope["metrics"]["deployment_frequency"]["deployments"] == 3


def test_facts_of_years_without_arithmetic_do_not_set_the_time(folder: Path) -> None:
    years = [
        msgspec.structs.replace(deployment(number), finished_at=moment)
        for number, moment in ((2, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)), (3, datetime(1, 1, 1, tzinfo=UTC)))
    ]
    for facts in ((deployment(1, "03-10"), *years), years):
        (folder / "facts.jsonl").write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in facts))
        for name in SHIPPED_SHAPES:
            ran = dry("--template", name)
            assert ran.code == 0, ran.err
            is_after_fact = len(facts) > len(years)
            basis = "00:00:01Z, just after" if is_after_fact else "00:00:00Z, the current time"
            assert f"as of {'2024-03-10' if is_after_fact else '2024-04-01'}T{basis}" in ran.err


def test_the_time_is_that_of_a_fact_that_the_endpoint_is_sent() -> None:
    ran = send("--dry-run", "--template", "slack", "--facts", str(ROOT / "examples" / "facts"))
    assert "as of 2026-03-24T15:00:01Z" in ran.err, "production; the newest fact is of staging"
    assert "v1.4 was deployed to production" in ran.out


@pytest.mark.parametrize(
    ("facts", "options", "reason"),
    [
        ((), (), "there are no facts"),
        ((change(1, merged_at="03-09"),), (), "no fact is of the endpoint's events (deployment, report)"),
        (FACTS, ("--now", "2024-04-01T00:00:00Z"), "slack sends none of these facts as of 2024-04-01T00:00:00Z"),
        ((deployment(1, "03-09", environment="staging"),), (), "slack sends none of these facts as of 2024-03-09T"),
    ],
)
def test_without_a_request_the_reason_is_printed(
    folder: Path, facts: Sequence[Fact], options: Sequence[str], reason: str
) -> None:
    (folder / "facts.jsonl").write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in facts))
    ran = dry("--template", "slack", "--repository", "acme/shop", *options)
    assert (ran.code, ran.out) == (0, "")
    assert f"dora-metrics: no request, as {'the template ' if 'slack' in reason else ''}{reason}" in ran.err


def test_a_template_that_makes_no_request_of_its_facts_is_named(folder: Path) -> None:
    (folder / "none.j2").write_text("{% if false %}{% request %}1{% endrequest %}{% endif %}", "utf-8")
    assert "the template none.j2 makes no request of what it is sent about" in dry("--template", "none.j2").err


def test_more_facts_than_a_batch_are_several_requests(folder: Path) -> None:
    facts = [deployment(number, f"03-11T{number // 60:02}:{number % 60:02}") for number in range(1, 302)]
    (folder / "facts.jsonl").write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in facts))
    bodies = [json.loads(body) for _, _, body in parts(dry("--template", "dora"))]
    assert [len(body["facts"]) for body in bodies] == [200, 101]


def test_a_report_is_sent_as_if_it_were_due(folder: Path) -> None:
    (folder / "report.j2").write_text("{{ words.reports|tojson }}", "utf-8")
    ran = dry("--template", "report.j2", "--report", "weekly", "--now", "2024-03-18T12:00:00Z")
    ((_, _, body),) = parts(ran)
    assert [report["id"] for report in json.loads(body)] == ["report:weekly:2024-W11"]
    assert "1 request about the weekly report of 2024-W11;" in ran.err
    assert len(parts(dry("--template", "slack", "--report", "weekly", "--now", "2024-03-18T12:00:00Z"))) == 1


def test_a_report_about_nothing_is_a_problem() -> None:
    ran = dry("--template", "slack", "--report", "weekly", "--now", "2020-01-01T00:00:00Z")
    assert (ran.code, ran.out) == (2, "")
    assert "--report weekly: no production deployment and no incident is recorded up to" in ran.err


def test_a_body_is_printed_as_it_is_and_can_be_no_command(folder: Path) -> None:
    (folder / "text.j2").write_text(
        '{% request content_type="text/plain" %}\n::error::x\n##[group]y\n{% endrequest %}'
        '{% request %}{"title":  "##[group]"}{% endrequest %}',
        "utf-8",
    )
    out = dry("--template", "text.j2").out
    assert not [line for line in out.splitlines() if line.startswith("::")]
    assert "##[" not in out
    assert json.loads(out.splitlines()[-1]) == {"title": "##[group]"}
    assert '{"title":  ' in out


# Secrets


def test_secrets_are_masks_in_what_is_printed() -> None:
    environment = {"ENDPOINT_TOKEN": "s3cret-token", "ENDPOINT_SECRET": "s3cret-key"}
    ran = dry("--template", "dora", "--endpoint-url", "https://user:s3cret-pw@a.example/x", environment=environment)
    ((line, headers, _),) = parts(ran)
    assert line == "POST https://***@a.example/x"
    assert headers["Authorization"] == "Bearer ***"
    assert headers["X-Dora-Signature-256"] == "***"
    assert "s3cret" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("template", "address", "printed"),
    [
        ("slack", "https://hooks.example/services/s3cret", "https://hooks.example/***"),
        ("teams", "https://x.example:8443/workflows/1?sig=s3cret", "https://x.example:8443/***?***"),
        ("slack", "https://hooks.example", "https://hooks.example"),
        ("dora", "https://a.example/x?key=s3cret", "https://a.example/x?***"),
        ("each.j2", "https://a.example/x?key=s3cret", "https://a.example/x?***"),
    ],
)
def test_an_address_that_is_a_secret_is_masked(folder: Path, template: str, address: str, printed: str) -> None:
    by_option = dry("--template", template, "--endpoint-url", address)
    (folder / ".github" / "dora.yml").write_text(f"endpoint-url: {address}\nendpoint-template: {template}\n", "utf-8")
    by_name = dry("--endpoint", "default")
    for ran in (by_option, by_name):
        assert parts(ran)[0][0] == f"POST {printed}"
        assert "s3cret" not in ran.out + ran.err


ENDPOINTS = """
endpoints:
  - name: chat
    url: https://chat.example/hooks/${token}
    template: slack
    token: chat
  - name: tickets
    url: {url}
    template: each.j2
    events: [deployment]
    token: tickets
"""


def test_an_endpoint_of_the_settings_has_its_address_template_and_events(folder: Path) -> None:
    (folder / ".github" / "dora.yml").write_text(ENDPOINTS.replace("{url}", "https://t.example/x"), "utf-8")
    environment = {"ENDPOINT_TOKENS": "chat: s3cret-chat\ntickets: s3cret-tickets"}
    tickets = dry("--endpoint", "tickets", environment=environment)
    assert [body for _, _, body in parts(tickets)] == [json.dumps(fact.id) for fact in FACTS[:2]]
    assert parts(tickets)[0][0] == "POST https://t.example/x"
    assert parts(tickets)[0][1]["Authorization"] == "Bearer ***"
    assert "2 requests about 2 of 4 facts" in tickets.err
    chat = dry("--endpoint", "chat", environment=environment)
    assert parts(chat)[0][0] == "POST https://chat.example/hooks/***"
    assert "Authorization" not in parts(chat)[0][1]
    assert "s3cret" not in tickets.out + tickets.err + chat.out + chat.err


def test_a_token_that_is_not_there_is_named_and_nothing_is_sent(folder: Path) -> None:
    with listen() as server:
        (folder / "mine.yml").write_text(ENDPOINTS.replace("{url}", server.url), "utf-8")
        printed = dry("--endpoint", "tickets", "--config", "mine.yml")
        sent = send("--facts", "facts.jsonl", "--endpoint", "tickets", "--config", "mine.yml")
    assert (printed.code, sent.code) == (0, 2)
    assert "ENDPOINT_TOKENS has no line 'tickets: TOKEN'" in printed.err
    assert "ENDPOINT_TOKENS has no line 'tickets: TOKEN'" in sent.err
    assert not server.requests


def test_an_address_of_a_file_that_nobody_named_gets_no_request(folder: Path) -> None:
    environment = {"ENDPOINT_TOKENS": "tickets: s3cret"}
    with listen() as server:
        (folder / ".github" / "dora.yml").write_text(ENDPOINTS.replace("{url}", server.url), "utf-8")
        refused = send("--facts", "facts.jsonl", "--endpoint", "tickets", environment=environment)
        config = ("--config", ".github/dora.yml")
        sent = send("--facts", "facts.jsonl", "--endpoint", "tickets", *config, environment=environment)
    assert (refused.code, refused.out) == (2, "")
    assert "the address of 'tickets' is in a config file that nobody named" in refused.err
    assert (sent.code, len(server.requests)) == (0, 2)
    assert server.requests[0].headers["Authorization"] == "Bearer s3cret"


def test_the_single_address_of_a_file_gets_no_request_either(folder: Path) -> None:
    with listen() as server:
        (folder / ".github" / "dora.yml").write_text(f"endpoint-url: {server.url}\n", "utf-8")
        for options in (("--template", "each.j2"), ("--endpoint", "default")):
            assert send("--facts", "facts.jsonl", *options).code == 2
        assert parts(dry("--template", "each.j2"))[0][0] == f"POST {server.url}"
    assert not server.requests


# Sent


def test_a_refused_request_is_named_and_the_others_are_sent() -> None:
    with listen(Answer(422), Answer(200)) as server:
        ran = send("--facts", "facts.jsonl", "--template", "each.j2", "--endpoint-url", server.url)
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[0].startswith("request 1 of 4: failed: HTTP 422")
    assert lines[1:] == [f"request {number} of 4: accepted (1 fact)" for number in (2, 3, 4)]


def test_an_endpoint_that_is_down_is_asked_once() -> None:
    with listen(Answer(503)) as server:
        ran = send("--facts", "facts.jsonl", "--template", "each.j2", "--endpoint-url", server.url)
    assert ran.code == 1
    assert [line.partition(":")[0] for line in ran.out.splitlines()] == ["request 1 of 4"]
    assert len(server.requests) == 1


# Bad input


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--facts", "facts.jsonl"), "send: --template or --endpoint is missing"),
        (("--facts", "facts.jsonl", "--template", "dora", "--endpoint", "x"), "--template and --endpoint exclude"),
        (("--template", "dora"), "send: --facts is missing"),
        (("--facts", "nowhere.jsonl", "--template", "dora"), "nowhere.jsonl"),
        (("--facts", "facts.jsonl", "--template", "slak"), "--template 'slak' is not one of dora, "),
        (("--facts", "facts.jsonl", "--template", ""), "--template '' is not one of dora, "),
        (("--facts", "facts.jsonl", "--template", "x" * 5000), f"--template {'x' * 100!r} is not one of dora, "),
        (("--facts", "facts.jsonl", "--endpoint", "chat"), "--endpoint 'chat' is not in the settings; they have none"),
        (("--facts", "facts.jsonl", "--template", "dora", "--report", "daily"), "'daily' is not one of 'weekly'"),
        (("--facts", "facts.jsonl", "--template", "dora", "--repository", "x"), "--repository 'x' is not OWNER/NAME"),
        (("--facts", "facts.jsonl", "--template", "dora", "--now", "soon"), "--now: "),
        (("--facts", "facts.jsonl", "--template", "."), "the template . cannot be used: "),
        (("--facts", "facts.jsonl", "--template", "dora", "--endpoint-url", "ftp://x"), "--endpoint-url"),
    ],
)  # fmt: skip
def test_bad_input_is_a_problem_that_says_what_to_do(arguments: tuple[str, ...], problem: str) -> None:
    for more in ((), ("--dry-run",)):
        ran = send(*arguments, *more)
        assert (ran.code, ran.out) == (2, "")
        assert problem in ran.err or (not more and "--endpoint-url or --endpoint is missing" in ran.err)
    assert problem in ran.err


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (b"", "it renders nothing"),
        (b"{{ fakt }}", "line 1: 'fakt' is undefined"),
        (b"{\n  nope", "the body is not valid JSON (its line 2, column 3: "),
        (b"\xff", "it is not UTF-8"),
        (b"x" * 1_000_001, "it has more than 1,000,000 bytes"),
    ],
)
def test_a_template_that_cannot_be_used_is_a_problem_with_its_reason(
    folder: Path, template: bytes, reason: str
) -> None:
    (folder / "mine.j2").write_bytes(template)
    ran = dry("--template", "mine.j2")
    assert (ran.code, ran.out) == (2, "")
    assert f"the template mine.j2 cannot be used: {reason}" in ran.err


def test_a_real_sending_needs_an_address() -> None:
    ran = send("--facts", "facts.jsonl", "--template", "dora")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        "dora-metrics: send: --endpoint-url or --endpoint is missing",
        "dora-metrics: name where the requests go, or print them with --dry-run",
    ]


@pytest.mark.parametrize("about", [(), ("--report", "weekly", "--now", "2026-11-23T08:00:00Z")])
def test_a_strangers_clone_writes_no_link_into_a_message(folder: Path, about: tuple[str, ...]) -> None:
    (folder / ".github" / "dora.yml").write_text("page-url: https://evil.example/page", "utf-8")
    arguments = ("--dry-run", "--facts", SAMPLE, "--template", "slack", *about)
    ran = send(*arguments)
    assert ran.out
    assert "evil.example" not in ran.out
    assert "`page-url` of .github/dora.yml is not used" in ran.err
    assert "evil.example" in send(*arguments, "--config", ".github/dora.yml").out
