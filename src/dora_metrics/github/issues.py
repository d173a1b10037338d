"""Issues that hold reports: found by their marker, made once, written anew in place, closed."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Self

from dora_metrics.core.reports.periodic.issue_body import IssueBody, marker_in
from dora_metrics.github.client import Client, GitHubError, UncertainOutcomeError, owner_and_name

_SEARCH_ATTEMPTS = 3
_SEARCH_PAUSE_SECONDS = 2


class IssuesDisabledError(GitHubError):
    """The repository has no issues."""


@dataclass(frozen=True)
class GitHubIssue:
    """As far as a report needs it."""

    number: int
    url: str
    body: str
    is_open: bool

    @classmethod
    def from_response(cls, node: Mapping[str, Any]) -> Self:
        """From an answer of GraphQL or of REST."""
        url = str(node.get("html_url") or node["url"])
        return cls(int(node["number"]), url, node["body"] or "", str(node["state"]).lower() == "open")


@dataclass
class ReportIssueTracker:
    """The issues of a repository; `labels` are given to each new report, the first one finds it again."""

    client: Client
    repository: str
    labels: Sequence[str]

    def find_reports(self, known_numbers: AbstractSet[int]) -> dict[str, GitHubIssue]:
        """The reports that there are, by marker: those of `known` numbers, and those that this token wrote.

        Anybody can write a marker into an issue. Of several with the same one it is the first.

        Raises:
            GitHubError: by meaning.
        """
        variables = {**owner_and_name(self.repository), "labels": list(self.labels[:1]) or None}
        repository = self.client.query("Reports", variables)["repository"]
        if not repository["hasIssuesEnabled"]:
            raise IssuesDisabledError("issues are switched off")
        nodes = [node for list_name in ("labelled", "newest") for node in repository[list_name]["nodes"] if node]
        own_nodes = [node for node in nodes if node["viewerDidAuthor"] or node["number"] in known_numbers]
        newest_first = sorted(map(GitHubIssue.from_response, own_nodes), key=lambda issue: -issue.number)
        return {marker: issue for issue in newest_first if (marker := marker_in(issue.body))}

    def get_issue(self, number: int) -> GitHubIssue:
        """An issue as it is.

        Raises:
            GitHubError: by meaning.
        """
        return GitHubIssue.from_response(self.client.get(self._path(number), {}))

    def create(self, issue_body: IssueBody, previous_number: int | None) -> GitHubIssue:
        """A new issue. Where no answer comes it is looked for, since it may have been made.

        Raises:
            GitHubError: by meaning; UnsureError where nobody knows.
        """
        fields = {
            "title": issue_body.title,
            "body": issue_body.text_of_new_issue(previous_number),
            "labels": list(self.labels),
        }
        try:
            return GitHubIssue.from_response(self.client.post(f"/repos/{self.repository}/issues", fields))
        except UncertainOutcomeError:
            if issue := self._find_created(issue_body.marker):
                return issue
            raise

    def _find_created(self, marker: str) -> GitHubIssue | None:
        for _ in range(_SEARCH_ATTEMPTS):
            self.client.sleep(_SEARCH_PAUSE_SECONDS)
            if issue := self.find_reports(frozenset()).get(marker):
                return issue
        return None

    def update(self, number: int, title: str, text: str) -> None:
        """Other words in the same issue.

        Raises:
            GitHubError: by meaning.
        """
        self.client.patch(self._path(number), {"title": title, "body": text})

    def close(self, number: int) -> None:
        """Done with.

        Raises:
            GitHubError: by meaning.
        """
        self.client.patch(self._path(number), {"state": "closed", "state_reason": "completed"})

    def _path(self, number: int) -> str:
        return f"/repos/{self.repository}/issues/{number}"
