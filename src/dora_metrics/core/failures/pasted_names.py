"""What a pasted name of a deployment can mean: `v1.2.0`, a short sha, `#12`, an address of the same GitHub.

The forms are listed in docs/definitions.md, rule `explicit`.
"""

import re
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Incident

GITHUB_HOST = "github.com"

_VERSION = re.compile(r"([vV]?)(\d.*)", re.DOTALL)
_NUMBER = re.compile(r"[1-9]\d{0,19}", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)
_PULL = re.compile(r"([\w.-]+/[\w.-]+)?#([1-9]\d{0,17})", re.ASCII)
_HOST_OF_ADDRESS = re.compile(r"https?://(?:www\.|api\.)?([^/?#@\s]+)/", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.|api\.)?(?P<host>[^/?#@\s]+)/(?:(?:api/v3/)?repos/)?(?P<repository>[\w.-]+/[\w.-]+)/"
    r"(?:pulls?/(?P<pull>[1-9]\d{0,17})(?:/.*)?"
    r"|commits?/(?P<commit>[0-9a-f]{7,40})(?:\.diff|\.patch|/.*)?"
    r"|releases/tag/(?P<tag>.+?)/?"
    r"|deployments/(?P<deployment>[1-9]\d{0,19})/?"
    r")",
    re.IGNORECASE | re.ASCII,
)


class Reading(NamedTuple):
    """One thing that a name can mean.

    Attributes:
        key: an id, version, tag or sha; a pull request's id is in lower case.
        repository: where it is searched, in lower case; None for everywhere.
        is_short_sha: whether `key` is only the beginning of a sha.
    """

    key: str
    repository: str | None = None
    is_short_sha: bool = False


def normalise_name(name: str) -> str:
    """Return a name in the form that is compared: tags without `refs/tags/`, full shas in lower case."""
    name = name.strip().removeprefix("refs/tags/")
    return name.lower() if re.fullmatch(r"[0-9a-fA-F]{40}", name) else name


def readings_of(name: str, repository: str, hosts: Container[str]) -> tuple[Reading, ...]:
    """Return what a name can mean, the most literal reading first.

    Args:
        name: as it was pasted.
        repository: of the incident or deployment that uses the name; `#12` is a pull request of it.
        hosts: in lower case, those of the GitHub that the facts are from. Addresses elsewhere mean nothing.
    """
    text = normalise_name(name)
    bare = text.removeprefix("<").removesuffix(">")
    return tuple(dict.fromkeys((Reading(text), *_plain_readings(bare, repository), *_address_readings(bare, hosts))))


def _plain_readings(text: str, repository: str) -> Iterator[Reading]:
    if version := _VERSION.fullmatch(text):
        yield from (Reading(f"{prefix}{version[2]}") for prefix in ([""] if version[1] else ["v", "V"]))
    if _NUMBER.fullmatch(text):
        yield Reading(ids.github_deployment(int(text)))
    if _SHA.fullmatch(text):
        yield _commit_reading(text)
    if pull := _PULL.fullmatch(text):
        yield _pull_reading(pull[1] or repository, pull[2])


def _address_readings(text: str, hosts: Container[str]) -> Iterator[Reading]:
    # Everything from `?` or `#` on says only which part of the page is shown.
    match = _ADDRESS.fullmatch(re.split(r"[?#]", text, maxsplit=1)[0])
    if match is None or match["host"].lower() not in hosts:
        return
    repository = match["repository"].lower()
    if match["pull"]:
        yield _pull_reading(repository, match["pull"])
    elif match["commit"]:
        yield _commit_reading(match["commit"], repository)
    elif match["tag"]:
        yield Reading(unquote(match["tag"]), repository)
    else:
        yield Reading(ids.github_deployment(int(match["deployment"])), repository)


def _commit_reading(sha: str, repository: str | None = None) -> Reading:
    return Reading(sha.lower(), repository, is_short_sha=len(sha) < ids.SHA_LENGTH)


def _pull_reading(repository: str, number: str) -> Reading:
    return Reading(ids.pull_request(repository, number).lower())


def github_hosts(facts: Iterable[Change | Incident]) -> frozenset[str]:
    """Return the hosts of the GitHub that pull requests and issues are from; `github.com` if no address is known."""
    urls = {fact.url for fact in facts if fact.url and fact.id.startswith(("github:pull:", "github:issue:"))}
    hosts = {match[1].lower() for url in urls if (match := _HOST_OF_ADDRESS.match(url))}
    return frozenset(hosts or {GITHUB_HOST})
