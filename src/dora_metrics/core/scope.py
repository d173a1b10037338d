"""What metrics are computed for, and what people call it."""

from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment, Incident

DEFAULT_ENVIRONMENT = "production"
"""The environment of a fact that names none."""


def deployment_label(deployment: Deployment) -> str:
    """What people call a deployment: its version, else the short sha, else the id."""
    return deployment.version or (deployment.sha or "")[:7] or deployment.id


class Scope(NamedTuple):
    """What metrics are computed for; compared as written."""

    repository: str
    service: str
    environment: str


def scope_of(deployment: Deployment) -> tuple[str, str, str]:
    """What a deployment is compared within, as it was recorded."""
    service = deployment.service or default_service(deployment.repository)
    return deployment.repository, service, environment_of(deployment)


def environment_of(fact: Deployment | Incident) -> str:
    """The environment of a fact, or the default one if it names none."""
    return fact.environment or DEFAULT_ENVIRONMENT


def default_service(repository: str) -> str:
    """The repository's name without its owner."""
    return repository.rpartition("/")[2]


def scope_label(scope: Scope) -> str:
    """The environment, with the service where it is not simply the repository."""
    if scope.service == default_service(scope.repository):
        return scope.environment
    return f"{scope.service} {scope.environment}"
