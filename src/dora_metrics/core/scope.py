"""Scopes, the unit that metrics are computed for, and display names of scopes and deployments."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

from dora_metrics.core.facts.model import Deployment, Incident

DEFAULT_ENVIRONMENT = "production"
"""The environment of a fact that names none."""


class Scope(NamedTuple):
    """One service in one production environment of a repository. Metrics are computed per scope.

    Names are compared as written, case included.
    """

    repository: str
    service: str
    environment: str


def scope_of(deployment: Deployment) -> Scope:
    """Return the scope of a deployment, with the defaults for a missing service and environment."""
    service = deployment.service or default_service(deployment.repository)
    return Scope(deployment.repository, service, environment_of(deployment))


def environment_of(fact: Deployment | Incident) -> str:
    """Return the environment of a fact, or the default one if it names none."""
    return fact.environment or DEFAULT_ENVIRONMENT


def default_service(repository: str) -> str:
    """Return the repository's name without its owner."""
    return repository.rpartition("/")[2]


def is_repository_name(text: str) -> bool:
    """Return whether a text is `OWNER/NAME`, the full name of a repository on GitHub."""
    parts = text.split("/")
    return len(parts) == 2 and all(  # noqa: PLR2004 - owner and name
        part.isascii() and part.translate(_PUNCTUATION_OF_NAMES).isalnum() and len(part) <= _MAX_NAME_CHARACTERS
        for part in parts
    )


_MAX_NAME_CHARACTERS = 100
"""Of a repository's name on GitHub; those of owners are shorter."""
_PUNCTUATION_OF_NAMES = str.maketrans("", "", "-_.")


def recorded_name(repository: str, recorded: Iterable[str]) -> str:
    """Return a repository's name as it is recorded: GitHub ignores the case of names, scopes do not.

    A name that is not among the recorded ones in any case is returned as it is.
    """
    same = sorted({name for name in recorded if name.casefold() == repository.casefold()})
    return same[0] if same and repository not in same else repository


def scope_label(scope: Scope) -> str:
    """Return the display name of a scope: its environment, preceded by the service unless that is the default."""
    if scope.service == default_service(scope.repository):
        return scope.environment
    return f"{scope.service} · {scope.environment}"


def scope_path(scope: Scope) -> str:
    """Return the key of a scope on the page and in its address: `acme/shop/web/production`."""
    return "/".join((scope.repository, *(quote(part, safe="") for part in scope[1:])))


def deployment_label(deployment: Deployment) -> str:
    """Return the display name of a deployment: its version, otherwise the short sha, otherwise the id."""
    return deployment.version or (deployment.sha or "")[:7] or deployment.id
