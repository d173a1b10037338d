"""Issues that hold reports: find them by their marker, create each one once, update and close them."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from dora_metrics.core.reports.periodic.issue_body import IssueBody, marker_in
from dora_metrics.github.client import Client, GitHubError, UncertainOutcomeError, owner_and_name

if TYPE_CHECKING:
    from github.Issue import Issue

    from dora_metrics.github.pygithub import RepositoryIssues

_SEARCH_ATTEMPTS = 3
_SEARCH_PAUSE_SECONDS = 2


class IssuesDisabledError(GitHubError):
    """Issues are switched off in the repository."""


@dataclass(frozen=True)
class GitHubIssue:
    """What a report needs to know of an issue."""

    number: int
    url: str
    body: str
    is_open: bool

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> Self:
        """Convert an issue of a GraphQL answer."""
        return cls(node["number"], node["url"], node["body"], node["state"] == "OPEN")

    @classmethod
    def from_issue(cls, issue: "Issue") -> Self:
        """Convert one of PyGithub's issues."""
        return cls(issue.number, issue.html_url, issue.body or "", issue.state == "open")


@dataclass(frozen=True)
class ReportIssues:
    """The issues of a repository that hold reports.

    Attributes:
        by_marker: the issue of each report: the recorded one, otherwise the oldest that this token's account wrote.
        surplus: open issues that this account wrote, with a report that a recorded one of another account holds too.
        foreign: open issues of other accounts that are not recorded, by marker. Anybody can write a marker.
    """

    by_marker: Mapping[str, GitHubIssue]
    surplus: Sequence[GitHubIssue]
    foreign: Mapping[str, GitHubIssue]


@dataclass
class ReportIssueTracker:
    """The report issues of a repository. A new one gets all `labels`; the first label finds it later."""

    client: Client
    repository: str
    labels: Sequence[str]

    def find_reports(self, known_numbers: AbstractSet[int]) -> ReportIssues:
        """Find the issues that hold reports, among those with the label and the newest ones.

        Args:
            known_numbers: those that the ledger has recorded.

        Raises:
            IssuesDisabledError: if the repository has no issues.
            GitHubError: by meaning.
        """
        variables = {**owner_and_name(self.repository), "labels": list(self.labels[:1]) or None}
        repository = self.client.query("Reports", variables)["repository"]
        if not repository["hasIssuesEnabled"]:
            raise IssuesDisabledError("issues are switched off")
        nodes = [node for list_name in ("labelled", "newest") for node in repository[list_name]["nodes"] if node]
        return _report_issues({node["number"]: node for node in nodes}, known_numbers)

    def get_issue(self, number: int) -> GitHubIssue:
        """Read an issue.

        Raises:
            GitHubError: by meaning.
        """
        return GitHubIssue.from_issue(self._issues.get(number))

    def create(self, issue_body: IssueBody, previous_number: int | None) -> GitHubIssue:
        """Create an issue. Without an answer, search for it, since it may exist.

        Raises:
            UncertainOutcomeError: if no answer came and no issue was found.
            GitHubError: by meaning.
        """
        text = issue_body.text_of_new_issue(previous_number)
        try:
            return GitHubIssue.from_issue(self._issues.create(issue_body.title, text, self.labels))
        except UncertainOutcomeError:
            if created := self._find_created(issue_body.marker):
                return created
            raise

    def _find_created(self, marker: str) -> GitHubIssue | None:
        for _ in range(_SEARCH_ATTEMPTS):
            self.client.sleep(_SEARCH_PAUSE_SECONDS)
            if issue := self.find_reports(frozenset()).by_marker.get(marker):
                return issue
        return None

    def update(self, number: int, title: str, text: str) -> None:
        """Replace title and text of an issue.

        Raises:
            GitHubError: by meaning.
        """
        self._issues.update(number, title, text)

    def close(self, number: int) -> None:
        """Close an issue as completed.

        Raises:
            GitHubError: by meaning.
        """
        self._issues.close(number)

    @cached_property
    def _issues(self) -> "RepositoryIssues":
        from dora_metrics.github.pygithub import RepositoryIssues  # noqa: PLC0415 - most runs touch no issue

        return RepositoryIssues(self.client, self.repository)


def _report_issues(nodes_by_number: Mapping[int, Mapping[str, Any]], known_numbers: AbstractSet[int]) -> ReportIssues:
    by_marker: dict[str, GitHubIssue] = {}
    surplus: list[GitHubIssue] = []
    foreign: dict[str, GitHubIssue] = {}
    for number in sorted(nodes_by_number, key=lambda number: (number not in known_numbers, number)):
        node, issue = nodes_by_number[number], GitHubIssue.from_node(nodes_by_number[number])
        marker = marker_in(issue.body)
        if marker is None:
            continue
        if number not in known_numbers and not node["viewerDidAuthor"]:
            if issue.is_open:
                foreign.setdefault(marker, issue)
        elif marker not in by_marker:
            by_marker[marker] = issue
        elif _is_surplus(node, by_marker[marker], known_numbers):
            surplus.append(issue)
    return ReportIssues(by_marker, surplus, foreign)


def _is_surplus(node: Mapping[str, Any], chosen: GitHubIssue, known_numbers: AbstractSet[int]) -> bool:
    """Whether an issue is one too many; one that somebody has opened again is not."""
    is_open = node["state"] == "OPEN" and node["stateReason"] != "REOPENED"
    return is_open and chosen.number in known_numbers and node["number"] not in known_numbers
