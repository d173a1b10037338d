"""What a deployment delivered, read from GitHub: its new commits, and their pull requests.

Most deployments need one comparison and one page of history, whatever the number of changes. Squash, merge and rebase
are handled alike: a commit belongs to the merged pull request that GitHub associates with it. In a monorepo, the
services of a change follow from its listed files, or else from the history of the services' folders.

GraphQL lists up to 100 files of a pull request and none of a commit; REST would need one request per commit.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Commit, Deployment, Fact
from dora_metrics.core.linking.earlier_successes import EarlierSuccesses, as_new_baseline
from dora_metrics.core.linking.landed_commits import LandedCommit, MergedPull, changes_of_commits
from dora_metrics.core.scope import scope_of
from dora_metrics.core.services import Services, only_service
from dora_metrics.core.windows import parse_instant, parse_instant_or_none
from dora_metrics.github import text
from dora_metrics.github.associated_pulls import with_all_pulls
from dora_metrics.github.client import Client, owner_and_name
from dora_metrics.github.new_commits import (
    TooManyCommitsError,
    UnrelatedHistoryError,
    committed_at,
    read_new_commits,
)
from dora_metrics.github.queries import JsonObject
from dora_metrics.github.reverts import reverts_field

OLDEST_PLAUSIBLE_YEAR = 1990
_HISTORY_PAGE_SIZE = 50
"""Commits on a page of `queries/PullsByCommit.graphql`."""
_PULLS_PER_REQUEST = 100
_PATHS_PER_REQUEST = 20
"""The number of path variables in `queries/CommitsByPath.graphql`."""
_MAX_REQUESTS = 30


class ComparedChange(Struct):
    """A change in a comparison, with its commits there. `files` is None if GitHub does not list all of them."""

    change: Change
    files: tuple[str, ...] | None
    commit_shas: AbstractSet[str] = frozenset()


PullsByCommit = Mapping[str, Sequence[JsonObject]]
"""Merged pull requests by the sha of each commit that they contain or made."""


class ComparedDeployment(NamedTuple):
    """A deployment with its changes, as facts, and the earlier successes that it was not compared with.

    Some of its changes may have been delivered by one of these.
    """

    facts: tuple[Fact, ...]
    uncompared: tuple[Deployment, ...]


class HomeRepository(NamedTuple):
    """The repository of a deployed history: what distinguishes its pull requests from others with the same commits.

    Attributes:
        number: GitHub's; None if that is not known.
        default_branch: its name; None if it has no commit.
    """

    number: int | None
    default_branch: str | None

    @classmethod
    def of(cls, repository: JsonObject) -> "HomeRepository":
        """Read it from a node with `databaseId` and `defaultBranchRef`."""
        return cls(repository["databaseId"], (repository["defaultBranchRef"] or {}).get("name"))

    def has(self, pull: JsonObject) -> bool:
        """Whether a pull request is its own. GitHub also names those into forks, which strangers may merge there."""
        return self.number is None or pull["repository"]["databaseId"] == self.number


NO_HOME = HomeRepository(None, None)


@dataclass(frozen=True)
class RepositoryComparer:
    """Compares commits of one repository; `services` is empty unless it is a monorepo."""

    client: Client
    repository: str
    services: Services = field(default_factory=Services)

    def deployment_with_changes(self, deployment: Deployment, earlier: EarlierSuccesses) -> ComparedDeployment:
        """Return the deployment with the ids of the changes that no earlier success had, followed by those changes.

        If it shares no commit with any of them, it is a new baseline, without changes.

        Raises:
            GitHubError: if GitHub refuses a request or does not answer.
        """
        try:
            new = read_new_commits(self.client, self.repository, deployment, earlier)
        except UnrelatedHistoryError:
            return ComparedDeployment((as_new_baseline(deployment, earlier.latest),), ())
        pulls_by_commit = self._pulls_by_commit(str(deployment.sha), {commit["sha"] for commit in new.commits})
        compared = self._compared_changes(deployment, new.commits, pulls_by_commit)
        changes = list(self._changes_of_service(deployment, compared, new.commits))
        completed = replace(
            deployment,
            changes=tuple(change.id for change in changes),
            previous=new.previous.id,
            commit_count=len(new.commits),
            descends_from=new.descends_from,
        )
        return ComparedDeployment((completed, *changes), new.uncompared)

    def _compared_changes(
        self, deployment: Deployment, commits: Sequence[JsonObject], pulls_by_commit: PullsByCommit
    ) -> list[ComparedChange]:
        """Return the changes that the commits belong to."""
        pulls = {pull["number"]: pull for pulls in pulls_by_commit.values() for pull in pulls}
        pulls_by_id = {ids.pull_request(self.repository, number): pull for number, pull in pulls.items()}
        landed_commits = [self._landed_commit(commit, pulls_by_commit, deployment) for commit in commits]
        unlisted = [pull_id for pull_id, pull in pulls_by_id.items() if _commit_fields(pull)["commits"] is None]
        compared: list[ComparedChange] = []
        for landed in changes_of_commits(landed_commits, deployment.finished_at, unlisted):
            shas = {commit.sha for commit in landed.commits}
            if pull := pulls_by_id.get(landed.change_id):
                change = self.change_from_pull(pull, deployment.service)
                compared.append(ComparedChange(change, listed_files(pull), shas))
            elif landed.change:
                compared.append(ComparedChange(landed.change, None, shas))
        return compared

    def _landed_commit(
        self, commit: JsonObject, pulls_by_commit: PullsByCommit, deployment: Deployment
    ) -> LandedCommit:
        parents = tuple(parent["sha"] for parent in commit["parents"])
        pulls = tuple(self.merged_pull(pull) for pull in pulls_by_commit.get(commit["sha"], ()))
        change = None if len(parents) > 1 else self.change_from_commit(commit, deployment)
        return LandedCommit(commit["sha"], parents, committed_at(commit), pulls, change)

    def merged_pull(self, pull: JsonObject) -> MergedPull:
        """Return what says whether a merged pull request brought a commit."""
        return MergedPull(
            change_id=ids.pull_request(self.repository, pull["number"]),
            opened_at=_plausible_time(pull["createdAt"]),
            merged_at=parse_instant(pull["mergedAt"]),
            merge_sha=pull["mergeCommit"] and pull["mergeCommit"]["oid"],
            head_sha=pull["headRefOid"],
            node_id=pull.get("id"),
        )

    def _changes_of_service(
        self, deployment: Deployment, compared_changes: Sequence[ComparedChange], commits: Sequence[JsonObject]
    ) -> Iterator[Change]:
        """Yield the changes that touch the deployment's service; all changes if that service has no paths."""
        if not self.services:
            yield from (compared.change for compared in compared_changes)
            return
        service = scope_of(deployment)[1]
        matcher = ServiceMatcher(self.client, self.repository, self.services)
        matches = matcher.match(compared_changes, str(deployment.sha), commits)
        yield from (change for change, touched in matches if service in touched or service not in self.services)

    def change_with_commits(self, change: Change) -> Change:
        """Return a merged pull request with its commits, its first review and, in a monorepo, its service.

        If GitHub does not list all files, the service stays as it is. The deployment that delivers the change sets it,
        by the commits that landed.

        Raises:
            GitHubError: if GitHub refuses the request or does not answer.
        """
        variables = {**self._pull_variables, "number": int(change.id.rpartition("#")[2])}
        pull = self.client.query("MergedPull", variables)["repository"]["pullRequest"]
        files = listed_files(pull)
        service = change.service if files is None else only_service(self.services.touched_by(files))
        return replace(change, **_commit_fields(pull), first_review_at=_first_review_at(pull), service=service)

    @property
    def _pull_variables(self) -> dict[str, object]:
        """Variables of the queries for pull requests; their files are requested only in a monorepo."""
        return {**owner_and_name(self.repository), "files": bool(self.services)}

    def _pulls_by_commit(self, head_sha: str, commit_shas: set[str]) -> PullsByCommit:
        """Return the merged pull requests of each commit, read from the history of `head_sha`."""
        nodes: dict[str, JsonObject] = {}
        home, page_token = NO_HOME, None
        for _ in range(len(commit_shas) // (_HISTORY_PAGE_SIZE // 2) + 2):
            if commit_shas <= nodes.keys():
                break
            variables = {**self._pull_variables, "sha": head_sha, "after": page_token}
            repository = self.client.query("PullsByCommit", variables)["repository"]
            history, home = repository["object"]["history"], HomeRepository.of(repository)
            nodes.update((node["oid"], node) for node in history["nodes"])
            page_token = history["pageInfo"]["endCursor"]
            if not history["pageInfo"]["hasNextPage"]:
                break
        return _with_own_commits(self._merged_pulls(nodes, commit_shas, home))

    def _merged_pulls(
        self, nodes: Mapping[str, JsonObject], commit_shas: AbstractSet[str], home: HomeRepository
    ) -> PullsByCommit:
        """Return the merged pull requests of each commit; of those of `commit_shas`, all that GitHub knows."""
        own_nodes = [node for sha, node in nodes.items() if sha in commit_shas]
        complete = {node["oid"]: node for node in with_all_pulls(self.client, self.repository, own_nodes)}
        merged = {sha: merged_pull_nodes(node, home) for sha, node in {**nodes, **complete}.items()}
        known = {pull["number"]: pull for pulls in merged.values() for pull in pulls if "commits" in pull}
        brief = {pull["number"]: pull["id"] for pulls in merged.values() for pull in pulls if "commits" not in pull}
        known |= self._pulls_by_number([node_id for number, node_id in brief.items() if number not in known])
        return {
            sha: [known[pull["number"]] for pull in pulls if pull["number"] in known] for sha, pulls in merged.items()
        }

    def _pulls_by_number(self, node_ids: Sequence[str]) -> dict[int, JsonObject]:
        """Return merged pull requests, read by their node ids."""
        pulls: dict[int, JsonObject] = {}
        for start in range(0, len(node_ids), _PULLS_PER_REQUEST):
            variables = {"ids": node_ids[start : start + _PULLS_PER_REQUEST], "files": bool(self.services)}
            nodes = self.client.query_existing("PullsById", variables)["nodes"]
            pulls.update((pull["number"], pull) for pull in nodes if pull)
        return pulls

    def change_from_pull(self, pull: JsonObject, service: str | None) -> Change:
        """Return a merged pull request, with the fields of the fragment `PullFields`, as a change."""
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
            opened_at=_plausible_time(pull["createdAt"]),
            first_review_at=_first_review_at(pull),
            merged_at=merged_at,
            labels=tuple(label["name"] for label in pull["labels"]["nodes"]),
            branch=pull["headRefName"],
            bot=_is_bot(pull["author"]),
            reverts=reverts_field(self.repository, pull["body"], pull["url"]),
            **_commit_fields(pull),
        )

    def change_from_commit(self, commit: JsonObject, deployment: Deployment) -> Change:
        """Return a commit without a pull request, as REST shows it, as a change."""
        git_commit = commit["commit"]
        authored_at = _plausible_time(git_commit["author"]["date"])
        author = {"__typename": (commit.get("author") or {}).get("type"), "login": git_commit["author"]["name"]}
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
            bot=_is_bot(author),
            reverts=reverts_field(self.repository, git_commit["message"], commit.get("html_url")),
        )


