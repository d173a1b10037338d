"""Levels: a reading of one value against one named benchmark (DEFINITIONS §4).

The published rows describe clusters, with holes between them. Here a value has the best level whose
worst edge it still meets: durations below it, rates at most it, frequencies at least it; whatever lies
beyond the last edge has the last level.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from dora_metrics.core.windows import duration

Metric = Literal["deployment_frequency", "lead_time", "change_failure_rate", "recovery_time"]
METRICS: tuple[Metric, ...] = get_args(Metric)
PUBLISHED = ("2019", "2021", "2022", "2023", "2024")
NEWEST_MONOTONE = "2023"

_HOUR = 3600.0
_DAY, _WEEK, _MONTH, _HALF_YEAR = 24 * _HOUR, 168 * _HOUR, 730 * _HOUR, 4380 * _HOUR
_PER_WEEK, _PER_MONTH, _PER_HALF_YEAR = 1 / 7, 24 / 730, 24 / 4380

Edge = tuple[str, float | None]

_MEETS: dict[Metric, Callable[[float, float], bool]] = {
    "deployment_frequency": lambda value, edge: value >= edge,
    "lead_time": lambda value, edge: value < edge,
    "change_failure_rate": lambda value, edge: value <= edge,
    "recovery_time": lambda value, edge: value < edge,
}


def higher_is_better(metric: str) -> bool:
    return metric == "deployment_frequency"


@dataclass(frozen=True)
class Benchmark:
    """A named table of levels. `ranks` orders the names, 0 the lowest; a metric without edges has no level."""

    name: str
    edges: Mapping[Metric, tuple[Edge, ...]]
    ranks: Mapping[str, int]

    def level(self, metric: Metric, value: float | None) -> str | None:
        """The level of a value: per day, seconds or a ratio; None without a value or without edges."""
        if value is None:
            return None
        for name, edge in self.edges.get(metric, ()):
            if edge is None or _MEETS[metric](value, edge):
                return name
        return None

    def span(self, metric: Metric, interval: tuple[float, float] | None) -> tuple[str, str] | None:
        """The lowest and the highest level inside an interval; None without one."""
        if interval is None:
            return None
        levels = [self.level(metric, end) for end in interval]
        named = sorted((name for name in levels if name), key=self.ranks.__getitem__)
        return (named[0], named[-1]) if named else None

    def lowest(self, levels: Sequence[str]) -> str:
        return min(levels, key=self.ranks.__getitem__)


def published(name: str) -> Benchmark:
    """One of the tables of the yearly reports, or `none`.

    Source: the Accelerate State of DevOps reports of these years, as closed in DEFINITIONS §4.
    """
    best_first = ("high", "medium", "low") if name == "2022" else ("elite", "high", "medium", "low")
    ranks = {"low": 0, "medium": 1, "high": 2, "elite": 3}
    return Benchmark(name, {m: _named(best_first, e) for m, e in _TABLES.get(name, {}).items()}, ranks)


def _named(names: tuple[str, ...], edges: tuple[float | None, ...]) -> tuple[Edge, ...]:
    """None marks a level that no value reaches, because a better one has the same edge."""
    reached: list[Edge] = [(name, edge) for name, edge in zip(names, edges, strict=False) if edge is not None]
    return (*reached, (names[-1], None))


_TABLES: dict[str, dict[Metric, tuple[float | None, ...]]] = {
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


def custom(table: Mapping[str, object]) -> Benchmark:
    """A benchmark of one's own: for each metric `[[name, edge], …]`, best first, the last edge null.

    Raises:
        ValueError: with every problem found, joined by `; `.
    """
    problems: list[str] = []
    edges: dict[Metric, tuple[Edge, ...]] = {}
    for key, rows in table.items():
        metric = next((known for known in METRICS if known == key), None)
        if metric is None:
            problems.append(f"{key!r} is none of {', '.join(METRICS)}")
            continue
        try:
            edges[metric] = _checked(metric, rows)
        except ValueError as problem:
            problems.append(f"{key}: {problem}")
    if problems:
        raise ValueError("; ".join(problems))
    return Benchmark("custom", edges, _ranks(edges.values()))


def _ranks(lists: Iterable[tuple[Edge, ...]]) -> dict[str, int]:
    """A name's rank is the most levels that any list has below it."""
    ranks: dict[str, int] = {}
    for edges in lists:
        for below, (name, _) in enumerate(reversed(edges)):
            ranks[name] = max(below, ranks.get(name, 0))
    return ranks


def _checked(metric: Metric, rows: object) -> tuple[Edge, ...]:
    if not isinstance(rows, list) or not rows:
        raise ValueError("expected a list of [name, edge], best first, the last edge null")
    edges = tuple(_edge(metric, row) for row in rows)
    values = [edge for _, edge in edges[:-1]]
    if edges[-1][1] is not None or None in values:
        raise ValueError("the last edge, and no other, is null")
    numbers = [value for value in values if value is not None]
    ordered = sorted(set(numbers), reverse=higher_is_better(metric))
    if numbers != ordered:
        raise ValueError(f"edges must grow strictly {'smaller' if higher_is_better(metric) else 'greater'}, best first")
    if metric == "change_failure_rate" and any(number > 1 for number in numbers):
        raise ValueError("edges are ratios, 0.15 for 15 %")
    if len({name for name, _ in edges}) < len(edges):
        raise ValueError("a level is named twice")
    return edges


def _edge(metric: Metric, row: object) -> Edge:
    lasting = metric in ("lead_time", "recovery_time")
    match row:
        case [str(name), None]:
            return name, None
        case [str(name), str(text)] if lasting:
            return name, duration(text).total_seconds()
        case [str(name), bool()]:
            pass
        case [str(name), int() | float() as number] if not lasting and number >= 0:
            return name, float(number)
    wanted = "a duration such as 6h" if lasting else "a number"
    raise ValueError(f"{row!r} is no [name, edge]; an edge is {wanted}, or null for the last")
