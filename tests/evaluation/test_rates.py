"""Intervals against SciPy and a paper's table; and no number where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from arbiter.evaluation.rates import difference, mean, rate


@pytest.mark.parametrize(("count", "of"), [(0, 10), (10, 10), (1, 1), (81, 263), (15, 148), (3287, 3349)])
def test_a_rate_has_wilsons_interval(count: int, of: int) -> None:
    own = rate(count, of)
    outside = stats.binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert own.value == pytest.approx(count / of)
    assert (own.low, own.high) == pytest.approx((outside.low, outside.high), abs=1e-9)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        # Newcombe 1998, Statist. Med. 17:873, table II, method 10: (a) to (d) and (f).
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 10), -0.2775, 0.2775),
    ],
)
def test_a_difference_has_newcombes_interval(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    found = difference(rate(*one), rate(*other))
    assert found.value == pytest.approx(one[0] / one[1] - other[0] / other[1])
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_a_difference_turned_round_is_the_same_with_other_signs() -> None:
    there, back = difference(rate(30, 40), rate(9, 30)), difference(rate(9, 30), rate(30, 40))
    assert (there.low, there.high) == pytest.approx((-(back.high or 0), -(back.low or 0)))


def test_a_mean_has_the_normal_interval_of_its_standard_error() -> None:
    values = np.random.default_rng(4).normal(0.3, 2.0, 200)
    own = mean(values)
    outside = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (own.value, own.low, own.high) == pytest.approx((values.mean(), *outside))


def test_nothing_counted_is_no_number() -> None:
    assert (rate(0, 0).value, rate(0, 0).low, rate(0, 0).high) == (None, None, None)
    assert difference(rate(0, 0), rate(1, 2)).value is None
    assert difference(rate(1, 2), rate(0, 0)).value is None
    assert mean(np.array([])).value is None


def test_one_case_alone_has_no_interval() -> None:
    own = mean(np.array([0.5]))
    assert (own.value, own.low, own.high) == (0.5, None, None)


def test_more_counted_than_there_is_is_refused() -> None:
    with pytest.raises(ValueError, match="0 <= errors <= cases"):
        rate(3, 2)
