"""Issues that hold reports: found by their marker, made once, written anew in place, closed."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Self

from dora_metrics.core.reports.periodic.issue_body import Letter, marker_in
from dora_metrics.github.client import Client, GitHubError, UnsureError, owner_and_name

_LOOKS = 3
_PAUSE_SECONDS = 2


class IssuesOffError(GitHubError):
    """The repository has no issues."""


@dataclass(frozen=True)
class Issue:
    """As far as a report needs it."""

    number: int
    url: str
    body: str
    is_open: bool

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Self:
        """From an answer of GraphQL or of REST."""
        url = str(node.get("html_url") or node["url"])
        return cls(int(node["number"]), url, node["body"] or "", str(node["state"]).lower() == "open")


@dataclass
class Desk:
    """The issues of a repository; `labels` are given to each new report, the first one finds it again."""

    client: Client
    repository: str
    labels: Sequence[str]

    def reports(self, known: AbstractSet[int]) -> dict[str, Issue]:
        """The reports that there are, by marker: those of `known` numbers, and those that this token wrote.

        Anybody can write a marker into an issue. Of several with the same one it is the first.

        Raises:
            GitHubError: by meaning.
        """
        variables = {**owner_and_name(self.repository), "labels": list(self.labels[:1]) or None}
        home = self.client.query("Reports", variables)["repository"]
        if not home["hasIssuesEnabled"]:
            raise IssuesOffError("issues are switched off")
        nodes = [node for part in ("labelled", "newest") for node in home[part]["nodes"] if node]
        ours = [node for node in nodes if node["viewerDidAuthor"] or node["number"] in known]
        newest_first = sorted(map(Issue.of, ours), key=lambda issue: -issue.number)
        return {marker: issue for issue in newest_first if (marker := marker_in(issue.body))}

    def issue(self, number: int) -> Issue:
        """An issue as it is.

        Raises:
            GitHubError: by meaning.
        """
        return Issue.of(self.client.get(self._path(number), {}))

    def create(self, letter: Letter, before: int | None) -> Issue:
        """A new issue. Where no answer comes it is looked for, since it may have been made.

        Raises:
            GitHubError: by meaning; UnsureError where nobody knows.
        """
        body = {"title": letter.title, "body": letter.text(before), "labels": list(self.labels)}
        try:
            return Issue.of(self.client.post(f"/repos/{self.repository}/issues", body))
        except UnsureError:
            if made := self._looked_for(letter.marker):
                return made
            raise

    def _looked_for(self, marker: str) -> Issue | None:
        for _ in range(_LOOKS):
            self.client.pause(_PAUSE_SECONDS)
            if made := self.reports(frozenset()).get(marker):
                return made
        return None

    def rewrite(self, number: int, title: str, text: str) -> None:
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
