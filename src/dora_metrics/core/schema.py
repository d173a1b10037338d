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
    """The uncertainty and level of a metric's deciding value, or the reason for having none.

    `level_span`: the lowest and highest level inside the 95 % interval.
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
    """Delivered changes that are in no lead time, each counted by the first reason that holds."""

    first_deployment: int
    bots: int
    no_start: int
    negative: int


class LeadTime(MetricVerdict, frozen=True, kw_only=True):
    """From a change's start to the first successful production deployment with it. Decided by `p50_seconds`."""

    changes: int
    p50_seconds: float | None
    p75_seconds: float | None
    p90_seconds: float | None
    p95_seconds: float | None
    mean_seconds: float | None
    stages: Stages
    excluded: Excluded


class ChangeFailureRate(MetricVerdict, frozen=True, kw_only=True):
    """Failed deployments / deployments that reached users. Decided by `ratio`.

    `at_least`: present and true where incidents are unknown, as in a git history. The rate may then be higher, so it
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
    """Deployments that repaired production / those that reached users. Decided by `ratio`; no levels."""

    rework: int
    deployments: int
    ratio: float | None


class IncidentRestore(Struct, frozen=True, kw_only=True):
    """Detected → resolved, of all incidents of the scope. Counts are null where incidents are unknown."""

    incidents: int | None
    resolved: int | None
    open: int | None
    unmatched: int | None
    p50_seconds: float | None
    p90_seconds: float | None
    mean_seconds: float | None


class Pipeline(Struct, frozen=True, kw_only=True):
    """Runs that failed, and how long until the same source succeeded again."""

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
    """One ISO week, Monday to Monday; a partial one counts only what the window holds of it.

    `incidents`: null where incidents are unknown, as in a git history.
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
    """`sha` only where each commit is measured by itself."""

    change: str
    deployment: str
    seconds: float
    sha: str | UnsetType = UNSET


class UnmatchedIncident(Struct, frozen=True, kw_only=True):
    incident: str
    because: str


class FixEvidence(Struct, frozen=True, kw_only=True):
    """`seconds`: from the detection of the vulnerability to the end of the deployment; None where that is negative."""

    vulnerability: str
    deployment: str
    seconds: float | None


class Evidence(Struct, frozen=True, kw_only=True):
    """What the numbers of the window were made from."""

    deployments: list[DeploymentEvidence]
    failed_deployments: list[FailureEvidence]
    lead_times: list[LeadTimeEvidence]
    unmatched_incidents: list[UnmatchedIncident]
    fixed_vulnerabilities: list[FixEvidence]


class Trend(Struct, frozen=True, kw_only=True):
    """Of weekly values: Theil-Sen slope in the unit of the metric's deciding value, and Mann-Kendall's p.

    `weeks`: how many have a value; `change`: what the slope makes from the first of them to the last. `ends`: the
    medians of the first and of the last third of them.
    """

    weeks: int
    slope_per_week: float
    change: float
    p: float
    ends: tuple[float, float]


class Goal(Struct, frozen=True, kw_only=True):
    """How a goal stands; all values in the unit of the metric's deciding value.

    `start`: where it started, `progress`: the share of the way from there, 0 to 1. `expected`: where the trend leads
    by the goal's day. `course`: met, missed, on course, not on course, or why nobody can say. Without a value `met`
    is None and has a `reason`.
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
    """What is known to help, and why it should here."""

    do: str
    because: str


class Advice(Struct, frozen=True, kw_only=True):
    """A metric to improve, what in its own data points at the cause, and what helps against that."""

    metric: str
    because: str
    evidence: list[str]
    measures: list[Measure]


class Outlook(Struct, frozen=True, kw_only=True):
    """Where it goes: trends of the weeks, by metric, where there are five; goals; what to improve; achievements.

    `remarks`: what to look at, whatever the metrics are, such as attempts that are cancelled one after the other.
    """

    trends: dict[str, Trend]
    goals: list[Goal]
    advice: list[Advice]
    achievements: list[str]
    remarks: list[str]


class ScopeMetrics(Struct, frozen=True, kw_only=True):
    """One (repository, service, environment); `previous` is None where no window comes before."""

    repository: str
    service: str
    environment: str
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
    """The whole answer."""

    schema: str = SCHEMA
    generated_at: datetime
    window: WindowBounds
    timezone: str
    benchmark: str
    scopes: list[ScopeMetrics]
    notes: list[str]
