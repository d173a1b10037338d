"""Trends over weekly values, compared with scipy and with a count of every order (docs/definitions.md)."""

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from dora_metrics.core.statistics import TrendEstimate, estimate_trend, mann_kendall_p, medians_at_ends, theil_sen

values = st.integers(0, 12).map(float)


def scipy_kendall(sample: list[float], method: str) -> float:
    return float(stats.kendalltau(range(len(sample)), sample, method=method).pvalue)


@given(st.lists(st.integers(0, 10**6).map(float), min_size=2, max_size=50, unique=True))
def test_without_ties_the_chance_is_scipys_exact_one(sample: list[float]) -> None:
    assert mann_kendall_p(sample) == pytest.approx(scipy_kendall(sample, "exact"), rel=1e-9)


@pytest.mark.parametrize("sample", [[1, 1, 2, 3], [2, 2, 1, 1, 3], [0, 0, 0, 1, 1, 2], [3, 1, 1, 1, 0, 0], [5, 5, 4]])
def test_with_ties_it_is_the_share_of_all_orders_that_are_at_least_as_one_sided(sample: list[float]) -> None:
    """The test statistic `S`: rising pairs minus falling pairs."""

    def s(order: tuple[float, ...] | list[float]) -> int:
        return sum((b > a) - (b < a) for i, a in enumerate(order) for b in order[i + 1 :])

    seen = [s(order) for order in permutations(sample)]
    tail = min(sum(one >= s(sample) for one in seen), sum(one <= s(sample) for one in seen))
    assert mann_kendall_p(sample) == pytest.approx(min(1, 2 * tail / len(seen)))


@pytest.mark.parametrize("n", [51, 80, 200])
@pytest.mark.parametrize("most", [3, 30, 10**6])
def test_above_fifty_values_it_is_the_normal_approximation_with_ties(n: int, most: int) -> None:
    made = random.Random(n * most)
    sample = [made.randrange(most) + i * most / 300 // 1 for i in range(n)]
    assert mann_kendall_p(sample) == pytest.approx(scipy_kendall(sample, "asymptotic"), rel=1e-9)


@pytest.mark.parametrize("sample", [[], [1.0], [2.0] * 5, [0.0] * 60])
def test_what_never_differs_has_no_trend(sample: list[float]) -> None:
    assert mann_kendall_p(sample) == 1


@given(st.lists(values, max_size=60))
def test_a_chance_is_a_chance_and_the_same_backwards(sample: list[float]) -> None:
    p = mann_kendall_p(sample)
    assert 0 < p <= 1
    assert mann_kendall_p(sample[::-1]) == pytest.approx(p)
    assert mann_kendall_p([-value for value in sample]) == pytest.approx(p)


def test_five_weeks_in_a_row_are_the_fewest_that_can_be_a_trend() -> None:
    """2 of the 120 orders of five values are as one-sided; of four it would be 2 of 24."""
    assert mann_kendall_p([1, 2, 3, 4, 5]) == pytest.approx(2 / 120)
    assert mann_kendall_p([1, 2, 3, 4]) == pytest.approx(2 / 24)
    assert estimate_trend([(0, 1), (1, 2), (2, 3), (3, 4)]) is None
    found = estimate_trend([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
    assert found is not None
    assert found == TrendEstimate(5, 1, 1, 4, found.p)
    assert found.p == pytest.approx(2 / 120)


@given(st.lists(st.tuples(st.integers(0, 60), values), min_size=2, max_size=40, unique_by=lambda point: point[0]))
def test_slope_and_intercept_are_scipys(points: list[tuple[int, float]]) -> None:
    weeks, sample = zip(*sorted(points), strict=True)
    theirs = stats.theilslopes(sample, weeks)
    slope, intercept = theil_sen(sorted(points))
    assert slope == pytest.approx(theirs.slope, abs=1e-12)
    assert intercept == pytest.approx(theirs.intercept, abs=1e-9)


def test_a_week_without_a_value_leaves_a_gap_and_does_not_bend_the_line() -> None:
    found = estimate_trend([(0, 10), (1, 9), (4, 6), (5, 5), (9, 1)])
    assert found is not None
    assert (found.slope_per_week, found.value_at(0), found.value_at(12)) == (-1, 10, -2)
    assert found.is_clear


def test_a_trend_is_clear_only_where_it_is_hardly_chance_and_has_a_direction() -> None:
    assert not TrendEstimate(5, 1, 0, 4, 0.05).is_clear
    assert TrendEstimate(5, 1, 0, 4, 0.0499).is_clear
    assert not TrendEstimate(60, 0, 3, 0, 0.01).is_clear


def test_the_ends_of_a_trend_are_medians_of_its_first_and_last_third() -> None:
    assert medians_at_ends([9, 14, 14, 14, 8, 0, 0, 0]) == (11.5, 0)
    assert medians_at_ends([1, 2, 9, 3, 4, 9, 5, 8, 6]) == (2, 6)


@given(st.lists(values, min_size=5, max_size=60))
def test_the_ends_of_a_trend_lie_within_its_values(sample: list[float]) -> None:
    assert all(min(sample) <= end <= max(sample) for end in medians_at_ends(sample))
