"""Exact bounds of an error rate: against SciPy's inverse beta and tests, and the sizes that the design states."""

from __future__ import annotations

import math
import random

import pytest
from scipy.stats import beta, binom, binomtest

from arbiter.calibrating.binomial import fewest, interval, tail, upper_bound, wilson


def counts(seed: int, runs: int, most: float) -> list[tuple[int, int]]:
    """Errors in cases: sizes spread over all magnitudes, errors rare in half of them."""
    chance = random.Random(seed)
    sizes = [int(10 ** chance.uniform(0, most)) for _ in range(runs)]
    return [(chance.randint(0, min(size, 30) if at % 2 else size), size) for at, size in enumerate(sizes)]


@pytest.mark.parametrize("delta", [0.5, 0.05, 0.01, 1e-6, 0.95])
def test_the_bound_is_the_inverse_beta_to_1e_9_up_to_a_million_cases(delta: float) -> None:
    for errors, cases in [*counts(20261127, 80, 6), (0, 10**6), (999_999, 10**6), (30_000, 10**6), (0, 1)]:
        expected = 1.0 if errors == cases else float(beta.ppf(1 - delta, errors + 1, cases - errors))
        assert upper_bound(errors, cases, delta) == pytest.approx(expected, abs=1e-9)


def test_the_tail_is_scipys_on_either_side_of_the_mean() -> None:
    chance = random.Random(5)
    for errors, cases in counts(7, 300, 6):
        near = errors / cases + chance.gauss(0, 3) / math.sqrt(cases)
        for rate in (min(1.0, max(0.0, near)), chance.random()):
            expected = float(binom.cdf(errors, cases, rate))
            assert tail(errors, cases, rate) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_both_intervals_are_scipys(confidence: float) -> None:
    for errors, cases in [*counts(11, 40, 4), (0, 7), (7, 7)]:
        test = binomtest(errors, cases)
        for ours, method in ((interval, "exact"), (wilson, "wilson")):
            theirs = test.proportion_ci(confidence, method=method)
            assert ours(errors, cases, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize(
    ("alpha", "sizes"), [(0.05, (59, 93, 153, 208)), (0.01, (299, 473, 773, 1049))], ids=["5%", "1%"]
)
def test_the_fewest_cases_are_those_that_the_design_states(alpha: float, sizes: tuple[int, ...]) -> None:
    assert tuple(fewest(errors, alpha, 0.05) for errors in (0, 1, 3, 5)) == sizes


def test_one_case_fewer_than_the_fewest_does_not_pass() -> None:
    chance = random.Random(13)
    for _ in range(60):
        errors, alpha, delta = chance.randint(0, 40), chance.uniform(0.001, 0.6), chance.uniform(0.001, 0.6)
        enough = fewest(errors, alpha, delta)
        assert enough > errors
        assert float(beta.ppf(1 - delta, errors + 1, enough - errors)) <= alpha + 1e-12
        if enough - 1 > errors:
            assert float(beta.ppf(1 - delta, errors + 1, enough - 1 - errors)) > alpha - 1e-12


def test_the_zero_error_minimum_is_that_of_its_closed_form() -> None:
    for alpha in (0.001, 0.01, 0.02, 0.05, 0.1, 0.5):
        for delta in (0.001, 0.05, 0.2):
            assert fewest(0, alpha, delta) == math.ceil(math.log(delta) / math.log1p(-alpha))


def test_without_cases_nothing_is_known() -> None:
    assert upper_bound(0, 0, 0.05) == 1.0
    assert interval(0, 0, 0.95) == (0.0, 1.0)
    assert wilson(0, 0, 0.95) == (0.0, 1.0)


def test_a_bound_is_never_below_the_rate_seen_when_it_is_to_hold_more_often_than_not() -> None:
    for errors, cases in counts(17, 300, 4):
        assert upper_bound(errors, cases, 0.3) >= errors / cases


@pytest.mark.parametrize(("errors", "cases"), [(-1, 10), (11, 10), (1, 0), (0, -1)])
def test_impossible_counts_are_refused(errors: int, cases: int) -> None:
    for ask in (
        lambda: upper_bound(errors, cases, 0.05),
        lambda: tail(errors, cases, 0.05),
        lambda: interval(errors, cases, 0.95),
        lambda: wilson(errors, cases, 0.95),
    ):
        with pytest.raises(ValueError, match=f"0 <= errors <= cases, got {errors} errors in {cases} cases"):
            ask()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.1, math.nan, math.inf])
def test_a_level_must_lie_between_0_and_1(share: float) -> None:
    for name, ask in (
        ("delta", lambda: upper_bound(1, 10, share)),
        ("confidence", lambda: interval(1, 10, share)),
        ("confidence", lambda: wilson(1, 10, share)),
        ("alpha", lambda: fewest(1, share, 0.05)),
        ("delta", lambda: fewest(1, 0.05, share)),
    ):
        with pytest.raises(ValueError, match=f"expected {name} between 0 and 1, got {share}"):
            ask()


@pytest.mark.parametrize("rate", [-1e-9, 1.0 + 1e-9, math.nan])
def test_a_tail_needs_a_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="expected a rate from 0 to 1"):
        tail(1, 10, rate)


def test_negative_errors_have_no_fewest() -> None:
    with pytest.raises(ValueError, match="expected errors from 0, got -1"):
        fewest(-1, 0.05, 0.05)
