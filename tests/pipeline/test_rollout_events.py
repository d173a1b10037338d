"""Rollouts that are reported by repository_dispatch, through the whole action with a ledger."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fakes.github import FakeGitHub
from support.gitops_events import argocd_sync, flagger_hook, flux_event
from support.runs import ActionRun, check_out, run_action

Payload = dict[str, Any]


def dispatch(folder: Path, payload: Payload, time: str, **inputs: object) -> ActionRun:
    """Run the action on a dispatch at a time of November 2026, such as `21T12:00`."""
    now = datetime.fromisoformat(f"2026-11-{time}Z")
    return run_action(folder, "repository_dispatch", payload, inputs, now=now)


def flux(name: str, time: str, reason: str = "ReconciliationSucceeded") -> Payload:
    return flux_event(name, reason, timestamp=f"2026-11-{time}:00Z")


def configure(folder: Path, gitops: object) -> None:
    check_out(folder, {".github/dora.yml": json.dumps({"gitops": gitops})})


def test_a_week_of_flux_gives_the_numbers_worked_out_by_hand(tmp_path: Path) -> None:
    """B failed at 10:00 and succeeded at 10:45. With A, both of B and C, four reached users: 1 in 4, in 45 minutes."""
    week = [
        ("16T10:00", flux("A", "16T10:00")),
        ("16T10:10", flux("A", "16T10:10")),  # a reconciliation
        ("17T10:00", flux("B", "17T10:00", "HealthCheckFailed")),
        ("17T10:45", flux("B", "17T10:45")),
        ("18T09:00", flux("C", "18T09:00", "BuildFailed")),
        ("18T09:30", flux("C", "18T09:30")),
        ("19T09:30", flux("C", "19T09:30", "HealthCheckFailed")),  # a pod that failed a day later
        ("19T09:40", flux("C", "19T09:40")),
    ]
    runs = [dispatch(tmp_path, payload, time) for time, payload in week]
    assert [len(run.facts) for run in runs] == [1, 0, 1, 1, 1, 1, 0, 0]
    last = runs[-1]
    assert (last.code, last.outputs["change-failure-rate"], last.outputs["recovery-time-seconds"]) == (
        0,
        "0.25",
        "2700",
    )
    assert "the revision that flux-system/apps reports is recorded already" in last.summary


class TestOfAConfigRepository:
    """An Application whose revision is of acme/manifests, reported to acme/shop."""

    SYNC = argocd_sync(repositories=["https://github.com/acme/manifests"])

    def test_the_answer_is_about_the_repository_that_it_belongs_to(self, tmp_path: Path) -> None:
        for _ in range(2):
            dispatch(tmp_path, flux("A", "21T10:00"), "21T10:01")
        ran = dispatch(tmp_path, self.SYNC, "21T11:01")
        assert ran.outputs["deployment-frequency"]
        assert "reached production" in ran.summary
        assert "last 30 days, shop · production" in ran.summary
        assert "The deployment of argocd/shop belongs to acme/manifests, which its revision is of." in ran.summary
        assert "which is not production" not in ran.summary
        assert "No production deployment is known" not in ran.summary

    def test_a_setting_that_names_the_repository_needs_no_note(self, tmp_path: Path) -> None:
        configure(tmp_path, {"argocd/shop": {"repository": "acme/manifests"}})
        ran = dispatch(tmp_path, self.SYNC, "21T11:01", config=".github/dora.yml")
        assert "belongs to" not in ran.summary
        assert "reached production" in ran.summary


def test_a_redelivery_is_the_same_fact(tmp_path: Path) -> None:
    for payload in (flux("A", "16T10:00"), flagger_hook(), argocd_sync()):
        first, again = (dispatch(tmp_path, payload, time) for time in ("21T11:01", "21T18:00"))
        assert (len(first.facts), len(again.facts)) == (1, 0)


def test_the_settings_say_which_objects_count(tmp_path: Path) -> None:
    configure(tmp_path, {"apps/shop": {"service": "till", "environment": "prod-eu"}, "*": "skip"})
    skipped = dispatch(tmp_path, flux("A", "16T10:00"), "16T10:01")
    assert "Nothing to record: the setting `gitops` skips flux-system/apps" in skipped.summary
    (fact,) = dispatch(tmp_path, flagger_hook(), "21T12:00").facts
    assert (fact["service"], fact["environment"]) == ("till", "prod-eu")


def test_a_wrong_field_is_a_warning_and_records_nothing(tmp_path: Path) -> None:
    run = dispatch(tmp_path, flux_event(timestamp="yesterday"), "21T12:00")
    assert run.code == 0
    assert "client_payload.timestamp: expected a time such as" in run.log
    assert not (tmp_path / "ledger" / "facts").exists()


def test_a_run_that_cannot_read_its_settings_keeps_no_rollout(tmp_path: Path) -> None:
    """The settings may skip it. The job can be run again, with the same event."""
    check_out(tmp_path, {".github/dora.yml": "gitops: {"})
    environment = {"RUNNER_TEMP": str(tmp_path / "temp")}
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    run = run_action(tmp_path, "repository_dispatch", flux_event(), now=now, environment=environment)
    assert run.code == 2
    assert not list((tmp_path / "temp").rglob("*.jsonl"))


# --- From an image tag to a commit ---


class ConfigRepository:
    """acme/shop with a ledger on a branch. Its rollouts name their commits in image tags."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        self.start = datetime(2026, 11, 21, 6, tzinfo=UTC)
        self.first = self.commit("Begin", 0)
        check_out(folder, {".github/dora.yml": json.dumps({"gitops": {"*": {"commit": "image-tag"}}})})

    def commit(self, message: str, hours: int) -> str:
        time = self.start + timedelta(hours=hours)
        return self.repository.commit(
            {f"{message}.txt": message}, message=message, author_date=time, committer_date=time
        )

    def deploy(self, tag: str, config: str, time: str) -> ActionRun:
        """Deploy an image by a commit of the config repository."""
        event = flux_event(config, metadata={"image": f"registry.example/shop:{tag}"}, timestamp=f"2026-11-{time}:00Z")
        now = datetime.fromisoformat(f"2026-11-{time}Z")
        inputs = {"ledger": "branch:dora-metrics", "github-token": self.github.token}
        environment = {"GITHUB_API_URL": self.github.api_url}
        return run_action(self.folder, "repository_dispatch", event, inputs, now=now, environment=environment)

    @property
    def questions(self) -> int:
        """How often GitHub was asked for a commit."""
        return len(self.github.requests_matching("CommitByDigits"))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ConfigRepository]:
    with FakeGitHub(now=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC)) as github:
        yield ConfigRepository(github, tmp_path)


