"""Settings on the command line: under which heading each is listed, and which commands it changes."""

from collections.abc import Mapping
from typing import Literal

from dora_metrics.settings.model import FLAGS

SettingsCommand = Literal["compute", "report", "sync", "rebuild", "incidents", "rows", "send"]

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "what is read": (
        "repositories",
        "shard",
        "shard-ledgers",
        "since",
        "security",
        "prometheus-url",
        "incident-alerts",
        "incident-hosts",
        "kubernetes",
        "max-rate-limit-wait",
    ),
    "what is a deployment": (
        "deployment-source",
        "deploy-workflows",
        "production-environments",
        "service",
        "health-check-url",
        "health-check-status",
        "health-check-timeout",
        "health-check-retries",
    ),
    "what is a failure": (
        "failure-rules",
        "incident-labels",
        "incident-window",
        "hotfix-labels",
        "hotfix-branches",
        "hotfix-window",
        "count-failed-runs",
    ),
    "how numbers are computed": (
        "window",
        "timezone",
        "lead-time-start",
        "exclude-bots",
        "benchmark",
        "fail-on",
        "warn-on",
    ),
    "where numbers go": (
        "ledger",
        "pushgateway-url",
        "pushgateway-username",
        "pushgateway-job",
        "labels",
        "remote-write-url",
        "remote-write-username",
        "bigquery-dataset",
        "bigquery-location",
        "warehouse",
        "endpoint-url",
        "endpoint-template",
    ),
    "how numbers are shown": (
        "summary",
        "page",
        "page-url",
        "report",
        "report-per-scope",
        "report-day",
        "report-labels",
        "report-template",
    ),
    "when something fails": ("strict",),
}
"""Every flag, under the heading that the help of a command lists it under."""

_FOR_GITHUB_EVENTS = ("health-check-url", "health-check-status", "health-check-timeout", "health-check-retries")
_FOR_READING_GITHUB = ("repositories", "shard", "security", "deployment-source", "service", "incident-labels")
_FOR_READING_OTHERS = ("prometheus-url", "incident-alerts", "incident-hosts", "kubernetes")
_FOR_INCIDENTS = ("incident-hosts", "repositories", "since")
_FOR_ROWS = (
    *("deploy-workflows", "production-environments", "failure-rules", "incident-window", "count-failed-runs"),
    *("hotfix-labels", "hotfix-branches", "hotfix-window"),
    *("window", "timezone", "lead-time-start", "exclude-bots", "benchmark", "max-rate-limit-wait"),
)
_FOR_SEND = (
    *(name for name in _FOR_ROWS if name != "max-rate-limit-wait"),
    *("endpoint-url", "endpoint-template", "page-url", "report-day"),
)
_FOR_LEDGERS = (
    *("ledger", "max-rate-limit-wait", "pushgateway-url", "pushgateway-username", "remote-write-url"),
    *("remote-write-username", "bigquery-dataset", "bigquery-location", "warehouse", "endpoint-url"),
    *("endpoint-template", "summary", "page", "report", "report-labels", "strict", "shard-ledgers"),
)

_WITHOUT_EFFECT: Mapping[SettingsCommand, tuple[str, ...]] = {
    "compute": (*_FOR_GITHUB_EVENTS, *_FOR_READING_GITHUB, *_FOR_READING_OTHERS, *_FOR_LEDGERS),
    "report": (
        *(*_FOR_GITHUB_EVENTS, *_FOR_READING_OTHERS, *_FOR_LEDGERS),
        *(name for name in _FOR_READING_GITHUB if name != "service"),
        *("deploy-workflows", "incident-window", "count-failed-runs"),
    ),
    "sync": (*_FOR_GITHUB_EVENTS, "shard-ledgers"),
    "rebuild": (*_FOR_GITHUB_EVENTS, *_FOR_READING_GITHUB, *_FOR_READING_OTHERS, "since"),
    "incidents": tuple(name for name in FLAGS if name not in _FOR_INCIDENTS),
    "rows": tuple(name for name in FLAGS if name not in (*_FOR_ROWS, "ledger")),
    "send": tuple(name for name in FLAGS if name not in (*_FOR_SEND, "report")),
}
"""By command, the settings that change nothing of what it does or prints."""

OWN_OPTIONS: Mapping[SettingsCommand, tuple[str, ...]] = {
    "compute": ("since",),
    "report": ("since",),
    "rows": ("ledger",),
    "send": ("report",),
}
"""By command, the settings whose name an option of its own has, which means something else."""

LEDGER_DEFAULTS: Mapping[str, str] = {"strict": "true", "report": "off"}
"""What `sync` and `rebuild` have as defaults: a person at a terminal wants to know what failed, and files no issue."""


def flags_of(command: SettingsCommand) -> dict[str, list[str]]:
    """Return the settings that change what a command does, by heading; no heading is empty."""
    useless = (*_WITHOUT_EFFECT[command], *OWN_OPTIONS.get(command, ()))
    by_heading = {heading: [name for name in names if name not in useless] for heading, names in HEADINGS.items()}
    return {heading: names for heading, names in by_heading.items() if names}


def flags_without_effect(command: SettingsCommand) -> list[str]:
    """Return the other flags. They are accepted, so that the same list of flags serves several commands."""
    return [name for name in FLAGS if name in _WITHOUT_EFFECT[command]]
