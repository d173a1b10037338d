"""The tables of a warehouse: a struct for each kind of row, from which every schema is generated (docs/warehouse.md).

A row holds what was judged, and the time that decides in which window it counts. It depends on no window itself.
"""

from collections.abc import Iterator
from datetime import date, datetime
from types import NoneType
from typing import NamedTuple, get_args, get_type_hints

from msgspec import Raw, Struct

_SCOPE = ("repository", "service", "environment")


class ScopeRow(Struct, frozen=True, kw_only=True, gc=False):
    """A service in an environment: its team, its first recorded deployment, its time zone.

    `knows_incidents`, `knows_rollbacks`: whether these could be recorded at all. Otherwise counts of incidents are
    unknown, and the change failure rate or the rework rate may be higher than what is counted.
    """

    repository: str
    service: str
    environment: str
    team: str | None
    began_at: datetime | None
    began_week: date | None
    timezone: str
    knows_incidents: bool
    knows_rollbacks: bool


class DeploymentRow(Struct, frozen=True, kw_only=True, gc=False):
    """An attempt to deploy, and what was judged of it.

    `day` and `week` (its Monday) are in the scope's time zone. `counts`: whether the change failure rate counts it.
    `baseline`: whether it is the first success, which has nothing before it to compare with. `recovery_seconds` is null
    while the failure is open (`recovered_at` is null too), and if the recovery is before the failure.
    """

    repository: str
    service: str
    environment: str
    id: str
    sha: str | None
    version: str | None
    source: str | None
    url: str | None
    status: str
    started_at: datetime | None
    finished_at: datetime
    day: date
    week: date
    reached_users: bool
    counts: bool
    baseline: bool
    failed: bool
    failure_rule: str | None
    failure_because: str | None
    remediated_by: str | None
    recovered_at: datetime | None
    recovery_seconds: float | None
    rework: bool
    rework_because: str | None
    commit_count: int | None


class LeadTimeRow(Struct, frozen=True, kw_only=True, gc=False):
    """A delivered change with its lead time, or why it has none (`excluded`).

    `changes`: the number of changes in the row; more than 1 only where commits are excluded together. `sha` is set
    only if each commit is measured separately. `starts_too_late`: whether the change began earlier than is known, so
    that its lead time may be longer. A stage is null where it is not known.
    """

    repository: str
    service: str
    environment: str
    change: str
    deployment: str
    sha: str | None
    deployed_at: datetime
    week: date
    seconds: float | None
    excluded: str | None
    changes: int
    starts_too_late: bool
    coding_seconds: float | None
    pickup_seconds: float | None
    review_seconds: float | None
    delivery_seconds: float | None


class IncidentRow(Struct, frozen=True, kw_only=True, gc=False):
    """An incident, and the deployment that it is attributed to, with the reason.

    What was reported several times is one incident. `restore_seconds` is null while it is open, and if it was resolved
    before it was detected.
    """

    repository: str
    service: str
    environment: str
    id: str
    title: str | None
    severity: str | None
    source: str | None
    url: str | None
    detected_at: datetime
    resolved_at: datetime | None
    week: date
    restore_seconds: float | None
    deployment: str | None
    because: str


class StreakRow(Struct, frozen=True, kw_only=True, gc=False):
    """Failed runs in a row of one source, from the end of the first (`deployment`) to that of the next success.

    `until` and `seconds` are null while it lasts.
    """

    repository: str
    service: str
    environment: str
    deployment: str
    source: str | None
    since: datetime
    until: datetime | None
    seconds: float | None


class VulnerabilityRow(Struct, frozen=True, kw_only=True, gc=False):
    """A security alert of a scope. Scopes of one repository share those that name no service.

    `fixed_at` is null for an alert that was dismissed. `open`: neither fixed nor dismissed. `remediation_seconds` is
    null unless it was fixed, and if that was before its detection.
    """

    repository: str
    service: str
    environment: str
    id: str
    severity: str | None
    package: str | None
    url: str | None
    detected_at: datetime
    fixed_at: datetime | None
    dismissed_at: datetime | None
    open: bool
    remediation_seconds: float | None


