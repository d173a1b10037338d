"""The endpoint: what is posted, how it is signed, and that nothing is lost on the way (docs/endpoint.md).

Facts that were not acknowledged wait in the ledger's outbox and are sent with the next run, oldest first: at
least once, however a run ends.
"""

import hashlib
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.ledger import outbox
from dora_metrics.core.ledger.layout import OUTBOX_FILE
from dora_metrics.core.outcome import Outcome
from dora_metrics.pipeline.deliver import deliver
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.settings.model import Settings
from dora_metrics.storage.directory import DirectoryStorage
from fakes.github import FakeGitHub
from support import events
from support.github_history import NOW as HISTORY_NOW
from support.github_history import at
from support.ledger_writer import record_facts
from support.mocked_http import MockedHost, mocked
from support.runs import FAST_LIMITS, ActionRun, deployment_ids, deployment_status, incident_issue, run_action
from support.servers import OK, Answer, Listener, Request, listen
from support.sink_payloads import deployment
from support.sync_shop import SyncShop

UNAVAILABLE = Answer(503)
TOKEN, KEY = "endpoint-t0ken", "hm4c-k3y"


def run_deployment(folder: Path, listener: MockedHost, number: int, **inputs: object) -> ActionRun:
    """Run the action on a new deployment."""
    given = {"endpoint-url": f"{listener.url}/hook", **inputs}
    ran = run_action(folder, "deployment_status", deployment_status(number), given)
    assert ran.code == 0
    return ran


def fact_ids(request: Request) -> list[str]:
    return [fact["id"] for fact in request.json["facts"]]


