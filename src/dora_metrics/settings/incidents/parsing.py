"""The setting `incidents` as systems to read.

What is wrong with a system is found here, before anything is read, and all of it at once.
"""

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import msgspec

from dora_metrics.core.scope import is_repository_name
from dora_metrics.settings.hosts import Origin
from dora_metrics.settings.incident_access import TOKEN_PLACEHOLDERS, names_token
from dora_metrics.settings.incidents.definitions import (
    CUSTOM,
    Definition,
    Mappings,
    PageSetting,
    allowed_keys,
    definition_of,
    mappings_of,
    needed_keys,
    presets,
)
from dora_metrics.settings.incidents.expressions import Expression
from dora_metrics.settings.incidents.systems import (
    EVERY_SERVICE,
    FIELD_NAMES,
    FieldName,
    IncidentList,
    IncidentSystem,
    Paging,
    PagingKind,
    QueryValue,
    ServicePlace,
    SingleIncident,
    placeholders_in,
)
from dora_metrics.settings.incidents.times import TimeFormat
from dora_metrics.settings.tokens import NAME

MAX_SYSTEMS = 10
_MAX_RANGE_DAYS = 3_650

_RESERVED_NAMES = frozenset({
    "alertmanager", "argo-rollouts", "argocd", "commit", "custom", "dispatch", "flagger", "flux", "git", "github",
})  # fmt: skip
"""How ids of other facts begin; a system of this name could replace them."""

_QUERY_PLACEHOLDERS = ("since", "until", "since-date", "minutes", "fields")
_REFUSED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "cookie", "upgrade", "te"})
"""Headers that decide where a request goes and where it ends, so that the host that gets a token is the one named."""


