"""The output contract: `metrics.json` and `compute --format json`, schema dora-metrics/1.

A value without data is None and has a `reason`. A count of zero is 0.

Docstrings of these types are published as descriptions in `schema/metrics.schema.json`.
"""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

SCHEMA = "dora-metrics/1"

ConfidenceInterval = tuple[float, float]
LevelSpan = tuple[str, str]


class MetricVerdict(Struct, frozen=True, kw_only=True):
    """The uncertainty and level of a metric's deciding value, or the reason why there is none.

    `level_span`: the lowest and highest level in the 95 % interval.
    """

    interval95: ConfidenceInterval | None = None
    level: str | None = None
    level_span: LevelSpan | None = None
    reason: str | None = None


class DeploymentFrequency(MetricVerdict, frozen=True, kw_only=True):
    """Successful production deployments. Decided by `per_day`."""

    deployments: int
    per_day: float | None
    per_week: float | None
    deployment_days: int
    median_deployment_days_per_week: float | None


class Stage(Struct, frozen=True, kw_only=True):
    p50_seconds: float | None


class Stages(Struct, frozen=True, kw_only=True):
    """Coding: first commit → opened; pickup: opened → first review; review: opened → merged; delivery: merged → live"""

    coding: Stage
    pickup: Stage
    review: Stage
    delivery: Stage


class Excluded(Struct, frozen=True, kw_only=True):
    """Delivered changes that are left out of lead time, each counted under the first reason that applies."""

    first_deployment: int
    bots: int
    no_start: int
    negative: int


class LeadTime(MetricVerdict, frozen=True, kw_only=True):
    """From a change's start to the first successful production deployment with it. Decided by `p50_seconds`.

    `at_least`: present and true if at least half of the changes start too late, as squash merges do in a git history,
    which lacks their branches. The median may then be any higher, so it has no interval and no level.
    """

    changes: int
    p50_seconds: float | None
    p75_seconds: float | None
    p90_seconds: float | None
    p95_seconds: float | None
    mean_seconds: float | None
    stages: Stages
    excluded: Excluded
    at_least: bool | UnsetType = UNSET


class ChangeFailureRate(MetricVerdict, frozen=True, kw_only=True):
    """Failed deployments divided by deployments that reached users. Decided by `ratio`.

    `at_least`: present and true if incidents are unknown, as in a git history. The rate may then be higher, so it
    has no interval and no level.
    """

    failed: int
    deployments: int
    ratio: float | None
    at_least: bool | UnsetType = UNSET


class RecoveryTime(MetricVerdict, frozen=True, kw_only=True):
    """From a failed deployment to its remediation. Decided by `p50_seconds`."""

    recovered: int
    open: int
    p50_seconds: float | None
    p90_seconds: float | None
    mean_seconds: float | None


class ReworkRate(MetricVerdict, frozen=True, kw_only=True):
    """Deployments that repaired production divided by those that reached users. Decided by `ratio`; no levels.

    `at_least`: present and true if rollbacks are unknown, as in a git history. The rate may then be higher, even beyond
    its interval.
    """

    rework: int
    deployments: int
    ratio: float | None
    at_least: bool | UnsetType = UNSET


class IncidentRestore(Struct, frozen=True, kw_only=True):
    """From detected to resolved, for all incidents of the scope. Counts are null if incidents are unknown."""

    incidents: int | None
    resolved: int | None
    open: int | None
    unmatched: int | None
    p50_seconds: float | None
    p90_seconds: float | None
    mean_seconds: float | None


class Pipeline(Struct, frozen=True, kw_only=True):
    """Failed runs, and the time until the same source succeeded again."""

    failed_runs: int
    recovery_p50_seconds: float | None


class Security(Struct, frozen=True, kw_only=True):
    """Vulnerabilities of one severity."""

    detected: int
    fixed: int
    open: int
    remediation_p50_seconds: float | None


class OverallLevel(Struct, frozen=True, kw_only=True):
    """The lowest level among the metrics that have one."""

    level: str
    rests_on: list[str]


class Metrics(Struct, frozen=True, kw_only=True):
    """Everything about one scope in one window."""

    deployment_frequency: DeploymentFrequency
    lead_time: LeadTime
    change_failure_rate: ChangeFailureRate
    recovery_time: RecoveryTime
    rework_rate: ReworkRate
    incident_restore: IncidentRestore
    pipeline: Pipeline
    security: dict[str, Security]
    overall_level: OverallLevel | None


