"""The types of settings, each with its validation and its JSON Schema.

Values come from YAML files and from action inputs, which are always text, so most types parse text.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, SecretStr, WithJsonSchema

from dora_metrics.core import services, windows
from dora_metrics.core.periods import PERIOD_KINDS, PeriodKind, Weekday
from dora_metrics.core.repository_patterns import parse_pattern
from dora_metrics.core.shards import parse_shard
from dora_metrics.core.targets import benchmarks, goals, thresholds
from dora_metrics.settings import metric_labels
from dora_metrics.settings.alert_matchers import parse_alert_matchers
from dora_metrics.settings.endpoint_schema import ENDPOINTS_SCHEMA
from dora_metrics.settings.incident_schema import INCIDENTS_SCHEMA
from dora_metrics.settings.templates import parse_endpoint_template, parse_template_path

FailureRuleName = Literal["explicit", "rollback", "revert", "hotfix", "incident", "health-check"]
BenchmarkName = Literal["2019", "2021", "2022", "2023", "2024", "none", "custom"]
AlertSourceName = Literal["auto", "dependabot", "code-scanning", "secret-scanning", "none"]
WarehousePartName = Literal["facts", "rows", "metrics"]
DeploymentSourceName = Literal["auto", "deployments", "workflow-runs", "releases", "pushes", "none"]


_TEXTS_OF_GITOPS = ("service", "environment", "repository", "image", "tag", "annotation")


def _parse_boolean(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not a boolean; write true or false")  # noqa: TRY004 - pydantic expects ValueError
    return value


def _parse_duration(value: object) -> object:
    return value if isinstance(value, timedelta) else windows.parse_duration(str(value))


def _year_as_text(value: object) -> object:
    """Turn a year into text: YAML reads 2023 as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is not a known time zone; write a name such as UTC or Europe/Berlin") from None
    return value


def _parse_reports(value: object) -> object:
    """Parse report periods; `off` means none, which YAML reads as false."""
    return [] if value is False or str(value).strip() == "off" else windows.parse_list(value)


def _check_report(value: object) -> object:
    """Refuse what is no period, and name `off` too, which the periods lack."""
    if value == "off":
        raise ValueError("'off' cannot be combined with other values")
    if value not in PERIOD_KINDS:
        raise ValueError(f"{value!r} is not one of {', '.join(map(repr, PERIOD_KINDS))}, 'off'")
    return value


def _check_url(value: str) -> str:
    value = value.strip()  # a secret is easily pasted with a line break
    scheme, _, address = value.partition("://")
    if scheme not in ("http", "https") or not address.strip("/") or not _is_well_formed(value):
        raise ValueError("not a valid address; it must begin with http:// or https:// and have a host")
    return value


def _is_well_formed(address: str) -> bool:
    """Whether an address has a host and a possible port, and no white space or control character."""
    try:
        parts = urlsplit(address)
        has_host_and_port = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket without a partner, or a port that is not a number
        return False
    return has_host_and_port and address.isprintable() and " " not in address


def _check_window(value: str) -> str:
    windows.parse_window(value, ZoneInfo("UTC"))
    return value


def _check_ledger(value: str) -> str:
    if "\0" in value or not re.fullmatch(r"none|dir:.+|branch:[^@\s]+(@[^@/\s]+/[^@/\s]+)?", value):
        raise ValueError(
            f"{value!r} is not a valid ledger; write branch:NAME, branch:NAME@owner/repo, dir:PATH or none"
        )
    if value.startswith("dir:~"):
        raise ValueError(f"{value!r} begins with a home folder, which only a shell knows; write the whole path")
    return value


def _check_shard_ledger(value: str) -> str:
    if value == "none":
        raise ValueError("'none' is not a ledger to read; write branch:NAME, branch:NAME@owner/repo or dir:PATH")
    return _check_ledger(value)


