"""What the text of a setting may be: the types of `settings`, each with its check and its JSON Schema."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, SecretStr, WithJsonSchema

from dora_metrics.core import services, windows
from dora_metrics.core.periods import KINDS, Day, Kind
from dora_metrics.core.targets import benchmarks, goals, thresholds

Rule = Literal["explicit", "rollback", "revert", "hotfix", "incident", "health-check"]
Table = Literal["2019", "2021", "2022", "2023", "2024", "none", "custom"]
Securing = Literal["auto", "dependabot", "code-scanning", "secret-scanning", "none"]
Source = Literal["auto", "deployments", "workflow-runs", "releases", "pushes", "none"]


def _boolean(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not a boolean; write true or false")  # noqa: TRY004 - pydantic wants it
    return value


def _duration(value: object) -> object:
    return value if isinstance(value, timedelta) else windows.duration(str(value))


def _year(value: object) -> object:
    """YAML reads 2023 as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; write a name such as UTC or Europe/Berlin") from None
    return value


def _reports(value: object) -> object:
    """YAML reads off as false."""
    return [] if value is False or str(value).strip() == "off" else windows.listed(value)


def _template(value: object) -> object:
    text = str(value).strip()
    if text.startswith("/") or ".." in Path(text).parts or "\0" in text:
        raise ValueError(f"{text!r} is no path in the repository")
    return Path(text)


def _url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("http", "https") or not rest.strip("/"):
        raise ValueError("is no address; it begins with http:// or https:// and a host")
    return value


def _window(value: str) -> str:
    windows.window(value, ZoneInfo("UTC"))
    return value


def _ledger(value: str) -> str:
    if "\0" in value or not re.fullmatch(r"none|dir:.+|branch:[^@\s]+(@[^@/\s]+/[^@/\s]+)?", value):
        raise ValueError(f"{value!r} is none of branch:NAME, branch:NAME@owner/repo, dir:PATH, none")
    return value


def _since(value: str) -> str:
    if value != "all":
        try:
            windows.duration(value)
        except ValueError:
            raise ValueError(f"{value!r} is no time to look back; write one such as 90d or 12w, or all") from None
    return value


def _repository(value: str) -> str:
    if not re.fullmatch(r"!?[A-Za-z0-9-]+/[A-Za-z0-9._*-]+", value):
        raise ValueError(f"{value!r} is no repository; write owner/name, owner/*, or !owner/name to leave one out")
    return value


def _custom(value: dict[str, Any]) -> dict[str, Any]:
    benchmarks.custom(value)
    return value


def _goals(value: dict[str, Any]) -> dict[str, Any]:
    goals.goals(value)
    return value


def _thresholds(items: tuple[str, ...]) -> tuple[str, ...]:
    problems = []
    for item in items:
        try:
            thresholds.threshold(item)
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise ValueError("; ".join(problems))
    return items


def _statuses(items: tuple[str, ...]) -> tuple[str, ...]:
    if bad := [item for item in items if not re.fullmatch(r"[1-5]\d\d(-[1-5]\d\d)?", item, re.ASCII)]:
        raise ValueError(f"{', '.join(map(repr, bad))}: no HTTP status; write one such as 200, or a range: 200-299")
    return items


def _tries(value: object) -> object:
    if not re.fullmatch(r"[0-9]|10", str(value).strip(), re.ASCII):
        raise ValueError(f"{value!r} is no number from 0 to 10")
    return int(str(value))


def choices(*names: str) -> WithJsonSchema:
    """A list of these names as people write it: as a list, or in one text."""
    return WithJsonSchema({"anyOf": [{"items": {"enum": names}, "type": "array"}, {"type": "string"}]})


Boolean = Annotated[
    bool, BeforeValidator(_boolean), WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]})
]
Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"pattern": "^[0-9]+ *[mhdw]$", "type": "string"})
]
List = Annotated[
    tuple[str, ...],
    BeforeValidator(windows.listed),
    WithJsonSchema({"anyOf": [{"items": {"type": ["string", "number"]}, "type": "array"}, {"type": "string"}]}),
]
Repositories = Annotated[
    tuple[Annotated[str, AfterValidator(_repository)], ...],
    BeforeValidator(windows.listed),
    WithJsonSchema({"anyOf": [{"items": {"type": "string"}, "type": "array"}, {"type": "string"}]}),
]
Url = Annotated[SecretStr, BeforeValidator(lambda value: SecretStr(_url(str(value))))]
Services = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(services.read),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [{"items": {"type": ["string", "number"]}, "type": "array"}, {"type": "string"}]
            },
        }
    ),
]

Tables = Annotated[
    Table,
    BeforeValidator(_year),
    WithJsonSchema({"enum": [*get_args(Table), *map(int, benchmarks.PUBLISHED)]}),
]
Custom = Annotated[dict[str, Any], AfterValidator(_custom)]
Window = Annotated[str, AfterValidator(_window)]
Zone = Annotated[str, AfterValidator(_zone)]
LedgerPlace = Annotated[str, AfterValidator(_ledger)]
Since = Annotated[str, AfterValidator(_since)]
Rules = Annotated[tuple[Rule, ...], BeforeValidator(windows.listed), choices(*get_args(Rule))]
Sources = Annotated[tuple[Source, ...], BeforeValidator(windows.listed), choices(*get_args(Source))]
Reports = Annotated[
    tuple[Kind, ...],
    BeforeValidator(_reports),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["off", False, *KINDS]},
                {"items": {"enum": KINDS}, "type": "array"},
                {"type": "string"},
            ]
        }
    ),
]
Weekday = Annotated[Day, BeforeValidator(lambda value: str(value).strip().lower())]
Template = Annotated[Path, BeforeValidator(_template)]
Security = Annotated[tuple[Securing, ...], BeforeValidator(windows.listed), choices(*get_args(Securing))]
Goals = Annotated[dict[str, Any], AfterValidator(_goals)]
Thresholds = Annotated[List, AfterValidator(_thresholds)]
Statuses = Annotated[List, AfterValidator(_statuses)]
Tries = Annotated[int, BeforeValidator(_tries)]
