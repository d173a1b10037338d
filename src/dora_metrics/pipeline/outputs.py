"""The step's outputs (DESIGN §6): a metric without data is an empty text."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import Violation
from dora_metrics.pipeline.evaluate import last_deployed
from dora_metrics.pipeline.record import RunResult
from dora_metrics.settings.model import EVERY_REPOSITORY

LARGEST = 400_000
"""GitHub passes an environment of about 1 MB between steps; the evidence goes before that."""


def main_scope(recorded: RunResult, repository: str) -> Scope | None:
    """The scope of a repository that the outputs and the table are about: the event's, else the one deployed last."""
    ours = _ours(recorded, repository)
    latest = last_deployed(_touched(recorded, ours)) or last_deployed(ours)
    return latest.scope if latest else None


def judged_scopes(recorded: RunResult, repository: str) -> list[Scope]:
    """The scopes that thresholds are for: the event's, else all of the repository."""
    ours = _ours(recorded, repository)
    return [record.scope for record in _touched(recorded, ours) or ours]


def _ours(recorded: RunResult, repository: str) -> list[ScopeHistory]:
    records = recorded.results.evaluation.histories
    return [record for record in records if repository in (EVERY_REPOSITORY, record.scope.repository)]


def _touched(recorded: RunResult, ours: list[ScopeHistory]) -> list[ScopeHistory]:
    event = {fact.id for fact in recorded.facts}
    return [record for record in ours if event & _members(record)]


def _members(record: ScopeHistory) -> set[str]:
    """The ids of a scope's deployments and incidents."""
    return {deployment.id for deployment in record.deployments} | {one.incident.id for one in record.incidents}


def outputs(
    recorded: RunResult,
    main: Scope | None,
    violations: Sequence[Violation],
    reports: Mapping[Scope, int],
    page_path: str = "",
) -> dict[str, str]:
    """Every output of action.yml as text; `reports`: the numbers of the issues with them."""
    scope = recorded.results.metrics_of(main) if main else None
    return {
        **_numbers(scope.metrics if scope else None),
        "metrics": _metrics(recorded.results.document),
        "violations": msgspec.json.encode(violations).decode(),
        "page-path": page_path,
        "facts": _facts(recorded.facts),
        "report-issue": str(reports.get(main, "")) if main else "",
    }


def _numbers(found: schema.Metrics | None) -> dict[str, str]:
    if found is None:
        return dict.fromkeys(NUMBERS, "")
    values = (
        found.deployment_frequency.per_day,
        found.lead_time.p50_seconds,
        found.change_failure_rate.ratio,
        found.recovery_time.p50_seconds,
        found.rework_rate.ratio,
    )
    numbers = dict(zip(NUMBERS, map(_text, values), strict=False))
    return {**numbers, "overall-level": found.overall_level.level if found.overall_level else ""}


NUMBERS = (
    "deployment-frequency",
    "lead-time-seconds",
    "change-failure-rate",
    "recovery-time-seconds",
    "rework-rate",
    "overall-level",
)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _facts(facts: Sequence[Fact]) -> str:
    """What was seen, on one line; nothing where the past of a repository is too much to pass on."""
    whole = msgspec.json.encode(facts, order="sorted")
    return whole.decode() if len(whole) <= LARGEST else "[]"


def _metrics(document: schema.Document) -> str:
    """The document on one line; without its evidence where that is too much to pass on."""
    whole = msgspec.json.encode(document)
    if len(whole) > LARGEST:
        nothing = schema.Evidence(
            deployments=[], failed_deployments=[], lead_times=[], unmatched_incidents=[], fixed_vulnerabilities=[]
        )
        notes = [
            *document.notes,
            "The evidence is left out here for its size; metrics.json in the ledger has it.",
        ]
        bare = [replace(scope, evidence=nothing) for scope in document.scopes]
        whole = msgspec.json.encode(replace(document, scopes=bare, notes=notes))
    return whole.decode()