def merged_pull_nodes(commit: JsonObject, home: HomeRepository) -> list[JsonObject]:
    """Return the merged pull requests of a commit, without those that only carried it on from the default branch."""
    own = (pull for pull in commit["associatedPullRequests"]["nodes"] if pull["mergedAt"] and home.has(pull))
    return [pull for pull in own if not _only_carried(pull, commit, home.default_branch)]


def _only_carried(pull: JsonObject, commit: JsonObject, default_branch: str | None) -> bool:
    """Whether a pull request brought a commit of the default branch to another one, and did not make it by a squash.

    One into the default branch from a branch of its name is from a fork, and brought its commits as any other does.
    """
    if pull["headRefName"] != default_branch or pull["baseRefName"] == default_branch:
        return False
    is_squash = pull["mergeCommit"] == {"oid": commit["oid"]} and len(commit["parents"]["nodes"]) == 1
    return not is_squash


def _with_own_commits(pulls_by_commit: PullsByCommit) -> PullsByCommit:
    """Add the commits that the pull requests list: those of a long-lived branch are far back in the history."""
    pulls = {pull["number"]: pull for merged_pulls in pulls_by_commit.values() for pull in merged_pulls}
    listing: defaultdict[str, list[JsonObject]] = defaultdict(list)
    for pull in pulls.values():
        for commit in _listed_commits(pull):
            listing[commit["oid"]].append(pull)
    return {**listing, **pulls_by_commit}


