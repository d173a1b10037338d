"""A sync asks twenty repositories in one request for news, and reads only those that may have some."""

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes.faults import custom_answer, meanwhile, partial_errors, unavailable
from fakes.records import Alert, Deployment, Issue, PullRequest
from fakes.repository import Repository
from support.github_history import NOW, at, deploy
from support.many_repositories import add_merged_pull
from support.organisation import HOUR, MINUTE, Organisation
from support.runs import deployment_status
from support.steps import count_steps

ALL = ["acme/api", "acme/shop", "acme/web"]


def test_without_news_twenty_repositories_take_one_request(acme: Organisation) -> None:
    for number in range(19):
        acme.add(f"service-{number}")
    acme.sync()
    head = acme.shop.head("dora-metrics")
    ran = acme.sync()
    assert "nothing new" in ran.summary
    assert sorted(acme.operations) == ["Ledger", "News", "News", "OwnedRepositories"]
    assert acme.shop.head("dora-metrics") == head


def test_what_readers_are_told_is_the_same_as_after_a_complete_reading(acme: Organisation) -> None:
    quiet = acme.sync()
    acme.github.fail(custom_answer(403, {"message": "Resource not accessible"}), to="News", times=None)
    assert re.sub(r"\d+ requests", "3 requests", acme.sync().summary) == quiet.summary


def test_one_repository_alone_is_read_at_once(acme: Organisation) -> None:
    assert acme.read_by_sync(repositories="acme/api") == ["acme/api"]
    assert "News" not in acme.operations


# --- what is news ---


def now(repository: Repository) -> datetime:
    return repository.state.now()


def merge(repository: Repository) -> None:
    add_merged_pull(repository, "One more", now(repository))


def relabel(repository: Repository) -> None:
    repository.label(repository.records_of(PullRequest)[0], "hotfix")


def open_incident(repository: Repository) -> None:
    repository.issue("Down", labels=["incident"])


def open_two_incidents_at_once(repository: Repository) -> None:
    open_incident(repository)
    open_incident(repository)


def deploy_again(repository: Repository) -> None:
    repository.deployment()


def begin_deployment(repository: Repository) -> None:
    repository.deployment(status="in_progress")


def correct_an_old_deployment(repository: Repository) -> None:
    repository.deployment_status(repository.records_of(Deployment)[0], "failure")


def release(repository: Repository) -> None:
    repository.release(f"v1.{len(repository.records)}")


def release_an_old_commit(repository: Repository) -> None:
    repository.release(f"v0.{len(repository.records)}", sha=repository.records_of(PullRequest)[0].shas[0])


def commit(repository: Repository) -> None:
    repository.commit({"direct.txt": "x"}, message="By hand", author_date=now(repository))


def switch_issues_off(repository: Repository) -> None:
    repository.has_issues_enabled = False


def forget_a_deployment(repository: Repository) -> None:
    repository.records.remove(repository.records_of(Deployment)[0])