def parse_systems(entries: Sequence[object]) -> tuple[IncidentSystem, ...]:
    """Parse the setting `incidents`.

    Raises:
        ValueError: with all problems, each with the system and the place in it.
    """
    problems: list[str] = []
    if len(entries) > MAX_SYSTEMS:
        raise ValueError(f"{len(entries)} systems are too many; at most {MAX_SYSTEMS} are read")
    systems = []
    for number, entry in enumerate(entries, 1):
        try:
            systems.append(_EntryParser(entry, number).parse())
        except _InvalidSystemError as error:
            problems += error.args
    names = [system.name for system in systems]
    problems += [f"{name} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise ValueError(*problems)
    return tuple(systems)


class _InvalidSystemError(Exception):
    """A system cannot be used; the arguments are the problems."""


class _EntryParser:
    """Parses one entry of the setting, and collects what is wrong with it."""

    def __init__(self, entry: object, number: int) -> None:
        self._label = f"number {number}"
        self._problems: list[str] = []
        self._entry = self._checked_entry(entry)
        self._system = str(self._entry.get("system"))
        self._preset = presets().get(self._system)
        self._label = str(self._entry.get("name")) if self._system == CUSTOM and "name" in self._entry else self._system

    def parse(self) -> IncidentSystem:
        """Return the system.

        Raises:
            _InvalidSystemError: with all problems.
        """
        self._check_names()
        self._stop_at_problems()
        definition = self._converted(Definition, definition_of(self._entry, self._preset or {}))
        mappings = self._converted(Mappings, mappings_of(self._entry))
        self._stop_at_problems()
        system = self._system_of(definition, mappings)
        self._stop_at_problems()
        return system

    def _stop_at_problems(self) -> None:
        if self._problems:
            raise _InvalidSystemError(*self._problems)

    def _add(self, place: str, problem: object) -> None:
        self._problems.append(f"{self._label}: {place}: {problem}" if place else f"{self._label}: {problem}")

    def _checked_entry(self, entry: object) -> dict[str, Any]:
        if not isinstance(entry, Mapping) or not all(isinstance(key, str) for key in entry):
            raise _InvalidSystemError(f"{self._label}: expected a system, such as `system: pagerduty`")
        return dict(entry)

    def _check_names(self) -> None:
        if self._preset is None and self._system != CUSTOM:
            choices = ", ".join([*presets(), CUSTOM])
            self._add("system", f"{self._system!r} is not one of {choices}")
            return
        name = self._entry.get("name", "")
        if self._system == CUSTOM and not (isinstance(name, str) and NAME.fullmatch(name)):
            self._add("name", "expected a name for its facts: lower-case letters, digits, - and _")
        elif self._system == CUSTOM and (name in _RESERVED_NAMES or name in presets()):
            self._add("name", "ids of other facts begin with this name; choose another one")
        self._check_keys()

    def _check_keys(self) -> None:
        allowed, needs = allowed_keys(self._preset), needed_keys(self._preset)
        for key in self._entry:
            if key not in allowed:
                close = difflib.get_close_matches(key, allowed, 1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(allowed)}"
                self._add("", f"unknown key {key!r}; {hint}")
        for key in needs:
            if not isinstance(self._entry.get(key), str | int) or not str(self._entry[key]).strip():
                self._add(key, f"it is missing; {self._system} needs it")

    def _converted(self, shape: type[Any], value: dict[str, Any]) -> Any:  # noqa: ANN401 - the shape
        try:
            return msgspec.convert(value, shape)
        except msgspec.ValidationError as error:
            for place, problem in shape_problems(shape, value) or [_place_and_text(error)]:
                self._add(place, problem)
            return None

    def _system_of(self, definition: Definition, mappings: Mappings) -> IncidentSystem:
        url = definition.url or f"https://{next(iter(definition.hosts), '')}"
        url = url.rstrip("/") if definition.path else url  # the end of a whole address may matter
        self._check_url(url, is_missing=not (definition.url or definition.hosts))
        self._check_placeholders(definition)
        if not 0 <= definition.range.days <= _MAX_RANGE_DAYS:
            self._add("range.days", f"expected a number from 0 to {_MAX_RANGE_DAYS:,}")
        headers = self._headers(definition)
        changed = IncidentList(definition.path, definition.query)
        paging = self._paging(definition.page)
        return IncidentSystem(
            name=self._label,
            url=url,
            own_hosts=tuple(definition.hosts),
            headers=headers,
            is_token_optional=self._preset is None and not any(map(names_token, definition.headers.values())),
            changed=changed,
            open=self._open_list(definition),
            single=self._single_incident(definition),
            paging=paging,
            range=definition.range,
            each=self._expression("each", definition.each),
            fields=self._fields(definition, url),
            times=self._checked("times", lambda: TimeFormat.parse(definition.times), TimeFormat()),
            parameters=self._parameters(definition),
            is_of_account=self._preset is not None and not definition.needs,
            services=self._places(mappings, definition),
            severities={word.strip().lower(): severity for word, severity in mappings.severities.items()},
            environments=mappings.environments,
            digest=self._digest(definition),
        )

    def _check_url(self, url: str, *, is_missing: bool) -> None:
        if is_missing:
            self._add("url", f"it is missing; set the address of {self._label}, such as https://pager.example.com")
            return
        self._checked("url", lambda: Origin.of(url), None)

    def _headers(self, definition: Definition) -> Mapping[str, str]:
        for name, value in definition.headers.items():
            if name.strip().lower() in _REFUSED_HEADERS or not re.fullmatch(r"[A-Za-z0-9-]+", name):
                self._add(f"headers.{name}", "this header cannot be set")
            if not (value.isascii() and value.isprintable()):
                self._add(f"headers.{name}", "a header has printable ASCII characters only")
        if any(map(names_token, definition.headers.values())):
            return definition.headers
        return {"Accept": "application/json", **definition.headers, "Authorization": "Bearer ${token}"}

    def _paging(self, page: PageSetting) -> Paging:
        kinds: tuple[PagingKind, ...] = ("offset", "token", "number", "link")
        chosen = [kind for kind in kinds if getattr(page, kind) is not None]
        if len(chosen) > 1:
            self._add("page", f"{' and '.join(chosen)} are two ways of paging; keep one")
        kind = chosen[0] if chosen else "none"
        if (kind == "token") != (page.next is not None):
            self._add("page", "token and next belong together: the parameter, and the expression that finds its value")
        if page.size < 0 or page.end < 0 or page.first < 0:
            self._add("page", "size, first and end cannot be negative")
        if chosen and not str(getattr(page, kind)).strip():
            self._add(f"page.{kind}", "it is empty; name the parameter or, for `link`, the relation")
        if kind == "offset" and not page.size:
            self._add("page", "offset needs size, the number of incidents on a full page")
        return Paging(
            kind=kind,
            parameter=str(getattr(page, kind)) if chosen else "",
            next=self._expression("page.next", page.next) if page.next is not None else None,
            more=self._expression("page.more", page.more) if page.more is not None else None,
            size=page.size,
            is_size_certain=self._preset is not None,
            first=page.first,
            end=page.end,
        )

    def _open_list(self, definition: Definition) -> IncidentList | None:
        if definition.open is None:
            return None
        return IncidentList(definition.open.path or definition.path, definition.open.query)

    def _single_incident(self, definition: Definition) -> SingleIncident | None:
        single = definition.single
        if single is None:
            return None
        return SingleIncident(IncidentList(single.path, single.query), self._expression("single.each", single.each))

    def _fields(self, definition: Definition, url: str) -> dict[FieldName, Expression]:
        if unknown := [name for name in definition.fields if name not in FIELD_NAMES]:
            self._add("fields", f"{', '.join(map(repr, unknown))} not known; known are {', '.join(FIELD_NAMES)}")
        texts = {name: text for name in FIELD_NAMES if (text := definition.fields.get(name)) is not None}
        for name in ("id", "detected_at"):
            if name not in texts:
                self._add(f"fields.{name}", "it is missing; every incident needs it")
        return {name: self._expression(f"fields.{name}", text.replace("${url}", url)) for name, text in texts.items()}

    def _expression(self, place: str, text: str) -> Expression:
        try:
            return Expression.parse(text)
        except ValueError as error:
            self._add(place, f"{text[:80]!r} is not a JMESPath expression: {error}")
            return Expression.parse("@")

    def _parameters(self, definition: Definition) -> dict[str, str]:
        return {name: str(self._entry[name]).strip() for name in definition.needs}

    def _places(self, mappings: Mappings, definition: Definition) -> dict[str, ServicePlace | None]:
        places: dict[str, ServicePlace | None] = {}
        names = [name for name in mappings.services if name.strip() != EVERY_SERVICE]
        if names and definition.fields.get("service") is None:
            self._add(
                "fields.service",
                f"it is missing, so the line {names[0]!r} of `services` cannot apply; say where an incident has its "
                "service, with `fields: {service: …}`",
            )
        for name, place in mappings.services.items():
            if isinstance(place, str):
                places[name.strip()] = None
                continue
            if place.repository is not None and not is_repository_name(place.repository):
                self._add(f"services.{name}.repository", f"{place.repository!r} is not OWNER/NAME")
            places[name.strip()] = ServicePlace(place.service or None, place.repository, place.environment or None)
        return places

    def _check_placeholders(self, definition: Definition) -> None:
        needs = tuple(definition.needs)
        self._check_texts("url", [definition.url], ())
        self._check_texts("path", [definition.path], needs)
        self._check_texts("query", _texts(definition.query), (*needs, *_QUERY_PLACEHOLDERS))
        self._check_texts("headers", list(definition.headers.values()), TOKEN_PLACEHOLDERS)
        self._check_texts("fields", [text or "" for text in definition.fields.values()], ("url",))
        if definition.open:
            self._check_texts("open.path", [definition.open.path], needs)
            self._check_texts("open.query", _texts(definition.open.query), (*needs, *_QUERY_PLACEHOLDERS, "open"))
        if definition.single:
            self._check_texts("single.path", [definition.single.path], (*needs, "id"))
            self._check_texts("single.query", _texts(definition.single.query), (*needs, *_QUERY_PLACEHOLDERS, "id"))

    def _check_texts(self, place: str, texts: Sequence[str], known: Sequence[str]) -> None:
        for name in (name for text in texts for name in placeholders_in(text) if name not in known):
            choices = f"known are {', '.join(f'${{{each}}}' for each in known)}" if known else "there are none"
            self._add(place, f"${{{name[:40]}}} is not known there; {choices}")

    def _checked(self, place: str, parse: Callable[[], Any], otherwise: Any) -> Any:  # noqa: ANN401 - what it parses
        try:
            return parse()
        except ValueError as error:
            self._add(place, error)
            return otherwise

    def _digest(self, definition: Definition) -> str:
        content = msgspec.json.encode([definition, mappings_of(self._entry)], order="sorted")
        return hashlib.sha256(content).hexdigest()[:16]


def shape_problems(shape: type[Any], value: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what is wrong with the parts of a mapping that users name themselves, by place: `severities.Sev A`."""
    return [
        (f"{field.encode_name}.{name}", problem)
        for field in msgspec.structs.fields(shape)
        if get_origin(field.type) is dict and isinstance(value.get(field.encode_name), Mapping)
        for name, item in value[field.encode_name].items()  # type: ignore[attr-defined] # a mapping
        if (problem := _problem_of(item, get_args(field.type)[1], is_shown=field.encode_name != "headers"))
    ]


def _problem_of(item: object, kind: Any, *, is_shown: bool) -> str | None:  # noqa: ANN401 - a type
    """Return what is wrong with a value; None if nothing is. A header may hold a token, so its value is not named."""
    try:
        msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        inner, text = _place_and_text(error)
        choices = [each for each in (get_args(kind) or [kind]) if isinstance(each, str)] or _literals(kind)
        named = f"{item!r:.80}" if is_shown and isinstance(item, str | int | float) else ""
        if named and choices:
            return f"{named} is not {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}"
        return ": ".join(filter(None, (inner, text))) + (f"; it is {named}" if named else "")
    return None


def _literals(kind: Any) -> list[str]:  # noqa: ANN401 - a type
    """Return the words among the alternatives of a type."""
    return [word for each in get_args(kind) if get_origin(each) is Literal for word in get_args(each)]


def _place_and_text(error: msgspec.ValidationError) -> tuple[str, str]:
    text, _, path = str(error).partition(" - at ")
    return re.sub(r"[`$.]+", " ", path).strip().replace(" ", "."), text


def _texts(query: Mapping[str, QueryValue]) -> list[str]:
    return list(_query_texts(query))


def _query_texts(query: Mapping[str, QueryValue]) -> Iterator[str]:
    for value in query.values():
        yield from (str(each) for each in (value if isinstance(value, list) else [value]))