class MetricsRow(Struct, frozen=True, kw_only=True, gc=False):
    """The metrics of a scope in one window as of one day, with 95 % intervals and levels, as `metrics.json` has them.

    `window_name` is `7d`, `30d`, `90d`, or the window of the settings. `day` is in the scope's time zone. A value
    without data is null, and its `…_reason` says why. `…_low…` and `…_high…` are the ends of the interval.
    `…_at_least`: the value may be higher, so that it has no level.
    """

    repository: str
    service: str
    environment: str
    window_name: str
    day: date
    window_from: datetime
    window_to: datetime
    window_days: float
    benchmark: str
    overall_level: str | None
    deployments: int
    deployment_frequency_per_day: float | None
    deployment_frequency_low_per_day: float | None
    deployment_frequency_high_per_day: float | None
    deployment_frequency_level: str | None
    deployment_frequency_reason: str | None
    changes: int
    lead_time_p50_seconds: float | None
    lead_time_low_seconds: float | None
    lead_time_high_seconds: float | None
    lead_time_at_least: bool
    lead_time_level: str | None
    lead_time_reason: str | None
    failed_deployments: int
    counted_deployments: int
    change_failure_ratio: float | None
    change_failure_ratio_low: float | None
    change_failure_ratio_high: float | None
    change_failure_rate_at_least: bool
    change_failure_rate_level: str | None
    change_failure_rate_reason: str | None
    recovered: int
    open_failures: int
    recovery_time_p50_seconds: float | None
    recovery_time_low_seconds: float | None
    recovery_time_high_seconds: float | None
    recovery_time_level: str | None
    recovery_time_reason: str | None
    rework_deployments: int
    reached_deployments: int
    rework_ratio: float | None
    rework_ratio_low: float | None
    rework_ratio_high: float | None
    rework_rate_at_least: bool
    rework_rate_reason: str | None


class FactRow(Struct, frozen=True, kw_only=True, gc=False):
    """A fact as JSON in the ledger's form. `occurred_at` is the time that decides its month."""

    id: str
    kind: str
    repository: str
    occurred_at: datetime
    observed_at: datetime
    fact: Raw


class WeekStartRow(Struct, frozen=True, kw_only=True, gc=False):
    """A Monday of a time zone, so that SQL needs no time zone arithmetic."""

    timezone: str
    week: date
    starts_at: datetime
    ends_at: datetime


Row = (
    ScopeRow
    | DeploymentRow
    | LeadTimeRow
    | IncidentRow
    | StreakRow
    | VulnerabilityRow
    | MetricsRow
    | FactRow
    | WeekStartRow
)


class Column(NamedTuple):
    """A column: its name, its type in BigQuery, and whether it always has a value."""

    name: str
    type: str
    is_required: bool


class WarehouseTable(NamedTuple):
    """A table of rows.

    `key` identifies a row. `partition` is the time by whose month BigQuery stores rows; None for small tables.
    """

    name: str
    row_type: type[Struct]
    key: tuple[str, ...]
    partition: str | None
    clustering: tuple[str, ...]

    @property
    def description(self) -> str:
        """What a row is, in one line."""
        return (self.row_type.__doc__ or "").partition("\n")[0]

    @property
    def columns(self) -> Iterator[Column]:
        hints = get_type_hints(self.row_type)
        return (_column(name, hints[name]) for name in self.row_type.__struct_fields__)


TABLES = (
    WarehouseTable("scopes", ScopeRow, _SCOPE, None, _SCOPE),
    WarehouseTable("deployments", DeploymentRow, (*_SCOPE, "id"), "finished_at", _SCOPE),
    WarehouseTable(
        "lead_times", LeadTimeRow, (*_SCOPE, "change", "deployment", "sha", "excluded"), "deployed_at", _SCOPE
    ),
    WarehouseTable("incidents", IncidentRow, (*_SCOPE, "id"), "detected_at", _SCOPE),
    WarehouseTable("streaks", StreakRow, (*_SCOPE, "deployment"), None, _SCOPE),
    WarehouseTable("vulnerabilities", VulnerabilityRow, (*_SCOPE, "id"), None, _SCOPE),
    WarehouseTable("metrics", MetricsRow, (*_SCOPE, "window_name", "day"), None, _SCOPE),
    WarehouseTable("facts", FactRow, ("id",), "occurred_at", ("repository", "kind")),
    WarehouseTable("week_starts", WeekStartRow, ("timezone", "week"), None, ("timezone",)),
)
"""All tables that are made from facts, in the order of docs/warehouse.md."""

_TYPES: dict[object, str] = {
    str: "STRING",
    datetime: "TIMESTAMP",
    date: "DATE",
    bool: "BOOLEAN",
    int: "INTEGER",
    float: "FLOAT",
    Raw: "JSON",
}


def _column(name: str, hint: object) -> Column:
    value_type = next((each for each in get_args(hint) if each is not NoneType), hint)
    return Column(name, _TYPES[value_type], is_required=NoneType not in get_args(hint))
