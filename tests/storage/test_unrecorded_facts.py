"""A fact that cannot be recorded is kept: as a file for later steps, and as the command that records it again."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dora_metrics.core.facts.jsonl import decode_line
from dora_metrics.core.facts.model import Deployment, Incident
from fakes.faults import custom_answer, meanwhile, stale_head, unavailable
from support.branch_shop import BRANCH, BranchShop
from support.runs import NOW, ActionRun, check_out, deployment_status, run_action, write_settings
from support.servers import OK, Answer, Request, listen

HOSTILE = (
    """'; touch pwned; ' `touch pwned` $(touch pwned) ``` </details> <img src=x> @everyone \\' \u2028 \n::error::x"""
)
COMMAND = re.compile(r"^printf .*$", re.MULTILINE)


def dispatch(kind: str, **fields: object) -> dict[str, object]:
    return {
        "action": f"dora-{kind}",
        "client_payload": {kind: fields},
        "repository": {"name": "shop", "full_name": "acme/shop", "default_branch": "main"},
    }


def run(
    shop: BranchShop,
    folder: Path,
    payload: Mapping[str, object],
    *,
    event: str = "repository_dispatch",
    checkout: Mapping[str, str] | None = None,
    has_settings: bool = True,
    attempt: int = 1,
    inputs: Mapping[str, object] | None = None,
    **more_inputs: object,
) -> ActionRun:
    """Run the action; without `has_settings`, it needs those of the default branch."""
    folder.mkdir(exist_ok=True)
    if checkout is not None:
        check_out(folder, checkout)
    settings = write_settings(folder) if has_settings else {}
    return run_action(
        folder,
        event,
        payload,
        {
            "ledger": f"branch:{BRANCH}",
            "github-token": shop.github.token,
            **settings,
            **(inputs or {}),
            **more_inputs,
        },
        environment={
            "GITHUB_API_URL": shop.github.api_url,
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_JOB": "deploy",
            "GITHUB_RUN_ATTEMPT": str(attempt),
        },
        pause=shop.clock.pause,
        monotonic=shop.clock.monotonic,
    )


def sent_by(command: str, folder: Path) -> dict[str, object]:
    """Run a command of the summary in a shell whose `gh` only keeps what it gets; return that."""
    folder.mkdir()
    gh = folder / "gh"
    gh.write_text('#!/bin/sh\necho "$@" > arguments\ncat > body\n', "utf-8")
    gh.chmod(0o700)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-c", command], cwd=folder, env={"PATH": path}, check=True)
    assert sorted(each.name for each in folder.iterdir()) == ["arguments", "body", "gh"], "nothing else was done"
    assert (folder / "arguments").read_text("utf-8") == "api repos/acme/shop/dispatches --input -\n"
    body: dict[str, object] = json.loads((folder / "body").read_bytes())
    return body


@pytest.mark.parametrize(
    "payload",
    [
        dispatch("deployment", id="deploy-7", sha="7" * 40, version=HOSTILE, status="failure", changes=[]),
        dispatch("deployment", version="1.2.0", service="api", environment="eu", finished_at="2026-11-21T11:00:00Z"),
        dispatch("incident", id="pagerduty:P1", title=HOSTILE, severity="high", detected_at="2026-11-21T10:00:00Z"),
        dispatch("incident", id="jira:A-1", retracted=True, url="https://example.org/A-1?a='b'"),
    ],
    ids=["hostile deployment", "deployment", "hostile incident", "retracted incident"],
)
def test_what_no_ledger_took_is_in_a_file_and_its_command_records_it_as_it_was(
    shop: BranchShop, tmp_path: Path, payload: dict[str, object]
) -> None:
    shop.github.fail(unavailable(502), times=None)
    lost = run(shop, tmp_path / "lost", payload)
    assert lost.code == 0
    path = Path(lost.outputs["unrecorded-facts"])
    assert path == tmp_path / "lost" / "temp" / "dora-metrics" / "unrecorded-facts.jsonl"
    (line,) = path.read_bytes().splitlines()
    assert f"1 fact of this run is not in the ledger; {path} has them" in lost.log
    (command,) = COMMAND.findall(lost.summary)
    assert "```" not in command
    shop.github.heal()
    body = sent_by(command, tmp_path / "shell")
    run(shop, tmp_path / "again", {**payload, "action": body["event_type"], "client_payload": body["client_payload"]})
    (content,) = shop.fact_files().values()
    assert decode_line(content.strip()) == decode_line(line)


