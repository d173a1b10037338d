"""The statistics of DEFINITIONS §5: small, exact where that is cheap, held against scipy in the tests.

Intervals are 95 % and two-sided; a comparison returns a two-sided p value.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import groupby

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