def _listed_commits(pull: JsonObject) -> Sequence[JsonObject]:
    """Return the commits that GitHub lists of a pull request, 100 at most."""
    return [node["commit"] for node in pull["commits"]["nodes"]]


def _commit_fields(pull: JsonObject) -> dict[str, Any]:
    """Return the fields `first_commit_at` and `commits` of a change, without merge commits.

    `commits` is None for a pull request of more than 100 commits, since GitHub does not list all of them.
    """
    listed = _listed_commits(pull)
    own = [commit for commit in listed if not _MERGE_HEADLINE.match(commit["messageHeadline"])] or listed
    times = ((commit["oid"], _plausible_time(commit["authoredDate"])) for commit in own)
    commits = tuple(Commit(sha=sha, authored_at=authored_at) for sha, authored_at in times if authored_at)
    first_commit_at = min((commit.authored_at for commit in commits), default=None)
    is_complete = pull["commits"]["totalCount"] <= len(listed)
    return {"first_commit_at": first_commit_at, "commits": commits if is_complete else None}


# Merge commits are recognised by git's own wording: the parents of every commit would cost 250 of 1,000 points an hour.
# https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#predicting-the-point-value-of-a-query
_MERGE_HEADLINE = re.compile(r"Merge (?:branch|pull request|remote-tracking branch|commit|tag) ")


