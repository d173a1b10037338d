"""History and events use the same mappers: a read adds nothing to what the events have recorded."""

from itertools import chain
from typing import Any

import pytest

from dora_metrics.core.facts.merge import changed_facts, prepare_event_facts
from dora_metrics.core.facts.model import Change, Fact
from dora_metrics.core.ledger.layout import LedgerContents, plan_merge
from dora_metrics.core.ledger.layout import parse_ledger as contents
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.policy import Policy
from dora_metrics.github.compare import RepositoryComparer
from dora_metrics.github.events.observe import observe
from dora_metrics.pipeline.enrich import Enricher
from dora_metrics.settings.model import Settings
from fakes import records, rest_views
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import (
    at,
    deploy,
    ledger_after,
    make_client,
    make_history_run,
    merge_pull_request,
    read_fake_history,
)

BASE = "https://api.github.com"


class RecordedByEvents:
    """A repository each of whose events is recorded in a ledger."""

    def __init__(self, github: FakeGitHub, shop: Repository, **inputs: object) -> None:
        self.shop, self.settings = shop, Settings.model_validate({"deployment-source": "auto", **inputs})
        self.before: LedgerContents = contents({})
        history = RepositoryComparer(make_client(github), "acme/shop")
        self.asker = Enricher(history, Policy(), fail)

    def event(self, name: str, payload: dict[str, Any], sha: str = "") -> None:
        run = make_history_run()
        run = type(run)(**{**run.__dict__, "event": name, "sha": sha})
        seen = observe(run, {"repository": {"default_branch": "main"}, **payload}, self.settings, frozenset())
        prepared = (prepare_event_facts(self.before.records_named_like(fact.id), fact) for fact in seen.facts)
        asked = self.asker(tuple(chain.from_iterable(prepared)), self.before)
        self.before = plan_merge(self.before, asked).after

    @property
    def ledger(self) -> dict[str, Fact]:
        return {fact.id: fact for fact in self.before.facts}

    def deployments(self) -> None:
        for made in self.shop.records_of(records.Deployment):
            for status in made.status_history:
                if status.state == "inactive":
                    continue  # starts no run
                shown = {
                    "deployment": rest_views.deployment(BASE, made),
                    "deployment_status": rest_views.deployment_status(BASE, status),
                }
                self.event("deployment_status", shown)

    def pulls(self) -> None:
        for made in self.shop.records_of(records.PullRequest):
            self.event("pull_request", {"action": "closed", "pull_request": rest_views.full_pull(BASE, made)})

    def issue(self, action: str, made: records.Issue, **more: object) -> None:
        self.event("issues", {"action": action, "issue": rest_views.issue(BASE, made), **more})


def fail(outcome: Outcome) -> None:
    raise AssertionError(outcome.detail)


@pytest.fixture
def watched(github: FakeGitHub, shop: Repository) -> RecordedByEvents:
    return RecordedByEvents(github, shop)


def test_deployments_with_any_history_of_statuses(
    github: FakeGitHub, shop: Repository, watched: RecordedByEvents
) -> None:
    deploy(shop, 1)
    made = shop.deployment(status="failure", at=at(2), finished_at=at(2.1), payload={"version": "v9"})
    shop.deployment_status(made, "success", at=at(2.5))
    shop.deployment_status(made, "failure", at=at(2.6))
    other = shop.deployment("staging", status="in_progress", at=at(3), ref="feature")
    shop.deployment_status(other, "error", at=at(3.2))
    shop.deployment(status="queued", at=at(4))
    shop.deployment(task="migrate", at=at(5))
    watched.deployments()
    found = read_fake_history(github)
    assert changed_facts(watched.ledger, found.facts.values()) == ()
    assert found.deployments.keys() == watched.ledger.keys()
    assert len(found.deployments) == 3


@pytest.mark.parametrize("how", ["squash", "merge", "rebase"])
def test_what_deployments_delivered(github: FakeGitHub, shop: Repository, watched: RecordedByEvents, how: str) -> None:
    deploy(shop, 1)
    shop.commit({"a": "1"}, message="Part one", branch="feature", author_date=at(1.2))
    shop.commit({"a": "2"}, message="Part two", branch="feature", author_date=at(1.4))
    pull = shop.pull("Faster", branch="feature", created_at=at(1.5), labels=["hotfix"])
    shop.review(pull, at=at(1.6))
    shop.merge_pull(pull, method=how, at=at(2))  # type: ignore[arg-type]
    shop.commit({"b": "1"}, message="By hand", author_date=at(2.5))
    shop.commit({"b": "2"}, message="A robot", author="renovate[bot]", author_date=at(2.6))
    deploy(shop, 3)
    merge_pull_request(shop, "Bump", 4, author="dependabot[bot]", body="Reverts acme/shop#1")
    deploy(shop, 5)
    watched.pulls()
    watched.deployments()
    found = read_fake_history(github)
    assert changed_facts(watched.ledger, found.facts.values()) == ()
    ledger = watched.ledger
    assert {key: ledger[key] for key in found.facts} == found.facts
    assert len([fact for fact in found.facts.values() if isinstance(fact, Change)]) == 4


