"""Quantiles, 95 % confidence intervals, tests and trends (docs/definitions.md, "Statistics").

Intervals and p-values are two-sided, and exact where that is cheap. Functions that end in `_p` return the p-value of a
test. The tests compare all of them with scipy and statsmodels, which the package itself does not need.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, reduce
from itertools import combinations, groupby
from statistics import median
from typing import overload

from msgspec import Struct

Interval = tuple[float, float]

SIGNIFICANCE_LEVEL = 0.05
"""A difference or trend is reported only if its p-value is below this."""

TAIL_PROBABILITY = 0.025
"""Probability on each side of a 95 % interval."""

_Z_975 = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


def quantile(sorted_values: Sequence[float], probability: float) -> float:
    """Return the type 7 quantile (linear interpolation), as numpy.percentile and PERCENTILE_CONT do.

    `sorted_values` must not be empty.
    """
    position = (len(sorted_values) - 1) * probability
    lower = math.floor(position)
    upper = min(lower + 1, len(sorted_values) - 1)
    return sorted_values[lower] + (sorted_values[upper] - sorted_values[lower]) * (position - lower)


class SortedUnion(Sequence[float]):
    """The values of two sorted samples in order, without a copy: each is found by bisection."""

    def __init__(self, first: Sequence[float], second: Sequence[float]) -> None:
        self._first, self._second = first, second

    @classmethod
    def of(cls, samples: Iterable[Sequence[float]]) -> Sequence[float]:
        """Return the values of all samples."""
        return reduce(cls, samples, ())

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    @overload
    def __getitem__(self, position: int) -> float: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[float]: ...
    def __getitem__(self, position: int | slice) -> float | Sequence[float]:
        """Return the value at a position, which must not be negative."""
        if isinstance(position, slice):
            return [self[each] for each in range(*position.indices(len(self)))]
        if not 0 <= position < len(self):
            raise IndexError(position)
        return self._value_at(position)

    def _value_at(self, position: int) -> float:
        """Find how many of the values up to the position are in the first sample; the next one of both is the value."""
        low, high = max(0, position - len(self._second)), min(position, len(self._first))
        while low < high:
            middle = (low + high) // 2
            if self._first[middle] < self._second[position - middle - 1]:
                low = middle + 1
            else:
                high = middle
        return min((*self._first[low : low + 1], *self._second[position - low : position - low + 1]))


def quantile_interval(sorted_values: Sequence[float], probability: float) -> Interval | None:
    """Return the distribution-free interval of a quantile from two order statistics; None if n is too small.

    The narrowest pair with at most 2.5 % outside on each side (Conover, Practical Nonparametric Statistics, 3.2). It
    exists from n = 6 for the median, 13 for p75, 36 for p90.
    """
    n = len(sorted_values)
    low = _binomial_quantile(n, probability, TAIL_PROBABILITY)
    high = _binomial_quantile(n, probability, 1 - TAIL_PROBABILITY) + 1
    return (sorted_values[low - 1], sorted_values[high - 1]) if low >= 1 and high <= n else None


def _binomial_quantile(n: int, p: float, probability: float) -> int:
    """Return the smallest k with P(X <= k) >= `probability` (> for the lower tail), for a binomial X."""
    spread = 12 * math.sqrt(n * p * (1 - p)) + 12
    start = max(0, math.floor(n * p - spread))
    cumulative, k = 0.0, start
    is_lower_tail = probability < 0.5  # noqa: PLR2004 - the lower half is the lower tail
    while k <= n:
        cumulative += math.exp(_log_binomial(n, k, p))
        if cumulative > probability * (1 + 1e-12) if is_lower_tail else cumulative >= probability * (1 - 1e-12):
            break
        k += 1
    return k


def _log_binomial(n: int, k: int, p: float) -> float:
    return _log_choose(n, k) + k * math.log(p) + (n - k) * math.log1p(-p)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def wilson_interval(hits: int, n: int) -> Interval | None:
    """Return the Wilson score interval of a rate; None for n = 0 (Wilson 1927; Brown, Cai and DasGupta 2001)."""
    if n == 0:
        return None
    rate, z2 = hits / n, _Z_975 * _Z_975
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half_width = _Z_975 / (1 + z2 / n) * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return (0.0 if hits == 0 else max(0.0, centre - half_width)), (1.0 if hits == n else min(1.0, centre + half_width))


@lru_cache(maxsize=4096)
def poisson_interval(count: int) -> Interval:
    """Return the exact interval of a Poisson mean, given one count (Garwood 1936)."""
    low = 0.0 if count == 0 else _bisect(lambda mean: regularised_gamma_p(count, mean), TAIL_PROBABILITY, count)
    return low, _bisect(lambda mean: regularised_gamma_p(count + 1, mean), 1 - TAIL_PROBABILITY, count + 1)


def _bisect(increasing: Callable[[float], float], target: float, near: float) -> float:
    """Return where an increasing function reaches `target`, by bisection around `near`."""
    radius = 8 * math.sqrt(near) + 8
    low, high = max(0.0, near - radius), near + radius
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if increasing(middle) < target else (low, middle)
    return (low + high) / 2


def regularised_gamma_p(a: float, x: float) -> float:
    """Return the regularised lower incomplete gamma function P(a, x).

    It is the probability that a Poisson variable with mean x is at least a. Series for x < a + 1, otherwise continued
    fraction (Press et al., Numerical Recipes, 6.2).
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
    """Evaluate the continued fraction by the modified Lentz method."""
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 100_000):
        an = -i * (i - a)
        b += 2
        d = 1 / _away_from_zero(an * d + b, tiny)
        c = _away_from_zero(b + an / c, tiny)
        h *= d * c
        if abs(d * c - 1) < 1e-16:  # noqa: PLR2004 - double precision
            break
    return h


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def poisson_rates_p(count: int, exposure: float, other_count: int, other_exposure: float) -> float:
    """Test whether two Poisson rates are equal: given the sum, one count is binomial (Przyborowski 1940).

    The exposures are the lengths of the two windows, in the same unit.
    """
    n = count + other_count
    return _binomial_test_p(count, n, exposure / (exposure + other_exposure)) if n else 1.0


