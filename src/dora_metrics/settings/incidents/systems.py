"""A system to read incidents from: everything about it is data.

A system comes from a preset or from a user; `parsing.py` makes both.
"""

import re
from collections.abc import Collection, Mapping
from typing import Literal, get_args
from urllib.parse import quote

from msgspec import Struct

from dora_metrics.core.facts.model import Severity
from dora_metrics.settings.hosts import Origin
from dora_metrics.settings.incidents.expressions import Expression
from dora_metrics.settings.incidents.times import TimeFormat

FieldName = Literal[
    "id", "title", "url", "service", "severity", "detected_at", "resolved_at", "observed_at", "environment",
    "deployment", "retracted", "also",
]  # fmt: skip
"""The fields of an incident that a system can have."""
FIELD_NAMES: tuple[FieldName, ...] = get_args(FieldName)

EVERY_SERVICE = "*"
"""In `services`: all that have no line of their own, and incidents without a service."""

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")

QueryValue = str | int | bool | list[str | int]


class ReadingRange(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """How a reading goes from a time to the present.

    Attributes:
        days: how many days one list may span; 0 for any number.
        by: the field by which items are in ascending order, from which a reading can go on; None for no such order.
        newest_first: whether a page in which nothing changed since then ends the reading.
    """

    days: int = 0
    by: Literal["detected_at", "observed_at"] | None = None
    newest_first: bool = False


PagingKind = Literal["offset", "token", "number", "link", "none"]


class Paging(Struct, frozen=True):
    """How the pages of a list follow each other.

    Attributes:
        kind: by the number of items before a page, by a token in the page before, by its number, by a header `Link`,
            or not at all.
        parameter: of the query; for `link` the relation of the link.
        next: finds the token of the next page.
        more: finds whether there is another page; without it a page that is not full is the last one.
        size: items of a full page; 0 if unknown, then an empty page is the last one.
        is_size_certain: whether `size` is what the vendor documents, not what a user asks for.
        first: the number of the first page.
        end: the first offset that the system refuses; 0 for no such limit.
    """

    kind: PagingKind = "none"
    parameter: str = ""
    next: Expression | None = None
    more: Expression | None = None
    size: int = 0
    is_size_certain: bool = False
    first: int = 1
    end: int = 0


class ServicePlace(Struct, frozen=True):
    """Where the incidents of one of the system's services belong; None for this repository, no service, or unknown."""

    service: str | None = None
    repository: str | None = None
    environment: str | None = None


class IncidentList(Struct, frozen=True):
    """A list of incidents: path below the system's address, and query, both with placeholders."""

    path: str
    query: Mapping[str, QueryValue]


class SingleIncident(Struct, frozen=True):
    """Where a single incident is, by its id, and what finds it in the answer, as a list with one item."""

    request: IncidentList
    each: Expression


class IncidentSystem(Struct, frozen=True):
    """A system to read incidents from.

    Attributes:
        name: of the system; the source of its facts, and how their ids begin.
        url: its address.
        own_hosts: the hosts of the preset, which get a token without being named.
        headers: of each request, with placeholders for the token.
        is_token_optional: whether it is asked without a token too, and then without the headers that hold one.
        changed: the list of what changed since a time.
        open: the list of what has not ended; None if `changed` tells that as well.
        single: an incident by its id; None if the system cannot be asked for that.
        paging: of both lists.
        range: how far one list reaches.
        each: finds the items of a page.
        fields: find the fields of an item.
        times: how it writes times.
        parameters: what the user set for the placeholders of the preset.
        is_of_account: whether its list has all incidents of an account, not only those that the user's query selects.
        services: where its services belong; None for those that are skipped.
        severities: further words for severities, in lower case.
        environments: its names of environments to those in the ledger.
        digest: of everything above; a system with another one is read from the beginning.
    """

    name: str
    url: str
    own_hosts: tuple[str, ...]
    headers: Mapping[str, str]
    is_token_optional: bool
    changed: IncidentList
    open: IncidentList | None
    single: SingleIncident | None
    paging: Paging
    range: ReadingRange
    each: Expression
    fields: Mapping[FieldName, Expression]
    times: TimeFormat
    parameters: Mapping[str, str]
    is_of_account: bool
    services: Mapping[str, ServicePlace | None]
    severities: Mapping[str, Severity]
    environments: Mapping[str, str]
    digest: str

    @property
    def origin(self) -> Origin:
        """Where its requests go."""
        return Origin.of(self.url)

    def may_get_token(self, hosts: Collection[str]) -> bool:
        """Whether a token may be sent to it: to the preset's own host, or to one of these lines of `incident-hosts`."""
        return self.origin.is_named_by((*self.own_hosts, *hosts))

    @property
    def read_fields(self) -> str:
        """The names below `fields` that the expressions read, for systems that return only what is named."""
        names = (name for expression in self.fields.values() for name in expression.names_below("fields"))
        return ",".join(dict.fromkeys(names))


def placeholders_in(text: str) -> list[str]:
    """Return the names of the placeholders in a text, such as `since` in `${since}`."""
    return _PLACEHOLDER.findall(text)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a text with values in place of placeholders. All of them are known once a system was parsed."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def fill_path(path: str, values: Mapping[str, str]) -> str:
    """Return a path with values in place of placeholders, each as one segment.

    Raises:
        ValueError: if a value would lead to another path.
    """
    if dots := [name for name in _PLACEHOLDER.findall(path) if values[name] in (".", "..", "")]:
        raise ValueError(f"{values[dots[0]]!r} cannot be a part of a path")
    return fill(path, {name: quote(value, safe="") for name, value in values.items()})