def test_releases(github: FakeGitHub, shop: Repository, watched: RecordedByEvents) -> None:
    for tag, prerelease in (("v1.0.0", False), ("v1.1.0-rc1", True)):
        made = shop.release(tag, published_at=at(3), prerelease=prerelease)
        watched.event("release", {"action": "published", "release": rest_views.release(BASE, made)}, sha=made.sha)
    shop.release("v2", draft=True)
    assert changed_facts(watched.ledger, read_fake_history(github).facts.values()) == ()
    assert len(watched.ledger) == 2


def test_runs_with_attempts(github: FakeGitHub, shop: Repository, watched: RecordedByEvents) -> None:
    shop.run("Deploy", at=at(1), finished_at=at(1.2), conclusion="failure")
    shop.run("Deploy", at=at(2), finished_at=at(2.2), attempt=3)
    again = shop.run("Deploy", at=at(2.4), finished_at=at(2.5))
    shop.run("Deploy", at=at(3), branch="feature")
    shop.run("Deploy", at=at(4), branch="v1.2.0")
    shop.run("Deploy", at=at(5), conclusion="cancelled")
    shop.run("CI", at=at(6))
    for made in shop.records_of(records.WorkflowRun):
        shown = {"action": "completed", "workflow_run": rest_views.run(BASE, made)}
        watched.event("workflow_run", {**shown, "workflow": {"name": made.name, "path": made.path}})
    shop.rerun(again, at=at(7), finished_at=at(7.1), conclusion="failure")
    shown = {"action": "completed", "workflow_run": rest_views.run(BASE, again)}
    watched.event("workflow_run", {**shown, "workflow": {"name": again.name, "path": again.path}})
    found = read_fake_history(github)
    assert changed_facts(watched.ledger, found.facts.values()) == ()
    assert found.deployments.keys() == watched.ledger.keys()
    assert len(watched.ledger) == 6


def test_merges_as_pushes(github: FakeGitHub, shop: Repository, watched: RecordedByEvents) -> None:
    sha = merge_pull_request(shop, "Faster", 2)
    payload = {
        "ref": "refs/heads/main",
        "after": sha,
        "repository": {"default_branch": "main", "pushed_at": int(at(2).timestamp())},
        "head_commit": {"timestamp": f"{at(2):%Y-%m-%dT%H:%M:%SZ}"},
    }
    watched.event("push", payload)
    watched.pulls()
    assert changed_facts(watched.ledger, read_fake_history(github).facts.values()) == ()
    assert f"github:push:{sha}" in watched.ledger


def test_incidents_through_all_that_happens_to_them(
    github: FakeGitHub, shop: Repository, watched: RecordedByEvents
) -> None:
    body = "### Severity\n\ncritical\n\n### Detected at\n\n2026-09-01T13:00Z\n"
    made = shop.issue("Checkout answers 500", labels=["incident", "sev2"], body=body, created_at=at(3))
    watched.issue("opened", made)
    assert changed_facts(watched.ledger, read_fake_history(github).facts.values()) == ()
    shop.close(made, at=at(4))
    watched.issue("closed", made)
    shop.reopen(made, at=at(5))
    watched.issue("reopened", made)
    assert changed_facts(watched.ledger, read_fake_history(github).facts.values()) == ()
    shop.close(made, "duplicate", at=at(6))
    watched.issue("closed", made)
    assert changed_facts(watched.ledger, read_fake_history(github).facts.values()) == ()
    assert [fact.retracted for fact in watched.ledger.values()] == [True]


def test_a_service_of_the_settings_and_texts_without_end(github: FakeGitHub, shop: Repository) -> None:
    watched = RecordedByEvents(github, shop, service="till")
    merge_pull_request(shop, "x" * 400, 2, labels=["y" * 400])
    deploy(shop, 3, ref="z" * 400)
    watched.pulls()
    watched.deployments()
    found = read_fake_history(github, service="till")
    assert changed_facts(watched.ledger, found.facts.values()) == ()
    assert {fact.service for fact in found.facts.values()} == {"till"}


def test_the_event_comes_after_the_reading_and_is_no_news_either(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    merge_pull_request(shop, "Faster", 2)
    deploy(shop, 3)
    watched = RecordedByEvents(github, shop)
    ledger = ledger_after({}, read_fake_history(github))
    watched.before = plan_merge(watched.before, ledger.values()).after
    watched.pulls()
    watched.deployments()
    assert watched.ledger == ledger


def test_what_has_succeeded_or_failed_keeps_its_end_when_it_becomes_inactive(
    github: FakeGitHub, shop: Repository
) -> None:
    statuses = (
        ("success",),
        ("in_progress", "inactive"),
        ("success", "inactive"),
        ("failure", "success", "inactive"),
        ("success", "failure", "inactive"),
        ("failure", "inactive"),
    )
    made = [shop.deployment(status=None, at=at(24 * day)) for day in range(len(statuses))]
    for day, (deployment, states) in enumerate(zip(made, statuses, strict=True)):
        for hours, state in enumerate(states):
            status = shop.deployment_status(deployment, "queued", at=at(24 * day + hours))
            status.state = state
    for setting in ("deployments", "auto"):
        inputs: dict[str, Any] = {"deployment-source": setting}
        history = read_fake_history(github, **inputs)
        ends = [history.deployments.get(f"github:deployment:{each.database_id}") for each in made]
        assert [(end.status, end.finished_at) if end else None for end in ends] == [
            ("success", at(0)),
            None,
            ("success", at(48)),
            ("success", at(73)),
            ("success", at(96)),
            ("failure", at(120)),
        ]