@pytest.mark.parametrize("fault", ["*", "createCommitOnBranch"])
@pytest.mark.parametrize(
    ("incident_id", "stated"),
    [
        ("github:issue:acme/shop#9", {"deployment": "v1.4.0"}),
        ("github:issue:acme/shop#9", {"retracted": False}),
        ("pager-12", {"severity": "low"}),
        ("pager-12", {"retracted": False}),
        ("pager-12", {"detected_at": "2026-11-21T10:00:00Z", "resolved_at": "2026-11-21T11:00:00Z", "retracted": True}),
    ],
)
def test_the_command_of_a_correction_states_no_more_and_no_less_than_it(
    shop: BranchShop, tmp_path: Path, incident_id: str, stated: dict[str, object], fault: str
) -> None:
    first = {"id": incident_id, "detected_at": "2026-11-21T09:00:00Z", "title": "Down"}
    run(shop, tmp_path / "first", dispatch("incident", **first))
    run(shop, tmp_path / "withdrawn", dispatch("incident", id=incident_id, retracted=True))
    shop.github.fail(unavailable(502), to=fault, times=None)
    lost = run(shop, tmp_path / "lost", dispatch("incident", id=incident_id, **stated))
    shop.github.heal()
    (command,) = COMMAND.findall(lost.summary)
    body = sent_by(command, tmp_path / "shell")
    assert isinstance(body["client_payload"], dict)
    sent = body["client_payload"]["incident"]
    assert {name: value for name, value in sent.items() if name not in ("id", "observed_at")} == stated
    run(shop, tmp_path / "again", {**dispatch("x"), "action": body["event_type"], "client_payload": {"incident": sent}})
    records = [json.loads(line) for content in shop.fact_files().values() for line in content.splitlines()]
    newest = max(records, key=lambda record: str(record["observed_at"]))
    expected = {"detected_at": "2026-11-21T09:00:00Z", "title": "Down", "retracted": True, **stated}
    assert {name: newest[name] for name in expected} == expected


ONLY_IN_THE_EVENT: dict[str, tuple[str, dict[str, object], dict[str, object]]] = {
    "a dispatch": ("repository_dispatch", dispatch("deployment", id="deploy-7", version=HOSTILE), {}),
    "a deploy job": (
        "push",
        {**dispatch("x"), "after": "7" * 40, "ref": "refs/heads/main"},
        {"environment": "production", "status": "success"},
    ),
}


@pytest.mark.parametrize(
    "checkout",
    [None, {".github/dora.yml": "window: 7d"}],
    ids=["no checkout", "a checkout whose file names no address"],
)
@pytest.mark.parametrize(("event", "payload", "inputs"), ONLY_IN_THE_EVENT.values(), ids=ONLY_IN_THE_EVENT)
def test_what_only_a_run_without_its_settings_knows_is_kept_too(
    shop: BranchShop,
    tmp_path: Path,
    event: str,
    payload: dict[str, object],
    *,
    inputs: dict[str, object],
    checkout: Mapping[str, str] | None,
) -> None:
    shop.github.fail(unavailable(502), times=None)
    lost = run(shop, tmp_path / "lost", payload, event=event, checkout=checkout, has_settings=False, inputs=inputs)
    assert lost.summary.startswith("### ⚠️ Nothing was recorded, sent or reported: the settings could not be read")
    assert "1 fact of this run is not in the ledger" in lost.log
    (line,) = Path(lost.outputs["unrecorded-facts"]).read_bytes().splitlines()
    (command,) = COMMAND.findall(lost.summary)
    shop.github.heal()
    body = sent_by(command, tmp_path / "shell")
    dispatched = {**dispatch("deployment"), "action": body["event_type"], "client_payload": body["client_payload"]}
    run(shop, tmp_path / "again", dispatched, has_settings=False)
    (content,) = shop.fact_files().values()
    recorded, kept = decode_line(content.strip()), decode_line(line)
    assert isinstance(recorded, Deployment)
    assert isinstance(kept, Deployment)
    assert (recorded.id, recorded.version, recorded.status) == (kept.id, kept.version, kept.status)


