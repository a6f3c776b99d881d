"""Drift: against MAPIE's martingale, a second implementation, long runs without a change, and planted changes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from mapie.exchangeability_testing import OnlineMartingaleTest
from scipy.stats import binom, chisquare, kstest

from arbiter.calibrating.exchangeability import Drift, Jumper, begin, p_value

DELTA = 0.05
BINS = 32


def binned(values: np.ndarray) -> np.ndarray:
    """Values from -4 to 4 in equal bins, what lies outside in the first and the last."""
    return np.asarray(np.clip(((values + 4.0) / 8.0 * BINS).astype(int), 0, BINS - 1))


def watched(values: np.ndarray, reference: int, seed: int, delta: float = DELTA) -> Drift:
    thetas = np.random.default_rng(seed).random(len(values))
    drift = begin(BINS, reference, delta)
    for at, theta in zip(binned(values).tolist(), thetas.tolist(), strict=True):
        drift = drift.after(at, theta)
    return drift


def alarm_at(sample: np.ndarray, stream: np.ndarray, seed: int) -> int | None:
    """How many values of the stream it took, None when the stream ended before."""
    values = np.concatenate([sample, stream])
    thetas = np.random.default_rng(seed).random(len(values))
    drift = begin(BINS, len(sample), DELTA)
    for at, theta in zip(binned(values).tolist(), thetas.tolist(), strict=True):
        drift = drift.after(at, theta)
        if drift.alarmed:
            return drift.seen - drift.reference
    return None


def counted(bins: np.ndarray, size: int = BINS) -> list[int]:
    return [int(count) for count in np.bincount(bins, minlength=size)]


# --- second implementations ---------------------------------------------------------------------------------------


def test_ranks_and_the_jumper_are_mapies() -> None:
    chance = np.random.default_rng(20261127)
    history = chance.normal(size=60)
    theirs = OnlineMartingaleTest(random_state=5, warn=False)
    thetas = np.random.default_rng(5)
    ours = Jumper()
    seen = binned(history).tolist()
    for at in binned(chance.normal(0.4, 1.0, size=300)).tolist():
        expected = theirs.compute_p_value(float(at), np.array(seen, dtype=float))
        found = p_value(counted(np.array(seen)), at, float(thetas.uniform()))
        assert found == pytest.approx(expected, abs=1e-12)
        ours = ours.after(found)
        assert ours.log_value == pytest.approx(
            math.log(theirs.update_simple_jumper_martingale(found)), abs=1e-9
        )
        seen.append(at)
    assert ours.log_value != pytest.approx(0.0, abs=0.1)


def by_all_ranks(values: np.ndarray, reference: int, thetas: np.ndarray) -> float:
    """Both martingales by definition, all players as matrices: the sum over every path of players, by products."""
    ranks, worth = [], []
    for at in range(reference, len(values)):
        before, value = values[:at], values[at]
        ranks.append(((before > value).sum() + thetas[at] * ((before == value).sum() + 1)) / (at + 1))
    jump = 0.99 * np.eye(3) + 0.01 / 3
    for played in (np.array(ranks), np.abs(2 * np.array(ranks) - 1)):
        owned = np.full(3, 1 / 3)
        for p in played:
            owned = (jump @ owned) * (1 + np.array([-1.0, 0.0, 1.0]) * (p - 0.5))
        worth.append(owned.sum())
    return float(np.mean(worth))


@pytest.mark.parametrize("shift", [0.0, 1.0, -2.0])
def test_a_drift_is_worth_what_its_definition_says(shift: float) -> None:
    chance = np.random.default_rng(7)
    values = np.concatenate([chance.normal(size=50), chance.normal(shift, size=200)])
    drift = watched(values, 50, 11)
    thetas = np.random.default_rng(11).random(250)
    assert math.exp(drift.log_value) == pytest.approx(by_all_ranks(binned(values), 50, thetas), rel=1e-9)
    assert list(drift.counts) == counted(binned(values))
    assert drift.seen == 250


def test_only_the_sum_of_what_came_before_matters_not_its_order() -> None:
    """So that a state of counts is a state of all that is needed."""
    chance = np.random.default_rng(29)
    sample, stream = chance.normal(size=80), chance.normal(size=40)
    turned = np.concatenate([sample[::-1], stream])
    assert watched(np.concatenate([sample, stream]), 80, 3) == watched(turned, 80, 3)


# --- what is promised ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["normal", "few values", "heavy tails"])
def test_while_nothing_changes_alarms_are_no_more_frequent_than_delta(kind: str) -> None:
    chance, runs, delta = np.random.default_rng(20261127), 250, 0.2
    draws: dict[str, Callable[[int], np.ndarray]] = {
        "normal": lambda size: chance.normal(size=size),
        # A measure of disagreement among few members takes few values, most of them the same.
        "few values": lambda size: chance.choice([0.0, 0.25, 0.5], size=size, p=[0.8, 0.15, 0.05]),
        "heavy tails": lambda size: chance.standard_cauchy(size=size).clip(-9, 9),
    }
    draw = draws[kind]
    alarms = sum(watched(draw(290), 40, seed, delta).alarmed for seed in range(runs))
    assert alarms <= binom.ppf(0.999, runs, delta)


def test_ranks_are_uniform_and_independent_while_nothing_changes_even_where_most_values_are_equal() -> None:
    chance, ranks, before = np.random.default_rng(13), [], [1, 0, 0]
    for at in chance.choice([0, 1, 2], size=3000, p=[0.9, 0.06, 0.04]).tolist():
        ranks.append(p_value(before, at, float(chance.random())))
        before[at] += 1
    assert kstest(ranks, "uniform").pvalue > 0.001
    assert chisquare(np.histogram(ranks, 20, (0, 1))[0]).pvalue > 0.001
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 4 / math.sqrt(3000)


def test_without_theta_ranks_of_bins_would_not_be_uniform() -> None:
    """What smoothing is for: with ties broken one way, binning itself would look like a change."""
    chance, ranks, before = np.random.default_rng(13), [], [1, 0, 0]
    for at in chance.choice([0, 1, 2], size=3000, p=[0.9, 0.06, 0.04]).tolist():
        ranks.append(p_value(before, at, 0.5))
        before[at] += 1
    assert kstest(ranks, "uniform").pvalue < 1e-9


def test_a_jumper_is_expected_never_to_grow() -> None:
    """The mean over a fine net of p-values is what it was, whatever came before."""
    jumper = Jumper()
    for played in (0.9, 0.8, 0.95, 0.1, 0.7):
        jumper = jumper.after(played)
        net = (np.arange(1000) + 0.5) / 1000
        mean = np.mean([math.exp(jumper.after(float(p)).log_value) for p in net])
        assert mean == pytest.approx(math.exp(jumper.log_value), rel=1e-9)


@pytest.mark.parametrize(
    ("centre", "width"),
    [(1.0, 1.0), (-1.0, 1.0), (0.0, 3.0), (0.0, 0.25)],
    ids=["up", "down", "wider", "narrower"],
)
def test_a_planted_change_is_found_in_either_direction_and_in_spread(centre: float, width: float) -> None:
    chance, found = np.random.default_rng(17), []
    for seed in range(20):
        sample, changed = chance.normal(size=300), chance.normal(centre, width, size=300)
        found.append(alarm_at(sample, changed, seed))
    assert sum(at is not None for at in found) == 20
    assert np.median([at for at in found if at is not None]) < 120


def test_a_change_that_comes_late_is_found_too() -> None:
    chance, found = np.random.default_rng(19), []
    for seed in range(10):
        stream = np.concatenate([chance.normal(size=500), chance.normal(1.5, size=400)])
        found.append(alarm_at(chance.normal(size=200), stream, seed))
    assert sum(at is not None and at > 500 for at in found) >= 9


def test_what_moves_within_a_bin_is_not_seen() -> None:
    within = np.full(300, 0.1)
    still = watched(np.concatenate([within, within]), 300, 1)
    assert watched(np.concatenate([within, within + 0.1]), 300, 1) == still


# --- what it keeps ------------------------------------------------------------------------------------------------


def test_no_martingale_moves_before_the_sample_is_whole() -> None:
    chance = np.random.default_rng(31)
    values = np.concatenate([np.full(150, -3.0), np.full(150, 3.0), chance.normal(size=1)])
    before = watched(values[:300], 300, 1)
    assert (before.place, before.spread, before.highest) == (Jumper(), Jumper(), 0.0)
    assert watched(values, 300, 1).place != Jumper()


def test_an_alarm_is_not_taken_back() -> None:
    chance = np.random.default_rng(23)
    drift = watched(np.concatenate([chance.normal(size=200), chance.normal(3.0, size=60)]), 200, 1)
    assert drift.alarmed
    for at, theta in zip(binned(chance.normal(size=300)).tolist(), chance.random(300).tolist(), strict=True):
        drift = drift.after(at, theta)
    assert drift.alarmed


def test_it_is_never_full() -> None:
    drift = Drift(DELTA, 10, (10**9, 10**9), Jumper(), Jumper(), 0.0).after(1, 0.5)
    assert drift.counts == (10**9, 10**9 + 1)
    assert len(drift.counts) == 2


def test_a_long_drift_overflows_nothing() -> None:
    jumper = Jumper()
    for _ in range(10_000):
        jumper = jumper.after(0.0)
    assert 1000 < jumper.log_value < 10_000
    assert math.fsum(jumper.shares) == pytest.approx(1.0, abs=1e-12)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [-1, 3, 10**9])
def test_a_bin_that_there_is_not_is_refused(at: int) -> None:
    with pytest.raises(ValueError, match="expected a bin from 0 to 2"):
        begin(3, 5, DELTA).after(at, 0.5)


@pytest.mark.parametrize("theta", [-0.1, 1.0, math.nan])
def test_a_tie_breaker_outside_0_to_1_is_refused(theta: float) -> None:
    with pytest.raises(ValueError, match="expected theta from 0 to below 1"):
        begin(2, 5, DELTA).after(0, theta)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_a_jumper_refuses_what_is_no_p_value(p: float) -> None:
    with pytest.raises(ValueError, match="expected a p-value from 0 to 1"):
        Jumper().after(p)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, math.nan])
def test_delta_must_lie_between_0_and_1(delta: float) -> None:
    with pytest.raises(ValueError, match="expected delta between 0 and 1"):
        begin(2, 5, delta)


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a sample of at least one value, got 0"):
        begin(2, 0, DELTA)


@pytest.mark.parametrize("bins", [-1, 0, 1])
def test_a_single_bin_is_refused_for_nothing_could_show_in_it(bins: int) -> None:
    with pytest.raises(ValueError, match="expected at least two bins"):
        begin(bins, 5, DELTA)
