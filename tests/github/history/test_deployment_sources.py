"""Which deployments are read for each `deployment-source`, and that several sources count nothing twice."""

import pytest

from dora_metrics.core.linking.link import link
from dora_metrics.core.policy import Policy
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import HistoryRead, at, deploy, merge_pull_request, read_fake_history


def deployment_ids_of(history: HistoryRead) -> list[str]:
    return sorted(history.deployments)


def test_production_deployments_are_taken_and_nothing_else_is_asked_for(github: FakeGitHub, shop: Repository) -> None:
    identity = deploy(shop, 1)
    staging = deploy(shop, 2, environment="staging")
    shop.release("v1", published_at=at(3))
    shop.run(at=at(4))
    one = read_fake_history(github)
    assert deployment_ids_of(one) == sorted([identity, staging])
    assert not [logged for logged in github.requests if "actions" in logged.path]
    assert "come from `deployments` (`deployment-source: auto`)" in one.notes


def test_releases_are_taken_where_nothing_reaches_production(github: FakeGitHub, shop: Repository) -> None:
    staging = deploy(shop, 2, environment="staging")
    release = shop.release("v1", published_at=at(3))
    assert deployment_ids_of(read_fake_history(github)) == sorted([staging, f"github:release:{release.database_id}"])


def test_runs_are_taken_where_nothing_is_released(github: FakeGitHub, shop: Repository) -> None:
    run = shop.run("Release to EU", path=".github/workflows/eu.yml", at=at(3))
    shop.run("CI", at=at(4))
    one = read_fake_history(github)
    assert deployment_ids_of(one) == [f"github:run:{run.database_id}"]
    assert "but no production deployment, no published release" in one.notes


def test_merges_are_taken_where_nothing_deploys(github: FakeGitHub, shop: Repository) -> None:
    one, other = merge_pull_request(shop, "One", 2), merge_pull_request(shop, "Two", 3)
    shop.commit({"a": "b"}, message="By hand", author_date=at(4))
    reading = read_fake_history(github)
    assert deployment_ids_of(reading) == sorted([f"github:push:{one}", f"github:push:{other}"])
    assert reading.deployments[f"github:push:{other}"].changes == ("github:pull:acme/shop#2",)
    assert "Past pushes are known only from merges" in reading.notes


def test_what_the_ledger_knows_keeps_worse_sources_out(github: FakeGitHub, shop: Repository) -> None:
    merge_pull_request(shop, "One", 2)
    assert deployment_ids_of(read_fake_history(github, known_sources=frozenset({"workflow-runs"}))) == []


