"""Everything that a user can set, as one frozen model. A setting has the same name in files, inputs and flags."""

from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from dora_metrics.core import services, windows
from dora_metrics.core.names import PRODUCTION_NAMES
from dora_metrics.core.policy import Policy
from dora_metrics.core.shards import Shard, parse_shard
from dora_metrics.core.targets import benchmarks, goals
from dora_metrics.settings.types import (
    AlertMatchersSetting,
    BenchmarkSetting,
    BooleanSetting,
    CustomBenchmarkSetting,
    DatasetSetting,
    DeploymentSourceSetting,
    DurationSetting,
    EndpointsSetting,
    EndpointTemplateSetting,
    ExternalLabelsSetting,
    FailureRulesSetting,
    GitOpsSetting,
    GoalsSetting,
    IncidentHostsSetting,
    IncidentsSetting,
    LabelsSetting,
    LedgerSetting,
    ListSetting,
    LocationSetting,
    ReportSetting,
    RepositoriesSetting,
    RetryCountSetting,
    SecuritySetting,
    ServicesSetting,
    ShardLedgersSetting,
    ShardSetting,
    SinceSetting,
    StatusesSetting,
    TeamsSetting,
    TemplateSetting,
    ThresholdsSetting,
    TimeZoneSetting,
    TokensSetting,
    UrlSetting,
    WarehouseSetting,
    WebAddressSetting,
    WeekdaySetting,
    WindowSetting,
)

if TYPE_CHECKING:
    from dora_metrics.core.teams import Teams
    from dora_metrics.settings.endpoints import EndpointSettings

DEFAULT_CONFIG = Path(".github/dora.yml")
EVERY_REPOSITORY = "*"
"""The `repository` of a run that covers all repositories in a ledger."""


