"""PyGithub's objects on our own client.

An object sends its requests through `Client`, so that retries, waits, deadlines, counting and errors are the same as
everywhere; PyGithub's own are off. Importing PyGithub takes longer than the requests of an event run, so this module is
imported only where an issue is read or written.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from github import BadAttributeException
from github.Issue import Issue
from github.Repository import Repository
from github.Requester import Requester

from dora_metrics.github.client import Client, UncertainOutcomeError

_OTHER_ISSUE = (
    "GitHub's answer is not an issue with the {} that was sent; GitHub may have a problem, or a proxy answered instead"
)
_NOT_AN_OBJECT = (BadAttributeException, AttributeError, KeyError, TypeError, ValueError)


class _ClientRequester(Requester):
    """PyGithub's way to send requests, which hands them to a client. Objects ask for nothing before they need it."""

    def __init__(self, client: Client) -> None:
        super().__init__(
            auth=None,
            base_url=client.api_url,
            timeout=client.timeout_seconds,
            user_agent="",
            per_page=100,
            verify=True,
            retry=None,
            pool_size=None,
            lazy=True,
        )
        self._client = client

    def requestJsonAndCheck(  # noqa: N802, PLR0913, PLR0917 - PyGithub's
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - the client's headers are enough
        input: Any | None = None,  # noqa: A002, ANN401 - PyGithub's
        follow_302_redirect: bool = False,  # noqa: ARG002, FBT001, FBT002 - the client follows none
    ) -> tuple[dict[str, Any], Any]:
        """Send a request; return no headers, and the JSON object of the answer.

        Raises:
            GitHubError: by meaning.
        """
        match verb:
            case "GET":
                return {}, self._client.get(url, parameters or {})
            case "POST":
                return {}, self._client.post(url, input or {})
            case "PATCH":
                return {}, self._client.patch(url, input or {})
        raise NotImplementedError(verb)


class RepositoryIssues:
    """The issues of a repository, as PyGithub's objects. Each method sends one request.

    All methods raise GitHubError by meaning, and UncertainOutcomeError for an answer that is not an issue, or not one
    with what was written into it.
    """

    def __init__(self, client: Client, repository: str) -> None:
        self._repository = Repository(_ClientRequester(client), url=f"/repos/{repository}")

    def get(self, number: int) -> Issue:
        """Read an issue."""
        with _named_errors():
            return _checked(self._repository.get_issue(number).complete(), number=number)

    def create(self, title: str, body: str, labels: Sequence[str]) -> Issue:
        """Create an issue."""
        with _named_errors():
            return _checked(self._repository.create_issue(title, body, labels=list(labels)), title=title, body=body)

    def update(self, number: int, title: str, body: str) -> None:
        """Replace title and body of an issue."""
        with _named_errors():
            issue = self._repository.get_issue(number)
            issue.edit(title=title, body=body)
            _checked(issue, number=number, title=title, body=body)

    def close(self, number: int) -> None:
        """Close an issue as completed."""
        with _named_errors():
            issue = self._repository.get_issue(number)
            issue.edit(state="closed", state_reason="completed")
            _checked(issue, number=number, state="closed")


@contextmanager
def _named_errors() -> Iterator[None]:
    """Raise UncertainOutcomeError where PyGithub cannot make an object of an answer."""
    try:
        yield
    except _NOT_AN_OBJECT:
        raise UncertainOutcomeError("GitHub's answer is not an issue as its documentation describes it") from None


def _checked(issue: Issue, **expected: object) -> Issue:
    """Return an issue whose fields have their types, and these values; PyGithub checks a field when it is read.

    GitHub leaves out labels that an account may not set, and says so nowhere but in the issue, which exists all the
    same: so labels are not among the values.

    Raises:
        UncertainOutcomeError: for another value.
    """
    if not all((issue.number, issue.html_url, issue.state, issue.body or "no body")):
        raise ValueError("a field is missing")
    if other := [name for name, value in expected.items() if _words(getattr(issue, name)) != _words(value)]:
        raise UncertainOutcomeError(_OTHER_ISSUE.format(other[0]))
    return issue


def _words(value: object) -> list[str]:
    """The words of a value: GitHub may change line ends, and white space at the end of a text."""
    return str(value or "").split()
