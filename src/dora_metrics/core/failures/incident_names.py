"""What a name of an incident can mean: an id, `#12`, a key such as `OPS-12`, an address.

The forms are listed in docs/events.md.
"""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Incident

_ISSUE = re.compile(r"([\w.-]+/[\w.-]+)?#([1-9]\d{0,17})", re.ASCII)
_JIRA_KEY = r"[A-Z][A-Z0-9_]+-[1-9]\d{0,17}"
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)+|(?<=//)[a-z0-9-]+)(?P<port>:\d{1,5})?"
    r"(?P<path>/[^?#\s]*)?(?P<query>\?[^#\s]*)?(?P<fragment>\#\S*)?",
    re.IGNORECASE | re.ASCII,
)
_ISSUE_PATH = re.compile(r"/(?:(?:api/v3/)?repos/)?([\w.-]+/[\w.-]+)/issues/([1-9]\d{0,17})(?:/.*)?", re.ASCII)
_PAGERDUTY_PATH = re.compile(r"/incidents/([A-Za-z0-9]{1,40})(?:/.*)?", re.ASCII)
_JIRA_PATH = re.compile(rf"(?:/.*)?/browse/({_JIRA_KEY})/?", re.IGNORECASE | re.ASCII)
_PAGERDUTY_HOST = re.compile(r"(?:.+\.)?pagerduty\.com")


class NamedIncidents(Struct, frozen=True):
    """A name in the field `also` of an incident, and the other incidents that it means: at most the first two."""

    name: str
    meant: tuple[Incident, ...]


class IncidentIndex:
    """Incidents by what names them: their ids and their addresses."""

    def __init__(self, incidents: Iterable[Incident], hosts: Container[str]) -> None:
        """Index incidents.

        Args:
            incidents: those that a name can mean.
            hosts: in lower case, those of the GitHub that the facts are from. Issues elsewhere are not recorded.
        """
        self._hosts = hosts
        by_key: defaultdict[str, list[Incident]] = defaultdict(list)
        for incident in incidents:
            for key in _keys_of(incident):
                by_key[key].append(incident)
        self._by_key: Mapping[str, Sequence[Incident]] = by_key

    def names_of(self, incident: Incident) -> tuple[NamedIncidents, ...]:
        """Return the names that an incident states, with the other incidents that each means."""
        return tuple(NamedIncidents(name, self._meant(name, incident)) for name in dict.fromkeys(incident.also))

    def _meant(self, name: str, incident: Incident) -> tuple[Incident, ...]:
        """Return what the most literal reading of a name means, if that is anything."""
        readings = (self._by_key.get(key, ()) for key in readings_of(name, incident.repository, self._hosts))
        meant = next(filter(None, readings), ())
        return tuple(islice((other for other in meant if other.id != incident.id), 2))


def _keys_of(incident: Incident) -> set[str]:
    address = _ADDRESS.fullmatch(incident.url) if incident.url else None
    return {incident.id, _folded(incident.id), *([_whole_address(address)] if address else [])}


def readings_of(name: str, repository: str, hosts: Container[str]) -> Iterator[str]:
    """Yield the keys of the index that a name can mean, the most literal reading first.

    Args:
        name: as it was pasted.
        repository: of the incident that uses the name; `#12` is an issue of it.
        hosts: of the GitHub that the facts are from.
    """
    text = name.strip().removeprefix("<").removesuffix(">")
    yield text
    yield _folded(text)
    if issue := _ISSUE.fullmatch(text):
        yield _folded(ids.issue(issue[1] or repository, issue[2]))
    if re.fullmatch(_JIRA_KEY, text):
        yield ids.jira_issue(text)
    if address := _ADDRESS.fullmatch(text):
        yield from _readings_of_address(address, hosts)


def _readings_of_address(address: re.Match[str], hosts: Container[str]) -> Iterator[str]:
    """Yield an address as it is, without what only says which part of a page is shown, and what its path names."""
    place = _place(address)
    yield _whole_address(address)
    yield f"{place}{address['query'] or ''}"
    yield place
    host, path = address["host"].lower(), address["path"] or ""
    if (issue := _ISSUE_PATH.fullmatch(path)) and host.removeprefix("api.") in hosts:
        yield _folded(ids.issue(issue[1], issue[2]))
    if (pagerduty := _PAGERDUTY_PATH.fullmatch(path)) and _PAGERDUTY_HOST.fullmatch(host):
        yield ids.pagerduty_incident(pagerduty[1])
    if jira := _JIRA_PATH.fullmatch(path):
        yield ids.jira_issue(jira[1].upper())


def _whole_address(address: re.Match[str]) -> str:
    return f"{_place(address)}{address['query'] or ''}{address['fragment'] or ''}"


def _place(address: re.Match[str]) -> str:
    """Return host and path of an address; `http` or `https`, `www.` and a last slash make no difference."""
    return f"//{address['host'].lower()}{address['port'] or ''}{(address['path'] or '').rstrip('/')}"


def _folded(fact_id: str) -> str:
    """Return the id of an issue in lower case, since GitHub ignores the case of names; any other as it is."""
    return folded if ids.is_issue(folded := fact_id.lower()) else fact_id
