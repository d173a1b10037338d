"""A repository that GitHub's list shows unchanged is not asked; what the list cannot show is late, not lost."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from fakes.faults import custom_answer, partial_errors
from fakes.records import Deployment, PullRequest, Release
from fakes.repository import Repository
from support.github_history import at
from support.many_repositories import add_merged_pull
from support.organisation import HOUR, MINUTE, Organisation

NIGHT = 24 * HOUR


@pytest.fixture(autouse=True)
def _read_twice(acme: Organisation) -> None:
    """The first reading follows the making of the repositories too closely, so it remembers no line of the list."""
    for number in (1, 2):
        sha = acme.api.commit({"version.txt": str(number)}, message="Version", author_date=at(89 + number))
        acme.api.release(f"v{number}", sha=sha)
    acme.sync(after=HOUR)


def asked_by_sync(acme: Organisation, event: str = "schedule", *, after: timedelta = HOUR) -> int:
    """Sync, and return how many requests for news there were."""
    acme.sync(event, after=after)
    return acme.operations.count("News")


def test_only_the_repository_that_the_list_shows_changed_is_asked(acme: Organisation) -> None:
    """That of the ledger is pushed to by each sync."""
    acme.sync(after=HOUR, ledger="branch:dora-metrics")
    observed = acme.read_by_sync(after=HOUR)
    assert observed == []
    assert acme.operations.count("News") == 1
    acme.github.state.repositories["acme/web"].issue("Down", labels=["incident"])
    assert acme.read_by_sync(after=HOUR) == ["acme/web"]
    assert acme.operations.count("News") == 1


def correct_an_old_deployment(repository: Repository) -> None:
    repository.deployment_status(repository.records_of(Deployment)[0], "failure")


def correct_the_newest_deployment(repository: Repository) -> None:
    repository.deployment_status(repository.records_of(Deployment)[-1], "failure")


def edit_the_newest_release(repository: Repository) -> None:
    repository.records_of(Release)[-1].edited_at = repository.state.now()


def edit_an_old_release(repository: Repository) -> None:
    repository.records_of(Release)[0].edited_at = repository.state.now()


def close_an_incident(repository: Repository) -> None:
    repository.close(repository.issue("Slow", labels=["incident"]))


def relabel(repository: Repository) -> None:
    repository.label(repository.records_of(PullRequest)[0], "hotfix")


def push(repository: Repository) -> None:
    repository.commit({"direct.txt": "x"}, message="By hand", author_date=repository.state.now())


@pytest.mark.parametrize(
    "change",
    [correct_the_newest_deployment, edit_the_newest_release, close_an_incident, relabel, push],
    ids=lambda change: change.__name__,
)
def test_a_change_that_the_list_shows_is_read_by_the_next_sync(
    acme: Organisation, change: Callable[[Repository], None]
) -> None:
    acme.now += HOUR
    change(acme.api)
    assert acme.read_by_sync(after=HOUR) == ["acme/api"]


@pytest.mark.parametrize("change", [correct_an_old_deployment, edit_an_old_release], ids=lambda change: change.__name__)
def test_a_change_that_the_list_does_not_show_is_read_within_three_days(
    acme: Organisation, change: Callable[[Repository], None]
) -> None:
    acme.sync_everything("everything")
    acme.now += HOUR
    change(acme.api)
    assert acme.read_by_sync(after=HOUR) == []
    acme.sync_everything("everything")
    read = [acme.read_by_sync(after=NIGHT) for _ in range(3)]
    assert ["acme/api"] in read
    acme.sync_everything("everything")
    assert acme.facts() == acme.facts("everything")


@pytest.mark.parametrize("newer_count", [5, 26, 60])
def test_a_failed_deployment_that_succeeds_late_is_recorded_within_three_days(
    acme: Organisation, newer_count: int
) -> None:
    """Whatever came after it: GitHub shows the newest 25 deployments in the news, and the first page of a reading."""
    failed = acme.api.deployment(status="failure", at=acme.now, finished_at=acme.now)
    for minutes in range(newer_count):
        acme.api.deployment(at=acme.now + minutes * MINUTE, finished_at=acme.now + minutes * MINUTE)
    acme.sync(after=2 * HOUR)
    for _ in range(3):
        acme.sync(after=NIGHT)
    acme.api.deployment_status(failed, "success", at=acme.now + HOUR)
    for _ in range(3):
        acme.sync(after=NIGHT)
    assert acme.facts()[f"github:deployment:{failed.database_id}"]["status"] == "success"


def test_a_failed_deployment_is_followed_for_35_days(acme: Organisation) -> None:
    acme.api.deployment(status="failure", at=acme.now, finished_at=acme.now)
    acme.sync(after=HOUR)
    assert len(acme.cursors()["acme/api"]["deployments"]["anchors"]) == 1
    assert "open" not in acme.cursors()["acme/api"]["deployments"]
    acme.now += 35 * NIGHT
    acme.api.deployment(at=acme.now, finished_at=acme.now)
    acme.sync(after=HOUR)
    assert "anchors" not in acme.cursors()["acme/api"]["deployments"]


def test_a_failed_deployment_among_the_newest_is_no_reason_to_read(acme: Organisation) -> None:
    acme.api.deployment(status="failure", at=acme.now, finished_at=acme.now)
    acme.sync(after=HOUR)
    acme.sync(after=HOUR)
    assert [acme.read_by_sync(after=NIGHT) for _ in range(4)] == [[], [], [], []]


def test_a_person_who_starts_a_sync_sees_what_is_there_now(acme: Organisation) -> None:
    assert asked_by_sync(acme, "workflow_dispatch") == 1
    acme.now += HOUR
    correct_an_old_deployment(acme.api)
    assert acme.read_by_sync("workflow_dispatch") == ["acme/api"]


def test_a_repository_without_deployments_is_read_once_a_week(acme: Organisation) -> None:
    acme.github.repository("acme/library")
    acme.sync(after=HOUR)
    acme.sync(after=HOUR)
    readings = [acme.read_by_sync(after=NIGHT) for _ in range(14)]
    assert readings.count(["acme/library"]) == 2


def merge_only(repository: Repository) -> None:
    add_merged_pull(repository, "Library", at(5))


def deploy_to_staging(repository: Repository) -> None:
    merge_only(repository)
    repository.deployment("staging", at=at(6), finished_at=at(7))


@pytest.mark.parametrize("fill", [merge_only, deploy_to_staging], ids=lambda fill: fill.__name__)
def test_a_repository_without_production_deployments_is_read_once_a_week(
    acme: Organisation, fill: Callable[[Repository], None]
) -> None:
    """Its deployments are its merges, which the list and the news show."""
    fill(acme.github.repository("acme/library"))
    acme.sync(after=HOUR)
    acme.sync(after=HOUR)
    readings = [acme.read_by_sync(after=NIGHT) for _ in range(14)]
    assert readings.count(["acme/library"]) == 2
    assert readings.count([]) == 12


def test_a_push_beside_the_default_branch_is_read_where_runs_may_follow(acme: Organisation) -> None:
    library = acme.github.repository("acme/library")
    merge_only(library)
    acme.sync(after=HOUR)
    acme.sync(after=HOUR)
    library.commit({"release.txt": "x"}, message="Release", branch="release", author_date=acme.now)
    library.pushed_at = acme.now
    library.run("Deploy", event="push", at=acme.now)
    assert acme.read_by_sync(after=HOUR) == ["acme/library"]


def test_a_repository_with_an_issue_and_no_commit_becomes_quiet(acme: Organisation) -> None:
    acme.github.repository("acme/empty", empty=True).issue("Down", labels=["incident"], created_at=at(4))
    acme.sync(after=HOUR)
    acme.sync(after=HOUR)
    readings = [acme.read_by_sync(after=NIGHT) for _ in range(7)]
    assert readings.count(["acme/empty"]) == 1


def test_a_first_workflow_run_that_deploys_is_late_by_a_week_at_most(acme: Organisation) -> None:
    library = acme.github.repository("acme/library")
    acme.sync(after=HOUR)
    acme.sync(after=HOUR)
    library.run("Deploy", event="workflow_dispatch", at=acme.now)
    for _ in range(7):
        acme.sync(after=NIGHT)
    assert any(fact["repository"] == "acme/library" for fact in acme.facts().values() if fact["kind"] == "deployment")


def test_a_run_that_has_not_ended_is_looked_at_every_night(acme: Organisation) -> None:
    library = acme.github.repository("acme/library")
    run = library.run("Deploy", conclusion=None, at=acme.now)
    acme.sync(after=HOUR)
    assert acme.read_by_sync(after=NIGHT) == ["acme/library"]
    run.status, run.conclusion, run.updated_at = "completed", "success", acme.now
    acme.sync(after=NIGHT)
    assert any(fact["repository"] == "acme/library" for fact in acme.facts().values() if fact["kind"] == "deployment")


def test_a_repository_whose_deployments_are_runs_is_read_every_night(acme: Organisation) -> None:
    acme.github.repository("acme/library").run("Deploy", at=at(1))
    acme.sync(after=HOUR)
    for _ in range(4):
        assert acme.read_by_sync(after=NIGHT) == ["acme/library"]


@pytest.mark.parametrize("error", ["FORBIDDEN", "SERVICE_UNAVAILABLE"])
def test_a_list_without_news_is_read_all_the_same(acme: Organisation, error: str) -> None:
    place = "repositoryOwner.repositories.nodes.0.deployments"
    acme.github.fail(partial_errors(place, error), to="OwnedRepositories")
    acme.api.issue("Down", labels=["incident"])
    assert acme.read_by_sync(after=HOUR) == ["acme/api"]
    assert acme.operations.count("News") == 1


def test_a_list_without_news_is_asked_for_them_once(acme: Organisation) -> None:
    acme.github.state.longest_page = 2
    acme.github.fail(custom_answer(403, {"message": "no"}), to="OwnedRepositories")
    acme.sync(after=HOUR)
    assert acme.operations.count("OwnedRepositories") == 1 + 2


def test_an_empty_repository_costs_nothing(acme: Organisation) -> None:
    """It has no commit, and nothing else either."""
    for number in range(3):
        acme.github.repository(f"acme/empty-{number}", empty=True)
    ran = acme.sync(after=HOUR)
    assert "3 repositories are empty" in ran.summary
    assert not any("empty" in name for name in acme.read_by_sync(after=HOUR))
    assert acme.operations.count("News") <= 1


def test_an_empty_repository_with_an_issue_is_read(acme: Organisation) -> None:
    acme.github.repository("acme/empty", empty=True).issue("Down", labels=["incident"])
    assert acme.read_by_sync(after=HOUR) == ["acme/empty"]


def test_only_empty_repositories_are_no_failure(acme: Organisation) -> None:
    for name in ("one", "two"):
        acme.github.repository(f"umbrella/{name}", empty=True)
    ran = acme.sync(after=HOUR, repositories="umbrella/*")
    assert "2 repositories are empty" in ran.summary
    assert "could not be read" not in ran.summary


def test_another_repository_under_the_name_is_read(acme: Organisation) -> None:
    acme.sync(after=HOUR)
    acme.github.state.rename("acme/api", "umbrella/api")
    del acme.github.state.repositories["acme/api"]
    acme.add("api")
    assert acme.read_by_sync(after=HOUR) == ["acme/api"]


def test_of_more_than_twenty_shards_none_asks_the_list_for_news(acme: Organisation) -> None:
    """Each shard would pay for the list of all repositories."""
    acme.github.repository("acme/empty", empty=True)
    assert "1 repository is empty" in acme.sync(after=HOUR, shard="1/1").summary
    assert "is empty" not in acme.sync(after=HOUR, shard="1/21", ledger="branch:shard").summary
