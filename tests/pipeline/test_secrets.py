"""Secrets of a run are in none of its texts: log, summary, outputs, ledger, and what its objects show of themselves."""

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.faults import unavailable
from fakes.github import FakeGitHub
from support.git_repository import CLEAN_ENVIRONMENT
from support.runs import check_out, deployment_status, run_action, write_event, write_settings
from support.servers import Answer, Listener, listen

SECRETS = {
    "github-token": "ghs_Hush1Hush1Hush1Hush1",
    "endpoint-token": "Hush2.endpoint/token",
    "endpoint-secret": "Hush3 endpoint secret",
    "pushgateway-password": "Hush4:password",
    "prometheus-token": "Hush8.prometheus/token",
    "remote-write-token": "Hush9-remote write",
    "incident-tokens": "pagerduty: Hush11.pager\njira: ada@example.com:Hush12.jira",
    "endpoint-tokens": "chat: Hush13/chat\nstore: Hush14.store",
}


def representations() -> Iterator[str]:
    """What every object of the program, and every exception, shows of itself now."""
    for thing in gc.get_objects():
        if str(type(thing).__module__).startswith("dora_metrics.") or isinstance(thing, BaseException):
            yield repr(thing)


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        fake.state.tokens[SECRETS["github-token"]] = fake.state.tokens[fake.token]
        fake.repository("acme/shop")
        yield fake


def echo(*names: str) -> Answer:
    """What a server with a problem answers that sends back which secrets it got."""
    return Answer(503, json.dumps([SECRETS[name] for name in names]).encode())


@pytest.fixture
def endpoint() -> Iterator[Listener]:
    with listen(echo("endpoint-token", "endpoint-tokens")) as listener:
        yield listener


@pytest.fixture
def pushgateway() -> Iterator[Listener]:
    with listen(echo("pushgateway-password", "remote-write-token")) as listener:
        yield listener


def inputs(endpoint: Listener, pushgateway: Listener) -> dict[str, object]:
    return {
        **SECRETS,
        "endpoint-url": f"{endpoint.url}/Hush5-path?key=Hush6-query",
        "pushgateway-url": pushgateway.url,
        "pushgateway-username": "ci",
        "remote-write-url": f"{pushgateway.url}/Hush9-tenant/write?key=Hush10",
        "remote-write-username": "ci",
        "health-check-url": f"{endpoint.url}/Hush7-check",
    }


def endpoint_list(endpoint: Listener) -> str:
    """Settings with an endpoint whose address gets its token, and one whose header does."""
    entries = [
        {"name": "chat", "url": f"{endpoint.url}/chat/${{token}}?key=Hush15-query", "token": "chat"},
        {"name": "store", "url": f"{endpoint.url}/Hush16-path", "token": "store"},
    ]
    return json.dumps({"endpoints": entries})


@pytest.mark.parametrize("is_github_down", [False, True])
def test_no_text_and_no_object_of_a_run_shows_a_secret(
    tmp_path: Path, github: FakeGitHub, endpoint: Listener, pushgateway: Listener, *, is_github_down: bool
) -> None:
    if is_github_down:
        github.fail(unavailable(502), times=None)
    seen: list[str] = []
    ran = run_action(
        tmp_path,
        "deployment_status",
        deployment_status(),
        {
            **inputs(endpoint, pushgateway),
            **write_settings(tmp_path, endpoint_list(endpoint)),
            "ledger": "branch:dora-metrics",
        },
        environment={"GITHUB_API_URL": github.api_url, "RUNNER_TEMP": str(tmp_path / "temp")},
        pause=lambda _: seen.extend(representations()),
    )
    assert endpoint.requests
    assert pushgateway.requests or is_github_down
    assert any("/chat/Hush13/chat?" in request.path for request in endpoint.requests)
    assert "Bearer Hush14.store" in {request.headers.get("Authorization") for request in endpoint.requests}
    assert "endpoint chat ✗ HTTP 503: the server has a problem" in ran.summary
    assert len(seen) > 10, "there were pauses, in which the objects of the run were looked at"
    assert "Hush" not in ran.log + ran.summary + json.dumps(ran.outputs)
    assert [text for text in seen if "Hush" in text] == []
    files = [path for path in (tmp_path / "temp").rglob("*") if path.is_file()]
    assert [path for path in files if b"Hush" in path.read_bytes()] == []


def test_no_text_and_no_object_of_a_sync_shows_a_secret(tmp_path: Path, github: FakeGitHub) -> None:
    seen: list[str] = []
    with listen(echo("prometheus-token")) as prometheus, listen(echo("incident-tokens")) as pager:
        systems = [{"system": "pagerduty", "url": pager.url}, {"system": "jira", "url": pager.url, "jql": "a = b"}]
        check_out(tmp_path, {".github/dora.yml": json.dumps({"incidents": systems})})
        ran = run_action(
            tmp_path,
            "schedule",
            {"schedule": "17 5 * * *"},
            {
                **{name: SECRETS[name] for name in ("github-token", "prometheus-token", "incident-tokens")},
                "incident-hosts": pager.host,
                "prometheus-url": f"{prometheus.url}/Hush9-path?key=Hush10-query",
                "incident-alerts": 'dora_incident="true"',
            },
            environment={"GITHUB_API_URL": github.api_url},
            pause=lambda _: seen.extend(representations()),
        )
        assert prometheus.requests
        assert len({request.headers["Authorization"] for request in pager.requests}) == 2
    assert len(seen) > 10, "there were pauses, in which the objects of the run were looked at"
    assert "Hush" not in ran.log + ran.summary + json.dumps(ran.outputs)
    assert [text for text in seen if "Hush" in text] == []
    files = [path for path in (tmp_path / "ledger").rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"Hush" in path.read_bytes()] == []


def test_no_command_line_of_a_run_shows_a_secret(tmp_path: Path) -> None:
    check_out(tmp_path, {".github/dora.yml": ""})
    write_event(tmp_path / "event.json", json.dumps(deployment_status()).encode())
    with listen(Answer(hang=True)) as server:
        variables = {
            **CLEAN_ENVIRONMENT,
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "deployment_status",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_WORKSPACE": str(tmp_path),
            "DORA_INPUTS": json.dumps({**inputs(server, server), "ledger": "dir:ledger"}),
        }
        command = [sys.executable, "-m", "dora_metrics", "action"]
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert server.called.wait(20), process.communicate()[0]
            lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
            server.released.set()
            log, _ = process.communicate(timeout=120)
    assert any(b"dora_metrics" in line for line in lines)
    assert [line for line in lines if b"Hush" in line] == []
    assert b"Hush" not in log