def test_a_list_takes_what_it_names(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    release = shop.release("v1", published_at=at(3))
    run = shop.run("Ship", at=at(4))
    one = read_fake_history(github, deployment_source="releases, workflow-runs", deploy_workflows="Ship")
    assert deployment_ids_of(one) == sorted([f"github:release:{release.database_id}", f"github:run:{run.database_id}"])


def test_none_takes_nothing_and_still_brings_changes_and_incidents(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    merge_pull_request(shop, "One", 2)
    shop.issue("Slow", labels=["incident"], created_at=at(3))
    one = read_fake_history(github, deployment_source="none")
    assert deployment_ids_of(one) == []
    assert len(one.changes) == len(one.incidents) == 1


def test_a_deployment_its_run_its_release_and_its_push_are_one_deployment(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    sha = merge_pull_request(shop, "Faster", 2)
    shop.release("v1", sha=sha, published_at=at(2.5))
    run = shop.run(sha=sha, branch="v1", event="release", at=at(2.5), finished_at=at(3.2))
    made = shop.deployment(sha=sha, ref="v1", at=at(2.9), finished_at=at(3))
    made.status_history[-1].log_url = f"{shop.url}/actions/runs/{run.database_id}/job/1"
    one = read_fake_history(github, deployment_source="deployments, releases, workflow-runs, pushes")
    assert len(one.deployments) == 5
    history = link(one.facts.values(), Policy())
    (line,) = history.timelines.values()
    assert [deployment.id for deployment in line.successes][1:] == [f"github:deployment:{made.database_id}"]
    assert [delivery.change_id for delivery in line.delivered_changes] == ["github:pull:acme/shop#1"]
    assert history.notes == [
        "1 push is not counted, because the deployment of the same commit counts.",
        "1 release is not counted, because the GitHub deployment of the same tag counts.",
        "1 workflow run is not counted, because the deployment or release of the run counts.",
    ]


def test_runs_of_every_page_are_read_and_those_that_had_not_ended_are_read_again(
    github: FakeGitHub, shop: Repository
) -> None:
    for number in range(130):
        shop.run(at=at(2 + number))
    waiting = shop.run(at=at(1900), conclusion=None)
    for number in range(120):
        shop.run(at=at(1901 + number / 10))
    first = read_fake_history(github)
    assert len(first.deployments) == 250
    assert first.requests == 5, "news, workflows, three pages"
    waiting.status, waiting.conclusion, waiting.updated_at = "completed", "success", at(1940)
    second = read_fake_history(github, cursors=first.cursors, known_sources=frozenset({"workflow-runs"}))
    assert second.deployments.keys() - first.deployments.keys() == {f"github:run:{waiting.database_id}"}
    assert second.requests <= 4


def test_more_runs_than_github_shows_of_a_list_are_read_by_their_age(github: FakeGitHub, shop: Repository) -> None:
    for number in range(1150):
        shop.run(at=at(number))
    assert len(read_fake_history(github).deployments) == 1150


@pytest.mark.parametrize("longest_page", [99, 7])
def test_a_page_with_fewer_runs_than_requested_is_not_the_last(
    github: FakeGitHub, shop: Repository, longest_page: int
) -> None:
    for number in range(30):
        shop.run(f"Deploy {number}", path=f".github/workflows/deploy-{number}.yml", at=at(number))
    for number in range(110):
        shop.run("Deploy 0", path=".github/workflows/deploy-0.yml", at=at(30 + number))
    github.state.longest_page = longest_page
    assert len(read_fake_history(github, deployment_source="workflow-runs").deployments) == 140


def test_runs_beyond_those_of_a_list_are_read_if_its_pages_have_fewer_than_requested(
    github: FakeGitHub, shop: Repository
) -> None:
    for number in range(1150):
        shop.run(at=at(number))
    github.state.longest_page = 99
    assert len(read_fake_history(github).deployments) == 1150


def test_releases_that_were_given_up_are_not_taken(github: FakeGitHub, shop: Repository) -> None:
    shop.release("v1", published_at=at(3))
    run = shop.run(at=at(24 * 190))
    shop.commit({"a": "b"}, message="Later", author_date=at(24 * 183.2))
    history = read_fake_history(github, now=at(24 * 200))
    assert deployment_ids_of(history) == [f"github:run:{run.database_id}"]
    assert (
        "no recent release (its newest release is from 2026-09-01, 183 days before the newest commit)" in history.notes
    )


def test_releases_are_a_habit_as_long_as_the_newest_commit_is_within_180_days(
    github: FakeGitHub, shop: Repository
) -> None:
    release = shop.release("v1", published_at=at(3))
    shop.run(at=at(24 * 170))
    shop.commit({"a": "b"}, message="Later", author_date=at(24 * 179))
    history = read_fake_history(github, now=at(24 * 400))
    assert deployment_ids_of(history) == [f"github:release:{release.database_id}"]


def test_releases_that_the_ledger_holds_and_those_that_the_setting_names_are_taken_at_any_age(
    github: FakeGitHub, shop: Repository
) -> None:
    release = shop.release("v1", published_at=at(3))
    shop.commit({"a": "b"}, message="Later", author_date=at(24 * 300))
    for known, setting in ((frozenset({"releases"}), "auto"), (frozenset[str](), "releases")):
        history = read_fake_history(github, known_sources=known, deployment_source=setting)
        assert deployment_ids_of(history) == [f"github:release:{release.database_id}"]
