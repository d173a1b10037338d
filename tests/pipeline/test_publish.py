"""Which runs write the site of a ledger, and when: those that read everything, and only files that differ."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from dora_metrics import cli
from dora_metrics.commands import demo
from dora_metrics.core.ledger.layout import SITE_PATHS, git_blob_sha, is_at_one_of, site_changes
from dora_metrics.runtime import Runtime
from fakes.faults import unavailable
from fakes.github import FakeGitHub
from support.github_history import deploy
from support.runs import NOW, ActionRun, deployment_status, run_action

SYNC = {"schedule": "17 5 * * *"}


def rebuild(ledger: Path, *arguments: str) -> None:
    world = Runtime({}, BytesIO(), StringIO(), StringIO(), NOW, lambda _: None)
    assert cli.run(["rebuild", "--ledger", f"dir:{ledger}", *arguments], world) == 0


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    for number in (1, 2):
        run_action(tmp_path, "deployment_status", deployment_status(number))
    return tmp_path / "ledger"


def file_names(ledger: Path) -> set[str]:
    return {path.relative_to(ledger).as_posix() for path in ledger.rglob("*") if path.is_file()}


def site_files(ledger: Path) -> set[str]:
    return {name for name in file_names(ledger) if name.startswith(("badges/", "history.json", "index.html"))}


def test_a_run_of_one_event_writes_nothing_for_people(ledger: Path) -> None:
    assert site_files(ledger) == set()


def test_an_event_run_that_reads_everything_writes_no_more_than_others(tmp_path: Path) -> None:
    run_action(tmp_path, "deployment_status", deployment_status(1), {"window": "all"})
    assert site_files(tmp_path / "ledger") == set()


def test_what_the_numbers_were_made_from_is_written_by_a_rebuild_and_not_by_an_event(ledger: Path) -> None:
    assert not (ledger / "evidence.json").exists()
    rebuild(ledger)
    (scope,) = json.loads((ledger / "evidence.json").read_text("utf-8"))["scopes"]
    assert [each["deployment"][-1] for each in scope["evidence"]["deployments"]] == ["1", "2"]
    (numbers,) = json.loads((ledger / "metrics.json").read_text("utf-8"))["scopes"]
    assert numbers.keys() == {"repository", "service", "environment", "metrics", "previous", "outlook"}


def test_numbers_of_so_many_scopes_that_they_are_large_are_left_to_the_next_rebuild(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dora_metrics.pipeline.record._MAX_DERIVED_BYTES", 1_000)
    before = (ledger / "metrics.json").read_bytes()
    ran = run_action(ledger.parent, "deployment_status", deployment_status(3))
    assert "ledger ✓ +1 fact" in ran.summary
    assert (ledger / "metrics.json").read_bytes() == before
    rebuild(ledger)
    (scope,) = json.loads((ledger / "metrics.json").read_text("utf-8"))["scopes"]
    assert scope["metrics"]["deployment_frequency"]["deployments"] == 3


def test_a_rebuild_writes_page_history_and_badges(ledger: Path) -> None:
    rebuild(ledger)
    page = (ledger / "index.html").read_text("utf-8")
    assert "acme/shop" in page
    assert '"in_ledger":true' in page
    assert {".nojekyll", "index.html", "history.json", "badges/overall.json", "badges/lead_time.json"} <= file_names(
        ledger
    )
    (scope,) = json.loads((ledger / "history.json").read_text("utf-8"))["scopes"]
    assert [week["deployments"] for week in scope["weeks"]] == [2]
    assert json.loads((ledger / "badges" / "deployment_frequency.json").read_text("utf-8")) == {
        "schemaVersion": 1,
        "label": "deployment frequency",
        "message": "2 in 30 days",
        "color": "lightgrey",
    }


def test_a_page_that_is_switched_off_goes_and_the_rest_stays(ledger: Path) -> None:
    rebuild(ledger)
    rebuild(ledger, "--page", "false")
    assert "index.html" not in file_names(ledger)
    assert "history.json" in file_names(ledger)


def test_a_folders_page_is_named_to_later_steps_by_the_run_that_wrote_it(ledger: Path) -> None:
    ran = run_action(ledger.parent, "workflow_dispatch", {}, {"mode": "rebuild"})
    assert ran.outputs["page-path"] == str(ledger / "index.html")
    assert run_action(ledger.parent, "deployment_status", deployment_status(5)).outputs["page-path"] == ""
    off = run_action(ledger.parent, "workflow_dispatch", {}, {"mode": "rebuild", "page": "false"})
    assert off.outputs["page-path"] == ""


def test_badges_of_a_scope_that_is_gone_go_too(ledger: Path) -> None:
    payload = deployment_status(3)
    payload["deployment_status"]["environment"] = "prod-eu"  # type: ignore[index]
    run_action(ledger.parent, "deployment_status", payload)
    rebuild(ledger)
    assert any(name.startswith("badges/shop/") for name in site_files(ledger))
    rebuild(ledger, "--production-environments", "production")
    rebuild(ledger, "--production-environments", "prod-eu")
    assert not any(name.startswith("badges/shop/") for name in site_files(ledger))


NAMED_LIKE_THE_SITE = (
    "index.html.txt",
    "history.json.md",
    ".nojekyll.old",
    "badges/custom.svg",
    "badges/mine.json",
    "badges/team/overall.json",
    "badges/overall.json.txt",
)
"""Files of a user that a run did not write, and does not remove."""


def test_files_of_others_beside_the_site_stay(ledger: Path) -> None:
    (ledger / "CNAME").write_text("metrics.example.org", "utf-8")
    (ledger / "assets").mkdir()
    (ledger / "assets" / "logo.json").write_text("{}", "utf-8")
    rebuild(ledger)
    for path in NAMED_LIKE_THE_SITE:
        (ledger / path).parent.mkdir(parents=True, exist_ok=True)
        (ledger / path).write_text("mine", "utf-8")
    rebuild(ledger, "--page", "false")
    assert {"CNAME", "assets/logo.json", *NAMED_LIKE_THE_SITE} <= file_names(ledger)
    assert {(ledger / path).read_text("utf-8") for path in NAMED_LIKE_THE_SITE} == {"mine"}


def test_only_what_differs_is_written_and_what_is_no_longer_there_goes() -> None:
    site = {"index.html": b"new", "badges/a.json": b"same", "history.json": b""}
    there = {
        "index.html": git_blob_sha(b"old"),
        "badges/a.json": git_blob_sha(b"same"),
        "badges/b/c.json": "x",
        "history.json": "y",
    }
    assert site_changes(site, there) == {"index.html": b"new", "badges/b/c.json": b"", "history.json": b""}
    assert site_changes(site, {}) == {"index.html": b"new", "badges/a.json": b"same"}


@pytest.mark.parametrize(
    ("path", "is_listed"),
    [("index.html", True), ("badges/a/b.json", True), ("index.html.txt", False), ("badges.md", False)],
)
def test_files_are_listed_by_their_whole_path_and_folders_with_what_is_in_them(path: str, *, is_listed: bool) -> None:
    assert is_at_one_of(path, SITE_PATHS) == is_listed


def test_a_content_has_the_name_that_git_gives_to_it() -> None:
    assert git_blob_sha(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


class PublishingShop:
    """A repository with some deployments whose ledger is a branch."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        self.repository.commit({"a": "1"}, message="Begin")
        self.deploy(0)

    def deploy(self, number: int, **deployment_fields: str) -> None:
        self.repository.commit({"a": str(number)}, message=f"Change {number}")
        deploy(self.repository, 24.0 * number, **deployment_fields)

    def sync(self, days: int = 0, **inputs: Any) -> ActionRun:  # noqa: ANN401
        given = {"ledger": "branch:dora-metrics", "github-token": self.github.token, "report": "off", **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, "RUNNER_TEMP": str(self.folder / "temp")}
        self.github.requests.clear()
        return run_action(self.folder, "schedule", SYNC, given, now=NOW + timedelta(days=days), environment=environment)

    def read(self, path: str) -> bytes | None:
        return self.repository.read(path, "dora-metrics")

    @property
    def commits(self) -> int:
        return len(self.repository.git.rev_list(str(self.repository.head("dora-metrics"))))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[PublishingShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield PublishingShop(github, tmp_path)


def test_a_sync_writes_the_site_once_in_the_commit_of_its_facts(shop: PublishingShop) -> None:
    shop.sync()
    assert shop.commits == 1
    assert b"deployment frequency" in (shop.read("badges/deployment_frequency.json") or b"")
    assert shop.read("history.json")


def test_a_branchs_page_is_copied_for_later_steps(shop: PublishingShop) -> None:
    ran = shop.sync()
    assert ran.outputs["page-path"] == str(shop.folder / "temp" / "dora-metrics" / "index.html")
    assert Path(ran.outputs["page-path"]).read_bytes() == shop.read("index.html")
    assert shop.sync().outputs["page-path"] == ""


def test_a_run_that_may_not_write_shows_numbers_and_has_no_page(shop: PublishingShop) -> None:
    reader = shop.github.grant(contents="read")
    ran = shop.sync(0, **{"github-token": reader})
    assert "cannot be written" in ran.log
    assert ran.outputs["page-path"] == ""


def test_the_demo_makes_the_page_and_says_where(tmp_path: Path) -> None:
    out = StringIO()
    assert demo.run(tmp_path, Runtime({}, BytesIO(), out, out, NOW, lambda _: None)) == 0
    page = tmp_path.resolve() / "ledger" / "index.html"
    assert str(page) in out.getvalue()
    assert "acme/shop" in page.read_text("utf-8")
    assert "v2.21.0" in (tmp_path / "summary.md").read_text("utf-8")


def test_a_second_sync_with_nothing_new_writes_nothing(shop: PublishingShop) -> None:
    shop.sync()
    shop.sync()
    assert shop.commits == 1
    assert len(shop.github.requests) <= 4


def test_a_later_sync_asks_once_what_is_there(shop: PublishingShop) -> None:
    shop.sync()
    before = shop.read("history.json")
    shop.sync(days=1)
    assert shop.read("history.json") != before
    assert len(shop.github.requests_matching("GET */git/trees/*")) == 1
    assert len(shop.github.requests) <= 5


def test_files_of_a_user_beside_the_site_stay_on_the_branch(shop: PublishingShop) -> None:
    shop.sync()
    own = dict.fromkeys(NAMED_LIKE_THE_SITE, "mine")
    shop.repository.commit(own, message="By hand", branch="dora-metrics")
    shop.sync(days=1, page="false")
    assert shop.read("index.html") is None
    assert {shop.read(path) for path in own} == {b"mine"}


def test_badges_that_are_gone_are_deleted_on_the_branch(shop: PublishingShop) -> None:
    shop.deploy(1, environment="prod-eu")
    shop.sync()
    assert shop.read("badges/shop/prod-eu/overall.json")
    shop.sync(days=1, **{"production-environments": "production"})
    shop.sync(days=2, **{"production-environments": "prod-eu"})
    assert shop.read("badges/overall.json")
    assert not shop.read("badges/shop/prod-eu/overall.json")


def test_a_ledger_whose_files_cannot_be_listed_is_written_all_the_same(shop: PublishingShop) -> None:
    shop.sync()
    shop.github.fail(unavailable(502), to="GET */git/trees/*", times=None)
    shop.deploy(80)
    ran = shop.sync(days=1)
    assert ran.code == 0
    assert b'"1 in 30 days"' in (shop.read("badges/deployment_frequency.json") or b"")
    assert "::warning" not in ran.log


def test_without_a_ledger_nothing_is_written(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "schedule", SYNC, {"ledger": "none"})
    assert ran.code == 0
    assert not (tmp_path / "ledger").exists()
