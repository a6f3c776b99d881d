"""The stacker: its test is scipy's, and it is seated where it wins and nowhere else."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from arbiter.calibrating.logistic import logistic
from arbiter.calibrating.stacking import HeldOut, Signs, Stacker, fit_stacker, paired_test, tried, wins

POSTERIOR_ALONE = Stacker(0.0, 1.0, 0.0, 0.0, 0.0)


def drawn(chance: random.Random, number: int, *, sureness: float, told_by_citations: float) -> list[HeldOut]:
    """Cases whose posterior is `sureness` times as sure as is right, and which citations may tell more about."""
    cases = []
    for _ in range(number):
        log_odds, grounded = chance.gauss(1.0, 1.0), chance.random()
        right = chance.random() < logistic(log_odds + told_by_citations * (grounded - 0.5))
        signs = Signs(sureness * log_odds, chance.random(), grounded, chance.random())
        cases.append(HeldOut(signs, right))
    return cases


def fitted(cases: list[HeldOut]) -> Stacker:
    return fit_stacker([case.signs for case in cases], [case.right for case in cases])


# --- the test -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 3, 4, 5, 30, 31, 500])
@pytest.mark.parametrize("shift", [-0.3, 0.0, 0.1, 0.5])
def test_the_p_value_is_scipys_one_sided_paired_t_test(number: int, shift: float) -> None:
    differences = np.random.default_rng(number).normal(shift, 1.0, number)
    mean, p_value = paired_test(differences.tolist())
    assert mean == pytest.approx(differences.mean(), abs=1e-12)
    assert p_value == pytest.approx(ttest_1samp(differences, 0.0, alternative="greater").pvalue, abs=1e-12)


def test_a_trial_compares_scikit_learns_log_losses_case_by_case() -> None:
    chance = random.Random(1)
    stacker = fitted(drawn(chance, 300, sureness=2.0, told_by_citations=3.0))
    held_out = drawn(chance, 200, sureness=2.0, told_by_citations=3.0)
    alone, stacked = (
        [log_loss([case.right], [own.chance_right(case.signs)], labels=[False, True]) for case in held_out]
        for own in (POSTERIOR_ALONE, stacker)
    )
    found = tried(stacker, held_out)
    assert found.gain == pytest.approx(np.mean(alone) - np.mean(stacked), abs=1e-9)
    assert found.p_value == pytest.approx(ttest_rel(alone, stacked, alternative="greater").pvalue, abs=1e-9)


@pytest.mark.parametrize(("difference", "p_value"), [(0.1, 0.0), (0.0, 1.0), (-0.1, 1.0)])
def test_differences_that_are_all_the_same_are_certain_either_way(difference: float, p_value: float) -> None:
    mean, found = paired_test([difference] * 7)
    assert mean == pytest.approx(difference)
    assert found == p_value


@pytest.mark.parametrize("differences", [[], [1.0]])
def test_fewer_than_two_differences_are_refused(differences: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two differences"):
        paired_test(differences)


# --- the stacker --------------------------------------------------------------------------------------------------


def test_its_weights_are_scikit_learns_and_have_names() -> None:
    cases = drawn(random.Random(2), 400, sureness=1.0, told_by_citations=3.0)
    stacker = fitted(cases)
    rows = [
        [case.signs.log_odds, case.signs.self_consistency, case.signs.groundedness, case.signs.confidence]
        for case in cases
    ]
    model = LogisticRegression(C=1.0, tol=1e-10, solver="newton-cholesky").fit(
        rows, [own.right for own in cases]
    )
    assert stacker.intercept == pytest.approx(model.intercept_[0], abs=1e-6)
    assert (
        stacker.log_odds,
        stacker.self_consistency,
        stacker.groundedness,
        stacker.confidence,
    ) == pytest.approx(model.coef_[0], abs=1e-6)
    assert stacker.chance_right(cases[0].signs) == pytest.approx(
        model.predict_proba(rows[:1])[0, 1], abs=1e-6
    )


def test_it_is_seated_where_citations_tell_what_the_posterior_does_not() -> None:
    chance = random.Random(3)
    stacker = fitted(drawn(chance, 400, sureness=1.0, told_by_citations=5.0))
    assert wins(stacker, drawn(chance, 400, sureness=1.0, told_by_citations=5.0))


def test_it_is_not_seated_where_the_posterior_says_all() -> None:
    chance = random.Random(4)
    stacker = fitted(drawn(chance, 400, sureness=1.0, told_by_citations=0.0))
    assert not wins(stacker, drawn(chance, 400, sureness=1.0, told_by_citations=0.0))


def test_where_the_posterior_says_all_it_is_seated_by_chance_no_oftener_than_the_level() -> None:
    seated = 0
    for seed in range(100):
        chance = random.Random(seed)
        stacker = fitted(drawn(chance, 60, sureness=1.0, told_by_citations=0.0))
        seated += wins(stacker, drawn(chance, 60, sureness=1.0, told_by_citations=0.0))
    # Three standard deviations above 5 of 100.
    assert seated <= 5 + 3 * math.sqrt(100 * 0.05 * 0.95)


def test_it_is_not_seated_on_few_cases_however_well_it_does() -> None:
    cases = [HeldOut(Signs(-3.0 + at / 100, 0.5, 0.5, 0.5), right=True) for at in range(30)]
    sure = Stacker(9.0, 0.0, 0.0, 0.0, 0.0)
    assert wins(sure, cases)
    assert not wins(sure, cases[:29])
    assert not wins(sure, [])


def test_the_posterior_does_not_beat_itself() -> None:
    cases = drawn(random.Random(5), 50, sureness=1.0, told_by_citations=0.0)
    assert not wins(POSTERIOR_ALONE, cases)
    assert tried(POSTERIOR_ALONE, cases).gain == 0.0


@pytest.mark.parametrize("right", [True, False])
def test_a_leading_option_that_is_always_right_or_never_teaches_nothing(*, right: bool) -> None:
    with pytest.raises(ValueError, match="both outcomes"):
        fit_stacker([Signs(1.0, 1.0, 1.0, 1.0), Signs(2.0, 1.0, 1.0, 1.0)], [right, right])


def test_certainty_which_has_no_log_odds_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_stacker([Signs(math.inf, 1.0, 1.0, 1.0), Signs(2.0, 1.0, 1.0, 1.0)], [True, False])