def _first_review_at(pull: JsonObject) -> datetime | None:
    """Return the time of the first review by another person; bots do not count."""
    author_login = (pull["author"] or {}).get("login")
    reviews = (review for review in pull["reviews"]["nodes"] if review["author"] and not _is_bot(review["author"]))
    by_others = (review for review in reviews if review["author"]["login"] != author_login)
    times = (_plausible_time(review["submittedAt"]) for review in by_others)
    return min(filter(None, times), default=None)


def _plausible_time(value: str | None) -> datetime | None:
    """Return a time; None if it is unreadable or before 1990, since no commit is that old."""
    time = parse_instant_or_none(value)
    return time if time and time.year >= OLDEST_PLAUSIBLE_YEAR else None


def _is_bot(author: JsonObject | None) -> bool:
    return author is not None and (author["__typename"] == "Bot" or str(author["login"] or "").endswith("[bot]"))


@dataclass(frozen=True)
class ServiceMatcher:
    """Assigns the changes of a monorepo to its services."""

    client: Client
    repository: str
    services: Services

    def match(
        self, compared_changes: Sequence[ComparedChange], head_sha: str, commits: Sequence[JsonObject]
    ) -> Iterator[tuple[Change, AbstractSet[str]]]:
        """Yield each change with its service, and the names of all services that it touches.

        `compared_changes` and `commits` are those of one comparison, which ends at `head_sha`.

        Raises:
            GitHubError: if GitHub refuses the request or does not answer.
        """
        without_files = (compared for compared in compared_changes if compared.files is None)
        shas = {sha for compared in without_files for sha in compared.commit_shas}
        commits_by_path = self._commits_by_path(head_sha, shas, commits) if shas else {}
        for compared in compared_changes:
            touched = self._touched_services(compared, commits_by_path)
            yield replace(compared.change, service=only_service(touched)), touched

    def _touched_services(
        self, compared: ComparedChange, commits_by_path: Mapping[str, AbstractSet[str]]
    ) -> AbstractSet[str]:
        """Return the services that a change touches: by its files if they are listed, otherwise by its commits."""
        if compared.files is not None:
            return self.services.touched_by(compared.files)
        return self.services.touched_by_folders(lambda path: not commits_by_path[path].isdisjoint(compared.commit_shas))

    def _commits_by_path(
        self, head_sha: str, shas: AbstractSet[str], commits: Sequence[JsonObject]
    ) -> dict[str, set[str]]:
        """Return the commits that touch each folder of the services, back to the oldest of `shas`.

        Raises:
            TooManyCommitsError: if that takes more than `_MAX_REQUESTS` requests.
        """
        commits_by_path: dict[str, set[str]] = {path: set() for path in self.services.fixed_prefixes}
        pending: list[tuple[str, str | None]] = [(path, None) for path in commits_by_path]
        variables = {**owner_and_name(self.repository), "sha": head_sha, "since": _oldest_time(shas, commits)}
        for _ in range(_MAX_REQUESTS):
            if not pending:
                return commits_by_path
            batch, pending = pending[:_PATHS_PER_REQUEST], pending[_PATHS_PER_REQUEST:]
            pages = self.client.query("CommitsByPath", variables | _path_variables(batch))["repository"]["object"]
            for index, (path, _) in enumerate(batch):
                page = pages[f"path{index}"]
                commits_by_path[path].update(node["oid"] for node in page["nodes"])
                if page["pageInfo"]["hasNextPage"] and not shas <= commits_by_path[path]:
                    pending.append((path, page["pageInfo"]["endCursor"]))
        raise TooManyCommitsError(f"more commits below the paths of `services` than {_MAX_REQUESTS} requests can list")


