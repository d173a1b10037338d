"""`sync`: the first run records a repository's history, later runs record what no event reported."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest

from dora_metrics import cli
from dora_metrics.pipeline import sync
from dora_metrics.runtime import Runtime
from fakes import rest_views
from fakes.faults import Fault, RequestInFlight, primary_limit, unavailable
from fakes.routing import Answer
from support.github_history import NOW, at, deploy
from support.runs import deployment_status, run_action
from support.sync_shop import SyncShop


@pytest.mark.parametrize(("event", "mode"), [("schedule", "auto"), ("workflow_dispatch", "auto"), ("push", "sync")])
def test_the_first_run_shows_the_numbers_of_the_past(sync_shop: SyncShop, event: str, mode: str) -> None:
    ran = sync_shop.run(event, mode=mode, window="90d")
    assert ran.code == 0
    found = json.loads(ran.outputs["metrics"])["scopes"][0]["metrics"]
    assert found["deployment_frequency"]["deployments"] == 6
    assert found["lead_time"]["changes"] == 5
    assert found["lead_time"]["p50_seconds"] == 5 * 3600
    assert "6 deployments" in ran.summary
    assert len(sync_shop.facts()) == 12


def test_a_second_sync_writes_nothing_and_costs_little(sync_shop: SyncShop) -> None:
    sync_shop.run()
    head = sync_shop.repository.head("dora-metrics")
    ran = sync_shop.run()
    assert ran.code == 0
    assert sync_shop.repository.head("dora-metrics") == head
    assert len(sync_shop.requested_operations) <= 4
    assert "nothing new" in ran.summary


def test_numbers_are_computed_again_the_next_day(sync_shop: SyncShop) -> None:
    sync_shop.run()
    head = sync_shop.repository.head("dora-metrics")
    sync_shop.run(delay=timedelta(days=1))
    assert sync_shop.repository.head("dora-metrics") != head


def test_what_no_event_told_of_comes_with_the_next_sync(sync_shop: SyncShop) -> None:
    sync_shop.run()
    before = sync_shop.facts()
    sync_shop.merge_and_deploy(6)
    ran = sync_shop.run()
    new = {identity: fact for identity, fact in sync_shop.facts().items() if identity not in before}
    assert {fact["kind"] for fact in new.values()} == {"deployment", "change"}
    deployment = next(fact for fact in new.values() if fact["kind"] == "deployment")
    assert deployment["changes"] == [fact["id"] for fact in new.values() if fact["kind"] == "change"]
    assert "1 deployment" in ran.log


def test_a_sync_after_an_event_changes_nothing_that_the_event_told(sync_shop: SyncShop) -> None:
    sync_shop.run()
    last = max(sync_shop.facts().values(), key=lambda fact: str(fact.get("finished_at") or ""))
    number = int(str(last["id"]).rpartition(":")[2])
    payload = deployment_status(
        number, at=str(last["finished_at"]), sha=last["sha"], ref=last["ref"], created_at=last["started_at"]
    )
    sync_shop.run("deployment_status", payload)
    facts = sync_shop.facts()
    sync_shop.run()
    assert sync_shop.facts() == facts


def test_a_limit_in_the_middle_keeps_what_there_is_says_so_and_the_next_sync_goes_on(sync_shop: SyncShop) -> None:
    sync_shop.github.fail(primary_limit(), to="DeploymentPage", times=None)
    sync_shop.github.fail(unavailable(502), to="NewestItems", times=None)
    ran = sync_shop.run(since="all")
    assert ran.code == 0
    assert "GitHub did not return deployments" in ran.log
    assert "rate limit" in ran.log
    assert {fact["kind"] for fact in sync_shop.facts().values()} <= {"change"}
    sync_shop.github.heal()
    sync_shop.run(since="all")
    assert len(sync_shop.facts()) == 12


@pytest.mark.parametrize("answered_count", range(1, 6))
def test_after_a_limit_that_lasts_no_read_is_sent_and_the_next_sync_goes_on(
    sync_shop: SyncShop, answered_count: int
) -> None:
    sync_shop.github.fail(primary_limit(), to="*", times=None, skip=answered_count)
    ran = sync_shop.run(since="all")
    streams, writes = 5, ("Append", "/repos/acme/shop/git/trees")
    refused = [name for name in sync_shop.requested_operations[answered_count:] if name not in writes]
    assert len(refused) <= streams
    assert "it resets at" in ran.summary
    assert ran.code == 0
    sync_shop.github.heal()
    sync_shop.run(since="all")
    assert len(sync_shop.facts()) == 12


def test_of_several_repositories_those_after_the_limit_are_not_read_and_named(sync_shop: SyncShop) -> None:
    for name in ("acme/api", "acme/web", "acme/docs"):
        sync_shop.github.repository(name)
    sync_shop.github.fail(primary_limit(), to="NewestItems", times=None)
    ran = sync_shop.run(repositories="acme/shop, acme/api, acme/web, acme/docs")
    assert "stopped before acme/api, acme/web and acme/docs: GitHub's hourly rate limit" in ran.summary
    assert ". The next sync reads these first" in ran.summary
    assert len(sync_shop.github.requests_matching("NewestItems")) == 1
    assert not sync_shop.github.requests_matching("RepositoryInfo")


def test_github_being_down_leaves_the_ledger_as_it_was_and_the_run_done(sync_shop: SyncShop) -> None:
    sync_shop.run()
    facts = sync_shop.facts()
    sync_shop.github.fail(unavailable(502), to="*", times=None, skip=1)  # the settings are read
    ran = sync_shop.run()
    assert ran.code == 0
    assert "GitHub did not return" in ran.log
    sync_shop.github.heal()
    assert sync_shop.facts() == facts


def test_a_reading_goes_on_where_it_was_left_when_the_ledger_could_not_be_written(
    sync_shop: SyncShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_MAX_UNSAVED_FACTS", 1)
    token = sync_shop.github.grant(contents="read")
    ran = sync_shop.run("schedule", None, timedelta(), **{"github-token": token})
    assert "ledger ✗" in ran.summary
    assert "Read the history of acme/shop: 6 deployments, 6 changes added or updated" in ran.summary
    assert len(sync_shop.github.requests_matching("NewestItems")) == 1


def test_only_what_is_asked_for_is_read(sync_shop: SyncShop) -> None:
    sync_shop.run(since="1w")
    assert "deployment" not in {fact["kind"] for fact in sync_shop.facts().values()}
    sync_shop.run(since="all")
    assert len(sync_shop.facts()) == 12


def test_several_repositories_come_into_one_ledger_and_one_that_fails_stops_no_other(sync_shop: SyncShop) -> None:
    other = sync_shop.github.repository("acme/api", empty=True)
    other.commit({"a": "1"}, message="Begin", author_date=at(0))
    deploy(other, 5)
    sync_shop.github.repository("acme/sandbox")
    ran = sync_shop.run(repositories="acme/*, !acme/sandbox, acme/gone")
    assert ran.code == 0
    found = {(scope["repository"]) for scope in json.loads(ran.outputs["metrics"])["scopes"]}
    assert found == {"acme/api", "acme/shop"}
    assert "acme/gone: GitHub did not return" in ran.log
    assert "sandbox" not in ran.log
    assert "1 other scope" in ran.summary


@dataclass(frozen=True)
class hidden_repository(Fault):  # noqa: N801 - read as a verb
    """One more repository of an owner, that GitHub shows as null and without an error."""

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        answer.body["data"]["repositoryOwner"]["repositories"]["nodes"].insert(0, None)
        return answer


def test_a_repository_of_the_owner_that_github_does_not_show_stops_no_other(sync_shop: SyncShop) -> None:
    sync_shop.github.fail(hidden_repository(), to="OwnedRepositories", times=None)
    ran = sync_shop.run(repositories="acme/*")
    assert "acme/shop: all pull requests" in ran.log
    assert "GitHub hides 1 repository of acme" in ran.log


def test_archived_repositories_and_forks_are_left_out_unless_named(sync_shop: SyncShop) -> None:
    for name, what in (("acme/old", "is_archived"), ("acme/copy", "is_fork")):
        setattr(sync_shop.github.repository(name), what, True)
        assert name not in sync_shop.run(repositories="acme/*").log
        assert name in sync_shop.run(repositories=name).log


def test_without_a_token_the_ledger_is_computed_again_and_that_is_said(sync_shop: SyncShop) -> None:
    ran = run_action(sync_shop.folder, "schedule", {"schedule": "17 5 * * *"}, {"mode": "sync"})
    assert ran.code == 0
    assert "reading GitHub's history needs a `github-token`" in ran.log
    assert not (sync_shop.folder / "ledger").exists(), "there is nothing to keep"


def test_a_folder_takes_the_past_as_well(sync_shop: SyncShop) -> None:
    sync_shop.run(ledger="dir:ledger")
    texts = [path.read_text("utf-8") for path in (sync_shop.folder / "ledger" / "facts").rglob("*.jsonl")]
    assert sum('"kind":"repository"' not in line for text in texts for line in text.splitlines()) == 12


def test_no_ledger_shows_the_past_and_keeps_nothing(sync_shop: SyncShop) -> None:
    ran = sync_shop.run(ledger="none", window="90d")
    assert "6 deployments" in ran.summary
    assert sync_shop.repository.head("dora-metrics") is None


def test_a_deployment_that_github_cannot_compare_is_asked_about_once(sync_shop: SyncShop) -> None:
    sync_shop.run()
    lost = deployment_status(9_000, at="2026-11-01T12:00:00Z", sha="9" * 40)
    sync_shop.run("deployment_status", lost)
    sync_shop.run()
    assert any("compare" in str(asked) for asked in sync_shop.requested_operations)
    sync_shop.run()
    assert not any("compare" in str(asked) for asked in sync_shop.requested_operations)
    assert len(sync_shop.requested_operations) <= 4


def test_the_command_reads_the_past_into_a_folder(sync_shop: SyncShop) -> None:
    out = StringIO()
    environment = {
        "GITHUB_TOKEN": sync_shop.github.token,
        "GITHUB_API_URL": sync_shop.github.api_url,
        "GITHUB_WORKSPACE": str(sync_shop.folder),
    }
    world = Runtime(environment, BytesIO(), out, out, NOW, lambda _: None)
    arguments = ["sync", "--repository", "acme/shop", "--ledger", "dir:ledger", "--window", "90d"]
    assert cli.run(arguments, world) == 0
    assert "acme/shop: all pull requests, 6 facts" in out.getvalue()
    assert "6 deployments" in out.getvalue()
    assert cli.run(["sync", "--ledger", "dir:ledger"], world) == 2
    assert "the repository is not set" in out.getvalue()


def test_a_repository_that_github_does_not_return_is_not_called_read(sync_shop: SyncShop) -> None:
    for query in ("NewestItems", "RepositoryInfo"):
        sync_shop.github.fail(unavailable(502), to=query, times=None)
    unread = sync_shop.run(ledger="dir:ledger").summary
    assert "Could not read the history of acme/shop" in unread
    assert ": nothing new" not in unread
    sync_shop.github.heal()
    mixed = sync_shop.run(ledger="dir:ledger", repositories="acme/shop, acme/none").summary
    assert "Read the history of acme/shop: 6 deployments, 6 changes added or updated; could not read " in mixed
    assert "; could not read the history of acme/none" in mixed


def test_the_command_takes_the_repository_in_any_case(sync_shop: SyncShop) -> None:
    """Recorded under GitHub's own spelling, which the summary is about too; a second run goes on from the first."""
    environment = {
        "GITHUB_TOKEN": sync_shop.github.token,
        "GITHUB_API_URL": sync_shop.github.api_url,
        "GITHUB_WORKSPACE": str(sync_shop.folder),
    }
    for name in ("ACME/Shop", "acme/shop", "Acme/SHOP"):
        out = StringIO()
        world = Runtime(environment, BytesIO(), out, out, NOW, lambda _: None)
        assert cli.run(["sync", "--repository", name, "--ledger", "dir:ledger", "--window", "90d"], world) == 0
        assert "6 deployments" in out.getvalue()
        assert "No production deployment is known" not in out.getvalue()
    metrics = json.loads((sync_shop.folder / "ledger" / "metrics.json").read_bytes())
    assert [scope["repository"] for scope in metrics["scopes"]] == ["acme/shop"]


