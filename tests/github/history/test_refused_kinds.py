"""A kind that is forbidden or disabled does not affect the others; the note says which permission to grant."""

from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.github.history import read
from dora_metrics.github.history.pages import HistoryPart, HistoryReader
from dora_metrics.runtime import Runtime
from fakes.faults import partial_errors, primary_limit, unavailable
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import NOW, HistoryRead, at, deploy, merge_pull_request, read_fake_history


@pytest.fixture
def private(github: FakeGitHub) -> Repository:
    """A private acme/shop, visible only with permission, with something of every kind."""
    shop = github.repository("acme/shop", private=True)
    deploy(shop, 1)
    merge_pull_request(shop, "Faster", 2)
    deploy(shop, 3)
    shop.issue("Slow", labels=["incident"], created_at=at(4))
    return shop


def failures_by_kind(history: HistoryRead) -> dict[str, str | None]:
    return {failure.kind: failure.permission for failure in history.gathered.failures}


@pytest.mark.usefixtures("private")
def test_without_issues_the_rest_is_there(github: FakeGitHub) -> None:
    one = read_fake_history(github, token=github.grant(issues="none"))
    assert failures_by_kind(one) == {"issues": "issues: read"}
    assert (len(one.deployments), len(one.changes), len(one.incidents)) == (2, 1, 0)
    assert str(one.gathered.failures[0]) == (
        "GitHub did not return incidents: Resource not accessible by integration; "
        "give the job `permissions: issues: read`"
    )


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    ("runner", "advice"),
    [
        ({}, "give the token the permission `issues: read`"),
        ({"GITHUB_ACTIONS": "true"}, "give the job `permissions: issues: read`"),
    ],
    ids=["on a person's machine", "in a job"],
)
def test_a_command_line_says_where_to_grant_the_permission(
    github: FakeGitHub, tmp_path: Path, runner: dict[str, str], advice: str
) -> None:
    token = github.grant(issues="none")
    access = {"GITHUB_TOKEN": token, "GITHUB_API_URL": github.api_url, "GITHUB_WORKSPACE": str(tmp_path)}
    out = StringIO()
    runtime = Runtime({**access, **runner}, BytesIO(), out, out, NOW, lambda _: None)
    cli.run(["sync", "--repository", "acme/shop", "--ledger", "dir:ledger"], runtime)
    assert f"GitHub did not return incidents: Resource not accessible by integration; {advice}" in out.getvalue()


@pytest.mark.usefixtures("private")
def test_a_kind_that_this_version_cannot_read_is_named_and_the_rest_is_there(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_issues_wrongly(reader: HistoryReader) -> Iterator[HistoryPart]:
        yield HistoryPart("issues", notes=(reader.first_pages["issues"].nodes[0]["no such field"],))

    monkeypatch.setattr(read, "read_issues", read_issues_wrongly)
    one = read_fake_history(github)
    (failure,) = one.gathered.failures
    assert str(failure) == (
        "GitHub did not return incidents: its answer cannot be read (KeyError); "
        "the other kinds are recorded, please report this as a bug"
    )
    assert (len(one.deployments), len(one.changes)) == (2, 1)


@pytest.mark.usefixtures("private")
def test_without_pull_requests_no_change_is_guessed_from_commits(github: FakeGitHub) -> None:
    one = read_fake_history(github, token=github.grant(pull_requests="none"))
    assert set(failures_by_kind(one)) == {"pulls", "commits"}
    assert (len(one.deployments), len(one.changes), len(one.incidents)) == (2, 0, 1)
    assert {deployment.changes for deployment in one.deployments.values()} == {None}


def test_without_deployments_nothing_lesser_is_taken_in_their_place_and_the_note_says_so(
    github: FakeGitHub, private: Repository
) -> None:
    private.release("v1", published_at=at(5))
    one = read_fake_history(github, token=github.grant(deployments="none"))
    assert failures_by_kind(one) == {"deployments": "deployments: read"}
    assert one.deployments == {}
    assert "`deployments` of acme/shop could not be read" in one.notes
    named = read_fake_history(github, token=github.grant(deployments="none"), deployment_source="releases")
    assert [deployment.source for deployment in named.deployments.values()] == ["releases"]


def test_without_actions_the_rest_is_there(github: FakeGitHub) -> None:
    shop = github.repository("acme/shop", private=True)
    merge_pull_request(shop, "Faster", 2)
    shop.run(at=at(3))
    one = read_fake_history(github, token=github.grant(actions="none"))
    assert failures_by_kind(one) == {"runs": "actions: read"}
    assert len(one.changes) == 1


def test_issues_that_are_switched_off_are_no_failure(github: FakeGitHub, private: Repository) -> None:
    private.has_issues_enabled = False
    one = read_fake_history(github)
    assert failures_by_kind(one) == {}
    assert "Issues are switched off in acme/shop" in one.notes
    assert len(one.deployments) == 2


@pytest.mark.usefixtures("private")
def test_a_repository_that_may_not_be_seen_is_one_failure(github: FakeGitHub) -> None:
    one = read_fake_history(github, token=github.grant(repositories=set()))
    assert failures_by_kind(one) == {"repository": "contents: read"}
    assert one.facts == {}


@pytest.mark.usefixtures("private")
def test_an_hour_without_requests_left_is_one_failure_without_a_permission(github: FakeGitHub) -> None:
    github.fail(primary_limit(), times=None)
    one = read_fake_history(github)
    assert failures_by_kind(one) == {"repository": None}
    assert "rate limit" in str(one.gathered.failures[0])


@pytest.mark.usefixtures("private")
def test_news_that_do_not_come_are_asked_for_kind_by_kind(github: FakeGitHub) -> None:
    github.fail(unavailable(502), to="NewestItems", times=None)
    one = read_fake_history(github)
    assert failures_by_kind(one) == {}
    assert (len(one.deployments), len(one.changes), len(one.incidents)) == (2, 1, 1)


@pytest.mark.usefixtures("private")
def test_half_an_answer_is_none(github: FakeGitHub) -> None:
    github.fail(partial_errors("repository.issues", "FORBIDDEN"), to="NewestItems", times=None)
    github.fail(partial_errors("repository.issues", "FORBIDDEN"), to="IssuePage", times=None)
    one = read_fake_history(github)
    assert failures_by_kind(one) == {"issues": "issues: read"}
    assert len(one.deployments) == 2
