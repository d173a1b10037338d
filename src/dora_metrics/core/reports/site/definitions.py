"""What each number means, in plain words, by the settings that it was computed with."""

from collections.abc import Callable
from typing import NamedTuple

from dora_metrics.core import formatting
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.making import STARTS
from dora_metrics.core.reports.sections import NAMES


class Definition(NamedTuple):
    """A metric's name, what its chart draws, what it means, and how to read the chart."""

    metric: str
    title: str
    chart: str
    meaning: str
    reading: str


def definitions(policy: Policy) -> list[Definition]:
    """The five, in their order."""
    meanings = (
        (
            "Deployments a week",
            "Successful production deployments that finished in the window.",
            "Cancelled runs count nowhere. A bar is a week's deployments; the hatched part of it failed.",
        ),
        (
            "Median lead time of a week",
            f"From {STARTS[policy.lead_time_start]} to the end of the first successful production deployment with it.",
            "Each dot is a deployment at the median of its changes. The scale is logarithmic.",
        ),
        (
            "Share of a week's deployments that failed",
            f"Failed deployments of all production deployments that {_counted(policy)}; each fails at most once.",
            f"{_failing(policy)} Each cross is one that failed.",
        ),
        (
            "Median recovery time of a week",
            "From the end of a failed deployment to the end of its incident, or of the deployment that repaired it.",
            "What is still open is counted, and in no median. Each cross is a failed deployment at its own time.",
        ),
        (
            "Share of a week's deployments that were repairs",
            "Unplanned deployments made to repair production, of all that reached users.",
            "Rollbacks, reverts, hotfixes, and those linked as a fix; each dot is one. There are no published levels.",
        ),
    )
    return [Definition(name, title, *meaning) for (name, title), meaning in zip(NAMES.items(), meanings, strict=True)]


def _counted(policy: Policy) -> str:
    return "reached users, and of runs that failed before they did" if policy.count_failed_runs else "reached users"


_MARKS: dict[str, Callable[[Policy], str]] = {
    "explicit": lambda _: "an incident names it",
    "rollback": lambda _: "it was rolled back",
    "revert": lambda _: "a change of it was reverted",
    "hotfix": lambda policy: f"a hotfix followed within {formatting.duration(policy.hotfix_window.total_seconds())}",
    "incident": lambda policy: (
        f"an incident began within {formatting.duration(policy.incident_window.total_seconds())} after it"
    ),
    "health-check": lambda _: "its health check failed",
}


def _failing(policy: Policy) -> str:
    marks = [mark(policy) for rule, mark in _MARKS.items() if rule in policy.failure_rules]
    if policy.count_failed_runs:
        marks.append("its run failed")
    if not marks:
        return "All rules that mark a deployment as failed are switched off."
    return f"One failed if {', '.join(marks[:-1])}{' or ' if len(marks) > 1 else ''}{marks[-1]}."