def test_thresholds_and_outputs_of_a_sync_are_not_about_a_service_that_only_an_issue_names(sync_shop: SyncShop) -> None:
    inputs: dict[str, Any] = {"window": "all", "fail-on": "lead_time > 1h"}
    before = sync_shop.run(**inputs)
    sync_shop.repository.issue(
        "x", body="### Service\n\nevil\n", labels=["incident"], created_at=NOW - timedelta(minutes=5)
    )
    after = sync_shop.run(delay=timedelta(minutes=10), **inputs)
    assert (before.code, after.code) == (1, 1)
    for name in ("lead-time-seconds", "overall-level", "violations"):
        assert after.outputs[name] == before.outputs[name] != ""


def test_thresholds_of_a_sync_are_about_every_scope_also_if_one_has_news(sync_shop: SyncShop) -> None:
    inputs: dict[str, Any] = {"window": "all", "fail-on": "lead_time > 1h"}
    sync_shop.run(**inputs)
    deploy(sync_shop.repository, 24 * 6, environment="prod-eu")
    assert sync_shop.run(delay=timedelta(hours=1), **inputs).code == 1


def test_the_command_takes_the_former_name_of_a_repository(sync_shop: SyncShop) -> None:
    environment = {
        "GITHUB_TOKEN": sync_shop.github.token,
        "GITHUB_API_URL": sync_shop.github.api_url,
        "GITHUB_WORKSPACE": str(sync_shop.folder),
    }

    def sync() -> str:
        out = StringIO()
        runtime = Runtime(environment, BytesIO(), out, out, NOW, lambda _: None)
        arguments = ["sync", "--repository", "acme/shop", "--ledger", "dir:ledger", "--window", "90d"]
        assert cli.run(arguments, runtime) == 0
        return out.getvalue()

    sync()
    sync_shop.github.state.rename("acme/shop", "acme/store")
    renamed = sync()
    assert "acme/shop is acme/store now" in renamed
    assert "6 deployments" in renamed
    metrics = json.loads((sync_shop.folder / "ledger" / "metrics.json").read_bytes())
    assert [scope["repository"] for scope in metrics["scopes"]] == ["acme/store"]


