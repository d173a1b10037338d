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
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Commit, Deployment, Fact
from dora_metrics.core.scope import scope_of
from dora_metrics.core.services import Services
from dora_metrics.core.windows import parse_instant, parse_instant_or_none
from dora_metrics.github import text
from dora_metrics.github.client import Client, GitHubError, owner_and_name
from dora_metrics.github.events import pull_requests

_PATHS_PER_REQUEST = 20
"""As many paths as `queries/Touching.graphql` has places for."""
_MAX_REQUESTS = 30


class TooManyCommitsError(GitHubError):
    """More commits than one run asks for."""


@dataclass
class ComparedChange:
    """A change of a deployment with its commits there; `files` None: GitHub does not list them, or not all."""

    change: Change
    files: tuple[str, ...] | None
    commit_shas: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class ServiceMatcher:
    """What touches the services of one repository."""

    client: Client
    repository: str
    services: Services

    def match(
        self, compared_changes: Sequence[ComparedChange], head_sha: str, commits: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[Change, AbstractSet[str]]]:
        """Each change of a comparison up to head, with its service, and with all services that it touches.

        Raises:
            GitHubError: if GitHub does not say.
        """
        shas_without_files = {
            sha for compared in compared_changes if compared.files is None for sha in compared.commit_shas
        }
        commits_by_path = self._commits_by_path(head_sha, shas_without_files, commits) if shas_without_files else {}
        for compared in compared_changes:
            touched_services = self._touched_services(compared, commits_by_path)
            yield replace(compared.change, service=only_service(touched_services)), touched_services

    def _touched_services(
        self, compared: ComparedChange, commits_by_path: Mapping[str, AbstractSet[str]]
    ) -> AbstractSet[str]:
        if compared.files is not None:
            return self.services.touched_by(compared.files)
        return self.services.touched_by_folders(lambda path: not commits_by_path[path].isdisjoint(compared.commit_shas))

    def _commits_by_path(
        self, head_sha: str, shas_without_files: AbstractSet[str], commits: Sequence[Mapping[str, Any]]
    ) -> dict[str, set[str]]:
        """The commits that touch each beginning of a pattern, as far back as the unknown ones lie."""
        commits_by_path: dict[str, set[str]] = {path: set() for path in self.services.fixed_prefixes}
        pending: list[tuple[str, str | None]] = [(path, None) for path in commits_by_path]
        variables = {
            **owner_and_name(self.repository),
            "sha": head_sha,
            "since": _oldest_relevant_time(shas_without_files, commits),
        }
        for _ in range(_MAX_REQUESTS):
            if not pending:
                return commits_by_path
            batch, pending = pending[:_PATHS_PER_REQUEST], pending[_PATHS_PER_REQUEST:]
            pages = self.client.query("Touching", variables | _path_variables(batch))["repository"]["object"]
            for index, (path, _) in enumerate(batch):
                page = pages[f"path{index}"]
                commits_by_path[path].update(node["oid"] for node in page["nodes"])
                if page["pageInfo"]["hasNextPage"] and not shas_without_files <= commits_by_path[path]:
                    pending.append((path, page["pageInfo"]["endCursor"]))
        raise TooManyCommitsError(f"more commits below the paths of `services` than {_MAX_REQUESTS} requests tell")


