"""Benchmarks: tables of levels that a metric's value is read against (docs/definitions.md, "Levels").

The published tables describe clusters with gaps between them. Here a value has the best level whose worst edge it
still meets: a duration below it, a rate at most it, a frequency at least it. Beyond the last edge is the last level.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, get_args

from msgspec import Struct

from dora_metrics.core.targets.metric import METRICS, Unit
from dora_metrics.core.windows import parse_duration

LevelledMetric = Literal["deployment_frequency", "lead_time", "change_failure_rate", "recovery_time"]
LEVELLED_METRICS: tuple[LevelledMetric, ...] = get_args(LevelledMetric)
PUBLISHED_BENCHMARKS = ("2019", "2021", "2022", "2023", "2024")
NEWEST_MONOTONE = "2023"
"""The newest published table in which a better level is never easier to reach in any metric. The default."""

_HOUR = 3600.0
_DAY, _WEEK, _MONTH, _HALF_YEAR = 24 * _HOUR, 168 * _HOUR, 730 * _HOUR, 4380 * _HOUR
_PER_WEEK, _PER_MONTH, _PER_HALF_YEAR = 1 / 7, 24 / 730, 24 / 4380

LevelEdge = tuple[str, float | None]
"""A level and its worst value (per day, seconds, or a ratio); None for the last level, which has no worst value."""

_IS_MET: dict[Unit, Callable[[float, float], bool]] = {
    "per day": operator.ge,
    "seconds": operator.lt,
    "ratio": operator.le,
}


class Benchmark(Struct, frozen=True):
    """A named table of levels.

    `edges` lists the levels of each metric, best first. A metric without edges has no level. `ranks` orders the names
    of all levels; 0 is the lowest.
    """

    name: str
    edges: Mapping[LevelledMetric, tuple[LevelEdge, ...]]
    ranks: Mapping[str, int]

    def level_of(self, metric: LevelledMetric, value: float | None) -> str | None:
        """Return the level of a value (per day, seconds, or a ratio); None without a value or without edges."""
        if value is None:
            return None
        for name, edge in self.edges.get(metric, ()):
            if edge is None or _IS_MET[METRICS[metric].unit](value, edge):
                return name
        return None

    def level_range(self, metric: LevelledMetric, interval: tuple[float, float] | None) -> tuple[str, str] | None:
        """Return the lowest and the highest level inside an interval; None without an interval or without edges."""
        if interval is None:
            return None
        levels = [self.level_of(metric, end) for end in interval]
        named = sorted((name for name in levels if name), key=self.ranks.__getitem__)
        return (named[0], named[-1]) if named else None

    def all_levels(self, metric: str) -> tuple[str, str]:
        """Return the lowest and the highest level of a metric that has levels."""
        names = [name for key, edges in self.edges.items() if key == metric for name, _ in edges]
        return names[-1], names[0]

    def ladder(self, metric: str = "") -> tuple[str, ...]:
        """Return the levels that values of a metric can have, best first; without a metric, those of all metrics."""
        names = {name for key, edges in self.edges.items() if metric in ("", key) for name, _ in edges}
        return tuple(sorted(names, key=self.ranks.__getitem__, reverse=True))

    def lowest_level(self, levels: Sequence[str]) -> str:
        return min(levels, key=self.ranks.__getitem__)


def published_benchmark(name: str) -> Benchmark:
    """Return the table of a year, or a benchmark without levels for `none`.

    Source: the Accelerate State of DevOps reports of these years, with their gaps closed as docs/definitions.md says.
    """
    best_first = ("high", "medium", "low") if name == "2022" else ("elite", "high", "medium", "low")
    ranks = {"low": 0, "medium": 1, "high": 2, "elite": 3}
    return Benchmark(
        name,
        {metric: _named_edges(best_first, edges) for metric, edges in _PUBLISHED_EDGES.get(name, {}).items()},
        ranks,
    )


def _named_edges(names: tuple[str, ...], edges: tuple[float | None, ...]) -> tuple[LevelEdge, ...]:
    """Pair names with edges. An edge None means that no value has this level: a better one has the same edge."""
    reachable: list[LevelEdge] = [(name, edge) for name, edge in zip(names, edges, strict=False) if edge is not None]
    return (*reachable, (names[-1], None))


_PUBLISHED_EDGES: dict[str, dict[LevelledMetric, tuple[float | None, ...]]] = {
    "2019": {
        "deployment_frequency": (1, _PER_WEEK, _PER_MONTH),
        "lead_time": (_DAY, _WEEK, _MONTH),
        "recovery_time": (_HOUR, _DAY, None),
        "change_failure_rate": (0.15, None, None),
    },
    "2021": {
        "deployment_frequency": (1, _PER_MONTH, _PER_HALF_YEAR),
        "lead_time": (_HOUR, _WEEK, _HALF_YEAR),
        "recovery_time": (_HOUR, _DAY, _WEEK),
        "change_failure_rate": (0.15, 0.30, None),
    },
    "2022": {
        "deployment_frequency": (1, _PER_MONTH),
        "lead_time": (_WEEK, _MONTH),
        "recovery_time": (_DAY, _WEEK),
        "change_failure_rate": (0.15, 0.30),
    },
    "2023": {
        "deployment_frequency": (1, _PER_WEEK, _PER_MONTH),
        "lead_time": (_DAY, _WEEK, _MONTH),
        "recovery_time": (_HOUR, _DAY, _WEEK),
        "change_failure_rate": (0.05, 0.10, 0.15),
    },
    "2024": {
        "deployment_frequency": (1, _PER_WEEK, _PER_MONTH),
        "lead_time": (_DAY, _WEEK, _MONTH),
        "recovery_time": (_HOUR, _DAY, None),
        "change_failure_rate": (0.05, 0.20, None),
    },
}


def custom_benchmark(table: Mapping[str, object]) -> Benchmark:
    """Parse the setting `custom`: for each metric `[[name, limit], …]`, best first, the last limit null.

    Raises:
        ValueError: with all problems, joined by `; `.
    """
    problems: list[str] = []
    edges: dict[LevelledMetric, tuple[LevelEdge, ...]] = {}
    for key, rows in table.items():
        metric = next((levelled for levelled in LEVELLED_METRICS if levelled == key), None)
        if metric is None:
            problems.append(f"{key!r} is not one of {', '.join(LEVELLED_METRICS)}")
            continue
        try:
            edges[metric] = _parse_edges(metric, rows)
        except ValueError as problem:
            problems.append(f"{key}: {problem}")
    if problems:
        raise ValueError("; ".join(problems))
    return Benchmark("custom", edges, _rank_levels(edges.values()))


def _rank_levels(edge_lists: Iterable[tuple[LevelEdge, ...]]) -> dict[str, int]:
    """Rank each name by the largest number of levels below it in any list."""
    ranks: dict[str, int] = {}
    for edges in edge_lists:
        for rank, (name, _) in enumerate(reversed(edges)):
            ranks[name] = max(rank, ranks.get(name, 0))
    return ranks


def _parse_edges(metric: LevelledMetric, rows: object) -> tuple[LevelEdge, ...]:
    if not isinstance(rows, list) or not rows:
        raise ValueError("expected a list of [name, limit], best first, the last limit null")
    edges = tuple(_parse_edge(metric, row) for row in rows)
    values = [edge for _, edge in edges[:-1]]
    if edges[-1][1] is not None or None in values:
        raise ValueError("the last limit must be null, and only the last")
    numbers = [value for value in values if value is not None]
    higher_is_better = METRICS[metric].higher_is_better
    if numbers != sorted(set(numbers), reverse=higher_is_better):
        raise ValueError(
            f"each limit must be {'smaller' if higher_is_better else 'greater'} than the one before it, best first"
        )
    if METRICS[metric].unit == "ratio" and any(number > 1 for number in numbers):
        raise ValueError("limits must be ratios; write 0.15 for 15 %")
    if len({name for name, _ in edges}) < len(edges):
        raise ValueError("a level is named twice")
    return edges


def _parse_edge(metric: LevelledMetric, row: object) -> LevelEdge:
    is_duration = METRICS[metric].unit == "seconds"
    match row:
        case [str(name), None]:
            return name, None
        case [str(name), str(text)] if is_duration:
            return name, parse_duration(text).total_seconds()
        case [str(name), bool()]:
            pass
        case [str(name), int() | float() as number] if not is_duration and number >= 0:
            return name, float(number)
    expected = "a duration such as 6h" if is_duration else "a number"
    raise ValueError(f"{row!r} is not a pair [name, limit]; a limit is {expected}, or null for the last")