def outbox_ids(folder: Path) -> list[str]:
    """Ids in the outbox; the file does not exist while it is empty."""
    file = folder / "ledger" / OUTBOX_FILE
    return [json.loads(line)["id"] for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def test_the_body_holds_the_events_facts_and_the_metrics(tmp_path: Path) -> None:
    with mocked() as listener:
        ran = run_deployment(tmp_path, listener, 3)
    (request,) = listener.requests
    assert (request.method, request.path, request.headers["Content-Type"]) == ("POST", "/hook", "application/json")
    body = request.json
    assert set(body) == {"schema", "repository", "event", "facts", "metrics"}
    assert (body["schema"], body["repository"], body["event"]) == ("dora-metrics/1", "acme/shop", "deployment_status")
    assert body["facts"] == ran.facts
    assert body["metrics"] == json.loads(ran.outputs["metrics"])
    lines = (tmp_path / "ledger" / "facts" / "2026" / "11.jsonl").read_text("utf-8").splitlines()
    known = [{name: value for name, value in fact.items() if value is not None} for fact in body["facts"]]
    assert known == [{name: value for name, value in json.loads(line).items() if value is not None} for line in lines]


def test_an_event_without_facts_is_posted_with_the_metrics_alone(tmp_path: Path) -> None:
    with mocked() as listener:
        run_action(tmp_path, "schedule", {}, {"endpoint-url": listener.url})
    assert (fact_ids(listener.requests[0]), listener.requests[0].json["event"]) == ([], "schedule")


def test_the_token_is_a_bearer_token(tmp_path: Path) -> None:
    with mocked() as listener:
        run_deployment(tmp_path, listener, 1, **{"endpoint-token": TOKEN})
        run_deployment(tmp_path, listener, 2)
    first, second = listener.requests
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in second.headers


def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine mocked.example login someone password other\ndefault login any password other\n", "utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with mocked() as listener:
        run_deployment(tmp_path, listener, 1, **{"endpoint-token": TOKEN})
    assert listener.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_the_signature_is_that_of_the_body_that_arrived(tmp_path: Path) -> None:
    with mocked() as listener:
        run_deployment(tmp_path, listener, 1, **{"endpoint-secret": KEY})
        run_deployment(tmp_path, listener, 2)
    signed, unsigned = listener.requests
    digest = hmac.new(KEY.encode(), signed.body, hashlib.sha256).hexdigest()
    assert signed.headers["X-Dora-Signature-256"] == f"sha256={digest}"
    assert "X-Dora-Signature-256" not in unsigned.headers


def test_the_idempotency_key_is_that_of_the_facts_and_their_states(tmp_path: Path) -> None:
    over_at = "2026-11-21T11:50:00Z"
    closed = incident_issue(state="closed", state_reason="completed", closed_at=over_at, updated_at=over_at)
    resolved = {**closed, "action": "closed"}
    with mocked() as listener:
        for payload in (incident_issue(), incident_issue(), resolved, resolved, incident_issue(10)):
            run_action(tmp_path, "issues", payload, {"endpoint-url": listener.url})
    opened, again, over, over_again, other = [request.headers["Idempotency-Key"] for request in listener.requests]
    assert opened == again
    assert over == over_again
    assert len({opened, over, other}) == 3


def test_a_second_try_has_the_same_idempotency_key(tmp_path: Path) -> None:
    with mocked(UNAVAILABLE, OK) as listener:
        run_deployment(tmp_path, listener, 1)
    first, second = listener.requests
    assert first == second
    assert outbox_ids(tmp_path) == []


def test_what_could_not_be_sent_goes_with_the_next_run_oldest_first_and_once(tmp_path: Path) -> None:
    with mocked(UNAVAILABLE) as down:
        run_deployment(tmp_path, down, 7)
        ran = run_deployment(tmp_path, down, 5)
    assert outbox_ids(tmp_path) == deployment_ids(7, 5)
    assert "endpoint ✗ HTTP 503: the server has a problem; 2 facts are kept for the next run" in ran.summary
    with mocked() as up:
        run_deployment(tmp_path, up, 6)
        assert outbox_ids(tmp_path) == []
        run_deployment(tmp_path, up, 8)
    assert [fact_ids(request) for request in up.requests] == [deployment_ids(7, 5, 6), deployment_ids(8)]
    assert not (tmp_path / "ledger" / OUTBOX_FILE).exists()


def test_a_run_without_facts_sends_what_waits(tmp_path: Path) -> None:
    with mocked(UNAVAILABLE) as down:
        run_deployment(tmp_path, down, 1)
    with mocked() as up:
        run_action(tmp_path, "schedule", {}, {"endpoint-url": up.url})
    assert fact_ids(up.requests[0]) == deployment_ids(1)
    assert outbox_ids(tmp_path) == []


def test_a_fact_that_changed_while_it_waited_is_sent_once_in_its_newest_state(tmp_path: Path) -> None:
    with mocked(UNAVAILABLE) as down:
        for payload in (incident_issue(), incident_issue(title="Checkout is slow", updated_at="2026-11-21T11:45:00Z")):
            run_action(tmp_path, "issues", payload, {"endpoint-url": down.url})
    with mocked() as up:
        run_action(tmp_path, "schedule", {}, {"endpoint-url": up.url})
    assert [fact["title"] for fact in up.requests[0].json["facts"]] == ["Checkout is slow"]


def test_a_killed_run_loses_nothing(tmp_path: Path) -> None:
    with listen(Answer(hang=True)) as hanging:
        process = start_process(tmp_path, hanging, deployment_status(1))
        with process:
            assert hanging.called.wait(30)
            process.kill()
    assert outbox_ids(tmp_path) == deployment_ids(1)
    with mocked() as up:
        run_deployment(tmp_path, up, 2)
    assert fact_ids(up.requests[0]) == deployment_ids(1, 2)
    assert outbox_ids(tmp_path) == []


def start_process(folder: Path, listener: Listener, payload: dict[str, object]) -> "subprocess.Popen[bytes]":
    """Start an event run as a process."""
    event = folder / "killed.json"
    event.write_text(json.dumps(payload), "utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "INPUT_", "DORA_"))},
        "GITHUB_EVENT_NAME": "deployment_status",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(folder),
        "DORA_INPUTS": json.dumps({"ledger": "dir:ledger", "endpoint-url": listener.url}),
    }
    command = [sys.executable, "-m", "dora_metrics", "action"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def test_batches_are_bounded_and_the_rest_goes_with_the_runs_after(tmp_path: Path) -> None:
    facts = [deployment(number, days_ago=2) for number in range(1, 251)]
    month = tmp_path / "ledger" / "facts" / "2026" / "11.jsonl"
    month.parent.mkdir(parents=True)
    month.write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in facts))
    (tmp_path / "ledger" / OUTBOX_FILE).write_bytes(
        outbox.outbox_files({"default": [outbox.entry_of(fact) for fact in facts]})[OUTBOX_FILE]
    )
    with mocked() as listener:
        for number in (251, 252, 253):
            run_deployment(tmp_path, listener, number)
    assert [fact_ids(request) for request in listener.requests] == [
        deployment_ids(*range(1, 201)),
        deployment_ids(*range(201, 253)),
        deployment_ids(253),
    ]
    assert outbox_ids(tmp_path) == []


def test_without_a_ledger_nothing_is_kept_and_nothing_is_promised(tmp_path: Path) -> None:
    with mocked(UNAVAILABLE) as listener:
        ran = run_deployment(tmp_path, listener, 1, ledger="none")
    assert "endpoint ✗ HTTP 503: the server has a problem" in ran.summary
    assert "kept for the next run" not in ran.summary
    assert not (tmp_path / "ledger").exists()


def test_without_an_endpoint_there_is_no_outbox(tmp_path: Path) -> None:
    run_action(tmp_path, "deployment_status", deployment_status())
    assert not (tmp_path / "ledger" / OUTBOX_FILE).exists()


