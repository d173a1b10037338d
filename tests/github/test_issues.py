"""Issues of reports: one request for each thing that is done, and answers that are no issues."""

import json

import pytest

from dora_metrics.github.client import Client, ForbiddenError, UncertainOutcomeError
from dora_metrics.github.issues import GitHubIssue, ReportIssueTracker
from dora_metrics.github.pygithub import RepositoryIssues
from support.mocked_http import MockedHost, mocked
from support.servers import Answer

URL = "https://github.com/acme/shop/issues/7"
ISSUE = {"number": 7, "html_url": URL, "url": "https://api.github.com/repos/acme/shop/issues/7", "state": "open"}


def client(github: MockedHost) -> Client:
    return Client("ghs_s3cret", f"{github.url}/api/v3", lambda _: None)


def answer(**fields: object) -> Answer:
    return Answer(200, json.dumps(fields).encode())


def test_everything_that_is_done_with_an_issue_is_one_request() -> None:
    written = {**ISSUE, "title": "A week"}
    answers = [
        answer(**ISSUE, body="words", title="t"),
        answer(**written, body="Its text"),
        answer(**written, body="Other text"),
        answer(**{**written, "state": "closed"}, body="Other text"),
    ]
    with mocked(*answers) as github:
        tracker = ReportIssueTracker(client(github), "acme/shop", ("dora",))
        assert tracker.get_issue(7) == GitHubIssue(7, URL, "words", is_open=True)
        RepositoryIssues(tracker.client, "acme/shop").create("A week", "Its text", ("dora", "weekly"))
        tracker.update(7, "A week", "Other text")
        tracker.close(7)
    path = "/api/v3/repos/acme/shop/issues"
    assert [(one.method, one.path, one.body and one.json) for one in github.requests] == [
        ("GET", f"{path}/7", b""),
        ("POST", path, {"title": "A week", "body": "Its text", "labels": ["dora", "weekly"]}),
        ("PATCH", f"{path}/7", {"title": "A week", "body": "Other text"}),
        ("PATCH", f"{path}/7", {"state": "closed", "state_reason": "completed"}),
    ]
    assert tracker.client.request_count == 4


def test_an_issue_without_a_body_is_one_with_an_empty_body() -> None:
    with mocked(answer(**{**ISSUE, "state": "closed"}, body=None)) as github:
        issue = ReportIssueTracker(client(github), "acme/shop", ()).get_issue(7)
    assert issue == GitHubIssue(7, URL, "", is_open=False)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"message": "hello"},
        {**ISSUE, "number": "seven"},
        {**ISSUE, "body": ["words"]},
        {**ISSUE, "html_url": None},
        {"html_url": URL, "url": 5},
        {**ISSUE, "state": {"open": True}},
    ],
)
def test_an_answer_that_is_no_issue_is_an_error_with_a_name(fields: dict[str, object]) -> None:
    with mocked(answer(**fields)) as github:
        issues = RepositoryIssues(client(github), "acme/shop")
        with pytest.raises(UncertainOutcomeError, match="not an issue"):
            issues.get(7)
        with pytest.raises(UncertainOutcomeError, match="not an issue"):
            issues.create("t", "b", ())
    assert len(github.requests) == 2


def test_another_issue_than_the_one_that_was_read_is_an_error_with_a_name() -> None:
    with mocked(answer(**{**ISSUE, "number": 8})) as github, pytest.raises(UncertainOutcomeError, match="not an issue"):
        RepositoryIssues(client(github), "acme/shop").get(7)


WRITTEN = {**ISSUE, "title": "t", "body": "b\nc"}
CLOSED = {**WRITTEN, "state": "closed"}


@pytest.mark.parametrize(
    "fields", [{}, {"message": "ok"}, {"url": 5}, *({**CLOSED, name: "6"} for name in ("number", "state"))]
)
def test_an_issue_counts_as_closed_only_if_the_answer_says_so(fields: dict[str, object]) -> None:
    with mocked(answer(**fields)) as github, pytest.raises(UncertainOutcomeError, match="not an issue"):
        RepositoryIssues(client(github), "acme/shop").close(7)


@pytest.mark.parametrize("changed", [{"title": "another"}, {"body": "b"}, {"body": None}, {"title": None}])
def test_a_text_counts_as_written_only_if_the_answer_shows_it(changed: dict[str, object]) -> None:
    with mocked(answer(**WRITTEN | changed)) as github:
        issues = RepositoryIssues(client(github), "acme/shop")
        with pytest.raises(UncertainOutcomeError, match=f"not an issue with the {next(iter(changed))}"):
            issues.update(7, "t", "b\nc")
        with pytest.raises(UncertainOutcomeError, match=f"not an issue with the {next(iter(changed))}"):
            issues.create("t", "b\nc", ())


@pytest.mark.parametrize("fields", [{}, {"message": "ok"}, {"url": 5}, {**WRITTEN, "number": 8}])
def test_an_update_that_is_answered_with_something_else_is_an_error_with_a_name(fields: dict[str, object]) -> None:
    with mocked(answer(**fields)) as github, pytest.raises(UncertainOutcomeError, match="not an issue"):
        RepositoryIssues(client(github), "acme/shop").update(7, "t", "b\nc")


def test_line_ends_and_white_space_that_github_changes_are_no_difference() -> None:
    with mocked(answer(**{**WRITTEN, "body": "b\r\nc"})) as github:
        RepositoryIssues(client(github), "acme/shop").update(7, "t ", "b\nc\n")
    assert len(github.requests) == 1


def test_labels_that_an_account_may_not_set_are_left_out_and_the_issue_counts() -> None:
    with mocked(answer(**WRITTEN, labels=[])) as github:
        assert RepositoryIssues(client(github), "acme/shop").create("t", "b\nc", ("dora",)).number == 7


def test_failures_have_the_meaning_that_they_have_everywhere() -> None:
    with mocked(Answer(403, b'{"message": "Resource not accessible by integration"}')) as github:
        tracker = ReportIssueTracker(client(github), "acme/shop", ())
        with pytest.raises(ForbiddenError, match="Resource not accessible"):
            tracker.get_issue(7)
        with pytest.raises(ForbiddenError, match="Resource not accessible"):
            tracker.close(7)
