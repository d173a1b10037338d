"""Deployments of several services in turn: one fact per change, and separate numbers for each service."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.faults import unavailable
from fakes.github import FakeGitHub
from support.monorepo import Monorepo, at, delivered_changes, lead_times, services_of_changes
from support.runs import check_out


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: at(24)) as made:
        yield made


@pytest.fixture
def shop(github: FakeGitHub, tmp_path: Path) -> Monorepo:
    return Monorepo(github, tmp_path)


# --- One fact per change ---


def test_deployments_of_two_services_in_turn_leave_the_facts_of_changes_as_they_are(shop: Monorepo) -> None:
    both = shop.pull("Both", ["web/b", "services/checkout/b"], hours=1)
    shop.pull("Page", ["web/a"], hours=2)
    hand = shop.commit("web/c", "libs/payments/c", hours=3)
    shop.deploy("checkout", hours=6)
    first = {identity: shop.ledger_facts("change")[identity] for identity in (both, f"commit:{hand}")}
    shop.deploy("web", hours=7)
    everything = shop.ledger_facts("change")
    for service, number in (("checkout", 4), ("web", 5), (None, None), ("checkout", 4)):
        shop.deploy(service, hours=8 if number is None else number + 2, number=number)
        known = shop.ledger_facts("change")
        assert known == everything
        assert known == {**known, **first}


def test_the_event_of_a_merged_pull_request_and_its_deployment_say_the_same(shop: Monorepo) -> None:
    page = shop.pull("Page", ["web/a"], hours=1)
    payload = merge_event(shop, "Page", 1)
    shop.github.requests.clear()
    told = shop.run_event("pull_request", payload, service="checkout")
    assert services_of_changes(told) == {page: "web"}
    assert [logged.operation for logged in shop.github.requests] == ["Ledger", "MergedPull", "Append"]
    shop.deploy("web", hours=6)
    before = shop.ledger_facts("change")
    assert before[page]["service"] == "web"
    for _ in range(2):
        shop.run_event("pull_request", payload, service="checkout")
        assert shop.ledger_facts("change") == before


def test_a_merged_pull_request_of_too_many_files_has_no_service_until_it_is_deployed(shop: Monorepo) -> None:
    large = shop.pull("Large", [f"web/{number}" for number in range(101)], hours=1)
    payload = merge_event(shop, "Large", 1)
    assert services_of_changes(shop.run_event("pull_request", payload)) == {large: None}
    assert services_of_changes(shop.deploy("web", hours=6)) == {large: "web"}
    before = shop.ledger_facts("change")
    shop.run_event("pull_request", payload)
    assert shop.ledger_facts("change") == before


def merge_event(shop: Monorepo, title: str, hours: float) -> dict[str, object]:
    """Event of a pull request that was merged at that hour."""
    when = f"{at(hours):%Y-%m-%dT%H:%M:%SZ}"
    pull = {
        "number": 1,
        "base": {"ref": "main"},
        "head": {"ref": "feature-1"},
        "merged": True,
        "merge_commit_sha": shop.repository.head(),
        "title": title,
        "labels": [],
        "created_at": f"{at(hours - 1):%Y-%m-%dT%H:%M:%SZ}",
        "merged_at": when,
        "closed_at": when,
        "html_url": "https://github.com/acme/shop/pull/1",
    }
    return {"action": "closed", "pull_request": pull, "repository": {"default_branch": "main"}}


def test_without_services_a_change_keeps_the_service_that_it_was_first_known_with(
    github: FakeGitHub, tmp_path: Path
) -> None:
    shop = Monorepo(github, tmp_path, {})
    page = shop.pull("Page", ["web/a"], hours=1)
    assert services_of_changes(shop.deploy("web", hours=6)) == {page: "web"}
    before = shop.ledger_facts("change")
    assert services_of_changes(shop.deploy("checkout", hours=7)) == {page: "web"}
    assert shop.ledger_facts("change") == before


def test_without_services_a_merged_pull_request_has_the_settings_service(github: FakeGitHub, tmp_path: Path) -> None:
    shop = Monorepo(github, tmp_path, {})
    page = shop.pull("Page", ["web/a"], hours=1)
    assert services_of_changes(shop.run_event("pull_request", merge_event(shop, "Page", 1), service="web")) == {
        page: "web"
    }


def test_what_touches_a_service_is_decided_anew_when_its_paths_change(shop: Monorepo) -> None:
    page = shop.pull("Page", ["web/a"], hours=1)
    assert services_of_changes(shop.deploy("web", hours=6)) == {page: "web"}
    (shop.folder / ".github" / "dora.yml").write_text("services: {web: web/**, all: '**'}", "utf-8")
    assert services_of_changes(shop.deploy(None, hours=7)) == {page: None}
    assert shop.ledger_facts("change")[page]["service"] is None


def test_an_answer_that_does_not_come_leaves_the_changes_unknown_and_says_so(shop: Monorepo) -> None:
    page = shop.commit("web/a", hours=1)
    shop.github.fail(unavailable(502), to="CommitsByPath", times=None)
    ran = shop.deploy("web", hours=6)
    assert (ran.code, delivered_changes(ran)) == (0, None)
    assert "GitHub did not return what was delivered" in ran.log
    shop.github.heal()
    assert services_of_changes(shop.deploy("web", hours=7)) == {f"commit:{page}": "web"}


# --- Complete runs ---


def test_each_services_lead_times_are_those_of_its_own_changes(shop: Monorepo) -> None:
    pay = shop.pull("Pay", ["libs/payments/a"], hours=1)
    both = shop.pull("Both", ["web/b", "services/checkout/b"], hours=3)
    hand = f"commit:{shop.commit('web/c', hours=4)}"
    shop.deploy("checkout", hours=6)
    found = lead_times(shop.deploy("web", hours=10))
    assert found == {"checkout": {pay: 6 * 3600, both: 4 * 3600}, "web": {both: 8 * 3600, hand: 6 * 3600}, "shop": {}}


def test_a_deployment_of_one_service_leaves_the_changes_of_the_others_to_theirs(shop: Monorepo) -> None:
    page = shop.pull("Page", ["web/a"], hours=1)
    shop.deploy("checkout", hours=2)
    pay = shop.pull("Pay", ["libs/payments/a"], hours=3)
    assert services_of_changes(shop.deploy("web", hours=4)) == {page: "web"}
    assert services_of_changes(shop.deploy("checkout", hours=5)) == {pay: "checkout"}


REPOSITORY = {"default_branch": "main"}


def push_event(sha: str, when: str) -> dict[str, object]:
    return {"ref": "refs/heads/main", "after": sha, "head_commit": {"timestamp": when}, "repository": REPOSITORY}


def release_event(_: str, when: str) -> dict[str, object]:
    release = {"id": int(when[11:13]) + 1, "tag_name": f"v{when[11:13]}", "published_at": when}
    return {"action": "published", "release": release, "repository": REPOSITORY}


def workflow_run_event(sha: str, when: str) -> dict[str, object]:
    about = {"id": int(when[11:13]) + 1, "event": "push", "head_sha": sha, "head_branch": "main"}
    finished = {"conclusion": "success", "updated_at": when, "head_repository": {"full_name": "acme/shop"}}
    workflow = {"name": "Deploy", "path": ".github/workflows/deploy.yml"}
    return {
        "action": "completed",
        "workflow_run": {**about, **finished},
        "workflow": workflow,
        "repository": REPOSITORY,
    }


@pytest.mark.parametrize(
    ("event", "made", "inputs"),
    [
        ("push", push_event, {"deployment-source": "pushes"}),
        ("release", release_event, {"deployment-source": "releases"}),
        ("workflow_run", workflow_run_event, {"deployment-source": "workflow-runs"}),
        ("push", push_event, {"environment": "production"}),
    ],
    ids=["push", "release", "workflow-run", "deploy-job"],
)
def test_other_deployments_are_of_the_service_that_their_workflow_names(
    shop: Monorepo, event: str, made: Callable[[str, str], dict[str, object]], inputs: dict[str, str]
) -> None:
    def deploy(service: str, hours: int) -> tuple[object, dict[object, object]]:
        payload = made(str(shop.repository.head()), f"{at(hours):%Y-%m-%dT%H:%M:%SZ}")
        ran = shop.run_event(event, payload, hours=hours, **{"service": service, **inputs})
        return delivered_changes(ran), services_of_changes(ran)

    pay, page = shop.pull("Pay", ["libs/payments/a"], hours=1), shop.pull("Page", ["web/a"], hours=2)
    assert deploy("web", 3) == ([page], {page: "web"})
    assert deploy("checkout", 4) == ([pay], {pay: "checkout"})
    both = shop.commit("web/b", "services/checkout/b", hours=5)
    assert deploy("checkout", 6) == ([f"commit:{both}"], {f"commit:{both}": None})


@pytest.mark.parametrize("inputs", [{"deployment-source": "pushes"}, {"environment": "production"}])
def test_one_push_that_brings_two_services_is_a_deployment_of_each(shop: Monorepo, inputs: dict[str, str]) -> None:
    page, pay = shop.pull("Page", ["web/a"], hours=1), shop.pull("Pay", ["libs/payments/a"], hours=2)
    payload = push_event(str(shop.repository.head()), "2026-11-20T18:00:00Z")
    for _ in range(2):
        for service in ("web", "checkout"):
            shop.run_event("push", payload, hours=6, **{"service": service, **inputs})
    found = [fact for fact in shop.ledger_facts("deployment").values() if fact["source"] != "deployments"]
    assert [(fact["service"], fact["changes"]) for fact in found] == [("checkout", [pay]), ("web", [page])]


def test_paths_of_a_service_that_are_corrected_later_correct_what_was_recorded(
    github: FakeGitHub, tmp_path: Path
) -> None:
    wrong = Monorepo(github, tmp_path, services={"web": "front/**", "checkout": "services/**"})
    page = wrong.pull("Page", ["web/a"], hours=1)
    wrong.deploy("web", hours=6)
    wrong.run_event("schedule", {"schedule": "x"})
    assert [fact["changes"] for fact in wrong.ledger_facts("deployment").values()][-1] == []
    check_out(tmp_path, {".github/dora.yml": json.dumps({"services": {"web": "web/**", "checkout": "services/**"}})})
    ran = wrong.run_event("schedule", {"schedule": "x"})
    assert [fact["changes"] for fact in wrong.ledger_facts("deployment").values()][-1] == [page]
    assert lead_times(ran)["web"] == {page: 6 * 3600.0}
    assert "nothing new" in wrong.run_event("schedule", {"schedule": "x"}).summary