def _check_since(value: str) -> str:
    if value != "all":
        try:
            windows.parse_duration(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a valid period; write for example 90d, 12w or all") from None
    return value


def _check_dataset(value: str) -> str:
    """Check a dataset. Its project may have a domain, as in `example.com:project.dataset`."""
    value = value.strip()
    if not re.fullmatch(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]*[a-z0-9]\.[A-Za-z0-9_]{1,1024}", value):
        raise ValueError(f"{value!r} is not a dataset; write project.dataset, with the id of the project")
    return value


def _check_location(value: str) -> str:
    value = value.strip()
    if not re.fullmatch(r"[A-Za-z0-9-]{1,50}", value):
        raise ValueError(f"{value!r} is not a location; write for example EU, US or europe-west3")
    return value


def _check_repository(value: str) -> str:
    parse_pattern(value)
    return value


def _check_shard(value: str) -> str:
    value = value.strip()
    parse_shard(value)
    return value


def _check_custom_benchmark(value: dict[str, Any]) -> dict[str, Any]:
    benchmarks.custom_benchmark(value)
    return value


def _check_gitops(value: dict[str, Any]) -> dict[str, Any]:
    if value:
        from dora_metrics.core.gitops.targets import GitOpsTargets  # noqa: PLC0415 - most repositories set none

        GitOpsTargets.parse(value)
    return value


def _parse_teams(value: object) -> object:
    if not value and isinstance(value, Mapping):
        return {}
    from dora_metrics.core.teams import parse_teams  # noqa: PLC0415 - as above

    return parse_teams(value)


def _check_goals(value: dict[str, Any]) -> dict[str, Any]:
    goals.parse_goals(value)
    return value


def _check_thresholds(items: tuple[str, ...]) -> tuple[str, ...]:
    problems = []
    for item in items:
        try:
            thresholds.parse_threshold(item)
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise ValueError("; ".join(problems))
    return items


def _check_statuses(items: tuple[str, ...]) -> tuple[str, ...]:
    if invalid := [item for item in items if not re.fullmatch(r"[1-5]\d\d(-[1-5]\d\d)?", item, re.ASCII)]:
        problem = "is not an HTTP status" if len(invalid) == 1 else "are not HTTP statuses"
        raise ValueError(f"{', '.join(map(repr, invalid))} {problem}; write for example 200 or 200-299")
    return items


def _parse_retry_count(value: object) -> object:
    if not re.fullmatch(r"[0-9]|10", str(value).strip(), re.ASCII):
        raise ValueError(f"{value!r} is not a number from 0 to 10")
    return int(str(value))


def choices_schema(*names: str) -> WithJsonSchema:
    """Return the JSON Schema of a list of these names, written as a list or as one text."""
    return WithJsonSchema({"anyOf": [{"items": {"enum": names}, "type": "array"}, {"type": "string"}]})


def _check_external_labels(value: dict[str, str]) -> dict[str, str]:
    if invalid := [name for name in value if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name)]:
        raise ValueError(f"{', '.join(map(repr, invalid))}: not the name of a label")
    return value


def _check_incidents(value: tuple[Any, ...]) -> tuple[Any, ...]:
    from dora_metrics.settings.incidents.parsing import parse_systems  # noqa: PLC0415 - most runs have none

    parse_systems(value)
    return value


def _check_tokens(value: SecretStr) -> SecretStr:
    from dora_metrics.settings.tokens import parse_tokens  # noqa: PLC0415 - as above

    parse_tokens(value.get_secret_value())
    return value


def _check_endpoints(value: object) -> object:
    if value not in ([], ()):
        from dora_metrics.settings.endpoint_list import parse_endpoints  # noqa: PLC0415 - as above

        parse_endpoints(value)
    return value


def _parse_incident_hosts(value: object) -> tuple[str, ...]:
    from dora_metrics.settings.hosts import parse_hosts  # noqa: PLC0415 - as above

    return parse_hosts(windows.parse_list(value))


_LIST_SCHEMA = {"anyOf": [{"items": {"type": ["string", "number"]}, "type": "array"}, {"type": ["string", "integer"]}]}

BooleanSetting = Annotated[
    bool, BeforeValidator(_parse_boolean), WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]})
]
DurationSetting = Annotated[
    timedelta, BeforeValidator(_parse_duration), WithJsonSchema({"pattern": "^[0-9]+ *[mhdw]$", "type": "string"})
]
ListSetting = Annotated[tuple[str, ...], BeforeValidator(windows.parse_list), WithJsonSchema(_LIST_SCHEMA)]
RepositoriesSetting = Annotated[
    tuple[Annotated[str, AfterValidator(_check_repository)], ...],
    BeforeValidator(windows.parse_list),
    WithJsonSchema({"anyOf": [{"items": {"type": "string"}, "type": "array"}, {"type": "string"}]}),
]
ShardSetting = Annotated[
    str, AfterValidator(_check_shard), WithJsonSchema({"pattern": "^[0-9]{1,9}/[0-9]{1,9}$", "type": "string"})
]
UrlSetting = Annotated[SecretStr, BeforeValidator(lambda value: SecretStr(_check_url(str(value))))]
WebAddressSetting = Annotated[str, AfterValidator(_check_url)]
"""An address that readers open; unlike those that a run sends data to, it is no secret."""

ServicesSetting = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(services.parse_services),
    WithJsonSchema({"type": "object", "additionalProperties": _LIST_SCHEMA}),
]

TeamsSetting = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(_parse_teams),
    WithJsonSchema(
        {"type": "object", "propertyNames": {"minLength": 1, "maxLength": 80}, "additionalProperties": _LIST_SCHEMA}
    ),
]

