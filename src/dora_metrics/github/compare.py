"""What a deployment delivered, asked of GitHub: the commits since the one before, and their pull requests.

One comparison and one page of history for most deployments, whatever the number of changes; nothing is asked once per
change. Squash, merge and rebase look the same from here: a commit belongs to the merged pull request that brought it.

Which services of a monorepo a deployment's changes touch: by their files, else by the history of folders.

GraphQL lists up to a hundred files of a pull request at once, and none of a commit; REST would be asked once a commit.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from dora_metrics.core import windows
from dora_metrics.core.facts.model import Change, Commit, Deployment, Fact
from dora_metrics.core.scope import scope_of
from dora_metrics.core.services import Services
from dora_metrics.core.windows import instant, instant_or_none
from dora_metrics.github import text
from dora_metrics.github.client import Client, GitHubError, owner_and_name
from dora_metrics.github.events import pull_requests

_AT_ONCE = 20
"""As many paths as `queries/Touching.graphql` has places for."""
_MOST_REQUESTS = 30


class TooMuchError(GitHubError):
    """More commits than one run asks for."""


@dataclass
class Brought:
    """A change of a deployment with its commits there; `files` None: GitHub does not list them, or not all."""

    change: Change
    files: tuple[str, ...] | None
    commits: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Touching:
    """What touches the services of one repository."""

    client: Client
    repository: str
    services: Services

    def served(
        self, brought: Sequence[Brought], head: str, commits: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[Change, AbstractSet[str]]]:
        """Each change of a comparison up to head, with its service, and with all services that it touches.

        Raises:
            GitHubError: if GitHub does not say.
        """
        unknown = {sha for one in brought if one.files is None for sha in one.commits}
        below = self._below(head, unknown, commits) if unknown else {}
        for one in brought:
            touched = self._touched(one, below)
            yield replace(one.change, service=only(touched)), touched

    def _touched(self, one: Brought, below: Mapping[str, AbstractSet[str]]) -> AbstractSet[str]:
        if one.files is not None:
            return self.services.touched(one.files)
        return self.services.touched_below(lambda path: not below[path].isdisjoint(one.commits))

    def _below(self, head: str, unknown: AbstractSet[str], commits: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
        """The commits that touch each beginning of a pattern, as far back as the unknown ones lie."""
        found: dict[str, set[str]] = {path: set() for path in self.services.beginnings}
        waiting: list[tuple[str, str | None]] = [(path, None) for path in found]
        about = {**owner_and_name(self.repository), "sha": head, "since": _since(unknown, commits)}
        for _ in range(_MOST_REQUESTS):
            if not waiting:
                return found
            asked, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            pages = self.client.query("Touching", about | _places(asked))["repository"]["object"]
            for place, (path, _) in enumerate(asked):
                page = pages[f"path{place}"]
                found[path].update(node["oid"] for node in page["nodes"])
                if page["pageInfo"]["hasNextPage"] and not unknown <= found[path]:
                    waiting.append((path, page["pageInfo"]["endCursor"]))
        raise TooMuchError(f"more commits below the paths of `services` than {_MOST_REQUESTS} requests tell")


def files(pull: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The files of a pull request; None where there are more than GitHub has listed."""
    listed = pull.get("files") or {"totalCount": None, "nodes": []}
    paths = tuple(node["path"] for node in listed["nodes"] if node)
    return paths if len(paths) == listed["totalCount"] else None


def only(touched: AbstractSet[str]) -> str | None:
    """The service of a change: the one that it touches, and none where it touches several."""
    return next(iter(touched)) if len(touched) == 1 else None


def _places(asked: Sequence[tuple[str, str | None]]) -> dict[str, object]:
    return {
        f"{name}{place}": value
        for place, (path, after) in enumerate(asked)
        for name, value in (("path", path), ("after", after), ("asked", True))
    }


def _since(unknown: AbstractSet[str], commits: Sequence[Mapping[str, Any]]) -> str | None:
    """The time of the oldest commit on any way from head to the unknown ones, which all are behind it.

    Git goes no further where it meets an older one. Clocks differ, so that may be one that came later.
    """
    children: dict[str, list[str]] = defaultdict(list)
    for commit in commits:
        for parent in commit["parents"]:
            children[parent["sha"]].append(commit["sha"])
    met, waiting = set(unknown), list(unknown)
    while waiting:
        new = [child for child in children[waiting.pop()] if child not in met]
        met.update(new)
        waiting += new
    try:
        times = [windows.instant(one["commit"]["committer"]["date"]) for one in commits if one["sha"] in met]
    except ValueError:
        return None  # a clock so wrong that no time can be a bound
    return f"{min(times) - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"


