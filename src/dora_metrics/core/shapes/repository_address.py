"""The address of a repository, from what its facts say."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from dora_metrics.core.facts.model import Fact

GITHUB = "https://github.com"
"""The server of a repository of which no address is known."""

_PAGES = "actions|commit|deployments|issues|pull|releases|security"
_ADDRESS = re.compile(
    rf"(?P<server>https?://[a-z0-9.-]+(?::[0-9]{{1,5}})?)/(?P<repository>[^/?#\s]+/[^/?#\s]+)/(?:{_PAGES})(?:[/?#].*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
"""The address of something that GitHub shows of a repository. Other systems have addresses with its name too."""


class RepositoryAddresses:
    """The addresses of repositories, on the server that the addresses of their facts name."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._servers: Mapping[str, str] = {fact.repository: server for fact in facts if (server := _server_of(fact))}

    def of(self, repository: str) -> str:
        """Return the address of a repository as a valid URI, whatever its name is; on GitHub if none is known."""
        return self.known(repository) or _address(GITHUB, repository)

    def known(self, repository: str) -> str | None:
        """Return the address of a repository; None if no fact names its server."""
        server = self._servers.get(repository)
        return _address(server, repository) if server else None


def _address(server: str, repository: str) -> str:
    return f"{server}/{quote(repository, safe='/')}"


def _server_of(fact: Fact) -> str | None:
    """Return the GitHub that a fact's address is on; None if that is no address of its repository."""
    match = _ADDRESS.fullmatch(fact.url or "")
    if match is None or match["repository"].casefold() != fact.repository.casefold():
        return None
    return match["server"].lower()