BenchmarkSetting = Annotated[
    BenchmarkName,
    BeforeValidator(_year_as_text),
    WithJsonSchema({"enum": [*get_args(BenchmarkName), *map(int, benchmarks.PUBLISHED_BENCHMARKS)]}),
]
CustomBenchmarkSetting = Annotated[dict[str, Any], AfterValidator(_check_custom_benchmark)]
GitOpsSetting = Annotated[
    dict[str, Any],
    AfterValidator(_check_gitops),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {"const": "skip"},
                    {
                        "type": "object",
                        "properties": {
                            **{name: {"type": "string"} for name in _TEXTS_OF_GITOPS},
                            "commit": {"enum": ["revision", "image-tag", "annotation"]},
                        },
                        "additionalProperties": False,
                    },
                ]
            },
        }
    ),
]
WindowSetting = Annotated[str, AfterValidator(_check_window)]
TimeZoneSetting = Annotated[str, AfterValidator(_check_time_zone)]
LedgerSetting = Annotated[str, AfterValidator(_check_ledger)]
ShardLedgersSetting = Annotated[
    tuple[Annotated[str, AfterValidator(_check_shard_ledger)], ...],
    BeforeValidator(windows.parse_list),
    WithJsonSchema({"anyOf": [{"items": {"type": "string"}, "type": "array"}, {"type": "string"}]}),
]
SinceSetting = Annotated[str, AfterValidator(_check_since)]
FailureRulesSetting = Annotated[
    tuple[FailureRuleName, ...], BeforeValidator(windows.parse_list), choices_schema(*get_args(FailureRuleName))
]
DeploymentSourceSetting = Annotated[
    tuple[DeploymentSourceName, ...],
    BeforeValidator(windows.parse_list),
    choices_schema(*get_args(DeploymentSourceName)),
]
ReportSetting = Annotated[
    tuple[Annotated[PeriodKind, BeforeValidator(_check_report)], ...],
    BeforeValidator(_parse_reports),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["off", False, *PERIOD_KINDS]},
                {"items": {"enum": PERIOD_KINDS}, "type": "array"},
                {"type": "string"},
            ]
        }
    ),
]
DatasetSetting = Annotated[str, AfterValidator(_check_dataset)]
LocationSetting = Annotated[str, AfterValidator(_check_location)]
WarehouseSetting = Annotated[
    tuple[WarehousePartName, ...], BeforeValidator(windows.parse_list), choices_schema(*get_args(WarehousePartName))
]
WeekdaySetting = Annotated[Weekday, BeforeValidator(lambda value: str(value).strip().lower())]
TemplateSetting = Annotated[Path, BeforeValidator(parse_template_path)]
SecuritySetting = Annotated[
    tuple[AlertSourceName, ...], BeforeValidator(windows.parse_list), choices_schema(*get_args(AlertSourceName))
]
LabelsSetting = Annotated[
    dict[str, str],
    BeforeValidator(metric_labels.parse_labels),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "object",
                    "maxProperties": metric_labels.MAX_LABELS,
                    "propertyNames": {
                        "pattern": metric_labels.NAME_PATTERN,
                        "not": {"anyOf": [{"pattern": "^__"}, {"enum": sorted(metric_labels.RESERVED)}]},
                    },
                    "additionalProperties": {"type": ["string", "integer"]},
                },
                {"type": "string"},
            ]
        }
    ),
]
IncidentsSetting = Annotated[
    tuple[dict[str, Any], ...], AfterValidator(_check_incidents), WithJsonSchema(INCIDENTS_SCHEMA)
]
TokensSetting = Annotated[SecretStr, AfterValidator(_check_tokens)]
EndpointTemplateSetting = Annotated[str, AfterValidator(parse_endpoint_template)]
EndpointsSetting = Annotated[
    tuple[dict[str, Any], ...], BeforeValidator(_check_endpoints), WithJsonSchema(ENDPOINTS_SCHEMA)
]
IncidentHostsSetting = Annotated[
    tuple[str, ...], BeforeValidator(_parse_incident_hosts), WithJsonSchema({"type": "string"})
]
AlertMatchersSetting = Annotated[str, AfterValidator(parse_alert_matchers)]
ExternalLabelsSetting = Annotated[dict[str, str], AfterValidator(_check_external_labels)]
GoalsSetting = Annotated[dict[str, Any], AfterValidator(_check_goals)]
ThresholdsSetting = Annotated[ListSetting, AfterValidator(_check_thresholds)]
StatusesSetting = Annotated[ListSetting, AfterValidator(_check_statuses)]
RetryCountSetting = Annotated[int, BeforeValidator(_parse_retry_count)]