_PAGE = 100
_MOST_PAGES = 30


@dataclass(frozen=True)
class History:
    """One repository's history on GitHub, and its services where it is a monorepo."""

    client: Client
    repository: str
    services: Services = field(default_factory=Services)

    def delivered(self, deployment: Deployment, previous: Deployment) -> tuple[Fact, ...]:
        """A deployment with what it brought that the one before had not, and then those changes.

        Raises:
            GitHubError: if GitHub does not say.
        """
        commits = list(self._between(str(previous.sha), str(deployment.sha)))
        pulls = self._pulls(str(deployment.sha), {commit["sha"] for commit in commits})
        found: dict[str, Brought] = {}
        for commit in commits:
            brought = self._brought(commit, pulls.get(commit["sha"], []), deployment)
            if brought:
                found.setdefault(brought.change.id, brought).commits.add(commit["sha"])
        own = list(self._own(deployment, list(found.values()), commits))
        ids = tuple(change.id for change in own)
        return replace(deployment, changes=ids, previous=previous.id, commit_count=len(commits)), *own

    def _own(
        self, deployment: Deployment, brought: Sequence[Brought], commits: Sequence[Mapping[str, Any]]
    ) -> Iterator[Change]:
        """The changes that touch the paths of the deployment's service; all of them where it has none."""
        if not self.services:
            yield from (one.change for one in brought)
            return
        service = scope_of(deployment)[1]
        served = Touching(self.client, self.repository, self.services).served(brought, str(deployment.sha), commits)
        yield from (change for change, touched in served if service in touched or service not in self.services)

    def completed(self, change: Change) -> Change:
        """A merged pull request with its commits and reviews, and in a monorepo with its service.

        Where not all files are listed, the deployment that brings it tells the service, by the commits that landed.

        Raises:
            GitHubError: if GitHub does not say.
        """
        variables = {**self._asked, "number": int(change.id.rpartition("#")[2])}
        pull = self.client.query("MergedPull", variables)["repository"]["pullRequest"]
        listed = files(pull)
        service = change.service if listed is None else only(self.services.touched(listed))
        return replace(change, **_from_commits(pull), first_review_at=_first_review(pull), service=service)

    @property
    def _asked(self) -> dict[str, object]:
        """What is asked of pull requests: the files only where they matter."""
        return {**owner_and_name(self.repository), "files": bool(self.services)}

    def _between(self, base: str, head: str) -> Iterator[Mapping[str, Any]]:
        """The commits that head reaches and base does not; GitHub shows 250 unless it is asked by the page."""
        if base == head:
            return
        for page in range(1, _MOST_PAGES + 1):
            path = f"/repos/{self.repository}/compare/{base}...{head}"
            answer = self.client.get(path, {"per_page": _PAGE, "page": page})
            yield from answer["commits"]
            if page * _PAGE >= answer["total_commits"]:
                return
        raise TooMuchError(f"more than {_PAGE * _MOST_PAGES} commits since the deployment before")

    def _pulls(self, head: str, wanted: set[str]) -> dict[str, list[Mapping[str, Any]]]:
        """The merged pull requests of each wanted commit, read from the history behind head.

        Those into the default branch count; others, into a feature branch, came with one of them.
        """
        found: dict[str, list[Mapping[str, Any]]] = {}
        after: str | None = None
        for _ in range(len(wanted) // (_PAGE // 2) + 2):
            if wanted <= found.keys():
                break
            answer = self.client.query("Commits", {**self._asked, "sha": head, "after": after})
            default = (answer["repository"]["defaultBranchRef"] or {}).get("name")
            history = answer["repository"]["object"]["history"]
            for node in history["nodes"]:
                merged = [pull for pull in node["associatedPullRequests"]["nodes"] if pull["mergedAt"]]
                landed = [pull for pull in merged if pull["baseRefName"] == default]
                found[node["oid"]] = landed or merged
            after = history["pageInfo"]["endCursor"]
            if not history["pageInfo"]["hasNextPage"]:
                break
        return _with_own_commits(found)

    def _brought(
        self, commit: Mapping[str, Any], pulls: list[Mapping[str, Any]], deployment: Deployment
    ) -> Brought | None:
        """The pull request that was merged first with this commit, else the commit itself; a mere merge is neither."""
        if pulls:
            pull = min(pulls, key=lambda pull: str(pull["mergedAt"]))
            return Brought(self.from_pull(pull, deployment.service), files(pull))
        return None if len(commit["parents"]) > 1 else Brought(self.from_commit(commit, deployment), None)

    def from_pull(self, pull: Mapping[str, Any], service: str | None) -> Change:
        """A merged pull request, as the fragment `Pull` asks for it."""
        merged_at = instant(pull["mergedAt"])
        return Change(
            id=f"github:pull:{self.repository}#{pull['number']}",
            repository=self.repository,
            service=service,
            source="github",
            observed_at=merged_at,
            url=text.link(pull["url"]),
            sha=pull["mergeCommit"] and pull["mergeCommit"]["oid"],
            title=text.title(pull["title"]),
            opened_at=_time(pull["createdAt"]),
            first_review_at=_first_review(pull),
            merged_at=merged_at,
            labels=tuple(label["name"] for label in pull["labels"]["nodes"]),
            branch=pull["headRefName"],
            bot=_is_bot(pull["author"]),
            reverts=pull_requests.reverted(self.repository, pull["body"]),
            **_from_commits(pull),
        )

    def from_commit(self, commit: Mapping[str, Any], deployment: Deployment) -> Change:
        """A commit, as REST shows it, that a deployment delivered."""
        inner = commit["commit"]
        authored_at = _time(inner["author"]["date"])
        return Change(
            id=f"commit:{commit['sha']}",
            repository=self.repository,
            service=deployment.service,
            source="github",
            observed_at=authored_at or deployment.finished_at,
            url=text.link(commit.get("html_url")),
            sha=commit["sha"],
            title=text.title(inner["message"].split("\n", 1)[0]),
            first_commit_at=authored_at,
            bot=_is_bot({"__typename": (commit.get("author") or {}).get("type"), "login": inner["author"]["name"]}),
            reverts=pull_requests.reverted(self.repository, inner["message"]),
        )


def _with_own_commits(found: dict[str, list[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """The same, with commits that a found pull request lists: those of a long-lived branch lie far back in history."""
    listed = [(node["commit"]["oid"], pull) for pulls in found.values() for pull in pulls for node in _commits(pull)]
    return {**{oid: [pull] for oid, pull in listed}, **found}


def _commits(pull: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    nodes: Sequence[Mapping[str, Any]] = pull["commits"]["nodes"]
    return nodes


def _from_commits(pull: Mapping[str, Any]) -> dict[str, Any]:
    """When a pull request began, and its commits without merges; those are unknown where there are over a hundred."""
    commits = [node["commit"] for node in _commits(pull)]
    own = [commit for commit in commits if not _MERGE.match(commit["messageHeadline"])] or commits
    listed = tuple(Commit(sha=c["oid"], authored_at=at) for c in own if (at := _time(c["authoredDate"])))
    started = min((commit.authored_at for commit in listed), default=None)
    whole = pull["commits"]["totalCount"] <= len(commits)
    return {"first_commit_at": started, "commits": listed if whole else None}


# A merge is known by git's own words: asking for every commit's parents costs 250 points of the hour's 1,000.
# https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#predicting-the-point-value-of-a-query
_MERGE = re.compile(r"Merge (?:branch|pull request|remote-tracking branch|commit|tag) ")


def _first_review(pull: Mapping[str, Any]) -> datetime | None:
    """The first review by someone else who is no bot."""
    author = (pull["author"] or {}).get("login")
    by_others = (
        review
        for review in pull["reviews"]["nodes"]
        if review["author"] and review["author"]["login"] != author and not _is_bot(review["author"])
    )
    return min((at for review in by_others if (at := _time(review["submittedAt"]))), default=None)


def _time(written: str | None) -> datetime | None:
    """A time; None where a clock was so wrong that git wrote nonsense, or that no commit can be as old."""
    found = instant_or_none(written)
    return found if found and found.year >= _OLDEST_YEAR else None


_OLDEST_YEAR = 1990


def _is_bot(author: Mapping[str, Any] | None) -> bool:
    return author is not None and (author["__typename"] == "Bot" or str(author["login"] or "").endswith("[bot]"))