class Settings(BaseModel):
    """Everything that a user can set. The descriptions are those of action.yml and the docs."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
    )

    github_token: SecretStr | None = Field(
        None, description="Token for GitHub's API. It reads and writes the ledger's branch."
    )
    mode: Literal["auto", "sync", "report", "rebuild"] = Field(
        "auto",
        description="`auto` records the event, or reads GitHub's history if a schedule or a person started the run. "
        "`sync` always reads GitHub's history. `rebuild` computes everything again from the ledger. `report` does "
        "the same and files the report that is due.",
    )
    environment: str | None = Field(
        None, description="In a deploy job: the environment it deployed to. Records that deployment."
    )
    status: Literal["success", "failure", "cancelled"] = Field(
        "success", description="In a deploy job: its result. Pass `job.status`."
    )
    version: str | None = Field(None, description="In a deploy job: the version it deployed.")
    config: Path = Field(
        DEFAULT_CONFIG,
        description="File with settings, in the checkout or, if it has none, on the default branch. "
        "If the checkout is in the folder `app`: `app/.github/dora.yml`.",
    )
    ledger: LedgerSetting = Field(
        "branch:dora-metrics",
        description="Where facts are stored: `branch:NAME`, `branch:NAME@owner/repo`, `dir:PATH` or `none`.",
    )
    deployment_source: DeploymentSourceSetting = Field(
        ("auto",),
        description="What counts as a deployment: auto, deployments, workflow-runs, releases, pushes, none.",
    )
    deploy_workflows: ListSetting = Field(
        (),
        description="Names or files of workflows that deploy. Default: those with a word such as deploy in their name.",
    )
    production_environments: ListSetting = Field(
        PRODUCTION_NAMES,
        description="Words in the name of a production environment: `eu-prod` matches; `pre-prod` and `prod-test` do "
        "not.",
    )
    service: str | None = Field(
        None, description="Service that the repository delivers. Default: the repository's name."
    )
    services: ServicesSetting = Field(
        {}, description="Services of a monorepo, each with its path patterns; config file only."
    )
    teams: TeamsSetting = Field(
        {},
        description="Teams, each with patterns of its repositories and services; the first team that matches wins; "
        "config file only.",
    )
    gitops: GitOpsSetting = Field(
        {},
        description="What objects in a cluster deploy, by `namespace/name`: service, environment, repository, and "
        "where the commit is; config file only.",
    )
    incident_labels: ListSetting = Field(("incident",), description="Issues with one of these labels are incidents.")
    incident_window: DurationSetting = Field(
        timedelta(hours=24),
        description="Maximum age of the deployment that an incident is attributed to, if it names no deployment.",
    )
    hotfix_labels: ListSetting = Field(
        ("hotfix",), description="Labels, or first words of the title, that mark a change as a hotfix."
    )
    hotfix_branches: ListSetting = Field(
        ("hotfix/", "hotfix-"), description="Prefixes of branch names that mark a change as a hotfix."
    )
    hotfix_window: DurationSetting = Field(
        timedelta(hours=24), description="A deployment counts as failed if a hotfix follows within this time."
    )
    failure_rules: FailureRulesSetting = Field(
        ("explicit", "rollback", "revert", "hotfix", "incident", "health-check"),
        description="Rules that mark a deployment as failed. `failed-run` always applies.",
    )
    count_failed_runs: BooleanSetting = Field(
        default=False, description="Also count runs that failed before reaching users as failed deployments."
    )
    lead_time_start: Literal["first-commit", "commit", "opened", "merged"] = Field(
        "first-commit",
        description="Start of lead time: first-commit, commit (each commit separately), opened, merged.",
    )
    exclude_bots: BooleanSetting = Field(default=True, description="Exclude changes by bots from lead time.")
    benchmark: BenchmarkSetting = Field(
        "2023", description="Benchmark for levels: 2019, 2021, 2022, 2023, 2024, none, custom."
    )
    custom: CustomBenchmarkSetting | None = Field(None, description="Limits of the custom levels; config file only.")
    goals: GoalsSetting = Field({}, description="Target of each metric, optionally with a date; config file only.")
    fail_on: ThresholdsSetting = Field(
        (),
        description=(
            "End with exit code 1 if one of the given conditions is true, such as change_failure_rate > 0.15, or "
            "regression."
        ),
    )
    warn_on: ThresholdsSetting = Field(
        (),
        description=(
            "Warn if one of the given conditions is true, such as lead_time > 2d, lead_time worse by 20%, or "
            "deployment_frequency < 1/w, which counts whole weeks."
        ),
    )
    window: WindowSetting = Field(
        "30d", description="Period that the numbers cover: 30d, 12w, all, 2026-01-01..2026-04-01."
    )
    timezone: TimeZoneSetting = Field("UTC", description="Time zone for days and weeks.")
    pushgateway_url: UrlSetting | None = Field(
        None, description="URL of a Prometheus Pushgateway. A trailing `/metrics` is removed."
    )
    pushgateway_username: str | None = Field(None, description="User for the Pushgateway's basic authentication.")
    pushgateway_password: SecretStr | None = Field(None, description="Password for the Pushgateway.")
    pushgateway_job: str = Field("dora", description="The `job` label of the pushed metrics.")
    labels: LabelsSetting = Field(
        {}, description="Labels that every Prometheus series gets, at most 5, such as `cluster: eu-1, team: payments`."
    )
    remote_write_url: UrlSetting | None = Field(
        None,
        description="URL that takes Prometheus remote write, such as that of Grafana Cloud, Mimir or VictoriaMetrics.",
    )
    remote_write_username: str | None = Field(
        None, description="User for basic authentication at `remote-write-url`. Default: none, a bearer token."
    )
    remote_write_token: SecretStr | None = Field(
        None, description="Bearer token for `remote-write-url`, or the user's password."
    )
    bigquery_dataset: DatasetSetting | None = Field(
        None,
        description="Dataset of BigQuery that `sync`, `report` and `rebuild` send rows to, as `project.dataset`.",
    )
    bigquery_token: SecretStr | None = Field(
        None,
        description="Access token for BigQuery, such as the output `access_token` of google-github-actions/auth.",
    )
    bigquery_location: LocationSetting | None = Field(
        None, description="Location of the dataset, such as EU or europe-west3. Default: asked of BigQuery."
    )
    warehouse: WarehouseSetting = Field(
        ("facts", "rows", "metrics"), description="What is sent to `bigquery-dataset`: facts, rows, metrics."
    )
    endpoint_url: UrlSetting | None = Field(
        None, description="HTTP endpoint that receives facts and metrics, by default as JSON."
    )
    endpoint_token: SecretStr | None = Field(
        None, description="Token for the endpoint: a bearer token, unless its template has a header of its own."
    )
    endpoint_secret: SecretStr | None = Field(None, description="Key that signs the request body (HMAC-SHA256).")
    endpoint_template: EndpointTemplateSetting = Field(
        "dora",
        description="What `endpoint-url` gets: dora, cdevents, slack, teams, datadog, otlp, or the path of a Jinja "
        "template in the repository.",
    )
    endpoints: EndpointsSetting = Field(
        (),
        repr=False,
        description="Further endpoints, each with name, url, template, events and the name of its token; config file "
        "only.",
    )
    endpoint_tokens: TokensSetting | None = Field(
        None, description="Tokens of the endpoints in `endpoints`, a line each, such as `team-chat: TOKEN`."
    )
    since: SinceSetting = Field(
        "90d", description="How far back the first `sync` reads GitHub's history: 90d, 12w, all."
    )
    repositories: RepositoriesSetting = Field(
        (),
        description="Repositories that `sync` reads: owner/*, owner/* topic:payments, owner/name, !owner/sandbox. "
        "Default: the run's own.",
    )
    shard: ShardSetting | None = Field(
        None,
        description="Part of `repositories` that `sync` reads into this ledger, such as 3/10 for the third of ten. "
        "Default: all of them.",
    )
    shard_ledgers: ShardLedgersSetting = Field(
        (),
        description="Ledgers of shards, written like `ledger`, that `report` and `rebuild` read besides the run's own: "
        "one page and one report over all of them.",
    )
    security: SecuritySetting = Field(
        ("auto",),
        description="Security alerts that `sync` reads: auto (Dependabot's, if permitted), dependabot, code-scanning, "
        "secret-scanning, none.",
    )
    prometheus_url: UrlSetting | None = Field(
        None, description="URL of a Prometheus whose alerts `sync` reads as incidents; needs `incident-alerts`."
    )
    prometheus_token: SecretStr | None = Field(None, description="Bearer token for that Prometheus.")
    incident_alerts: AlertMatchersSetting | None = Field(
        None,
        description='PromQL matchers of the alerts that are incidents, such as `dora_incident="true"`. There is no '
        "default.",
    )
    prometheus_external_labels: ExternalLabelsSetting = Field(
        {},
        description="The `external_labels` of that Prometheus, if Alertmanager reports the same alerts; config file "
        "only.",
    )
    incidents: IncidentsSetting = Field(
        (),
        description="Systems whose incidents `sync` reads: pagerduty, jira, incident-io, statuspage, or custom; config "
        "file only.",
    )
    incident_tokens: TokensSetting | None = Field(
        None, description="Tokens of the systems in `incidents`, a line each: `pagerduty: TOKEN`, `jira: user:TOKEN`."
    )
    incident_hosts: IncidentHostsSetting = Field(
        (),
        description="Hosts that may get a token of `incident-tokens`, as host or host:port: those of each `url` in "
        "`incidents`.",
    )
    kubernetes: ListSetting = Field(
        (),
        description="Files with objects of a cluster that an earlier step wrote with `kubectl get -o json`.",
    )
    health_check_url: UrlSetting | None = Field(
        None, description="URL to check after a successful production deployment. The result is recorded."
    )
    health_check_status: StatusesSetting = Field(
        ("200-299",), description="HTTP statuses that mean healthy, as numbers or ranges."
    )
    health_check_timeout: DurationSetting = Field(
        timedelta(minutes=1), description="Maximum time of the health check, including retries."
    )
    health_check_retries: RetryCountSetting = Field(
        3, description="Retries before the health check counts as failed, at most 10."
    )
    report: ReportSetting = Field(
        (), description="Reports to file as issues: weekly, monthly, quarterly, several of them, or off."
    )
    report_per_scope: BooleanSetting = Field(
        default=False,
        description="Write one report for each scope (repository, service, environment) instead of one for all.",
    )
    report_day: WeekdaySetting = Field(
        "monday", description="Weekday on which a report is due: the first one after its week, month or quarter ends."
    )
    report_labels: ListSetting = Field(
        ("dora-report",), description="Labels of the report's issue; the first one identifies the existing issue."
    )
    report_template: TemplateSetting | None = Field(
        None, description="File in the repository with a Jinja template for the report of one scope."
    )
    summary: BooleanSetting = Field(default=True, description="Write the job summary.")
    page: BooleanSetting = Field(
        default=True, description="Write the page `index.html` to the ledger in each sync, report and rebuild."
    )
    page_url: WebAddressSetting | None = Field(
        None, description="Address at which you publish the page, such as GitHub Pages; reports link to it."
    )
    strict: BooleanSetting = Field(
        default=False, description="Exit with code 1 for failures that are otherwise warnings."
    )
    max_rate_limit_wait: DurationSetting = Field(
        timedelta(minutes=1), description="Maximum total wait in a run for GitHub's rate limits to reset."
    )
    runtime: Literal["auto", "container", "python"] = Field(
        "auto", description="How the action runs: auto, container, or python on the runner."
    )

    @cached_property
    def all_endpoints(self) -> "tuple[EndpointSettings, ...]":
        """Every endpoint, that of the single inputs first."""
        if self.endpoint_url is None and not self.endpoints:
            return ()
        from dora_metrics.settings.endpoint_list import listed_endpoints  # noqa: PLC0415 - most repositories set none

        listed = listed_endpoints(self.endpoints, _text(self.endpoint_tokens) or "")
        default = self._default_endpoint
        return (default, *listed) if default else listed

    @property
    def _default_endpoint(self) -> "EndpointSettings | None":
        url, token, secret = map(_text, (self.endpoint_url, self.endpoint_token, self.endpoint_secret))
        if url is None:
            return None
        from dora_metrics.settings.endpoint_list import default_endpoint  # noqa: PLC0415 - as above

        return default_endpoint(url, self.endpoint_template, token, secret)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def covers_several_repositories(self) -> bool:
        """Whether a run is about several repositories, and not only about the one that it runs in."""
        return bool(self.repositories or self.shard_ledgers)

    def since_time(self, now: datetime) -> datetime | None:
        """Return the time from which `sync` reads, None for the whole history."""
        return None if self.since == "all" else now - windows.parse_duration(self.since)

    @property
    def repository_shard(self) -> Shard | None:
        """The shard whose repositories `sync` reads; None for all."""
        return parse_shard(self.shard) if self.shard else None

    @property
    def window_spec(self) -> windows.WindowSpec:
        return windows.parse_window(self.window, self.zone)

    @cached_property
    def policy(self) -> Policy:
        """The settings that the numbers depend on, resolved once."""
        return Policy(
            production_environments=self.production_environments,
            failure_rules=frozenset(self.failure_rules),
            count_failed_runs=self.count_failed_runs,
            incident_window=self.incident_window,
            hotfix_labels=self.hotfix_labels,
            hotfix_branches=self.hotfix_branches,
            hotfix_window=self.hotfix_window,
            lead_time_start=self.lead_time_start,
            exclude_bots=self.exclude_bots,
            zone=self.zone,
            benchmark=self.benchmark_levels,
            services=services.Services.from_patterns(self.services),
            goals=goals.parse_goals(self.goals),
            deploy_workflows=self.deploy_workflows,
            teams=self._parsed_teams,
        )

    @property
    def _parsed_teams(self) -> "Teams | None":
        if not self.teams:
            return None
        from dora_metrics.core.teams import Teams  # noqa: PLC0415 - most repositories set none

        return Teams(self.teams)

    @property
    def benchmark_levels(self) -> benchmarks.Benchmark:
        return (
            benchmarks.custom_benchmark(self.custom or {})
            if self.benchmark == "custom"
            else benchmarks.published_benchmark(self.benchmark)
        )


FILE_ONLY = frozenset({
    "custom", "endpoints", "gitops", "goals", "incidents", "prometheus-external-labels", "services", "teams",
})  # fmt: skip
INPUT_ONLY = frozenset({"github-token", "mode", "environment", "status", "version", "config", "runtime"})
SECRETS = frozenset({
    "github-token", "pushgateway-password", "remote-write-token", "bigquery-token", "endpoint-token", "endpoint-secret",
    "endpoint-tokens", "prometheus-token", "incident-tokens",
})  # fmt: skip
NEVER_IN_FILES = INPUT_ONLY | SECRETS | {"incident-hosts", "kubernetes"}
"""Settings that a config file cannot have. Whoever writes one must not say where tokens go or which files are facts."""
NAMES = tuple(name.replace("_", "-") for name in Settings.model_fields)
INPUTS = tuple(name for name in NAMES if name not in FILE_ONLY)
FLAGS = tuple(name for name in INPUTS if name not in INPUT_ONLY | SECRETS)
"""Settings that are also flags of `compute` and `report`. Secrets are not: any process can read a command line."""


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def default_text(name: str) -> str:  # noqa: PLR0911 - one return for each type
    """Return a setting's default as action.yml writes it, empty if it has none."""
    if name == "github-token":
        return "${{ github.token }}"
    if name == "report":
        return "off"
    value = Settings.model_fields[name.replace("-", "_")].default
    match value:
        case None | () | dict():
            return ""
        case tuple():
            return ", ".join(value)
        case bool():
            return str(value).lower()
        case timedelta():
            hours, remainder = divmod(value, timedelta(hours=1))
            return f"{value // timedelta(minutes=1)}m" if remainder else f"{hours}h"
        case Path():
            return value.as_posix()
        case _:
            return str(value)