def deployed(run: ActionRun) -> dict[str, object]:
    return next(fact for fact in run.facts if fact["kind"] == "deployment")


def test_an_image_tag_leads_to_the_commit_and_to_a_lead_time(shop: ConfigRepository) -> None:
    """The second commit was made at 07:00 and deployed at 11:00."""
    shop.deploy(f"sha-{shop.first}", "config-1", "21T06:30")
    assert shop.questions == 0, "the tag names it completely"
    second = shop.commit("Faster", 1)
    requests_before = len(shop.github.requests)
    run = shop.deploy(f"sha-{second[:7]}", "config-2", "21T11:00")
    assert deployed(run)["sha"] == second
    assert deployed(run)["changes"] == [f"commit:{second}"]
    assert run.outputs["lead-time-seconds"] == str(4 * 3600)
    assert shop.questions == 1
    assert len(shop.github.requests) - requests_before <= 8
    again = shop.deploy(f"sha-{second[:7]}", "config-3", "21T11:40")
    assert deployed(again)["sha"] == second
    assert shop.questions == 1, "the ledger knows it now"


@pytest.mark.parametrize("name", ["tag", "nothing"])
def test_digits_that_lead_to_no_commit_are_no_commit(shop: ConfigRepository, name: str) -> None:
    """Not even if a branch has these digits as its name."""
    digits = "abcdef1"
    if name == "tag":
        shop.repository.git.update_refs((f"refs/heads/{digits}", shop.first, None))
    run = shop.deploy(digits, "config-1", "21T11:00")
    assert deployed(run)["sha"] is None
    assert shop.questions == 1
    reason = "flux-system/apps has no lead time: no commit of acme/shop, or more than one, begins with abcdef1"
    assert reason in run.summary.replace("\u200b", ""), "the summary breaks what GitHub would link"


def test_another_repository_is_asked_only_if_the_settings_cover_it(shop: ConfigRepository) -> None:
    other = shop.github.repository("acme/till")
    sha = other.commit({"a": "1"}, message="Begin")
    gitops = {"*": {"repository": "acme/till", "commit": "image-tag"}}
    check_out(shop.folder, {".github/dora.yml": json.dumps({"gitops": gitops})})
    assert deployed(shop.deploy(sha[:7], "config-1", "21T10:00"))["sha"] is None
    assert shop.questions == 0
    inputs = {"gitops": gitops, "repositories": ["acme/*"]}
    check_out(shop.folder, {".github/dora.yml": json.dumps(inputs)})
    commit_settings(shop, inputs)
    assert deployed(shop.deploy(sha[:7], "config-2", "21T11:00"))["sha"] == sha


def commit_settings(shop: ConfigRepository, settings: object) -> None:
    """The default branch has to confirm which repositories are read."""
    shop.repository.commit({".github/dora.yml": json.dumps(settings)}, message="Settings")


def test_changes_of_another_repository_are_read_from_it_if_the_settings_cover_it(shop: ConfigRepository) -> None:
    """Its deployments are compared there, and not in the repository of the run."""
    other = shop.github.repository("acme/till")
    shas = [other.commit({f"{n}": "1"}, message=f"Change {n}", author_date=shop.start) for n in range(3)]
    settings: Payload = {"gitops": {"*": {"repository": "acme/till", "commit": "image-tag"}}}
    check_out(shop.folder, {".github/dora.yml": json.dumps(settings)})
    uncovered = [shop.deploy(sha, sha, f"21T0{hour}:00") for hour, sha in zip((8, 9), shas, strict=False)]
    assert [deployed(run)["changes"] for run in uncovered] == [None, None]
    settings = {**settings, "repositories": ["acme/*"]}
    check_out(shop.folder, {".github/dora.yml": json.dumps(settings)})
    commit_settings(shop, settings)
    covered = shop.deploy(shas[2], shas[2], "21T10:00")
    assert deployed(covered)["changes"] == [f"commit:{shas[2]}"]
    assert covered.code == 0