def _binomial_test_p(k: int, n: int, p: float) -> float:
    """Sum the probabilities of all outcomes that are no likelier than k, as scipy.stats.binomtest does."""
    return _sum_no_likelier(_log_binomial(n, k, p), (_log_binomial(n, i, p) for i in range(n + 1)))


def _sum_no_likelier(observed: float, outcomes: Iterable[float]) -> float:
    """Sum the probabilities of outcomes that are no likelier than the observed one. All arguments are logarithms."""
    limit = observed + 1e-7
    return min(1.0, math.fsum(math.exp(log_probability) for log_probability in outcomes if log_probability <= limit))


def fisher_exact_p(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Test whether two rates are equal, by Fisher's exact test."""
    total_hits, total_n = hits + other_hits, n + other_n
    if total_hits in (0, total_n):
        return 1.0
    scale = _log_choose(total_n, total_hits)

    def log_probability(k: int) -> float:
        return _log_choose(n, k) + _log_choose(other_n, total_hits - k) - scale

    possible = range(max(0, total_hits - other_n), min(total_hits, n) + 1)
    return _sum_no_likelier(log_probability(hits), (log_probability(k) for k in possible))


def mann_whitney_p(sample: Sequence[float], other_sample: Sequence[float]) -> float:
    """Test whether two sorted samples have the same distribution (Mann-Whitney).

    Exact up to 20 values each without ties. Otherwise by the normal approximation, corrected for ties and continuity.
    """
    n, m = len(sample), len(other_sample)
    if not n or not m:
        return 1.0
    u_statistic = sum(bisect_left(other_sample, value) + bisect_right(other_sample, value) for value in sample) / 2
    pooled = sorted((*sample, *other_sample))
    tie_term = sum(size**3 - size for size in (len(list(group)) for _, group in groupby(pooled)))
    if not tie_term and max(n, m) <= 20:  # noqa: PLR2004 - see the docstring
        return _exact_mann_whitney_p(round(max(u_statistic, n * m - u_statistic)), n, m)
    variance = n * m / 12 * (n + m + 1 - tie_term / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u_statistic - n * m / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def _exact_mann_whitney_p(statistic: int, n: int, m: int) -> float:
    """Return twice the probability of a statistic at least this large.

    The number of orders with each value of the statistic is a coefficient of the Gaussian binomial.
    """
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for total in range(n * m, m + i - 1, -1):
            counts[total] -= counts[total - m - i]
        for total in range(i, n * m + 1):
            counts[total] += counts[total - i]
    return min(1.0, 2 * sum(counts[statistic:]) / math.comb(n + m, n))


MIN_TREND_POINTS = 5
"""With fewer values no order of them is improbable enough to be significant."""

_MAX_EXACT_N = 50
"""Above this number of values the Mann-Kendall test uses the normal approximation."""

WeeklyPoint = tuple[float, float]
"""The number of a week (0 for the first one), and its value."""


class TrendEstimate(Struct, frozen=True):
    """A line through weekly values, and the p-value against no trend.

    `weeks` is the number of values. `change` is the change along the line from the first week to the last.
    """

    weeks: int
    slope_per_week: float
    intercept: float
    change: float
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether the trend is significant. A slope of zero has no direction, whatever its p-value."""
        return self.p < SIGNIFICANCE_LEVEL and self.slope_per_week != 0

    def value_at(self, week: float) -> float:
        """Return the value of the line in a week. Weeks are numbered as in the points."""
        return self.intercept + self.slope_per_week * week


def estimate_trend(points: Sequence[WeeklyPoint]) -> TrendEstimate | None:
    """Estimate the trend of values, which are in the order of their weeks; None with fewer than five.

    Theil-Sen gives the line and Mann-Kendall the p-value. Both are robust against outliers.
    """
    if len(points) < MIN_TREND_POINTS:
        return None
    slope, intercept = theil_sen(points)
    change = slope * (points[-1][0] - points[0][0])
    return TrendEstimate(len(points), slope, intercept, change, mann_kendall_p([value for _, value in points]))


def theil_sen(points: Sequence[WeeklyPoint]) -> tuple[float, float]:
    """Return slope and intercept of the line through both medians with the median of all slopes (Sen 1968)."""
    slope = median((b - a) / (x - w) for (w, a), (x, b) in combinations(points, 2) if x != w)
    return slope, median(value for _, value in points) - slope * median(week for week, _ in points)


def medians_at_ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the first and of the last third of values, at least of two values each.

    They lie within the values. The ends of a line through values that bend may not.
    """
    size = max(2, len(values) // 3)
    return median(values[:size]), median(values[-size:])


def mann_kendall_p(values: Sequence[float]) -> float:
    """Test for a trend in values, which are in order of time (Mann 1945, Kendall 1975).

    Exact up to 50 values, also with ties: all orders of these values are equally likely. With more, by the normal
    approximation with the variance corrected for ties. The p-value is 1 if all values are equal.
    """
    n = len(values)
    tie_sizes = [len(list(group)) for _, group in groupby(sorted(values))]
    untied_pairs = _pair_count([n]) - _pair_count(tie_sizes)
    if not untied_pairs:
        return 1.0
    falling_pairs = sum(a > b for a, b in combinations(values, 2))
    if n <= _MAX_EXACT_N:
        return _exact_mann_kendall_p(falling_pairs, untied_pairs, tie_sizes)
    variance = (_variance_term([n]) - _variance_term(tie_sizes)) / 18
    return math.erfc(abs(untied_pairs - 2 * falling_pairs) / math.sqrt(2 * variance))


def _pair_count(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _variance_term(sizes: Iterable[int]) -> int:
    """Return the sum of t (t - 1) (2 t + 5), which the variance is made of."""
    return sum(size * (size - 1) * (2 * size + 5) for size in sizes)


def _exact_mann_kendall_p(falling_pairs: int, untied_pairs: int, tie_sizes: Sequence[int]) -> float:
    """Return twice the probability of at most this many falling pairs, or rising ones if they are fewer."""
    counts = _orders_by_falling_pairs(tie_sizes)
    return min(1.0, 2 * sum(counts[: min(falling_pairs, untied_pairs - falling_pairs) + 1]) / sum(counts))


def _orders_by_falling_pairs(tie_sizes: Sequence[int]) -> list[int]:
    """Count the orders of tied values that have 0, 1, 2, … falling pairs.

    These counts are the coefficients of the Gaussian multinomial [n]! / ([t1]! [t2]! …), where t1, t2, … are the tie
    sizes. It is built as a product of one binomial per distinct value (Stanley, Enumerative Combinatorics 1, 1.7.1).
    """
    counts, placed_count = [1], 0
    for size in tie_sizes:
        for i in range(1, size + 1):
            counts = _over_one_minus_power(_times_one_minus_power(counts, placed_count + i), i)
        placed_count += size
    return counts


def _times_one_minus_power(counts: Sequence[int], power: int) -> list[int]:
    """Multiply a polynomial in q by 1 - q^power."""
    product = [*counts, *[0] * power]
    for position, count in enumerate(counts):
        product[position + power] -= count
    return product


def _over_one_minus_power(counts: list[int], power: int) -> list[int]:
    """Divide a polynomial in q by 1 - q^power, in place. The division leaves no remainder."""
    for position in range(power, len(counts)):
        counts[position] += counts[position - power]
    return counts[: len(counts) - power]
