"""The table of five metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, escape, md


@dataclass(frozen=True)
class Row:
    """One metric: its value, its level, the window before with what the change is worth, and its n."""

    name: str
    value: Md
    level: str
    before: Md
    n: str


def rows(scope: schema.ScopeMetrics, verdicts: Mapping[str, str]) -> list[Row]:
    """The five metrics of a scope; `verdicts` by metric say whether a change is clear."""
    found, previous = scope.metrics, scope.previous
    return [
        Row(title, show(part), level(part), before(name, part, previous, verdicts), n(part))
        for name, title in NAMES.items()
        for part in [getattr(found, name)]
    ]


NAMES = {
    "deployment_frequency": "Deployment frequency",
    "lead_time": "Lead time for changes",
    "change_failure_rate": "Change failure rate",
    "recovery_time": "Recovery time",
    "rework_rate": "Rework rate",
}


def plain(part: schema.Judged) -> str:
    """The deciding value in words."""
    match part:
        case schema.DeploymentFrequency():
            return formatting.frequency(part.per_day)
        case schema.ChangeFailureRate() | schema.ReworkRate():
            return formatting.percent(part.ratio)
        case schema.LeadTime() | schema.RecoveryTime():
            return formatting.duration(part.p50_seconds)
        case _:
            raise TypeError(part)


def show(part: schema.Judged) -> Md:
    """The deciding value, and beside it the one figure that says how far to trust it."""
    value = escape(plain(part))
    match part:
        case schema.LeadTime() if part.p50_seconds is not None:
            return md("**{}** (p90 {})", value, formatting.duration(part.p90_seconds))
        case schema.ChangeFailureRate() | schema.ReworkRate() if part.ratio is not None:
            return md("**{}** ({})", value, formatting.band(part.interval95))
        case _:
            return Md(f"**{value}**") if value != formatting.NOTHING else value


def level(part: schema.Judged) -> str:
    """`high, could be elite to medium` where the interval does not decide it."""
    if part.level is None:
        return formatting.NOTHING
    if part.level_span is None:
        return f"{part.level}, too few to be sure"
    lowest, highest = part.level_span
    match part.level == lowest, part.level == highest:
        case True, True:
            return part.level
        case True, False:
            return f"{part.level}, could be up to {highest}"
        case False, True:
            return f"{part.level}, could be down to {lowest}"
        case _:
            return f"{part.level}, could be {highest} to {lowest}"


def before(
    name: str,
    part: schema.Judged,
    previous: schema.Metrics | None,
    verdicts: Mapping[str, str],
    shown: Callable[[schema.Judged], str] = plain,
) -> Md:
    """The value of the window before, `shown` in words, and what the change to `part` is worth."""
    if previous is None:
        return Md(formatting.NOTHING)
    earlier = getattr(previous, name)
    verdict = verdicts.get(name)
    if verdict is None:
        return escape(shown(earlier))
    if verdict == "no clear change":
        return md("{} · no clear change", shown(earlier))
    return md("{} · {} **{}**", shown(earlier), _arrow(part, earlier), verdict)


def _arrow(part: schema.Judged, earlier: schema.Judged) -> str:
    return "↑" if deciding(part) > deciding(earlier) else "↓"


def deciding(part: schema.Judged) -> float:
    """The deciding value of a metric that has one."""
    for key in ("per_day", "p50_seconds", "ratio"):
        value = getattr(part, key, None)
        if value is not None:
            return float(value)
    raise ValueError("no value")


def n(part: schema.Judged) -> str:
    match part:
        case schema.DeploymentFrequency() if part.per_day is not None:
            return (
                f"{formatting.count(part.deployments, 'deployment')} on {formatting.count(part.deployment_days, 'day')}"
            )
        case schema.LeadTime() if part.p50_seconds is not None:
            return formatting.count(part.changes, "change") + left_out(part.excluded, " ({} left out)")
        case schema.ChangeFailureRate() if part.ratio is not None:
            return f"{part.failed} of {part.deployments}"
        case schema.ReworkRate() if part.ratio is not None:
            return f"{part.rework} of {part.deployments}"
        case schema.RecoveryTime() if part.p50_seconds is not None:
            return f"{part.recovered} recovered, {part.open} open"
        case _:
            return part.reason or ""


def left_out(excluded: schema.Excluded, wrap: str) -> str:
    """Which delivered changes are in no lead time, wrapped; empty without any."""
    said = [text.format(count) for reason, text in formatting.LEFT_OUT.items() if (count := getattr(excluded, reason))]
    return wrap.format(", ".join(said)) if said else ""
