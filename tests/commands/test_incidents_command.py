"""`dora-metrics incidents`: the incidents of one system as facts, without a ledger."""

import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.runtime import Runtime
from fakes.incident_systems import TOKEN, FakePagerDuty, FakeSystem
from support.incident_shop import DAY, HOUR, pagerduty, text
from support.runs import FAST_LIMITS, NOW, check_out
from support.servers import Answer, listening


@pytest.fixture
def duty() -> Iterator[FakePagerDuty]:
    with listening(FakePagerDuty()) as system:
        system.add("A2", NOW - DAY, None)
        system.add("A1", NOW - 2 * DAY, NOW - 2 * DAY + HOUR)
        system.add("B1", NOW - DAY, None, service="Search")
        system.add("OLD", NOW - 200 * DAY, NOW - 199 * DAY)
        yield system


def run(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command in a folder."""
    out, err = StringIO(), StringIO()
    variables = {"GITHUB_WORKSPACE": str(folder), "INCIDENT_TOKENS": f"pagerduty: {TOKEN}", **(environment or {})}
    runtime = Runtime(variables, BytesIO(), out, err, NOW, lambda _: None, http_limits=FAST_LIMITS)
    code = cli.run(["incidents", *arguments], runtime)
    return code, out.getvalue(), err.getvalue()


def configured(folder: Path, *systems: Mapping[str, object]) -> Sequence[str]:
    """The options that name a file with these systems and the repository."""
    check_out(folder, {".github/dora.yml": json.dumps({"incidents": systems})})
    return "--config", ".github/dora.yml", "--repository", "acme/shop"


def trusted(duty: FakeSystem) -> tuple[str, str]:
    return "--incident-hosts", duty.host


def test_it_writes_facts_in_their_order_and_says_what_it_read(tmp_path: Path, duty: FakePagerDuty) -> None:
    options = [*configured(tmp_path, pagerduty(duty)), *trusted(duty)]
    code, out, err = run(tmp_path, "--system", "pagerduty", "--out", str(tmp_path / "facts.jsonl"), *options)
    assert (code, out) == (0, "")
    facts = [json.loads(line) for line in (tmp_path / "facts.jsonl").read_text("utf-8").splitlines()]
    assert [(each["id"], each["repository"], each["service"], each["resolved_at"]) for each in facts] == [
        ("pagerduty:A1", "acme/shop", "checkout", text(NOW - 2 * DAY + HOUR)),
        ("pagerduty:A2", "acme/shop", "checkout", None),
    ]
    assert err.splitlines() == [
        "pagerduty incidents: 3 incidents read, changed since 2026-08-23",
        "pagerduty: 1 incident of services that `services` does not name, not recorded: Search (1).",
    ]


def test_standard_output_is_the_default_and_since_goes_further_back(tmp_path: Path, duty: FakePagerDuty) -> None:
    options = [*configured(tmp_path, pagerduty(duty)), *trusted(duty), "--since", "52w"]
    code, out, _ = run(tmp_path, "--system", "pagerduty", *options)
    assert code == 0
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["pagerduty:OLD", "pagerduty:A1", "pagerduty:A2"]


def test_compute_reads_the_file(tmp_path: Path, duty: FakePagerDuty) -> None:
    facts = tmp_path / "facts.jsonl"
    options = [*configured(tmp_path, pagerduty(duty)), *trusted(duty)]
    run(tmp_path, "--system", "pagerduty", "--out", str(facts), *options)
    out = StringIO()
    runtime = Runtime({}, BytesIO(), out, StringIO(), NOW, lambda _: None)
    assert cli.run(["compute", "--facts", str(facts), "--format", "json"], runtime) == 0
    scopes = json.loads(out.getvalue())["scopes"]
    assert [scope["metrics"]["incident_restore"]["incidents"] for scope in scopes if scope["service"] == "checkout"]


def test_what_is_unread_is_exit_code_one_and_no_file(tmp_path: Path, duty: FakePagerDuty) -> None:
    duty.answers = {2: Answer(403)}
    for number in range(150):
        duty.add(f"C{number}", NOW - DAY, NOW)
    options = [*configured(tmp_path, pagerduty(duty)), *trusted(duty)]
    code, out, err = run(tmp_path, "--system", "pagerduty", "--out", str(tmp_path / "facts.jsonl"), *options)
    assert (code, out) == (1, "")
    assert "are unread, which does not mean that there were none: HTTP 403" in err
    assert not (tmp_path / "facts.jsonl").exists()
    assert TOKEN not in err


def test_the_file_of_a_checkout_decides_no_address(tmp_path: Path, duty: FakePagerDuty) -> None:
    configured(tmp_path, pagerduty(duty))
    code, _, err = run(tmp_path, "--system", "pagerduty", "--repository", "acme/shop")
    assert code == 2
    assert "has a `url` on a host that --incident-hosts does not name" in err
    assert duty.requests == []


def test_a_named_file_decides_the_address_and_not_who_gets_a_token(tmp_path: Path, duty: FakePagerDuty) -> None:
    code, _, err = run(tmp_path, "--system", "pagerduty", *configured(tmp_path, pagerduty(duty)))
    assert code == 1
    assert "its token is not sent to 127.0.0.1" in err
    assert duty.requests == []


def test_a_github_token_in_the_environment_is_not_used(tmp_path: Path, duty: FakePagerDuty) -> None:
    options = [*configured(tmp_path, pagerduty(duty)), *trusted(duty)]
    environment = {"GITHUB_TOKEN": "ghs_x", "INPUT_GITHUB-TOKEN": "ghs_x", "GITHUB_API_URL": duty.url}
    assert run(tmp_path, "--system", "pagerduty", *options, environment=environment)[0] == 0
    assert set(duty.paths) == {"/incidents"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "incidents: --system is missing"),
        (["--system", "jira"], "--system 'jira' is not in the setting `incidents`; it has pagerduty"),
        (["--system", "pagerduty", "--repository", "shop"], "--repository 'shop' is not OWNER/NAME"),
        (["--system", "pagerduty", "--since", "5x"], "--since: '5x' is not a valid period"),
        (["--system", "pagerduty", "--out", "/"], "--out /: cannot be written"),
    ],
)
def test_wrong_options_are_exit_code_two(
    tmp_path: Path, duty: FakePagerDuty, arguments: list[str], problem: str
) -> None:
    options = [*configured(tmp_path, pagerduty(duty)), *trusted(duty)]
    code, _, err = run(tmp_path, *options, *arguments)
    assert code == 2
    assert problem in err


def test_an_expression_that_does_not_parse_is_named_with_its_place(tmp_path: Path, duty: FakePagerDuty) -> None:
    options = configured(tmp_path, pagerduty(duty, fields={"title": "a..b", "url": "["}))
    code, _, err = run(tmp_path, "--system", "pagerduty", *options)
    assert code == 2
    assert [line.partition("incidents: ")[2] for line in err.splitlines()] == [
        "pagerduty: fields.title: 'a..b' is not a JMESPath expression: unexpected '.' at character 3",
        "pagerduty: fields.url: '[' is not a JMESPath expression: it ends too early, at character 2",
    ]
