"""The bound from audits of unequal probability: coverage in long runs, the definition on a fine net, and width."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import beta, binom

from arbiter.calibrating.weighted import Audited, weighted_bound, weighted_rate

DELTA = 0.05


def ward(chance: random.Random, decided: int, hard: float, easy: float) -> list[Audited]:
    """A third of decisions is hard and audited half of the time; the rest is easy and audited once in ten."""
    found = []
    for _ in range(decided):
        rate, probability = (hard, 0.5) if chance.random() < 1 / 3 else (easy, 0.1)
        error = chance.random() < rate
        if chance.random() < probability:
            found.append(Audited(error, probability))
    return found


@pytest.mark.parametrize(
    ("hard", "easy"),
    [(0.09, 0.0), (0.0, 0.06), (0.06, 0.03), (0.5, 0.3)],
    ids=["hard", "easy", "both", "often"],
)
def test_the_true_rate_exceeds_the_bound_in_no_more_runs_than_delta(hard: float, easy: float) -> None:
    chance, runs, truth = random.Random(20261127), 300, hard / 3 + easy * 2 / 3
    missed, widths = 0, []
    for _ in range(runs):
        audits = ward(chance, 1500, hard, easy)
        bound = weighted_bound(audits, 0.1, DELTA)
        missed += bound < truth
        widths.append(bound)
    assert missed <= binom.ppf(0.999, runs, DELTA)
    # And the bound says something: at about 350 audits it is well below what Hoeffding's inequality could say.
    assert np.mean(widths) < truth + math.sqrt(math.log(1 / DELTA) / (2 * 1500)) * 10 / 2


def test_audits_counted_alike_would_be_wrong_about_the_rate_and_weighted_ones_are_not() -> None:
    """Where the hard third errs at 9%, the rate is 3%: audited cases alone err at 6.4%."""
    audits = ward(random.Random(3), 60_000, 0.09, 0.0)
    alike = sum(audit.error for audit in audits) / len(audits)
    assert alike == pytest.approx(0.0643, abs=0.006)
    assert weighted_rate(audits) == pytest.approx(0.03, abs=0.004)


def on_a_net(audits: Sequence[Audited], least: float, delta: float) -> float:
    """The same betting, from its definition: K for every rate of a net and every bet, multiplied audit by audit."""
    net = np.linspace(0.0005, 0.9995, 2000)
    bets = np.sin(np.pi * (2 * np.arange(16) + 1) / 64) ** 2
    own = np.ones((16, 2000))
    # Near rate 1 what is owned outgrows a float, and infinity reaches 1 / delta as well.
    with np.errstate(over="ignore"):
        for audit in audits:
            share = (1 / audit.probability) / (1 / least)
            own *= 1 - bets[:, None] * share * (audit.error - net) / (1 - net)
    doubted = net[own.mean(axis=0) >= 1 / delta]
    return float(doubted.min()) if len(doubted) else 1.0


def test_the_bound_is_where_the_bets_by_definition_reach_1_over_delta() -> None:
    chance = random.Random(5)
    for _ in range(40):
        audits = ward(chance, chance.choice([20, 200, 800]), chance.random() / 2, chance.random() / 4)
        delta = chance.choice([0.01, 0.05, 0.2])
        bound = weighted_bound(audits, 0.1, delta)
        # The net is half a thousandth wide, and starts half a thousandth from the end.
        assert on_a_net(audits, 0.1, delta) == pytest.approx(bound, abs=0.0006)


@pytest.mark.parametrize(("errors", "size"), [(0, 100), (2, 200), (10, 400), (60, 500), (250, 500)])
def test_with_equal_weights_it_is_close_above_the_exact_bound(errors: int, size: int) -> None:
    """It can be no tighter than Clopper and Pearson's by much, and pays for not knowing its best bet."""
    exact = float(beta.ppf(1 - DELTA, errors + 1, size - errors))
    audits = [Audited(at < errors, 0.1) for at in range(size)]
    bound = weighted_bound(audits, 0.1, DELTA)
    seen = errors / size
    assert exact < bound
    assert bound - seen < 2.0 * (exact - seen)


def test_the_order_of_audits_plays_no_part() -> None:
    chance = random.Random(7)
    audits = ward(chance, 600, 0.2, 0.1)
    bound = weighted_bound(audits, 0.1, DELTA)
    for _ in range(5):
        chance.shuffle(audits)
        assert weighted_bound(audits, 0.1, DELTA) == bound


def test_an_error_that_stands_for_more_decisions_raises_the_bound_more() -> None:
    right = [Audited(error=False, probability=0.2)] * 300
    none, likely, unlikely = (
        weighted_bound(right + extra, 0.1, DELTA)
        for extra in ([], [Audited(error=True, probability=1.0)], [Audited(error=True, probability=0.1)])
    )
    assert none < likely < unlikely


def test_a_lesser_least_probability_widens_the_bound() -> None:
    audits = [Audited(at < 3, 0.2) for at in range(300)]
    bounds = [weighted_bound(audits, least, DELTA) for least in (0.2, 0.1, 0.02)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[2]


def test_without_audits_or_with_nothing_but_errors_the_bound_is_1() -> None:
    assert weighted_bound([], 0.1, DELTA) == 1.0
    assert weighted_bound([Audited(error=True, probability=0.1)] * 50, 0.1, DELTA) == 1.0


@pytest.mark.parametrize("probability", [0.0, -0.5, 1.5, math.nan, math.inf])
def test_what_is_no_sampling_probability_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="expected a sampling probability above 0 and at most 1"):
        Audited(error=True, probability=probability)
    with pytest.raises(ValueError, match="expected a least probability above 0 and at most 1"):
        weighted_bound([], probability, DELTA)


def test_an_audit_less_probable_than_the_least_is_refused() -> None:
    with pytest.raises(ValueError, match=r"every sampling probability from 0\.2, got 0\.1"):
        weighted_bound([Audited(error=False, probability=0.1)], 0.2, DELTA)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, math.nan])
def test_delta_must_lie_between_0_and_1(delta: float) -> None:
    with pytest.raises(ValueError, match="expected delta between 0 and 1"):
        weighted_bound([], 0.1, delta)


def test_no_audit_has_no_rate() -> None:
    with pytest.raises(ValueError, match="at least one audit, got none"):
        weighted_rate([])