EVENTS = [
    merge,
    relabel,
    open_incident,
    open_two_incidents_at_once,
    deploy_again,
    begin_deployment,
    correct_an_old_deployment,
    release,
    release_an_old_commit,
    commit,
    switch_issues_off,
    forget_a_deployment,
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_only_a_repository_with_news_is_read(acme: Organisation, event: Callable[[Repository], None]) -> None:
    acme.now += HOUR
    event(acme.api)
    assert acme.read_by_sync(after=HOUR) == ["acme/api"]
    left_open = ["acme/api"] if event is begin_deployment else []
    assert acme.read_by_sync(after=HOUR) == left_open


@pytest.mark.parametrize("change", ["published again", "promoted", "tag moved"])
def test_a_release_that_changes_is_news(acme: Organisation, change: str) -> None:
    release = acme.api.release("v1", published_at=at(90), prerelease=True)
    acme.sync(after=HOUR)
    assert acme.read_by_sync() == []
    if change == "published again":
        release.published_at = at(91)
    elif change == "promoted":
        acme.api.promote(release, at=at(92))
    else:
        release.sha = acme.api.records_of(PullRequest)[0].shas[0]
        acme.api.tag("v1", release.sha)
    assert acme.read_by_sync() == ["acme/api"]


def test_an_issue_that_loses_its_label_is_news(acme: Organisation) -> None:
    open_incident(acme.api)
    acme.sync(after=HOUR)
    acme.api.unlabel(acme.api.records_of(Issue)[0], "incident")
    assert acme.read_by_sync(after=HOUR) == ["acme/api"]
    assert any(fact["retracted"] for fact in acme.facts().values())


def test_a_renamed_repository_is_read(acme: Organisation) -> None:
    acme.github.state.rename("acme/api", "acme/backend")
    del acme.github.state.repositories["acme/api"]
    assert acme.read_by_sync() == ["acme/backend"]
    assert acme.read_by_sync() == []


def test_a_former_name_in_the_settings_is_read_every_time(acme: Organisation) -> None:
    acme.github.state.rename("acme/api", "acme/backend")
    listed = {"repositories": "acme/api, acme/shop, acme/web"}
    assert "acme/api" in acme.read_by_sync(**listed)
    assert "acme/api" in acme.read_by_sync(**listed)


def test_a_repository_with_both_names_in_the_settings_is_read_once(acme: Organisation) -> None:
    acme.sync()
    acme.github.state.rename("acme/api", "acme/backend")
    for names in ("acme/shop, acme/backend", "acme/api, acme/backend", "acme/api, acme/backend"):
        ran = acme.sync(after=HOUR, repositories=names)
    assert "Read the history of acme/backend: nothing new" in ran.summary


def test_another_repository_under_the_name_is_read(acme: Organisation) -> None:
    acme.github.state.rename("acme/api", "umbrella/api")
    del acme.github.state.repositories["acme/api"]
    acme.add("api")
    assert acme.read_by_sync() == ["acme/api"]


# --- what is not sure ---


@pytest.mark.parametrize(("minutes", "is_read"), [(0, True), (19, True), (21, False)])
def test_what_has_just_changed_is_read_once_more(acme: Organisation, minutes: int, is_read: bool) -> None:  # noqa: FBT001
    """A second change in the same second would not show."""
    add_merged_pull(acme.api, "Just now", acme.now - minutes * MINUTE)
    acme.sync()
    assert acme.read_by_sync() == (["acme/api"] if is_read else [])


def test_two_changes_of_one_second_are_both_recorded(acme: Organisation) -> None:
    open_issue = acme.api.issue("Slow", created_at=acme.now)
    acme.sync()
    acme.api.label(open_issue, "incident", at=acme.now)
    acme.sync()
    assert any(fact["kind"] == "incident" for fact in acme.facts().values())


def test_a_change_while_a_repository_is_read_is_read_again(acme: Organisation) -> None:
    merge(acme.api)
    acme.github.fail(meanwhile(lambda: deploy(acme.api, 103), applied=True), to="News")
    acme.sync(after=HOUR)
    assert acme.read_by_sync(after=HOUR) == ["acme/api"]
    assert acme.read_by_sync(after=HOUR) == []


def test_a_deployment_that_has_not_ended_is_looked_at_every_time(acme: Organisation) -> None:
    begin_deployment(acme.api)
    for _ in range(3):
        assert acme.read_by_sync() == ["acme/api"]


def test_a_repository_is_read_until_nothing_is_left_of_it(acme: Organisation) -> None:
    merge(acme.api)
    acme.github.fail(unavailable(502), to="NewestItems", times=None)
    acme.github.fail(unavailable(502), to="RepositoryInfo", times=None)
    acme.sync(after=HOUR)
    acme.github.heal()
    assert acme.read_by_sync() == ["acme/api"]
    assert acme.read_by_sync() == []


@pytest.mark.parametrize("kind", ["pulls", "deployments", "issues"])
def test_a_kind_that_failed_is_read_by_the_next_sync(acme: Organisation, kind: str) -> None:
    merge(acme.api)
    queries = {"pulls": "PullPage", "deployments": "DeploymentPage", "issues": "IssuePage"}
    acme.github.fail(unavailable(502), to="NewestItems", times=None)
    acme.github.fail(unavailable(502), to=queries[kind], times=None)
    acme.sync(after=2 * HOUR)
    acme.github.heal()
    assert "news" not in acme.cursors()["acme/api"]
    assert acme.read_by_sync() == ["acme/api"]


def test_jobs_that_are_left_to_read_are_read(acme: Organisation) -> None:
    run = acme.api.run("Deploy", at=at(120))
    acme.api.job_deployment(run, started_at=at(120), finished_at=at(121))
    acme.github.fail(partial_errors("nodes.0.conclusion", "FORBIDDEN"), to="JobsById", times=None)
    acme.sync()
    acme.github.heal()
    assert acme.read_by_sync() == ["acme/api"]
    assert acme.read_by_sync() == []


def test_a_comparison_without_an_answer_is_made_by_the_next_sync(acme: Organisation) -> None:
    sha = acme.api.commit({"hotfix.txt": "x"}, message="Beside", branch="side", author_date=at(130))
    deployment_id = deploy(acme.api, 131, sha=sha)
    for operation in ("SideCommits", "GET /repos/acme/api/compare/*", "PullsByCommit"):
        acme.github.fail(unavailable(502), to=operation, times=None)
    acme.sync()
    acme.github.heal()
    assert acme.read_by_sync() == []
    deployment = next(fact for fact in acme.facts().values() if fact["id"] == deployment_id)
    assert deployment["changes"] == [f"commit:{sha}"]


@pytest.mark.parametrize(
    "setting",
    [
        {"incident-labels": "outage"},
        {"deployment-source": "deployments, releases"},
        {"production-environments": "production, live"},
        {"service": "everything"},
        {"security": "dependabot, code-scanning"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_other_settings_read_everything_once(acme: Organisation, setting: dict[str, str]) -> None:
    assert acme.read_by_sync(**setting) == ALL
    assert acme.read_by_sync(**setting) == []


def test_reaching_further_back_reads_everything_once(acme: Organisation) -> None:
    limited: dict[str, Any] = {"since": "90d", "ledger": "branch:other"}
    acme.sync(**limited)
    assert acme.read_by_sync(**limited) == []
    assert acme.read_by_sync(ledger="branch:other") == ALL


@pytest.mark.parametrize(("source", "read"), [("workflow-runs", ALL), ("pushes", [])])
def test_where_runs_are_deployments_everything_is_read(acme: Organisation, source: str, read: list[str]) -> None:
    """Where pushes are, these are merged pull requests, which GitHub shows."""
    setting: dict[str, Any] = {"deployment-source": source}
    acme.sync(**setting)
    assert acme.read_by_sync(**setting) == read


def test_a_repository_whose_deployments_may_be_runs_is_read(acme: Organisation) -> None:
    acme.github.repository("acme/empty")
    acme.sync()
    assert acme.read_by_sync() == ["acme/empty"]


def test_a_repository_that_github_does_not_show_completely_is_read(acme: Organisation) -> None:
    acme.github.fail(partial_errors("slot0.issues", "FORBIDDEN"), to="News", times=None)
    assert acme.read_by_sync() == ["acme/api"]


def test_without_an_answer_about_news_everything_is_read(acme: Organisation) -> None:
    acme.github.fail(unavailable(502), to="News", times=None)
    assert acme.read_by_sync() == ALL


def test_after_a_request_that_took_too_long_fewer_repositories_are_asked_at_once(acme: Organisation) -> None:
    for number in range(13):
        acme.add(f"service-{number:02}")
    acme.sync()
    acme.github.fail(unavailable(502), to="News", times=3)
    assert acme.read_by_sync() == []
    assert acme.operations.count("News") > 3 + 1


def test_a_ledger_without_its_cursors_is_read_again(acme: Organisation) -> None:
    facts = acme.facts()
    acme.shop.git.run("update-ref", "-d", "refs/heads/dora-metrics")
    assert acme.read_by_sync() == ALL
    assert acme.facts() == facts


def test_a_ledger_that_was_deleted_while_it_was_read_gets_no_memory_of_news(acme: Organisation) -> None:
    """It lacks what the reading left out, so the next one must not leave it out again."""
    facts = acme.facts()
    merge(acme.api)

    def delete() -> None:
        acme.shop.git.run("update-ref", "-d", "refs/heads/dora-metrics")

    acme.github.fail(meanwhile(delete), to="Append")
    acme.sync()
    acme.sync()
    assert acme.facts().items() >= facts.items()


def test_a_ledger_that_was_replaced_by_an_older_one_gets_no_memory_of_news(acme: Organisation) -> None:
    """It lacks what an earlier sync recorded, and this one did not read again."""
    older = str(acme.shop.head("dora-metrics"))
    for minutes in range(30):  # more than a reading begins with
        add_merged_pull(acme.api, f"Pull {minutes}", acme.now + minutes * MINUTE)
    acme.sync(after=HOUR)
    facts = acme.facts()
    open_incident(acme.api)

    def put_older_one_in_place() -> None:
        acme.shop.git.run("update-ref", "refs/heads/dora-metrics", older)

    acme.github.fail(meanwhile(put_older_one_in_place), to="Append")
    acme.sync(after=HOUR)
    acme.sync(after=HOUR)
    assert acme.facts().keys() >= facts.keys()


# --- security alerts ---


def alert(repository: Repository) -> Alert:
    return repository.alert()


def vulnerabilities(acme: Organisation) -> int:
    return sum(fact["kind"] == "vulnerability" for fact in acme.facts().values())


def test_alerts_are_read_again_after_a_night_and_nothing_else(acme: Organisation) -> None:
    alert(acme.api)
    assert acme.read_by_sync(after=HOUR) == []
    assert vulnerabilities(acme) == 0
    assert acme.read_by_sync(after=20 * HOUR) == []
    assert vulnerabilities(acme) == 1
    assert sum("alerts" in operation for operation in acme.operations) == 3
    acme.sync(after=HOUR)
    assert not any("alerts" in operation for operation in acme.operations)


def test_a_person_who_starts_a_sync_sees_the_alerts_of_now(acme: Organisation) -> None:
    alert(acme.api)
    assert acme.read_by_sync("workflow_dispatch") == []
    assert vulnerabilities(acme) == 1


def test_alerts_that_could_not_be_read_are_read_by_the_next_sync(acme: Organisation) -> None:
    alert(acme.api)
    acme.github.fail(unavailable(502), to="GET /repos/acme/api/dependabot/alerts", times=None)
    acme.sync(after=20 * HOUR)
    acme.github.heal()
    acme.sync(after=HOUR)
    assert vulnerabilities(acme) == 1


def test_a_refusal_of_requested_alerts_is_reported_every_time(acme: Organisation) -> None:
    acme.github.fail(custom_answer(403, {"message": "no"}), to="GET /repos/acme/api/dependabot/alerts", times=None)
    for _ in range(3):
        assert "GitHub answered 403" in acme.sync(security="dependabot").log


def test_refused_alerts_are_asked_for_once_a_week_each_repository_on_a_day_of_its_own(acme: Organisation) -> None:
    for number in range(18):
        acme.add(f"service-{number:02}")
    acme.github.fail(custom_answer(403, {"message": "no"}), to="GET /repos/*/dependabot/alerts", times=None)
    acme.sync(after=HOUR)
    paths = [[path for path in operations if "alerts" in path] for operations in nights(acme, 8)]
    assert max(map(len, paths)) <= 8
    assert len({path for night in paths for path in night}) == 21


def nights(acme: Organisation, count: int) -> Iterator[list[str]]:
    """Sync once a day, and yield the requests of each day."""
    for _ in range(count):
        acme.sync(after=24 * HOUR)
        yield acme.operations


# --- the same facts ---


def test_a_report_that_only_the_ledger_has_is_linked(acme: Organisation) -> None:
    payload = deployment_status(99, at="2026-09-06T00:00:00Z", sha=acme.shop.head(), created_at="2026-09-05T23:00:00Z")
    for branch in ("dora-metrics", "everything"):
        acme.sync_everything(branch)
        acme.run("deployment_status", payload, ledger=f"branch:{branch}")
    acme.sync()
    acme.sync_everything("everything")
    assert acme.facts() == acme.facts("everything")


@pytest.mark.parametrize("seed", range(4))
def test_with_news_a_sync_records_the_same_facts_as_a_sync_that_reads_everything(acme: Organisation, seed: int) -> None:
    chance = random.Random(seed)
    acme.sync_everything("everything")
    for day in range(1, 6):
        acme.now = NOW + timedelta(days=day)
        for repository in (acme.shop, acme.api, acme.web):
            for event in chance.sample([*EVENTS, alert], chance.choice([0, 0, 1, 3])):
                event(repository)
        acme.sync(after=chance.choice([0, 1]) * HOUR)
        acme.sync_everything("everything")
        assert acme.facts() == acme.facts("everything")


def test_the_news_are_a_small_part_of_the_cursors(acme: Organisation) -> None:
    news = acme.cursors()["acme/api"]["news"]
    assert len(json.dumps(news)) < 250


# --- how much work a quiet sync is ---

FEW, MANY = 5, 29
ALLOWED_RATIO = 5.5
"""Four times the repositories take four to five times the steps; looking at all facts for each took nearly seven."""


def test_the_work_of_a_quiet_sync_is_in_proportion_to_the_repositories(acme: Organisation) -> None:
    few = _steps_of_quiet_sync_with(acme, range(FEW))
    many = _steps_of_quiet_sync_with(acme, range(FEW, MANY))
    assert many / few < ALLOWED_RATIO


def _steps_of_quiet_sync_with(organisation: Organisation, new_numbers: range) -> int:
    """Add repositories with 40 deployments each, and return the steps of the second sync after that."""
    for number in new_numbers:
        repository = organisation.add(f"service-{number}")
        for hour in range(40):
            deploy(repository, hour)
    organisation.sync()
    return count_steps(organisation.sync)
