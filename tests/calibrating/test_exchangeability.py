"""Drift: against MAPIE's martingale, a second implementation, long runs without a change, and planted changes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from mapie.exchangeability_testing import OnlineMartingaleTest
from scipy.stats import binom, kstest

from arbiter.calibrating import exchangeability
from arbiter.calibrating.exchangeability import Drift, Jumper, begin, p_value

DELTA = 0.05


def watched(sample: np.ndarray, stream: np.ndarray, seed: int, delta: float = DELTA) -> Drift:
    thetas = np.random.default_rng(seed).random(len(stream))
    drift = begin(sample.tolist(), delta)
    for value, theta in zip(stream.tolist(), thetas.tolist(), strict=True):
        drift = drift.after(value, theta)
    return drift


def alarm_at(sample: np.ndarray, stream: np.ndarray, seed: int) -> int | None:
    """How many values of the stream it took, None when the stream ended before."""
    thetas = np.random.default_rng(seed).random(len(stream))
    drift = begin(sample.tolist(), DELTA)
    for value, theta in zip(stream.tolist(), thetas.tolist(), strict=True):
        drift = drift.after(value, theta)
        if drift.alarmed:
            return drift.seen
    return None


# --- second implementations ---------------------------------------------------------------------------------------


def test_ranks_and_the_jumper_are_mapies() -> None:
    chance = np.random.default_rng(20261127)
    history = np.round(chance.normal(size=60), 1).tolist()  # rounded: many values are equal
    theirs = OnlineMartingaleTest(random_state=5, warn=False)
    thetas = np.random.default_rng(5)
    ours = Jumper()
    for value in np.round(chance.normal(0.4, 1.0, size=300), 1).tolist():
        expected = theirs.compute_p_value(value, np.array(history))
        found = p_value(sorted(history), value, float(thetas.uniform()))
        assert found == pytest.approx(expected, abs=1e-12)
        ours = ours.after(found)
        assert ours.log_value == pytest.approx(
            math.log(theirs.update_simple_jumper_martingale(found)), abs=1e-9
        )
        history.append(value)
    assert ours.log_value != pytest.approx(0.0, abs=0.1)


def by_all_ranks(sample: np.ndarray, stream: np.ndarray, thetas: np.ndarray) -> float:
    """Both martingales by definition, all players as matrices: the sum over every path of players, by products."""
    values, worth = np.concatenate([sample, stream]), []
    ranks = []
    for at, theta in enumerate(thetas, len(sample)):
        before, value = values[:at], values[at]
        ranks.append(((before > value).sum() + theta * ((before == value).sum() + 1)) / (at + 1))
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
    sample, stream = chance.normal(size=50).round(1), chance.normal(shift, size=200).round(1)
    drift = watched(sample, stream, 11)
    thetas = np.random.default_rng(11).random(200)
    assert math.exp(drift.log_value) == pytest.approx(by_all_ranks(sample, stream, thetas), rel=1e-9)
    assert drift.values == tuple(sorted([*sample.tolist(), *stream.tolist()]))
    assert drift.seen == 200


# --- what is promised ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["normal", "few values", "heavy tails"])
def test_while_nothing_changes_alarms_are_no_more_frequent_than_delta(kind: str) -> None:
    chance, runs, delta = np.random.default_rng(20261127), 250, 0.2
    draws: dict[str, Callable[[int], np.ndarray]] = {
        "normal": lambda size: chance.normal(size=size),
        # A measure of disagreement among few members takes few values, most of them the same.
        "few values": lambda size: chance.choice([0.0, 0.25, 0.5], size=size, p=[0.8, 0.15, 0.05]),
        "heavy tails": lambda size: chance.standard_cauchy(size=size),
    }
    draw = draws[kind]
    alarms = sum(watched(draw(40), draw(250), seed, delta).alarmed for seed in range(runs))
    assert alarms <= binom.ppf(0.999, runs, delta)


def test_ranks_are_uniform_and_independent_while_nothing_changes_even_where_most_values_are_equal() -> None:
    chance, ranks, before = np.random.default_rng(13), [], [0.0]
    for value in chance.choice([0.0, 1.0], size=3000, p=[0.9, 0.1]).tolist():
        ranks.append(p_value(sorted(before), value, float(chance.random())))
        before.append(value)
    assert kstest(ranks, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 4 / math.sqrt(3000)


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


# --- what it keeps, and its limit ---------------------------------------------------------------------------------


def test_an_alarm_is_not_taken_back() -> None:
    chance = np.random.default_rng(23)
    drift = watched(chance.normal(size=200), chance.normal(3.0, size=60), 1)
    assert drift.alarmed
    for value, theta in zip(chance.normal(size=300).tolist(), chance.random(300).tolist(), strict=True):
        drift = drift.after(value, theta)
    assert drift.alarmed


def test_a_long_drift_overflows_nothing() -> None:
    jumper = Jumper()
    for _ in range(10_000):
        jumper = jumper.after(0.0)
    assert 1000 < jumper.log_value < 10_000
    assert math.fsum(jumper.shares) == pytest.approx(1.0, abs=1e-12)


def test_a_full_drift_takes_no_more_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchangeability, "MOST_VALUES", 12)
    drift = begin([0.0] * 10, DELTA).after(1.0, 0.5)
    assert not drift.is_full
    drift = drift.after(1.0, 0.5)
    assert drift.is_full
    with pytest.raises(ValueError, match="expected at most 12 values, got one more"):
        drift.after(1.0, 0.5)
    with pytest.raises(ValueError, match="fewer than 12, got 12"):
        begin([0.0] * 12, DELTA)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected a finite value"):
        begin([0.0, value], DELTA)
    with pytest.raises(ValueError, match="expected a finite value"):
        begin([0.0], DELTA).after(value, 0.5)


@pytest.mark.parametrize("theta", [-0.1, 1.0, math.nan])
def test_a_tie_breaker_outside_0_to_1_is_refused(theta: float) -> None:
    with pytest.raises(ValueError, match="expected theta from 0 to below 1"):
        begin([0.0], DELTA).after(0.0, theta)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_a_jumper_refuses_what_is_no_p_value(p: float) -> None:
    with pytest.raises(ValueError, match="expected a p-value from 0 to 1"):
        Jumper().after(p)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, math.nan])
def test_delta_must_lie_between_0_and_1(delta: float) -> None:
    with pytest.raises(ValueError, match="expected delta between 0 and 1"):
        begin([0.0], delta)


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value and fewer than 20000, got 0"):
        begin([], DELTA)
