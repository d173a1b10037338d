"""How systems are written: the presets, what users add to them, and systems of users' own."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from dora_metrics.core.facts.model import Severity
from dora_metrics.settings import yaml_text
from dora_metrics.settings.incidents.systems import QueryValue, ReadingRange

CUSTOM = "custom"
"""The system of a user's own."""

_MAPPING_KEYS = ("services", "severities", "environments")
_COMMON_KEYS = ("system", "url", "query", "fields", *_MAPPING_KEYS)
_CUSTOM_KEYS = ("headers", "page", "range", "each", "times", "open", "single")


class PageSetting(Struct, frozen=True, forbid_unknown_fields=True):
    offset: str | None = None
    token: str | None = None
    number: str | None = None
    link: str | None = None
    next: str | None = None
    more: str | None = None
    size: int = 0
    first: int = 1
    end: int = 0


class OpenSetting(Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""
    query: dict[str, QueryValue] = {}


class SingleSetting(Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    query: dict[str, QueryValue] = {}
    each: str = "[@]"


class Definition(Struct, frozen=True, forbid_unknown_fields=True):
    """A system as it is written in a preset or, without `hosts` and `needs`, as a custom one."""

    hosts: list[str] = []
    needs: list[str] = []
    url: str = ""
    path: str = ""
    headers: dict[str, str] = {}
    query: dict[str, QueryValue] = {}
    page: PageSetting = PageSetting()
    range: ReadingRange = ReadingRange()
    each: str = "@"
    times: str = ""
    open: OpenSetting | None = None
    single: SingleSetting | None = None
    fields: dict[str, str | None] = {}


class PlaceSetting(Struct, frozen=True, forbid_unknown_fields=True):
    service: str | None = None
    repository: str | None = None
    environment: str | None = None


class Mappings(Struct, frozen=True):
    services: dict[str, PlaceSetting | Literal["skip"]] = {}
    severities: dict[str, Severity] = {}
    environments: dict[str, str] = {}


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """Return the systems that the program knows, by name, as they are written in `presets.yml`."""
    loaded: Any = yaml_text.load(Path(__file__).with_name("presets.yml").read_text("utf-8"))
    return loaded  # type: ignore[no-any-return] # tests parse each of them


def needed_keys(preset: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the keys that an entry of a preset must have; none without a preset."""
    return [*(preset or {}).get("needs", [])]


def allowed_keys(preset: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the keys that an entry of a preset can have; without a preset, those of a custom system."""
    return [*_COMMON_KEYS, *(("name", *_CUSTOM_KEYS) if preset is None else needed_keys(preset))]


def definition_of(entry: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preset, which may be empty, with what an entry adds: parts of the query, and fields."""
    own = {key: entry[key] for key in ("url", "query", "fields", *_CUSTOM_KEYS) if key in entry}
    merged = {name: {**preset[name], **own[name]} for name in ("query", "fields") if _are_mappings(preset, own, name)}
    return {**preset, **own, **merged, **_open_with_filters(preset, own)}


def _open_with_filters(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's list of open incidents, with the parameters that the user adds to the other list."""
    if "open" not in preset or not _are_mappings(preset, own, "query"):
        return {}
    filters = {name: value for name, value in own["query"].items() if name not in preset["query"]}
    return {"open": {**preset["open"], "query": {**preset["open"]["query"], **filters}}}


def _are_mappings(first: Mapping[str, Any], second: Mapping[str, Any], name: str) -> bool:
    return isinstance(first.get(name), Mapping) and isinstance(second.get(name), Mapping)


def mappings_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry says about services, severities and environments, in the shape of `Mappings`."""
    services, others = _with_text_keys(entry, "services"), _MAPPING_KEYS[1:]
    if isinstance(services, Mapping):  # `Checkout:` alone means the defaults
        services = {name: {} if place is None else place for name, place in services.items()}
    return {"services": services, **{key: _with_text_keys(entry, key) for key in others}}


def _with_text_keys(entry: Mapping[str, Any], key: str) -> object:
    """Return a mapping whose keys are texts, since the system's ids and severities may be numbers; others unchanged."""
    value = entry.get(key) or {}
    return {str(name): each for name, each in value.items()} if isinstance(value, Mapping) else value
