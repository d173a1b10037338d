"""A list that never ends is read until it repeats itself; then the reading of its kind fails, and says so."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dora_metrics.github.client import UnexpectedAnswerError
from dora_metrics.github.owned_repositories import expand_patterns
from fakes.faults import Fault, RequestInFlight
from fakes.github import FakeGitHub
from fakes.repository import Repository
from fakes.routing import Answer
from support.github_history import HistoryRead, at, make_client, read_fake_history


@dataclass(frozen=True)
class endless(Fault):  # noqa: N801 - read as a verb
    """GraphQL lists that always have one more page, whose token is the first one that they named.

    `ending` is the name of those that end all the same.
    """

    ending: str = ""
    first_tokens: dict[str, str] = field(default_factory=dict)

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        return replace(answer, body=self._endless(answer.body, ""))

    def _endless(self, value: Any, name: str) -> Any:  # noqa: ANN401 - JSON
        match value:
            case {"hasNextPage": _, "endCursor": token} if name != self.ending:
                return {"hasNextPage": True, "endCursor": self.first_tokens.setdefault(name, token)}
            case dict():
                return {key: self._endless(each, name if key == "pageInfo" else key) for key, each in value.items()}
            case list():
                return [self._endless(each, name) for each in value]
            case _:
                return value


@dataclass(frozen=True)
class full_page(Fault):  # noqa: N801
    """A REST list that shows the same hundred items on every page, and says each time that another one follows."""

    items: str
    first_page: list[Any] = field(default_factory=list)

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        self.first_page.extend(() if self.first_page else (answer.body[self.items] * 100)[:100])
        next_page = int(in_flight.request.query.get("page", 1)) + 1
        link = {"Link": f'<https://api.github.com/?page={next_page}>; rel="next"'}
        return replace(answer, body={**answer.body, self.items: self.first_page}, headers={**answer.headers, **link})


def failures(history: HistoryRead) -> str:
    return " ".join(str(failure) for failure in history.gathered.failures)


@pytest.mark.parametrize("operation", ["PullPage", "DeploymentPage", "CommitPage", "IssuePage", "AssociatedPulls"])
def test_a_list_with_the_same_token_again_is_not_read_on(github: FakeGitHub, shop: Repository, operation: str) -> None:
    shop.merge_pull(shop.pull("Add", created_at=at(1)), at=at(2))
    shop.deployment("production", at=at(3), finished_at=at(3.1))
    shop.issue("Down", labels=["incident"], created_at=at(4))
    github.fail(endless(ending="" if operation == "AssociatedPulls" else "associatedPullRequests"), times=None)
    read_fake_history(github)
    assert 1 <= Counter(logged.operation for logged in github.requests)[operation] <= 4


def test_runs_that_come_again_on_every_page_are_not_read_on(github: FakeGitHub, shop: Repository) -> None:
    shop.run(at=at(1), finished_at=at(1.1))
    github.fail(full_page("workflow_runs"), to="GET /repos/*/actions/workflows/*/runs", times=None)
    assert "GitHub shows a page of workflow runs a second time" in failures(read_fake_history(github))
    assert len(github.requests) < 10


def test_workflows_that_come_again_are_not_read_on(github: FakeGitHub, shop: Repository) -> None:
    shop.run(at=at(1), finished_at=at(1.1))
    github.fail(full_page("workflows"), to="GET /repos/*/actions/workflows", times=None)
    assert "GitHub shows a page of workflows a second time" in failures(read_fake_history(github))


@pytest.mark.usefixtures("shop")
def test_an_owner_whose_repositories_never_end_is_an_error(github: FakeGitHub) -> None:
    github.fail(endless(), to="OwnedRepositories", times=None)
    with pytest.raises(UnexpectedAnswerError, match="the repositories of acme a second time"):
        expand_patterns(make_client(github), ["acme/*"])
    assert len(github.requests) == 2