def test_an_attempt_that_could_not_be_recorded_keeps_its_number(shop: BranchShop, tmp_path: Path) -> None:
    """A run that succeeded, was run again and succeeded again deployed twice, also if the second was recorded later."""
    event, payload, inputs = ONLY_IN_THE_EVENT["a deploy job"]
    run(shop, tmp_path / "first", payload, event=event, inputs=inputs)
    shop.github.fail(unavailable(502), times=None)
    lost = run(shop, tmp_path / "lost", payload, event=event, attempt=2, inputs=inputs)
    shop.github.heal()
    (command,) = COMMAND.findall(lost.summary)
    body = sent_by(command, tmp_path / "shell")
    dispatched = {**dispatch("deployment"), "action": body["event_type"], "client_payload": body["client_payload"]}
    run(shop, tmp_path / "again", dispatched)
    facts = [decode_line(line) for content in shop.fact_files().values() for line in content.splitlines()]
    assert sorted(fact.run_attempt or 0 for fact in facts if isinstance(fact, Deployment)) == [1, 2]


def test_what_a_sync_finds_again_is_not_kept_by_a_run_without_its_settings(shop: BranchShop, tmp_path: Path) -> None:
    shop.github.fail(unavailable(502), times=None)
    lost = run(shop, tmp_path / "lost", deployment_status(), event="deployment_status", has_settings=False)
    assert lost.outputs["unrecorded-facts"] == ""
    assert "not in the ledger" not in lost.summary + lost.log


def test_a_run_against_a_silent_github_ends_within_ninety_seconds_and_keeps_its_fact(
    shop: BranchShop, tmp_path: Path
) -> None:
    """The ledger can still be read; after that every request takes 15 s and ends in a 502."""
    run(shop, tmp_path / "first", dispatch("deployment", id="deploy-1", version="1"))
    shop.clock.seconds = 0
    shop.github.fail(meanwhile(lambda: shop.clock.pause(15)), times=None, skip=1)
    shop.github.fail(unavailable(502), times=None, skip=1)
    lost = run(shop, tmp_path / "second", dispatch("deployment", id="deploy-2", version="2"), report="weekly")
    assert shop.clock.seconds < 90
    assert len(COMMAND.findall(lost.summary)) == 1
    assert "deploy-2" in Path(lost.outputs["unrecorded-facts"]).read_text("utf-8")


@pytest.mark.parametrize("checkout", [None, {".github/dora.yml": "window: 7d"}], ids=["no checkout", "a checkout"])
def test_so_does_one_that_does_not_even_get_its_settings(
    shop: BranchShop, tmp_path: Path, checkout: Mapping[str, str] | None
) -> None:
    shop.github.fail(meanwhile(lambda: shop.clock.pause(15)), times=None)
    shop.github.fail(unavailable(502), times=None)
    lost = run(shop, tmp_path / "lost", dispatch("deployment", version="1"), checkout=checkout, has_settings=False)
    assert 15 <= shop.clock.seconds < 90
    assert len(COMMAND.findall(lost.summary)) == 1


@pytest.mark.parametrize("request_seconds", [1, 5, 10, 14])
@pytest.mark.parametrize("event", ["repository_dispatch", "deployment_status"])
def test_a_run_whose_slow_requests_are_right_but_for_the_write_does_so_too(
    shop: BranchShop, tmp_path: Path, event: str, request_seconds: int
) -> None:
    """What GitHub adds to the fact, the reads before each try and the numbers in the end share the time."""
    shas = [shop.repository.commit({f"{n}.txt": "x"}, author_date=datetime(2026, 11, n, tzinfo=UTC)) for n in (2, 3)]
    run(shop, tmp_path / "a", deployment_status(5, sha=shas[0], at="2026-11-21T10:00:00Z"), event="deployment_status")
    shop.clock.seconds = 0
    shop.github.fail(meanwhile(lambda: shop.clock.pause(request_seconds)), times=None)
    shop.github.fail(unavailable(502), to="createCommitOnBranch", times=None)
    payloads = {
        "repository_dispatch": dispatch("deployment", id="deploy-2", version="2", sha=shas[1]),
        "deployment_status": deployment_status(6, sha=shas[1]),
    }
    lost = run(shop, tmp_path / "b", payloads[event], event=event)
    assert shop.clock.seconds < 90
    assert len(COMMAND.findall(lost.summary)) == 1
    assert len(Path(lost.outputs["unrecorded-facts"]).read_bytes().splitlines()) >= 1
    assert shop.github.requests_matching("createCommitOnBranch")