def listed_files(pull: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The files of a pull request; None where there are more than GitHub has listed."""
    connection = pull.get("files") or {"totalCount": None, "nodes": []}
    paths = tuple(node["path"] for node in connection["nodes"] if node)
    return paths if len(paths) == connection["totalCount"] else None


def only_service(services: AbstractSet[str]) -> str | None:
    """The service of a change: the one that it touches, and none where it touches several."""
    return next(iter(services)) if len(services) == 1 else None


def _path_variables(batch: Sequence[tuple[str, str | None]]) -> dict[str, object]:
    return {
        f"{name}{index}": value
        for index, (path, page_token) in enumerate(batch)
        for name, value in (("path", path), ("after", page_token), ("asked", True))
    }


def _oldest_relevant_time(shas_without_files: AbstractSet[str], commits: Sequence[Mapping[str, Any]]) -> str | None:
    """The time of the oldest commit on any way from head to the unknown ones, which all are behind it.

    Git goes no further where it meets an older one. Clocks differ, so that may be one that came later.
    """
    children: dict[str, list[str]] = defaultdict(list)
    for commit in commits:
        for parent in commit["parents"]:
            children[parent["sha"]].append(commit["sha"])
    relevant_shas, pending = set(shas_without_files), list(shas_without_files)
    while pending:
        new_children = [child for child in children[pending.pop()] if child not in relevant_shas]
        relevant_shas.update(new_children)
        pending += new_children
    try:
        times = [
            windows.parse_instant(commit["commit"]["committer"]["date"])
            for commit in commits
            if commit["sha"] in relevant_shas
        ]
    except ValueError:
        return None  # a clock so wrong that no time can be a bound
    return f"{min(times) - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"


_PAGE_SIZE = 100
_MAX_PAGES = 30


@dataclass(frozen=True)
class RepositoryComparer:
    """One repository's history on GitHub, and its services where it is a monorepo."""

    client: Client
    repository: str
    services: Services = field(default_factory=Services)

    def deployment_with_changes(self, deployment: Deployment, previous: Deployment) -> tuple[Fact, ...]:
        """A deployment with what it brought that the one before had not, and then those changes.

        Raises:
            GitHubError: if GitHub does not say.
        """
        commits = list(self._commits_between(str(previous.sha), str(deployment.sha)))
        pulls_by_commit = self._pulls_by_commit(str(deployment.sha), {commit["sha"] for commit in commits})
        compared_by_id: dict[str, ComparedChange] = {}
        for commit in commits:
            compared = self._compared_change(commit, pulls_by_commit.get(commit["sha"], []), deployment)
            if compared:
                compared_by_id.setdefault(compared.change.id, compared).commit_shas.add(commit["sha"])
        changes = list(self._changes_of_service(deployment, list(compared_by_id.values()), commits))
        change_ids = tuple(change.id for change in changes)
        return replace(deployment, changes=change_ids, previous=previous.id, commit_count=len(commits)), *changes

    def _changes_of_service(
        self, deployment: Deployment, compared_changes: Sequence[ComparedChange], commits: Sequence[Mapping[str, Any]]
    ) -> Iterator[Change]:
        """The changes that touch the paths of the deployment's service; all of them where it has none."""
        if not self.services:
            yield from (compared.change for compared in compared_changes)
            return
        service = scope_of(deployment)[1]
        matches = ServiceMatcher(self.client, self.repository, self.services).match(
            compared_changes, str(deployment.sha), commits
        )
        yield from (
            change
            for change, touched_services in matches
            if service in touched_services or service not in self.services
        )

    def change_with_commits(self, change: Change) -> Change:
        """A merged pull request with its commits and reviews, and in a monorepo with its service.

        Where not all files are listed, the deployment that brings it tells the service, by the commits that landed.

        Raises:
            GitHubError: if GitHub does not say.
        """
        variables = {**self._pull_variables, "number": int(change.id.rpartition("#")[2])}
        pull = self.client.query("MergedPull", variables)["repository"]["pullRequest"]
        files = listed_files(pull)
        service = change.service if files is None else only_service(self.services.touched_by(files))
        return replace(change, **_commit_fields(pull), first_review_at=_first_review_at(pull), service=service)

    @property
    def _pull_variables(self) -> dict[str, object]:
        """What is asked of pull requests: the files only where they matter."""
        return {**owner_and_name(self.repository), "files": bool(self.services)}

    def _commits_between(self, base_sha: str, head_sha: str) -> Iterator[Mapping[str, Any]]:
        """The commits that head reaches and base does not; GitHub shows 250 unless it is asked by the page."""
        if base_sha == head_sha:
            return
        for page in range(1, _MAX_PAGES + 1):
            path = f"/repos/{self.repository}/compare/{base_sha}...{head_sha}"
            comparison = self.client.get(path, {"per_page": _PAGE_SIZE, "page": page})
            yield from comparison["commits"]
            if page * _PAGE_SIZE >= comparison["total_commits"]:
                return
        raise TooManyCommitsError(f"more than {_PAGE_SIZE * _MAX_PAGES} commits since the deployment before")

    def _pulls_by_commit(self, head_sha: str, commit_shas: set[str]) -> dict[str, list[Mapping[str, Any]]]:
        """The merged pull requests of each wanted commit, read from the history behind head.

        Those into the default branch count; others, into a feature branch, came with one of them.
        """
        pulls_by_commit: dict[str, list[Mapping[str, Any]]] = {}
        page_token: str | None = None
        for _ in range(len(commit_shas) // (_PAGE_SIZE // 2) + 2):
            if commit_shas <= pulls_by_commit.keys():
                break
            data = self.client.query("Commits", {**self._pull_variables, "sha": head_sha, "after": page_token})
            default_branch = (data["repository"]["defaultBranchRef"] or {}).get("name")
            history = data["repository"]["object"]["history"]
            for node in history["nodes"]:
                merged_pulls = [pull for pull in node["associatedPullRequests"]["nodes"] if pull["mergedAt"]]
                default_branch_pulls = [pull for pull in merged_pulls if pull["baseRefName"] == default_branch]
                pulls_by_commit[node["oid"]] = default_branch_pulls or merged_pulls
            page_token = history["pageInfo"]["endCursor"]
            if not history["pageInfo"]["hasNextPage"]:
                break
        return _with_own_commits(pulls_by_commit)

    def _compared_change(
        self, commit: Mapping[str, Any], pulls: list[Mapping[str, Any]], deployment: Deployment
    ) -> ComparedChange | None:
        """The pull request that was merged first with this commit, else the commit itself; a mere merge is neither."""
        if pulls:
            pull = min(pulls, key=lambda pull: str(pull["mergedAt"]))
            return ComparedChange(self.change_from_pull(pull, deployment.service), listed_files(pull))
        return None if len(commit["parents"]) > 1 else ComparedChange(self.change_from_commit(commit, deployment), None)

    def change_from_pull(self, pull: Mapping[str, Any], service: str | None) -> Change:
        """A merged pull request, as the fragment `Pull` asks for it."""
        merged_at = parse_instant(pull["mergedAt"])
        return Change(
            id=ids.pull_request(self.repository, pull["number"]),
            repository=self.repository,
            service=service,
            source="github",
            observed_at=merged_at,
            url=text.first_http_url(pull["url"]),
            sha=pull["mergeCommit"] and pull["mergeCommit"]["oid"],
            title=text.truncate_title(pull["title"]),
            opened_at=_plausible_time_or_none(pull["createdAt"]),
            first_review_at=_first_review_at(pull),
            merged_at=merged_at,
            labels=tuple(label["name"] for label in pull["labels"]["nodes"]),
            branch=pull["headRefName"],
            bot=_is_bot(pull["author"]),
            reverts=pull_requests.revert_target(self.repository, pull["body"]),
            **_commit_fields(pull),
        )

    def change_from_commit(self, commit: Mapping[str, Any], deployment: Deployment) -> Change:
        """A commit, as REST shows it, that a deployment delivered."""
        git_commit = commit["commit"]
        authored_at = _plausible_time_or_none(git_commit["author"]["date"])
        return Change(
            id=ids.commit(commit["sha"]),
            repository=self.repository,
            service=deployment.service,
            source="github",
            observed_at=authored_at or deployment.finished_at,
            url=text.first_http_url(commit.get("html_url")),
            sha=commit["sha"],
            title=text.truncate_title(git_commit["message"].split("\n", 1)[0]),
            first_commit_at=authored_at,
            bot=_is_bot(
                {"__typename": (commit.get("author") or {}).get("type"), "login": git_commit["author"]["name"]}
            ),
            reverts=pull_requests.revert_target(self.repository, git_commit["message"]),
        )


def _with_own_commits(pulls_by_commit: dict[str, list[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """The same, with commits that a found pull request lists: those of a long-lived branch lie far back in history."""
    listed_commits = [
        (node["commit"]["oid"], pull)
        for pulls in pulls_by_commit.values()
        for pull in pulls
        for node in _commit_nodes(pull)
    ]
    return {**{oid: [pull] for oid, pull in listed_commits}, **pulls_by_commit}


def _commit_nodes(pull: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    nodes: Sequence[Mapping[str, Any]] = pull["commits"]["nodes"]
    return nodes


def _commit_fields(pull: Mapping[str, Any]) -> dict[str, Any]:
    """When a pull request began, and its commits without merges; those are unknown where there are over a hundred."""
    commits = [node["commit"] for node in _commit_nodes(pull)]
    own_commits = [commit for commit in commits if not _MERGE_HEADLINE.match(commit["messageHeadline"])] or commits
    listed_commits = tuple(
        Commit(sha=commit["oid"], authored_at=authored_at)
        for commit in own_commits
        if (authored_at := _plausible_time_or_none(commit["authoredDate"]))
    )
    first_commit_at = min((commit.authored_at for commit in listed_commits), default=None)
    is_complete = pull["commits"]["totalCount"] <= len(commits)
    return {"first_commit_at": first_commit_at, "commits": listed_commits if is_complete else None}


# A merge is known by git's own words: asking for every commit's parents costs 250 points of the hour's 1,000.
# https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#predicting-the-point-value-of-a-query
_MERGE_HEADLINE = re.compile(r"Merge (?:branch|pull request|remote-tracking branch|commit|tag) ")


def _first_review_at(pull: Mapping[str, Any]) -> datetime | None:
    """The first review by someone else who is no bot."""
    author_login = (pull["author"] or {}).get("login")
    reviews_by_others = (
        review
        for review in pull["reviews"]["nodes"]
        if review["author"] and review["author"]["login"] != author_login and not _is_bot(review["author"])
    )
    return min(
        (
            submitted_at
            for review in reviews_by_others
            if (submitted_at := _plausible_time_or_none(review["submittedAt"]))
        ),
        default=None,
    )


def _plausible_time_or_none(value: str | None) -> datetime | None:
    """A time; None where a clock was so wrong that git wrote nonsense, or that no commit can be as old."""
    time = parse_instant_or_none(value)
    return time if time and time.year >= _OLDEST_PLAUSIBLE_YEAR else None


_OLDEST_PLAUSIBLE_YEAR = 1990


def _is_bot(author: Mapping[str, Any] | None) -> bool:
    return author is not None and (author["__typename"] == "Bot" or str(author["login"] or "").endswith("[bot]"))