def test_the_command_shows_text_and_no_workflow_command_outside_of_a_workflow(sync_shop: SyncShop) -> None:
    environment = {
        "GITHUB_TOKEN": sync_shop.github.token,
        "GITHUB_API_URL": sync_shop.github.api_url,
        "GITHUB_WORKSPACE": str(sync_shop.folder),
    }
    out = StringIO()
    runtime = Runtime(environment, BytesIO(), out, out, NOW, lambda _: None)
    arguments = ["sync", "--repository", "acme/shop", "--ledger", "dir:ledger", "--window", "90d", "--format", "text"]
    assert cli.run(arguments, runtime) == 0
    lines = out.getvalue().splitlines()
    assert lines[0] == "Reading GitHub's history"
    assert any(line.startswith("acme/shop · production · last 90 days") for line in lines)
    assert any(line.startswith("  Deployment frequency ") for line in lines)
    assert "::" not in out.getvalue()
    assert "| Deployment frequency |" not in out.getvalue()


def test_the_past_of_a_monorepo_is_told_apart_by_paths(sync_shop: SyncShop) -> None:
    sync_shop.repository.commit({".github/dora.yml": "services: {web: 'web/**'}"}, message="Configure")
    for number, path in enumerate(("web/a", "api/a", "web/b", "api/b")):
        made = sync_shop.repository.pull(f"Part {path}", files={path: "x"}, created_at=at(300 + 24 * number))
        sync_shop.repository.merge_pull(made, method="squash", at=at(301 + 24 * number))
        sync_shop.repository.deployment(
            payload={"service": "web"}, at=at(302 + 24 * number), finished_at=at(302.1 + 24 * number)
        )
    sync_shop.run()
    deployments = [fact for fact in sync_shop.facts().values() if fact.get("service") == "web" and "status" in fact]
    changes = [fact["changes"] for fact in sorted(deployments, key=lambda fact: str(fact["finished_at"]))]
    assert changes == [None, [], ["github:pull:acme/shop#9"], []]