class Week(Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """One ISO week, Monday to Monday. A partial week counts only its days in the window.

    `incidents`: null if incidents are unknown, as in a git history.
    """

    week: str
    start: datetime
    end: datetime
    partial: bool
    deployments: int
    deployment_days: int
    lead_time_p50_seconds: float | None
    change_failure_ratio: float | None
    recovery_p50_seconds: float | None
    rework_ratio: float | None
    incidents: int | None


class DeploymentEvidence(Struct, frozen=True, kw_only=True):
    deployment: str
    sha: str | None
    finished_at: datetime
    status: str
    commit_count: int | None
    changes: tuple[str, ...] | None


class FailureEvidence(Struct, frozen=True, kw_only=True):
    deployment: str
    rule: str
    because: str
    url: str | None
    remediated_by: str | None
    recovered_at: datetime | None


class LeadTimeEvidence(Struct, frozen=True, kw_only=True):
    """The lead time of a change. `sha` is present only if each commit is measured separately."""

    change: str
    deployment: str
    seconds: float
    sha: str | UnsetType = UNSET


class UnmatchedIncident(Struct, frozen=True, kw_only=True):
    incident: str
    because: str


class JoinedIncident(Struct, frozen=True, kw_only=True):
    """An incident that was reported several times and counts once: its id, and the ids of all its reports."""

    incident: str
    reports: list[str]


class FixEvidence(Struct, frozen=True, kw_only=True):
    """`seconds`: from the detection of the vulnerability to the end of the deployment; null if negative."""

    vulnerability: str
    deployment: str
    seconds: float | None


class Evidence(Struct, frozen=True, kw_only=True):
    """The facts behind the numbers of the window.

    `joined_incidents`: present only if an incident of the window was reported several times.
    """

    deployments: list[DeploymentEvidence]
    failed_deployments: list[FailureEvidence]
    lead_times: list[LeadTimeEvidence]
    unmatched_incidents: list[UnmatchedIncident]
    fixed_vulnerabilities: list[FixEvidence]
    joined_incidents: list[JoinedIncident] | UnsetType = UNSET


class Trend(Struct, frozen=True, kw_only=True):
    """The trend of weekly values: Theil-Sen slope in the unit of the metric's deciding value, and Mann-Kendall's p.

    `weeks`: the number of weeks with a value. `change`: the change along the slope from the first to the last of them.
    `ends`: the medians of the first and the last third of them.
    """

    weeks: int
    slope_per_week: float
    change: float
    p: float
    ends: tuple[float, float]


class Goal(Struct, frozen=True, kw_only=True):
    """The state of a goal. All values are in the unit of the metric's deciding value.

    `start`: the value at the start. `progress`: the share of the way from there to the target, 0 to 1. `expected`: the
    value that the trend reaches on the goal's date. `course`: met, missed, on course, not on course, or why this is
    unknown. Without a value, `met` is null and `reason` says why. A frequency is compared over whole weeks or days.
    """

    metric: str
    target: float
    by: str | None
    start: float | None
    value: float | None
    met: bool | None
    distance: float | None
    progress: float | None
    expected: float | None
    course: str | None
    reason: str | None


class Measure(Struct, frozen=True, kw_only=True):
    """A recommended measure, and why it should help here."""

    do: str
    because: str


class Advice(Struct, frozen=True, kw_only=True):
    """A metric to improve, the evidence for the cause in its own data, and measures against it."""

    metric: str
    because: str
    evidence: list[str]
    measures: list[Measure]


class Outlook(Struct, frozen=True, kw_only=True):
    """Trends by metric (with at least five weeks of values), goals, what to improve, and achievements.

    `remarks`: problems that no metric shows, such as attempts that are cancelled one after the other.
    """

    trends: dict[str, Trend]
    goals: list[Goal]
    advice: list[Advice]
    achievements: list[str]
    remarks: list[str]


class ScopeMetrics(Struct, frozen=True, kw_only=True):
    """One (repository, service, environment). `previous` is null if there is no window to compare with.

    `team`: present only if the setting `teams` has a pattern that matches the scope.
    """

    repository: str
    service: str
    environment: str
    team: str | UnsetType = UNSET
    metrics: Metrics
    previous: Metrics | None
    weeks: list[Week]
    evidence: Evidence
    outlook: Outlook


class WindowBounds(Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    start: datetime
    end: datetime
    days: float


class Document(Struct, frozen=True, kw_only=True):
    """The metrics of all scopes in one window."""

    schema: str = SCHEMA
    generated_at: datetime
    window: WindowBounds
    timezone: str
    benchmark: str
    scopes: list[ScopeMetrics]
    notes: list[str]
