"""The table of a report: five metrics in the period, in the one before, over a longer span, and against their goals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, md
from dora_metrics.core.reports.sections import before, level, plain
from dora_metrics.core.targets import goals, units

_MANY = 10

NAMES = {
    "deployment_frequency": "Deployments",
    "lead_time": "Lead time, median (p90)",
    "change_failure_rate": "Change failure rate",
    "recovery_time": "Recovery, median",
    "rework_rate": "Rework rate",
}


@dataclass(frozen=True)
class Line:
    """One metric; `standing`: its value over the longer span, from which level and goal are read."""

    name: str
    value: Md
    before: Md
    standing: str
    level: str
    goal: str


def lines(scope: schema.ScopeMetrics, basis: schema.ScopeMetrics, verdicts: Mapping[str, str]) -> list[Line]:
    """`scope`: the period, `basis`: the longer span."""
    return [
        Line(
            name=title,
            value=_value(getattr(scope.metrics, name)),
            before=before(name, getattr(scope.metrics, name), scope.previous, verdicts, told),
            standing=_standing(getattr(basis.metrics, name)),
            level=level(getattr(basis.metrics, name)),
            goal=_goal(name, basis.outlook.goals),
        )
        for name, title in NAMES.items()
    ]


def told(part: schema.Judged) -> str:
    """A value with its numbers: of a few, the numbers alone."""
    match part:
        case schema.DeploymentFrequency() if part.per_day is not None:
            days = formatting.count(part.deployment_days, "day")
            return f"{part.deployments:,} on {days}" if part.deployments else "none"
        case schema.LeadTime() if part.p50_seconds is not None:
            return f"{plain(part)} ({formatting.duration(part.p90_seconds)})"
        case schema.ChangeFailureRate() if part.ratio is not None:
            return _share(part.failed, part.deployments)
        case schema.ReworkRate() if part.ratio is not None:
            return _share(part.rework, part.deployments)
        case schema.RecoveryTime() if part.open:
            return f"{plain(part)}, {part.open} open"
        case _:
            return plain(part)


def _share(part: int, whole: int) -> str:
    few = f"{part:,} of {whole:,}"
    return f"{formatting.percent(part / whole)} ({few})" if whole >= _MANY else few


def _value(part: schema.Judged) -> Md:
    said = told(part)
    if said != formatting.NOTHING:
        return md("**{}**", said)
    return md("– ({})", part.reason) if part.reason else Md(formatting.NOTHING)


def _standing(part: schema.Judged) -> str:
    match part:
        case schema.ChangeFailureRate() | schema.ReworkRate() if part.ratio is not None:
            return f"{plain(part)} ({formatting.band(part.interval95)})"
        case _:
            return plain(part)


def _goal(name: str, found: Sequence[schema.Goal]) -> str:
    return next((f"{goals.aim(goal)}: {_state(goal)}" for goal in found if goal.metric == name), formatting.NOTHING)


def _state(goal: schema.Goal) -> str:
    """What fits into a cell."""
    if goal.value is None or goal.met:
        return "met" if goal.met else "no value yet"
    way = f"{units.step(goal.metric, goal.distance or 0)} to go"
    return f"{way}, {goal.course}" if goal.course in ("on course", "not on course", "missed") else way
