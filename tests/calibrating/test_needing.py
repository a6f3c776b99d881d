"""How many more labels a guarantee takes: the numbers stated are enough, and one accepted case fewer is not."""

from __future__ import annotations

import math

import pytest
from scipy.stats import beta

from arbiter.calibrating.binomial import fewest
from arbiter.calibrating.guarantee import Certified, Scored, certify
from arbiter.calibrating.needing import Needed, needed, next_level

LEVELS = (0.1, 0.05, 0.02, 0.01)


def seen(accepted: int, errors: int, rejected: int, alpha: float = 0.05) -> Certified:
    """What is certified at threshold 0.8 with so many cases above it and below."""
    above = [Scored(0.9, right=at >= errors) for at in range(accepted)]
    return certify(above + [Scored(0.6, right=False)] * rejected, (0.8,), alpha, 0.05)


def lacking(certified: Certified, alpha: float) -> Needed | None:
    return needed(certified.path[0], certified.cases, alpha, certified.delta)


def bound(errors: int, accepted: int) -> float:
    return float(beta.ppf(0.95, errors + 1, accepted - errors))


def test_without_an_error_the_zero_error_minimum_is_still_to_be_reached() -> None:
    """40 of 100 cases are accepted, 59 are needed: 19 more, of 48 that have to be labelled."""
    missing = lacking(seen(40, 0, 60), 0.05)
    assert missing is not None
    assert (missing.alpha, missing.accepted, missing.cases) == (0.05, 19, 48)


@pytest.mark.parametrize(
    ("accepted", "errors", "rejected", "alpha"),
    [(60, 1, 40, 0.05), (100, 3, 0, 0.05), (200, 4, 600, 0.03), (1000, 8, 500, 0.01), (2000, 85, 0, 0.05)],
)
def test_at_the_rate_seen_the_stated_number_passes_and_errors_grow_with_it(
    accepted: int, errors: int, rejected: int, alpha: float
) -> None:
    missing = lacking(seen(accepted, errors, rejected), alpha)
    assert missing is not None
    enough = accepted + missing.accepted
    assert bound(math.ceil(errors * enough / accepted), enough) <= alpha + 1e-9
    assert bound(math.ceil(errors * (enough - 1) / accepted), enough - 1) > alpha - 1e-9
    share = accepted / (accepted + rejected)
    assert missing.cases == pytest.approx(missing.accepted / share, abs=1)
    assert missing.cases * share >= missing.accepted - 1e-9


def test_more_is_needed_for_a_lower_level_and_nothing_for_one_that_is_reached() -> None:
    certified = seen(500, 5, 100)
    assert certified.threshold == 0.8
    reached = lacking(certified, 0.05)
    assert reached is not None
    assert (reached.cases, reached.accepted) == (0, 0)
    stated = [lacking(certified, alpha) for alpha in (0.02, 0.015, 0.012)]
    sizes = [missing.accepted for missing in stated if missing is not None]
    assert len(sizes) == 3
    assert 0 < sizes[0] < sizes[1] < sizes[2]


def test_no_number_is_enough_at_a_rate_that_is_not_below_the_level() -> None:
    assert lacking(seen(100, 5, 0), 0.05) is None
    assert lacking(seen(100, 30, 0), 0.05) is None
    # A millionth below it would take more than a million labels.
    assert lacking(seen(100_000, 4999, 0), 0.05) is None


def test_where_nothing_was_accepted_no_share_is_known() -> None:
    assert lacking(seen(0, 0, 50), 0.05) is None


def test_next_is_the_level_itself_until_it_is_certified_and_then_the_next_lower() -> None:
    assert next_level(seen(40, 0, 60), LEVELS) == 0.05
    assert next_level(seen(500, 0, 0), LEVELS) == 0.02
    assert next_level(seen(500, 0, 0, alpha=0.01), LEVELS) is None
    assert next_level(seen(500, 0, 0), ()) is None


def test_the_zero_error_number_is_what_fewest_says_at_each_level() -> None:
    for alpha in LEVELS:
        missing = lacking(seen(20, 0, 0), alpha)
        assert missing is not None
        assert 20 + missing.accepted == fewest(0, alpha, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_a_level_outside_0_to_1_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="expected alpha between 0 and 1"):
        lacking(seen(40, 0, 60), alpha)
