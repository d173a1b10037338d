"""The last weeks as a Mermaid chart, and the same numbers as a table, since GitHub may fail to draw the chart."""

from collections.abc import Sequence
from dataclasses import dataclass

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md

WEEKS = 12
_FEWEST = 2


@dataclass(frozen=True)
class Chart:
    """`mermaid`: the source of the chart.

    `rows`: week, deployments, lead time, failed, recovery, rework, incidents; the newest first.
    """

    title: str
    mermaid: Md
    rows: tuple[tuple[str, ...], ...]


def chart(weeks: Sequence[schema.Week]) -> Chart | None:
    """The newest of some complete weeks in order; None where one alone, or none, would be shown."""
    shown = weeks[-WEEKS:]
    if len(shown) < _FEWEST:
        return None
    return Chart(f"{len(shown)} weeks to {shown[-1].week}", _mermaid(shown), tuple(map(_row, reversed(shown))))


def _mermaid(weeks: Sequence[schema.Week]) -> Md:
    """https://mermaid.js.org/syntax/xyChart.html, in the spelling that old and new versions read."""
    names = ", ".join(f'"{week.week.partition("-")[2]}"' for week in weeks)
    counts = ", ".join(str(week.deployments) for week in weeks)
    highest = max(_LOWEST_TOP, *(week.deployments for week in weeks))
    axes = f"  x-axis [{names}]\n  y-axis 0 --> {highest}\n  bar [{counts}]"
    return Md(f'{_LOOK}\nxychart-beta\n  title "Deployments a week"\n{axes}')


_LOWEST_TOP = 8
"""Below it Mermaid marks halves of deployments on the axis."""

_LOOK = (
    '%%{init: {"xyChart": {"width": 800, "height": 300}, '
    '"themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}}}}%%'
)
"""A colour that can be seen on white and on black, where the usual one is all but white."""


def _row(week: schema.Week) -> tuple[str, ...]:
    return (
        week.week,
        str(week.deployments),
        formatting.duration(week.lead_time_p50_seconds),
        formatting.percent(week.change_failure_ratio),
        formatting.duration(week.recovery_p50_seconds),
        formatting.percent(week.rework_ratio),
        str(week.incidents),
    )
