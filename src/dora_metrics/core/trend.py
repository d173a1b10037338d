"""Is there a trend in weekly values, and where does it lead? (DEFINITIONS §5)

Mann-Kendall says whether values rise or fall beyond chance, Theil-Sen by how much; neither minds outliers.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from statistics import median

FEWEST = 5
"""Below so many values no order of them is improbable enough to be called a trend."""

_EXACT = 50
SIGNIFICANT = 0.05

Point = tuple[float, float]
"""The number of a week, and its value."""


@dataclass(frozen=True)
class Trend:
    """A line through weekly values: `slope` in the values' unit a week, `p` two-sided against no trend.

    `change` is what the slope makes from the first week to the last.
    """

    weeks: int
    slope: float
    intercept: float
    change: float
    p: float

    @property
    def clear(self) -> bool:
        """Whether it is more than chance. A slope of nought is no direction, whatever its p."""
        return self.p < SIGNIFICANT and self.slope != 0

    def at(self, week: float) -> float:
        """Where the line is in a week, by the numbers that the points had."""
        return self.intercept + self.slope * week


def trend(points: Sequence[Point]) -> Trend | None:
    """The trend of values in order of their weeks; None with fewer than five of them."""
    if len(points) < FEWEST:
        return None
    slope, intercept = theil_sen(points)
    change = slope * (points[-1][0] - points[0][0])
    return Trend(len(points), slope, intercept, change, mann_kendall([value for _, value in points]))


def theil_sen(points: Sequence[Point]) -> tuple[float, float]:
    """Slope and intercept: the median of all slopes between two points, through both medians (Sen 1968)."""
    slope = median((b - a) / (x - w) for (w, a), (x, b) in combinations(points, 2) if x != w)
    return slope, median(value for _, value in points) - slope * median(week for week, _ in points)


def mann_kendall(values: Sequence[float]) -> float:
    """Mann-Kendall test against no trend, two-sided (Mann 1945, Kendall 1975).

    Up to 50 values exact, with ties as well: all orders of these very values are equally likely. Above, by the
    normal distribution with the variance corrected for ties. Without two different values there is no trend: 1.
    """
    n = len(values)
    ties = [len(list(group)) for _, group in groupby(sorted(values))]
    untied = _pairs([n]) - _pairs(ties)
    if not untied:
        return 1.0
    falls = sum(a > b for a, b in combinations(values, 2))
    if n <= _EXACT:
        return _exact(falls, untied, ties)
    variance = (_spread([n]) - _spread(ties)) / 18
    return math.erfc(abs(untied - 2 * falls) / math.sqrt(2 * variance))


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _spread(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) * (2 * size + 5) for size in sizes)


def _exact(falls: int, untied: int, ties: Sequence[int]) -> float:
    """Twice the chance of at most so many falling pairs (or rising ones, where they are fewer)."""
    counts = _orders_by_falls(ties)
    return min(1.0, 2 * sum(counts[: min(falls, untied - falls) + 1]) / sum(counts))


def _orders_by_falls(ties: Sequence[int]) -> list[int]:
    """How many orders of values, so many of them equal each, have 0, 1, 2, … falling pairs.

    They are the coefficients of the Gaussian multinomial [n]! / ([t1]! [t2]! …), made of one binomial a value
    (Stanley, Enumerative Combinatorics 1, 1.7.1).
    """
    counts, placed = [1], 0
    for size in ties:
        for i in range(1, size + 1):
            counts = _divided(_multiplied(counts, placed + i), i)
        placed += size
    return counts


def _multiplied(counts: Sequence[int], power: int) -> list[int]:
    """Times 1 - q^power."""
    found = [*counts, *[0] * power]
    for place, count in enumerate(counts):
        found[place + power] -= count
    return found


def _divided(counts: list[int], power: int) -> list[int]:
    """Over 1 - q^power, which leaves no rest."""
    for place in range(power, len(counts)):
        counts[place] += counts[place - power]
    return counts[: len(counts) - power]