def test_a_broken_outbox_does_no_harm_and_what_is_whole_in_it_is_sent(tmp_path: Path) -> None:
    with mocked(UNAVAILABLE) as down:
        run_deployment(tmp_path, down, 1)
    file = tmp_path / "ledger" / OUTBOX_FILE
    nested = b'{"id":"x","y":' + b"[" * 100_000
    broken = [b'{"id":"github:depl', b"\xff\xfe", b"[]", b'{"id":7}', b"", nested, b'{"id":"nobody knows"}']
    file.write_bytes(b"\n".join([*broken, file.read_bytes()]))
    with mocked() as up:
        run_deployment(tmp_path, up, 2)
    assert fact_ids(up.requests[0]) == deployment_ids(1, 2)
    assert outbox_ids(tmp_path) == []


@pytest.mark.parametrize("content", [b"\x00" * 1000, b"{}", b"<<<<<<< HEAD\n=======\n>>>>>>> x\n", b"\xef\xbb\xbf"])
def test_an_outbox_that_is_none_does_no_harm(tmp_path: Path, content: bytes) -> None:
    with mocked() as listener:
        run_deployment(tmp_path, listener, 1)
        (tmp_path / "ledger" / OUTBOX_FILE).write_bytes(content)
        run_deployment(tmp_path, listener, 2)
    assert [fact_ids(request) for request in listener.requests] == [deployment_ids(1), deployment_ids(2)]
    assert outbox_ids(tmp_path) == []


class TwoRuns:
    """Two runs of one repository, step by step."""

    def __init__(self, folder: Path) -> None:
        self.ledger = DirectoryStorage(folder)

    def record(self, number: int = 1, days_ago: float = 1, version: str = "v1") -> RunResult:
        fact = deployment(number, days_ago, version=version)
        settings = Settings.model_validate({"endpoint-url": "http://127.0.0.1:1"})
        return record_facts(self.ledger, fact, run=events.make_run("push"), settings=settings)

    def deliver(self, recorded: RunResult, url: str) -> Outcome:
        settings = Settings.model_validate({"endpoint-url": url})
        (outcome,) = deliver(recorded, settings, events.make_run("push"), FAST_LIMITS, read_template=Path.read_text)
        return outcome

    @property
    def outbox_ids(self) -> list[str]:
        return [entry.id for entry in outbox.read_outbox(self.ledger.read().files).get("default", [])]


def test_an_acknowledgement_keeps_what_other_runs_have_added(tmp_path: Path) -> None:
    race = TwoRuns(tmp_path)
    first = race.record()
    race.record(2)
    with mocked() as up:
        assert race.deliver(first, up.url).status == "done"
    assert race.outbox_ids == deployment_ids(2)


def test_an_acknowledgement_of_an_older_state_leaves_the_newer_one_owed(tmp_path: Path) -> None:
    race = TwoRuns(tmp_path)
    older = race.record()
    newer = race.record(version="v2", days_ago=0.5)
    with mocked(UNAVAILABLE) as down:
        assert race.deliver(newer, down.url).status == "failed"
    with mocked() as up:
        assert race.deliver(older, up.url).status == "done"
    assert race.outbox_ids == deployment_ids(1)


def run_without_ledger(github: FakeGitHub, folder: Path, endpoint: Listener) -> ActionRun:
    """Sync a repository with 260 incidents, of which no ledger keeps one."""
    shop = SyncShop(github, folder)
    for number in range(260):
        shop.repository.issue(f"Incident {number}", labels=["incident"], created_at=at(24 + number % 100))
    inputs: dict[str, Any] = {"ledger": "none", "endpoint-url": endpoint.url}
    return shop.run(**inputs)


def test_without_a_ledger_a_run_sends_all_its_facts(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: HISTORY_NOW) as github, listen() as endpoint:
        ran = run_without_ledger(github, tmp_path, endpoint)
    batches = [fact_ids(request) for request in endpoint.requests]
    sent = [fact_id for batch in batches for fact_id in batch]
    assert max(map(len, batches)) == outbox.MAX_BATCH_FACTS
    assert len(sent) == len(set(sent)) > 260
    assert f"endpoint ✓ {len(sent)} facts" in ran.summary


def test_without_a_ledger_what_was_not_sent_is_counted(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: HISTORY_NOW) as github, listen(OK, Answer(403)) as endpoint:
        ran = run_without_ledger(github, tmp_path, endpoint)
    first, second = (fact_ids(request) for request in endpoint.requests)
    assert len(first) == outbox.MAX_BATCH_FACTS
    assert f"{len(second)} unsent facts are kept in no ledger" in ran.summary
    assert "endpoint ✗" in ran.summary