def test_a_slow_github_that_takes_every_write_is_waited_for(shop: BranchShop, tmp_path: Path) -> None:
    """Other runs are faster ten times, which is no failure; with 7 s a request that takes longer than 90 s."""
    run(shop, tmp_path / "a", dispatch("deployment", id="deploy-1", version="1"))
    shop.clock.seconds = 0
    shop.github.fail(meanwhile(lambda: shop.clock.pause(7)), times=None)
    shop.github.fail(stale_head(shop.repository, BRANCH), to="createCommitOnBranch", times=10)
    recorded = run(shop, tmp_path / "b", dispatch("deployment", id="deploy-2", version="2"))
    assert shop.clock.seconds > 90
    assert recorded.outputs["unrecorded-facts"] == ""
    assert "dispatch:deploy-2" in shop.fact_ids()


STALE = {
    "type": "STALE_DATA",
    "path": ["createCommitOnBranch"],
    "message": 'Expected branch to point to "x" but it did not.',
}


@pytest.mark.parametrize("request_seconds", [0, 1, 5, 14])
def test_a_github_that_calls_every_head_stale_and_shows_no_newer_one_is_not_waited_for(
    shop: BranchShop, tmp_path: Path, request_seconds: int
) -> None:
    """Nobody writes; its reads lag behind."""
    run(shop, tmp_path / "a", dispatch("deployment", id="deploy-1", version="1"))
    shop.clock.seconds = 0
    answer = {"data": {"createCommitOnBranch": None}, "errors": [STALE]}
    shop.github.fail(meanwhile(lambda: shop.clock.pause(request_seconds)), times=None)
    shop.github.fail(custom_answer(200, answer), to="createCommitOnBranch", times=None)
    lost = run(shop, tmp_path / "b", dispatch("deployment", id="deploy-2", version="2"))
    assert shop.clock.seconds < 90
    assert "deploy-2" in Path(lost.outputs["unrecorded-facts"]).read_text("utf-8")


