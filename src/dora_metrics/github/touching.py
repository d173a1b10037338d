"""Which services of a monorepo a deployment's changes touch: by their files, else by the history of folders.

GraphQL lists up to a hundred files of a pull request at once, and none of a commit; REST would be asked once a commit.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from dora_metrics.core import windows
from dora_metrics.core.facts.model import Change
from dora_metrics.core.services import Services
from dora_metrics.github.client import Client, GitHubError, owner_and_name

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
