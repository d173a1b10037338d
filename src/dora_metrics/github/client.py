"""GitHub's API through PyGithub: bounded in time, no POST repeated blindly, every failure with a meaning.

PyGithub's own defaults would send a POST ten times, wait an hour for a rate limit, and pause a quarter of a second
before every request. GraphQL is POST, so what may be repeated is repeated here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from github import Auth, Github, GithubException, GithubRetry
from requests import RequestException

from dora_metrics.github import queries

_TRIES = 3
_SERVER_ERRORS = range(500, 600)
_FORBIDDEN, _TOO_MANY = 403, 429


class GitHubError(Exception):
    """GitHub did not do what was asked; the message says what happened, why usually, and what to do."""


class StaleHeadError(GitHubError):
    """Somebody else wrote first."""


class NotFoundError(GitHubError):
    """It is not there, or the token may not see it."""


class ForbiddenError(GitHubError):
    """The token may not do this."""


class UnsureError(GitHubError):
    """No answer came: it may have been done or not."""


@dataclass
class Client:
    """One token's view of one GitHub; counts its requests."""

    token: str = field(repr=False)
    api_url: str
    pause: Callable[[float], None]
    timeout_seconds: int = 15
    requests: int = 0

    @cached_property
    def _github(self) -> Github:
        retry = GithubRetry(total=_TRIES - 1, backoff_factor=1, allowed_methods={"GET", "HEAD"}, max_rate_limit_wait=60)
        return Github(
            auth=Auth.Token(self.token),
            base_url=self.api_url.rstrip("/"),
            timeout=self.timeout_seconds,
            retry=retry,
            per_page=100,
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        )

    def query(self, name: str, variables: Mapping[str, object], slots: Sequence[str] = ()) -> dict[str, Any]:
        """The data of a query of `queries/`; asked again after a server's failure.

        Args:
            name: of the query.
            variables: of the query.
            slots: where the query has a line for one, what each of its copies is asked for (`queries.repeated`).

        Raises:
            GitHubError: by meaning.
        """
        text = queries.text(name)
        if slots:
            text = queries.repeated(text, len(slots))
        given = {**variables, **{f"slot{number}": slot for number, slot in enumerate(slots)}}
        for attempt in range(1, _TRIES + 1):
            try:
                return self._graphql(text, given)
            except UnsureError:
                if attempt == _TRIES:
                    raise
                self.pause(attempt)
        raise AssertionError

    def mutate(self, name: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """The data of a mutation, asked once.

        Raises:
            GitHubError: by meaning; UnsureError where it may have been done.
        """
        return self._graphql(queries.text(name), variables)

    def get(self, path: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        """A REST GET; PyGithub asks again after a server's failure.

        Raises:
            GitHubError: by meaning.
        """
        return self._asked(
            lambda: self._github.requester.requestJsonAndCheck("GET", path, parameters=dict(parameters))[1]
        )

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """A REST POST, once.

        Raises:
            GitHubError: by meaning.
        """
        return self._asked(lambda: self._github.requester.requestJsonAndCheck("POST", path, input=dict(body))[1])

    def _graphql(self, text: str, variables: Mapping[str, object]) -> dict[str, Any]:
        answer = self._asked(lambda: self._github.requester.graphql_query(text, dict(variables))[1])
        found: dict[str, Any] = answer["data"]
        return found

    def _asked(self, ask: Callable[[], Any]) -> dict[str, Any]:
        self.requests += 1
        try:
            found: dict[str, Any] = ask()
        except GithubException as problem:
            raise _meaning(problem) from None
        except RequestException as problem:
            raise UnsureError(
                f"GitHub gave no answer ({type(problem).__name__}); it may be down or out of reach"
            ) from None
        return found


def owner_and_name(repository: str) -> dict[str, object]:
    """`owner/name` as the variables of a query."""
    owner, _, name = repository.partition("/")
    return {"owner": owner, "name": name}


def _meaning(problem: GithubException) -> GitHubError:  # noqa: PLR0911 - one a meaning
    """What an answer of GitHub's means, whether it came as a status or inside an HTTP 200."""
    kind, said = _first_error(problem)
    match kind, problem.status:
        case ("STALE_DATA", _):
            return StaleHeadError(said)
        case ("NOT_FOUND", _) | (_, 404):
            return NotFoundError(f"not found, or the token may not see it ({said})")
        case _ if _is_limit(kind, problem.status, said):
            return GitHubError(f"the token's rate limit is used up ({said}); it is renewed every hour")
        case ("FORBIDDEN", _) | (_, 403):
            return ForbiddenError(said)
        case (_, 401):
            return ForbiddenError(f"the token is not valid ({said})")
        case (_, status) if status in _SERVER_ERRORS:
            return UnsureError(f"GitHub answered {status}; try again later")
        case _:
            return GitHubError(said)


def _is_limit(kind: str, status: int, said: str) -> bool:
    """A 403 may also be a missing permission; only its words tell."""
    by_words = status == _FORBIDDEN and "rate limit" in said.lower()
    return kind in ("RATE_LIMITED", "RATE_LIMIT") or status == _TOO_MANY or by_words


def _first_error(problem: GithubException) -> tuple[str, str]:
    match problem.data:
        case {"errors": [{"message": str(said), **rest}, *_]}:
            return str(rest.get("type", "")), said
        case {"message": str(said)}:
            return "", said
        case _:
            return "", f"status {problem.status}"