@pytest.fixture
def hanging_service(shop: BranchShop, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a service that answers after 10 s that it is not healthy."""

    def answer_to(_: Request) -> Answer:
        shop.clock.pause(10)
        return Answer(503)

    with listen() as service:
        monkeypatch.setattr(service, "answer_to", answer_to)
        yield service.url


@pytest.mark.parametrize("request_seconds", [1, 5, 15])
def test_a_health_check_counts_in_the_ninety_seconds(
    shop: BranchShop, tmp_path: Path, hanging_service: str, request_seconds: int
) -> None:
    """The ledger can still be read; after that GitHub is slow, and refuses the write."""
    run(shop, tmp_path / "first", dispatch("deployment", id="deploy-1", version="1"))
    shop.clock.seconds = 0
    shop.github.fail(meanwhile(lambda: shop.clock.pause(request_seconds)), times=None, skip=1)
    shop.github.fail(unavailable(502), to="createCommitOnBranch", times=None)
    payload = dispatch("deployment", id="deploy-2", version="2")
    lost = run(shop, tmp_path / "second", payload, inputs={"health-check-url": hanging_service})
    assert shop.clock.seconds < 90
    assert len(COMMAND.findall(lost.summary)) == 1
    assert "deploy-2" in Path(lost.outputs["unrecorded-facts"]).read_text("utf-8")


def test_a_health_check_that_may_take_longer_than_usual_costs_no_fact(
    shop: BranchShop, tmp_path: Path, hanging_service: str
) -> None:
    run(shop, tmp_path / "first", dispatch("deployment", id="deploy-1", version="1"))
    shop.clock.seconds = 0
    patient = {"health-check-timeout": "10m", "health-check-retries": "10", "health-check-url": hanging_service}
    recorded = run(shop, tmp_path / "second", dispatch("deployment", id="deploy-2", version="2"), inputs=patient)
    assert shop.clock.seconds > 100
    assert "failed: HTTP 503 (11 tries)" in recorded.log
    assert "dispatch:deploy-2" in shop.fact_ids()


def test_a_fact_is_kept_before_anything_is_sent_elsewhere(
    shop: BranchShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.github.fail(unavailable(502), to="POST */git/refs", times=None)
    path = tmp_path / "a" / "temp" / "dora-metrics" / "unrecorded-facts.jsonl"
    was_kept: list[bool] = []

    def answer_to(_: Request) -> Answer:
        was_kept.append(path.exists())
        return OK

    with listen() as endpoint:
        monkeypatch.setattr(endpoint, "answer_to", answer_to)
        payload = dispatch("deployment", id="deploy-1", version="1")
        run(shop, tmp_path / "a", payload, inputs={"endpoint-url": endpoint.url, "endpoint-token": "t"})
    assert was_kept == [True]


def test_the_steps_of_a_job_share_the_file(shop: BranchShop, tmp_path: Path) -> None:
    shop.github.fail(unavailable(502), times=None)
    first = run(shop, tmp_path / "job", dispatch("deployment", id="deploy-1", version="1"))
    second = run(shop, tmp_path / "job", dispatch("deployment", id="deploy-2", version="2"))
    assert first.outputs["unrecorded-facts"] == second.outputs["unrecorded-facts"]
    lines = Path(second.outputs["unrecorded-facts"]).read_bytes().splitlines()
    facts = [decode_line(line) for line in lines]
    assert [fact.id for fact in facts if isinstance(fact, Deployment | Incident)] == [
        "dispatch:deploy-1",
        "dispatch:deploy-2",
    ]


def test_without_a_place_for_the_file_the_summary_still_has_the_command(shop: BranchShop, tmp_path: Path) -> None:
    shop.github.fail(unavailable(502), times=None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "temp").write_text("a file where a folder should be", "utf-8")
    lost = run(shop, tmp_path / "full", dispatch("deployment", id="deploy-1", version="1"))
    assert lost.outputs["unrecorded-facts"] == ""
    assert len(COMMAND.findall(lost.summary)) == 1


APPEND_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from dora_metrics.github.runner import append_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    append_whole(Path(sys.argv[1]), b"a line of more than ten bytes\\n")
except OSError as problem:
    print(type(problem).__name__)
"""


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    """On a disk that is full a write may end in the middle of a line."""
    path = tmp_path / "facts.jsonl"
    path.write_bytes(b"first\n")
    command = [sys.executable, "-c", APPEND_ON_A_FULL_DISK, str(path)]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "OSError\n"
    assert path.read_bytes() == b"first\n"


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(shop: BranchShop, tmp_path: Path) -> None:
    shop.github.fail(unavailable(502), times=None)
    (tmp_path / "job" / "temp" / "dora-metrics").mkdir(parents=True)
    os.mkfifo(tmp_path / "job" / "temp" / "dora-metrics" / "unrecorded-facts.jsonl")
    lost = run(shop, tmp_path / "job", dispatch("deployment", id="deploy-1", version="1"))
    assert lost.outputs["unrecorded-facts"] == ""


def test_what_is_recorded_or_was_not_to_be_is_not_kept(shop: BranchShop, tmp_path: Path) -> None:
    recorded = run(shop, tmp_path / "a", dispatch("deployment", id="deploy-1", version="1"))
    unwanted = run(shop, tmp_path / "b", dispatch("deployment", id="deploy-2", version="2"), ledger="none")
    for each in (recorded, unwanted):
        assert each.outputs["unrecorded-facts"] == ""
        assert "not in the ledger" not in each.summary + each.log


def test_a_run_that_may_only_read_says_what_it_did_not_record(shop: BranchShop) -> None:
    shop.run(1)
    lost = shop.run_event("deployment_status", deployment_status(2), token=shop.github.grant(contents="read"), now=NOW)
    assert "1 fact of this run is not in the ledger" in lost.summary
    assert len(COMMAND.findall(lost.summary)) == 1