def listed_files(pull: JsonObject) -> tuple[str, ...] | None:
    """Return the paths that a pull request changes; None if GitHub does not list all of them."""
    connection = pull.get("files") or {"totalCount": None, "nodes": []}
    paths = tuple(node["path"] for node in connection["nodes"] if node)
    return paths if len(paths) == connection["totalCount"] else None


def _path_variables(batch: Sequence[tuple[str, str | None]]) -> dict[str, object]:
    """Return the variables of the query `CommitsByPath` for pairs of a path and a page token."""
    return {
        f"{name}{index}": value
        for index, (path, page_token) in enumerate(batch)
        for name, value in (("path", path), ("after", page_token), ("included", True))
    }


def _oldest_time(shas: AbstractSet[str], commits: Sequence[JsonObject]) -> str | None:
    """Return the time of the oldest commit from `shas` up to the head, as ISO 8601; None if one is unreadable.

    Git stops at the first commit that is older than the limit. Clocks differ, so a descendant may have an earlier time
    than its ancestor; therefore all descendants count.
    """
    children: dict[str, list[str]] = defaultdict(list)
    for commit in commits:
        for parent in commit["parents"]:
            children[parent["sha"]].append(commit["sha"])
    relevant_shas, pending = set(shas), list(shas)
    while pending:
        new_children = [child for child in children[pending.pop()] if child not in relevant_shas]
        relevant_shas.update(new_children)
        pending += new_children
    try:
        relevant = (commit for commit in commits if commit["sha"] in relevant_shas)
        times = [parse_instant(commit["commit"]["committer"]["date"]) for commit in relevant]
    except (ValueError, TypeError, AttributeError):
        return None  # one has no time, or the clock was so wrong that no time is a safe limit
    return f"{min(times) - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
