"""The numbers of teams as text, for the job summary and the terminal."""

from collections.abc import Callable

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics.pooled import PooledMetrics, TeamMetrics, pool_by_team
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.targets import units

MAX_TEAM_ROWS = 50
"""Teams in a table; the others are counted."""


class TeamRow(Struct, frozen=True):
    """A table row of a team: its untrusted name, then how many scopes it has, and their numbers together."""

    name: str
    cells: tuple[str, ...]


class TeamTable(Struct, frozen=True):
    """The rows of the first teams, at least one, and how many teams have none."""

    rows: tuple[TeamRow, ...]
    omitted_count: int

    @property
    def team_count(self) -> int:
        return len(self.rows) + self.omitted_count


def team_table(
    results: Results, format_rate: Callable[[schema.MetricVerdict], str], max_rows: int = MAX_TEAM_ROWS
) -> TeamTable | None:
    """Return the table of the teams in the order of the setting; None if no scope has a team.

    Args:
        results: the numbers of all scopes.
        format_rate: writes a failure rate as the rows of scopes have it.
        max_rows: of the table.
    """
    teams = pool_by_team(results)
    rows = tuple(_team_row(team, format_rate) for team in teams[:max_rows])
    return TeamTable(rows, len(teams[max_rows:])) if teams else None


def _team_row(team: TeamMetrics, format_rate: Callable[[schema.MetricVerdict], str]) -> TeamRow:
    metrics = team.metrics
    cells = (
        f"{metrics.scope_count:,}",
        _frequency_text(metrics),
        lead_time_text(metrics),
        format_rate(metrics.failure_rate),
        formatting.duration(metrics.recovery_p50_seconds),
    )
    return TeamRow(team.team, cells)


def _frequency_text(metrics: PooledMetrics) -> str:
    """Write how often the scopes together were deployed."""
    if metrics.deployments is None:
        return formatting.NO_VALUE
    return formatting.measured_frequency(metrics.deployments, metrics.days)


def lead_time_text(metrics: PooledMetrics) -> str:
    """Write the median over all changes."""
    text = formatting.duration(metrics.lead_time_p50_seconds)
    if not metrics.is_lead_time_at_least:
        return text
    is_measurable = metrics.lead_time_p50_seconds is not None and metrics.lead_time_p50_seconds >= 1
    return f"at least {text}" if is_measurable else units.NOT_MEASURABLE