def test_a_payload_of_many_brackets_is_a_text(sync_shop: SyncShop) -> None:
    made = sync_shop.repository.deployment("production", at=at(150), finished_at=at(150.1), payload="[" * 5_000)
    ran = sync_shop.run()
    assert ran.code == 0
    assert f"github:deployment:{made.database_id}" in sync_shop.facts()
    assert "did not return" not in ran.log


@pytest.mark.parametrize(
    "time", ["2026-11-20T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"], ids=["no zone", "0", "9999"]
)
def test_a_time_in_the_cursors_that_cannot_be_right_counts_as_none(sync_shop: SyncShop, time: str) -> None:
    """Somebody has edited the file: what its cursors are for is read again."""
    sync_shop.run()
    written = json.loads(sync_shop.repository.read("cursors.json", "dora-metrics") or b"")
    edited = {kind: {**cursor, "newest": time} for kind, cursor in written["acme/shop"].items() if "newest" in cursor}
    content = json.dumps({"acme/shop": {**written["acme/shop"], **edited}})
    sync_shop.repository.commit({"cursors.json": content}, message="Edit", branch="dora-metrics")
    sync_shop.merge_and_deploy(7)
    ran = sync_shop.run(delay=timedelta(hours=2))
    assert ran.code == 0
    assert "::warning" not in ran.log
    assert len(sync_shop.facts()) == 14
    assert time not in (sync_shop.repository.read("cursors.json", "dora-metrics") or b"").decode()


