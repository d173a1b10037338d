"""The state of the fake GitHub: repositories, tokens with their permissions, the clock and the rate limits."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fakes.records import Actor
from fakes.repository import Repository

LEVELS = ("none", "read", "write")
DEFAULT_ACCOUNT = "github-actions[bot]"
"""The account of a workflow's own token."""


@dataclass(frozen=True)
class Token:
    """A token. `permissions` are named as in a workflow (`contents: read`); `default` is that of all others."""

    text: str
    permissions: dict[str, str]
    default: str = "write"
    repositories: frozenset[str] | None = None
    actor: Actor = field(default=Actor(DEFAULT_ACCOUNT))

    def is_allowed(self, capability: str, level: str, repository: Repository) -> bool:
        """Whether an access is allowed: public data to everybody, all else by repository and permission."""
        return (level == "read" and not repository.is_private) or self.was_granted(capability, level, repository)

    def was_granted(self, capability: str, level: str, repository: Repository) -> bool:
        """The same for data that is never public."""
        granted = self.permissions.get(capability, self.default)
        return self.covers(repository) and LEVELS.index(granted) >= LEVELS.index(level)

    def covers(self, repository: Repository) -> bool:
        return self.repositories is None or repository.name_with_owner in self.repositories

    def sees(self, repository: Repository) -> bool:
        return not repository.is_private or self.covers(repository)


@dataclass
class Budget:
    """A primary rate limit: points an hour, counted as they are used."""

    resource: str
    limit: int = 1000
    used: int = 0
    reset: int = field(default_factory=lambda: int(time.time()) + 3600)

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Resource": self.resource,
        }


class ServerState:
    def __init__(self, folder: Path, now: Callable[[], datetime] | None = None) -> None:
        self.folder = folder
        self.now = now or (lambda: datetime.now(UTC).replace(microsecond=0))
        self.lock = threading.RLock()
        self.revealed_secrets = 0
        """How many leaked secrets were shown."""
        self.longest_page = 1_000
        """Items on a page of a repository's lists, even if more are requested."""
        self.ids = itertools.count(1001)
        self.people: set[str] = set()
        """Owners that are no organisations, in lower case."""
        self.repositories: dict[str, Repository] = {}
        self.tokens: dict[str, Token] = {}
        self.nodes: dict[str, object] = {}
        self.budgets = {resource: Budget(resource) for resource in ("core", "graphql")}

    def close(self) -> None:
        for repository in self.repositories.values():
            repository.git.close()

    def repository(
        self, name: str = "acme/shop", *, private: bool = False, default_branch: str = "main", empty: bool = False
    ) -> Repository:
        """Create a repository with one commit, or an empty one."""
        repository = Repository(self, name, default_branch, is_private=private)
        self.repositories[name.lower()] = self.nodes[repository.id] = repository
        if not empty:
            repository.commit({"README.md": f"# {repository.name}\n"}, message="Initial commit")
        return repository

    def rename(self, old: str, new: str) -> None:
        """Rename a repository or change its owner; the old name still finds it."""
        repository = self.repositories[new.lower()] = self.repositories[old.lower()]
        repository.name_with_owner = new
        repository.owner_login, repository.name = new.split("/")

    def grant(
        self,
        *,
        default: str = "write",
        repositories: set[str] | None = None,
        account: str = DEFAULT_ACCOUNT,
        **permissions: str,
    ) -> str:
        """Create a token: `grant(default="none", contents="read", pull_requests="read")`."""
        text = f"ghs_{len(self.tokens):036d}"
        named = {key.replace("_", "-"): level for key, level in permissions.items()}
        covered = None if repositories is None else frozenset(repositories)
        self.tokens[text] = Token(text, named, default, covered, Actor(account))
        return text

    def find_repository(self, name: str, token: Token) -> Repository | None:
        """The repository of that name, if the token may know that it exists."""
        repository = self.repositories.get(name.lower())
        return repository if repository and token.sees(repository) else None

    def owned_repositories(self, owner: str, token: Token) -> list[Repository]:
        """The repositories of an owner that the token may know of, each once, by name."""
        visible = {each.name_with_owner: each for each in self.repositories.values() if token.sees(each)}
        return [each for _, each in sorted(visible.items()) if each.owner_login.lower() == owner.lower()]
