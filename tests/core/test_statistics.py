"""Statistics (docs/definitions.md), compared with numpy, scipy and statsmodels."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]
from statsmodels.stats.rates import test_poisson_2indep as poisson_2indep  # type: ignore[import-untyped]

from dora_metrics.core.statistics import (
    SortedUnion,
    fisher_exact_p,
    mann_whitney_p,
    poisson_interval,
    poisson_rates_p,
    quantile,
    quantile_interval,
    regularised_gamma_p,
    wilson_interval,
)

SHARES = (0.5, 0.75, 0.9, 0.95)
COUNTS = st.integers(0, 60)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60), st.sampled_from((0.0, *SHARES, 1.0)))
def test_a_quantile_is_that_of_numpy(values: list[float], share: float) -> None:
    assert quantile(sorted(values), share) == pytest.approx(
        float(np.percentile(values, share * 100)), rel=1e-9, abs=1e-9
    )


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_quantiles_are_ordered_and_within_the_values(values: list[float]) -> None:
    found = [quantile(sorted(values), share) for share in SHARES]
    assert found == sorted(found)
    assert min(values) <= found[0]
    assert found[-1] <= max(values)


@pytest.mark.parametrize(("share", "least"), [(0.5, 6), (0.75, 13), (0.9, 36)])
def test_the_interval_of_a_quantile_exists_from_so_many_values_on(share: float, least: int) -> None:
    assert quantile_interval(range(least - 1), share) is None
    assert quantile_interval([], share) is None
    for n in (least, least + 1, 100, 1000):
        assert quantile_interval(range(n), share) is not None


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", [6, 7, 13, 36, 37, 80, 200, 999, 10_000])
def test_the_interval_of_a_quantile_has_at_most_a_fortieth_on_each_side_and_is_the_narrowest_such(
    share: float, n: int
) -> None:
    """X values lie below the quantile, binomial; the interval is from rank `low` to rank `high`, from one."""
    found = quantile_interval(range(1, n + 1), share)
    below = stats.binom(n, share)
    if found is None:
        assert below.cdf(0) > 0.025 or below.sf(n - 1) > 0.025
        return
    low, high = int(found[0]), int(found[1])
    assert below.cdf(low - 1) <= 0.025 < below.cdf(low)
    assert below.sf(high - 1) <= 0.025 < below.sf(high - 2)


def test_the_interval_of_the_median_covers_it_in_at_least_95_of_100_samples() -> None:
    made = random.Random(7)
    hits = 0
    for _ in range(2000):
        found = quantile_interval(sorted(made.expovariate(1) for _ in range(25)), 0.5)
        assert found is not None
        hits += found[0] <= math.log(2) <= found[1]
    assert hits / 2000 > 0.94  # 95.7 % calculated, minus three standard errors


@pytest.mark.parametrize("n", [1, 2, 3, 10, 37, 1000, 10**6])
def test_the_interval_of_a_rate_is_wilsons(n: int) -> None:
    for hits in {0, 1, n // 3, n // 2, n - 1, n}:
        found = wilson_interval(hits, n)
        assert found == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)
        assert found is not None
        assert 0 <= found[0] <= hits / n <= found[1] <= 1


def test_no_trials_have_no_interval() -> None:
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 10, 17, 100, 999, 12_345, 10**6])
def test_the_interval_of_a_count_is_garwoods(count: int) -> None:
    poisson_interval.cache_clear()  # cached results are not computed again
    low, high = poisson_interval(count)
    assert low == pytest.approx(stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0, rel=1e-9)
    assert high == pytest.approx(stats.chi2.ppf(0.975, 2 * count + 2) / 2, rel=1e-9)
    assert low <= count < high


@given(st.floats(0.1, 500), st.floats(0, 1000))
def test_the_incomplete_gamma_function_is_scipys(a: float, x: float) -> None:
    assert regularised_gamma_p(a, x) == pytest.approx(float(stats.gamma.cdf(x, a)), rel=1e-8, abs=1e-12)


@given(COUNTS, COUNTS, st.sampled_from([(30.0, 30.0), (7.0, 30.0), (90.0, 1.0)]))
def test_counts_are_compared_by_the_exact_conditional_test(one: int, other: int, days: tuple[float, float]) -> None:
    found = poisson_rates_p(one, days[0], other, days[1])
    if one + other == 0:
        assert found == 1
        return
    share = days[0] / sum(days)
    assert found == pytest.approx(stats.binomtest(one, one + other, share).pvalue, rel=1e-6)


@pytest.mark.parametrize(("one", "other"), [(3, 12), (20, 20), (0, 1), (40, 60)])
def test_that_is_the_test_that_statsmodels_calls_exact_conditional(one: int, other: int) -> None:
    theirs = poisson_2indep(one, 30, other, 30, method="exact-cond").pvalue
    assert poisson_rates_p(one, 30, other, 30) == pytest.approx(theirs, rel=1e-6)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_rates_are_compared_by_fishers_test(hits: int, misses: int, other_hits: int, other_misses: int) -> None:
    theirs = stats.fisher_exact([[hits, misses], [other_hits, other_misses]]).pvalue
    found = fisher_exact_p(hits, hits + misses, other_hits, other_hits + other_misses)
    assert found == pytest.approx(theirs, rel=1e-6)


@given(st.sets(st.integers(0, 10_000), min_size=2, max_size=40), st.data())
def test_durations_are_compared_by_the_exact_mann_whitney_test_where_there_are_no_ties(
    values: set[int], data: st.DataObject
) -> None:
    pool = data.draw(st.permutations(sorted(values)))
    size = data.draw(st.integers(max(1, len(pool) - 20), min(20, len(pool) - 1)))
    one, other = sorted(pool[:size]), sorted(pool[size:])
    theirs = stats.mannwhitneyu(one, other, method="exact").pvalue
    assert mann_whitney_p(one, other) == pytest.approx(theirs, rel=1e-9)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.lists(st.integers(0, 9), min_size=2, max_size=60))
def test_with_ties_by_its_normal_approximation(one: list[int], other: list[int]) -> None:
    if len({*one, *other}) == len(one) + len(other):
        return
    found = mann_whitney_p(sorted(one), sorted(other))
    if len({*one, *other}) == 1:
        assert found == 1
        return
    theirs = stats.mannwhitneyu(one, other, method="asymptotic", use_continuity=True).pvalue
    assert found == pytest.approx(theirs, rel=1e-9)


@given(st.sets(st.integers(0, 10_000), min_size=50, max_size=90), st.integers(21, 29))
def test_and_where_a_sample_is_large(values: set[int], size: int) -> None:
    pool = sorted(values, key=lambda value: hash((value, size)))
    one, other = sorted(pool[:size]), sorted(pool[size:])
    theirs = stats.mannwhitneyu(one, other, method="asymptotic", use_continuity=True).pvalue
    assert mann_whitney_p(one, other) == pytest.approx(theirs, rel=1e-9)


def test_an_empty_sample_is_no_evidence_of_anything() -> None:
    assert mann_whitney_p([], [1.0]) == mann_whitney_p([1.0], []) == 1
    assert fisher_exact_p(0, 0, 3, 5) == fisher_exact_p(0, 5, 0, 9) == fisher_exact_p(5, 5, 9, 9) == 1


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_p_value_is_one_and_the_same_from_both_sides(a: int, b: int, c: int, d: int) -> None:
    for p, swapped in (
        (fisher_exact_p(a, a + b, c, c + d), fisher_exact_p(c, c + d, a, a + b)),
        (poisson_rates_p(a, 30, b, 30), poisson_rates_p(b, 30, a, 30)),
        (mann_whitney_p(sorted([a, b]), sorted([c, d])), mann_whitney_p(sorted([c, d]), sorted([a, b]))),
    ):
        assert 0 < p <= 1
        assert p == pytest.approx(swapped)


def test_one_failure_is_as_improbable_as_it_is() -> None:
    """One of three against none of thirty: the one may be any of the 33."""
    assert fisher_exact_p(1, 3, 0, 30) == pytest.approx(3 / 33)
    assert fisher_exact_p(3, 3, 29, 30) == pytest.approx(1)
    assert mann_whitney_p([], [1.0]) == mann_whitney_p([1.0], []) == 1
    assert poisson_rates_p(0, 30, 0, 30) == 1


@given(st.lists(st.lists(st.floats(0, 9), max_size=6).map(sorted), max_size=4))
def test_the_values_of_several_samples_are_found_in_order(samples: list[list[float]]) -> None:
    union = SortedUnion.of(samples)
    assert [union[position] for position in range(len(union))] == sorted(value for each in samples for value in each)