def test_after_a_long_pause_everything_since_the_last_reading_is_read(sync_shop: SyncShop) -> None:
    """`since` says how far back the first sync reads, not that later ones leave a gap."""
    sync_shop.run(since="60d")
    before = sync_shop.facts().keys()
    begin = (NOW - at(0)).days + 10
    for number in range(begin, begin + 4):
        sync_shop.merge_and_deploy(number)
    sync_shop.run(delay=timedelta(days=200), since="60d")
    new = [fact for fact_id, fact in sync_shop.facts().items() if fact_id not in before]
    assert Counter(fact["kind"] for fact in new) == {"deployment": 4, "change": 4}


@pytest.mark.parametrize("change", ["closed", "unlabeled"])
def test_an_old_event_that_is_run_again_after_a_sync_changes_nothing(sync_shop: SyncShop, change: str) -> None:
    """The sync wrote nothing, since the issue was again as it is recorded; the event is older than what it read."""
    repository, began_at = sync_shop.repository, NOW - timedelta(hours=20)
    issue = repository.issue("Checkout is down", labels=("incident",), created_at=began_at)
    names = {"name": "shop", "full_name": "acme/shop", "default_branch": "main"}

    def event(action: str) -> dict[str, Any]:
        shown = json.loads(json.dumps(rest_views.issue("https://api.github.com", issue)))
        return {"action": action, "issue": shown, "label": {"name": "incident"}, "repository": names}

    sync_shop.run("issues", event("opened"))
    if change == "closed":
        repository.close(issue, at=began_at + timedelta(hours=1))
        lost = event("closed")
        repository.reopen(issue, at=began_at + timedelta(hours=2))
    else:
        repository.unlabel(issue, "incident", at=began_at + timedelta(hours=1))
        lost = event("unlabeled")
        repository.label(issue, "incident", at=began_at + timedelta(hours=2))
    sync_shop.run()
    before = sync_shop.facts()[f"github:issue:acme/shop#{issue.number}"]
    ran = sync_shop.run("issues", lost, delay=timedelta(hours=1))
    assert f"a sync has read issue acme/shop#{issue.number} since this event" in ran.log
    assert sync_shop.facts()[f"github:issue:acme/shop#{issue.number}"] == before
    assert (before["resolved_at"], before["retracted"]) == (None, False)
