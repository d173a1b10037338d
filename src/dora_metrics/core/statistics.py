"""The statistics of DEFINITIONS §5: small, exact where that is cheap, held against scipy in the tests.

Intervals are 95 % and two-sided; a comparison returns a two-sided p value.

Is there a trend in weekly values, and where does it lead? (DEFINITIONS §5)

Mann-Kendall says whether values rise or fall beyond chance, Theil-Sen by how much; neither minds outliers.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, groupby
from statistics import median

Interval = tuple[float, float]

TAIL = 0.025
_Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """Type 7 (linear interpolation), as numpy.percentile and PERCENTILE_CONT; `ordered` is sorted, not empty."""
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def quantile_interval(ordered: Sequence[float], share: float) -> Interval | None:
    """Distribution-free interval of a quantile from two order statistics; None where n is too small.

    The narrowest pair with at most 2.5 % outside on each side (Conover, Practical Nonparametric
    Statistics, 3.2): it exists from n = 6 for the median, 13 for p75, 36 for p90.
    """
    n = len(ordered)
    low = _binomial_quantile(n, share, TAIL)
    high = _binomial_quantile(n, share, 1 - TAIL) + 1
    return (ordered[low - 1], ordered[high - 1]) if low >= 1 and high <= n else None


def _binomial_quantile(n: int, p: float, share: float) -> int:
    """The smallest k with P(X <= k) >= `share` (or > for the lower tail), X binomial."""
    spread = 12 * math.sqrt(n * p * (1 - p)) + 12
    first = max(0, math.floor(n * p - spread))
    total, k = 0.0, first
    strict = share < 0.5  # noqa: PLR2004 - the half that tells the tails apart
    while k <= n:
        total += math.exp(_log_binomial(n, k, p))
        if total > share * (1 + 1e-12) if strict else total >= share * (1 - 1e-12):
            break
        k += 1
    return k


def _log_binomial(n: int, k: int, p: float) -> float:
    return _log_choose(n, k) + k * math.log(p) + (n - k) * math.log1p(-p)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def wilson(hits: int, n: int) -> Interval | None:
    """Wilson score interval of a rate; None for n = 0. Source: Wilson 1927, as in Brown, Cai and DasGupta 2001."""
    if n == 0:
        return None
    share, z2 = hits / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == n else min(1.0, centre + half))


@lru_cache(maxsize=4096)
def poisson(count: int) -> Interval:
    """Exact interval of a Poisson mean from one count (Garwood 1936)."""
    low = 0.0 if count == 0 else _solve(lambda mean: gamma_p(count, mean), TAIL, count)
    return low, _solve(lambda mean: gamma_p(count + 1, mean), 1 - TAIL, count + 1)


def _solve(rising: Callable[[float], float], target: float, near: float) -> float:
    """Where a rising function reaches `target`, by bisection around `near`."""
    reach = 8 * math.sqrt(near) + 8
    low, high = max(0.0, near - reach), near + reach
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return (low + high) / 2


def gamma_p(a: float, x: float) -> float:
    """Regularised lower incomplete gamma function P(a, x): the chance that a Poisson of mean x is at least a.

    Series below a + 1, continued fraction above (Press et al., Numerical Recipes, 6.2).
    """
    if x <= 0:
        return 0.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    return scale * _gamma_series(a, x) if x < a + 1 else 1 - scale * _gamma_fraction(a, x)


def _gamma_series(a: float, x: float) -> float:
    term = total = 1 / a
    n = a
    while term > total * 1e-16:
        n += 1
        term *= x / n
        total += term
    return total


def _gamma_fraction(a: float, x: float) -> float:
    """Modified Lentz evaluation."""
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 100_000):
        an = -i * (i - a)
        b += 2
        d = 1 / _not_nought(an * d + b, tiny)
        c = _not_nought(b + an / c, tiny)
        h *= d * c
        if abs(d * c - 1) < 1e-16:  # noqa: PLR2004 - one unit of double precision
            break
    return h


def _not_nought(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def compare_counts(one: int, exposure_one: float, other: int, exposure_other: float) -> float:
    """Exact conditional test of two Poisson rates: given the sum, one count is binomial (Przyborowski 1940)."""
    n = one + other
    return _binomial_test(one, n, exposure_one / (exposure_one + exposure_other)) if n else 1.0


def _binomial_test(k: int, n: int, p: float) -> float:
    """Two-sided by adding all outcomes that are no likelier than the one seen, as scipy.stats.binomtest."""
    return _as_likely(_log_binomial(n, k, p), (_log_binomial(n, i, p) for i in range(n + 1)))


def _as_likely(seen: float, outcomes: Iterable[float]) -> float:
    limit = seen + 1e-7
    return min(1.0, math.fsum(math.exp(log) for log in outcomes if log <= limit))


def fisher(hits_one: int, n_one: int, hits_other: int, n_other: int) -> float:
    """Fisher's exact test of two rates, two-sided."""
    hits, total = hits_one + hits_other, n_one + n_other
    if hits in (0, total):
        return 1.0
    scale = _log_choose(total, hits)

    def log(k: int) -> float:
        return _log_choose(n_one, k) + _log_choose(n_other, hits - k) - scale

    possible = range(max(0, hits - n_other), min(hits, n_one) + 1)
    return _as_likely(log(hits_one), (log(k) for k in possible))


def mann_whitney(one: Sequence[float], other: Sequence[float]) -> float:
    """Mann-Whitney test of two sorted samples: exact up to 20 each without ties, else normal with both corrections."""
    n, m = len(one), len(other)
    if not n or not m:
        return 1.0
    below = sum(bisect_left(other, value) + bisect_right(other, value) for value in one) / 2
    pooled = sorted((*one, *other))
    ties = sum(size**3 - size for size in (len(list(group)) for _, group in groupby(pooled)))
    if not ties and max(n, m) <= 20:  # noqa: PLR2004 - said in the docstring
        return _exact_mann_whitney(round(max(below, n * m - below)), n, m)
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(below - n * m / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def _exact_mann_whitney(statistic: int, n: int, m: int) -> float:
    """Twice the chance of a statistic at least this great: its counts are the Gaussian binomial's coefficients."""
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for total in range(n * m, m + i - 1, -1):
            counts[total] -= counts[total - m - i]
        for total in range(i, n * m + 1):
            counts[total] += counts[total - i]
    return min(1.0, 2 * sum(counts[statistic:]) / math.comb(n + m, n))


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
