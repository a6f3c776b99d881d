"""The live watch: false alarms over long runs, its delay in simulation, and the exact computation of both."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom

from arbiter.calibrating.betting import (
    STAKES,
    Evidence,
    alarm_probability,
    begin,
    decisions,
    delta_after,
    expected_delay,
)

ALPHA, DELTA = 0.05, 0.05


def watched(errors: list[bool], alpha: float = ALPHA, delta: float = DELTA) -> Evidence:
    evidence = begin(alpha, delta)
    for error in errors:
        evidence = evidence.after(error)
    return evidence


def simulated(rates: np.ndarray, runs: int, seed: int) -> np.ndarray:
    """When each run alarms, 0 for never: all runs at once, E as the product itself, bets anew from what each owns.

    From the definition: the next bet is the mean of the stakes' bets by their wealth, and E is multiplied by
    1 + bet (error - alpha).
    """
    chance = np.random.default_rng(seed)
    odds = np.array([times for times, _ in STAKES]) * ALPHA / (1 - ALPHA)
    rate = odds / (1 + odds)
    bets = (rate - ALPHA) / (ALPHA * (1 - ALPHA))
    own = np.tile([share for _, share in STAKES], (runs, 1)).astype(float)
    value, alarm = np.ones(runs), np.zeros(runs, dtype=int)
    for at, now in enumerate(rates, 1):
        error = chance.random(runs) < now
        bet = own @ bets / own.sum(axis=1)
        value *= 1 + bet * (error - ALPHA)
        own *= 1 + bets[None, :] * (error[:, None] - ALPHA)
        alarm[(alarm == 0) & (value >= 1 / DELTA)] = at
    return alarm


# --- what is promised ---------------------------------------------------------------------------------------------


def test_2000_runs_at_the_limit_alarm_falsely_no_oftener_than_delta() -> None:
    alarms = np.count_nonzero(simulated(np.full(2000, ALPHA), 2000, 20261127))
    assert alarms <= binom.ppf(0.999, 2000, DELTA)
    # And as often as computed: within what 2,000 runs can tell.
    exact = alarm_probability(ALPHA, ALPHA, DELTA, 2000)
    assert exact < DELTA
    assert binom.ppf(0.001, 2000, exact) <= alarms <= binom.ppf(0.999, 2000, exact)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("delta", [0.2, 0.01])
def test_the_exact_probability_of_a_false_alarm_is_below_delta(alpha: float, delta: float) -> None:
    found = alarm_probability(alpha, alpha, delta, 3000)
    assert 0.0 < found < delta
    assert alarm_probability(alpha, alpha / 2, delta, 3000) < found / 2


def test_a_rate_that_moves_below_its_limit_alarms_no_oftener() -> None:
    """Half of the time no error, half of the time at the limit, in turns of 50."""
    rates = np.where(np.arange(2000) // 50 % 2 == 0, 0.0, ALPHA)
    assert np.count_nonzero(simulated(rates, 1000, 5)) <= binom.ppf(0.999, 1000, DELTA)


def test_e_is_expected_never_to_grow_whatever_came_before() -> None:
    """Exactly: over both outcomes of the next audit at the limit, the mean of E is E, after every history of ten."""
    for errors in itertools.product((False, True), repeat=10):
        evidence = watched(list(errors))
        right, wrong = (math.exp(evidence.after(error).log_value) for error in (False, True))
        assert (1 - ALPHA) * right + ALPHA * wrong == pytest.approx(math.exp(evidence.log_value), rel=1e-12)
        bet = evidence.bet
        assert 0.0 < bet < 1 / ALPHA
        assert wrong == pytest.approx(math.exp(evidence.log_value) * (1 + bet * (1 - ALPHA)), rel=1e-12)


# --- how soon it alarms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "audits"), [(0.1, 900), (0.15, 400), (0.3, 120)])
def test_the_delay_is_that_of_simulated_watches(rate: float, audits: int) -> None:
    alarm = simulated(np.full(audits, rate), 4000, 7)
    assert np.count_nonzero(alarm == 0) <= 4
    expected = expected_delay(ALPHA, rate, DELTA)
    assert expected is not None
    ended = alarm[alarm > 0]
    assert abs(ended.mean() - expected) <= 4 * ended.std() / math.sqrt(len(ended)) + 1


def test_at_twice_the_limit_the_delay_is_close_to_that_of_the_best_bet() -> None:
    """The design's 145 audits are ln(1 / delta) by the best bet's growth; passing the limit by a step adds some."""
    growth = 0.1 * math.log(0.1 / ALPHA) + 0.9 * math.log(0.9 / 0.95)
    assert math.log(1 / DELTA) / growth == pytest.approx(145, abs=1)
    expected = expected_delay(ALPHA, 0.1, DELTA)
    assert expected is not None
    assert expected == pytest.approx(166.5, abs=0.1)
    assert decisions(expected, 0.1) == pytest.approx(1665, abs=1)


def test_a_delay_after_a_quiet_time_is_that_of_simulated_watches_that_did_not_alarm_before() -> None:
    rates = np.concatenate([np.full(200, 0.03), np.full(2200, 0.12)])
    alarm = simulated(rates, 3000, 11)
    after = alarm[alarm > 200] - 200
    assert np.count_nonzero(alarm == 0) == 0
    expected = expected_delay(ALPHA, 0.12, DELTA, quiet=200, before=0.03)
    fresh = expected_delay(ALPHA, 0.12, DELTA)
    assert expected is not None
    assert fresh is not None
    assert abs(after.mean() - expected) <= 4 * after.std() / math.sqrt(len(after)) + 1
    assert expected > 1.5 * fresh


def test_watches_that_never_end_have_no_delay() -> None:
    assert expected_delay(ALPHA, ALPHA, DELTA) is None
    assert expected_delay(ALPHA, 0.01, DELTA) is None
    assert expected_delay(ALPHA, 0.1, DELTA, most=300) is None
    assert expected_delay(ALPHA, 0.1, DELTA, most=0) is None


def test_when_every_audit_is_an_error_the_delay_is_counted_by_hand() -> None:
    """E after n errors is a mean of powers: the first n where it reaches 20, in fractions."""
    alpha = Fraction(1, 20)
    stakes = [(Fraction(times), Fraction(share)) for times, share in STAKES]
    gains = [(share, times / (1 - alpha + times * alpha)) for times, share in stakes]
    hand = next(n for n in itertools.count(1) if sum(share * gain**n for share, gain in gains) >= 20)
    assert expected_delay(ALPHA, 1.0, DELTA) == hand
    assert not watched([True] * (hand - 1)).alarmed
    assert watched([True] * hand).alarmed


def test_the_alarm_probability_is_that_of_all_histories() -> None:
    """Every history of 14 audits, watched one by one, weighed by its probability."""
    rate, found = 0.2, 0.0
    for errors in itertools.product((False, True), repeat=14):
        if watched(list(errors)).alarmed:
            found += rate ** sum(errors) * (1 - rate) ** (14 - sum(errors))
    assert found > 0.01
    assert alarm_probability(ALPHA, rate, DELTA, 14) == pytest.approx(found, rel=1e-9)


# --- what it keeps ------------------------------------------------------------------------------------------------


def test_an_alarm_is_not_taken_back_by_better_audits() -> None:
    evidence = watched([True] * 6 + [False] * 500)
    assert evidence.log_value < 0.0
    assert evidence.alarmed
    assert evidence.audits == 506


def test_100000_audits_without_an_error_leave_something_to_bet_with() -> None:
    evidence = begin(ALPHA, DELTA)
    for _ in range(100_000):
        evidence = evidence.after(error=False)
    assert math.isfinite(evidence.log_value)
    assert 0.0 < evidence.bet < 1 / ALPHA
    assert not evidence.alarmed


def test_a_partial_error_moves_e_by_its_share() -> None:
    evidence = begin(ALPHA, DELTA)
    assert evidence.after(ALPHA).log_value == pytest.approx(0.0, abs=1e-12)
    none, half, whole = (math.exp(evidence.after(error).log_value) for error in (0.0, 0.5, 1.0))
    assert half == pytest.approx((none + whole) / 2, rel=1e-12)


def test_after_every_lift_delta_is_halved_and_all_together_are_what_was_given() -> None:
    assert [delta_after(lifts, 0.05) for lifts in range(3)] == [0.025, 0.0125, 0.00625]
    assert sum(Fraction(delta_after(lifts, 0.05)) for lifts in range(500)) <= Fraction(0.05)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 1.0, -0.05, math.nan])
def test_levels_must_lie_between_0_and_1(share: float) -> None:
    for name, alpha, delta in (("alpha", share, DELTA), ("delta", ALPHA, share)):
        for ask in (
            begin,
            lambda alpha, delta: expected_delay(alpha, 0.9, delta),
            lambda alpha, delta: alarm_probability(alpha, 0.9, delta, 5),
        ):
            with pytest.raises(ValueError, match=f"expected {name} between 0 and 1, got {share}"):
                ask(alpha, delta)
    with pytest.raises(ValueError, match="expected delta between 0 and 1"):
        delta_after(0, share)


@pytest.mark.parametrize("error", [-0.1, 1.1, math.nan])
def test_what_is_no_error_is_refused(error: float) -> None:
    with pytest.raises(ValueError, match=f"expected an error from 0 to 1, got {error}"):
        begin(ALPHA, DELTA).after(error)


def test_rates_and_counts_out_of_range_are_refused() -> None:
    for rate in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="expected a rate from 0 to 1"):
            expected_delay(ALPHA, rate, DELTA)
        with pytest.raises(ValueError, match="expected a rate from 0 to 1"):
            expected_delay(ALPHA, 0.1, DELTA, quiet=5, before=rate)
        with pytest.raises(ValueError, match="expected a rate from 0 to 1"):
            alarm_probability(ALPHA, rate, DELTA, 5)
    with pytest.raises(ValueError, match="expected numbers of audits from 0, got -1 quiet"):
        expected_delay(ALPHA, 0.1, DELTA, quiet=-1)
    with pytest.raises(ValueError, match="expected audits from 0, got -1"):
        alarm_probability(ALPHA, 0.1, DELTA, -1)
    with pytest.raises(ValueError, match="expected lifts from 0, got -1"):
        delta_after(-1, DELTA)


@pytest.mark.parametrize("sampling", [0.0, -0.1, 1.1, math.nan])
def test_decisions_need_a_sampling_probability(sampling: float) -> None:
    with pytest.raises(ValueError, match="expected a sampling probability above 0 and at most 1"):
        decisions(145.0, sampling)
    with pytest.raises(ValueError, match="expected audits from 0, got -1"):
        decisions(-1, 0.1)
