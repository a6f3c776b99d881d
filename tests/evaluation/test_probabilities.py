"""Calibration against scikit-learn and NumPy, risk against coverage by counting again, and what is certified."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from arbiter.calibrating.binomial import upper_bound
from arbiter.calibrating.fitting import FitSettings, Fitted, fit
from arbiter.calibrating.labelled import Labelled
from arbiter.evaluation.ballots import NOBODY, Ballots, leading
from arbiter.evaluation.probabilities import (
    HARDEST,
    Posteriors,
    calibration,
    certificates,
    certified_answers,
    hardest,
    posteriors,
    risk_curve,
)
from tests.evaluation.small import drawn, seats

SEATS = seats("a", "a", "b")


def made(seed: int, cases: int, number: int, unanswered: int = 0, decimals: int = 2) -> Posteriors:
    """Posteriors that are right about as often as they say, some of them level in scores."""
    random = np.random.default_rng(seed)
    of = np.round(softmax(random.normal(0, 2, (cases, number)), axis=1), decimals)
    of = of / of.sum(axis=1, keepdims=True)
    truths = np.array([random.choice(number, p=row) for row in of])
    of[:unanswered] = 0.0
    return Posteriors(of, leading(of, of.sum(axis=1) > 0), of.max(axis=1), truths)


def fitted_on(ballots: Ballots) -> Fitted:
    cases = Labelled(ballots.rows(), tuple(ballots.truths.tolist()), len(ballots.options))
    return fit(cases, cases, [seat.family for seat in ballots.seats], FitSettings(2.0, 50.0, 0.5))


def test_each_posterior_is_that_of_the_function_that_decides() -> None:
    ballots = drawn(8, 200, SEATS, 3, samples=4, absent=0.4)
    fitted = fitted_on(ballots)
    found = posteriors(fitted, ballots)
    for at, row in enumerate(ballots.rows()):
        expected = fitted.posterior(row)
        assert tuple(found.of[at]) == (expected if expected is not None else (0.0, 0.0, 0.0))
        assert bool(found.answered[at]) == (expected is not None)
    assert not found.answered.all()


def test_brier_and_log_score_are_scikit_learns() -> None:
    own = made(1, 600, 2)
    found = calibration(own, 1.0)
    assert found is not None
    assert found.brier == pytest.approx(2 * brier_score_loss(own.truths, own.of[:, 1]))
    assert found.log_score == pytest.approx(-log_loss(own.truths, own.of))


def test_bins_are_scikit_learns_and_the_error_is_their_weighted_gap() -> None:
    own = made(2, 900, 3, decimals=9)
    found = calibration(own, 1.0)
    assert found is not None
    confidence, right = own.of.max(axis=1), own.of.argmax(axis=1) == own.truths
    shares, means = calibration_curve(right, confidence, n_bins=10)
    assert [each.right.value for each in found.bins] == pytest.approx(list(shares))
    assert [each.confidence for each in found.bins] == pytest.approx(list(means))
    gaps = 0.0
    for low in np.arange(10) / 10:
        chosen = (confidence >= low) & ((confidence < low + 0.1) | ((low == 0.9) & (confidence <= 1)))
        if chosen.any():
            gaps += abs(confidence[chosen].mean() - right[chosen].mean()) * chosen.sum()
    assert found.ece == pytest.approx(gaps / 900)


def test_cases_that_nobody_answered_are_left_out_of_calibration() -> None:
    own = made(3, 100, 2, unanswered=40)
    found = calibration(own, 1.0)
    assert found is not None
    assert found.cases == 60
    assert calibration(made(3, 10, 2, unanswered=10), 1.0) is None


@pytest.mark.parametrize("option", [None, 0, 1])
def test_a_risk_curve_is_what_counting_again_at_each_score_gives(option: int | None) -> None:
    own = made(4, 60, 2, unanswered=5)
    curve = risk_curve(own, option, None, "x", None)
    leads = [at for at in range(60) if own.leads[at] != NOBODY and option in {None, int(own.leads[at])}]
    expected = []
    for score in sorted({float(own.scores[at]) for at in leads}, reverse=True):
        accepted = [at for at in leads if own.scores[at] >= score]
        wrong = sum(own.leads[at] != own.truths[at] for at in accepted)
        expected.append((score, len(accepted) / len(leads), wrong / len(accepted)))
    found = [(point.score, point.coverage, point.risk) for point in curve.points]
    assert np.array(found) == pytest.approx(np.array(expected))
    steps = np.diff([0.0, *(coverage for _, coverage, _ in expected)])
    assert curve.area == pytest.approx(float(np.dot(steps, [risk for _, _, risk in expected])))


def test_a_curve_over_no_case_has_no_point_and_no_area() -> None:
    curve = risk_curve(made(5, 20, 2, unanswered=20), None, None, "x", None)
    assert (curve.points, curve.area, curve.cases) == ((), None, 0)


def test_what_is_certified_holds_its_bound_on_the_held_out_cases() -> None:
    fitting, held_out = made(6, 3000, 2), made(7, 3000, 2)
    certified = certificates(fitting, held_out, (0.1, 0.1), 0.05)
    answers = certified_answers(held_out, certified)
    for option, each in enumerate(certified):
        assert each is not None
        assert each.threshold is not None
        accepted = answers == option
        assert (int(accepted.sum()), int((held_out.truths[accepted] != option).sum())) == (
            each.accepted,
            each.errors,
        )
        assert upper_bound(each.errors, each.accepted, 0.05) <= 0.1
        assert held_out.scores[accepted].min() > each.threshold
    assert (answers == NOBODY).any()


def test_where_nothing_can_be_certified_nobody_answers() -> None:
    own = made(8, 40, 2)
    certified = certificates(own, own, (0.01, 0.01), 0.05)
    assert all(each is not None and each.threshold is None for each in certified)
    assert set(certified_answers(own, certified).tolist()) == {NOBODY}


def test_an_option_without_an_error_rate_is_not_certified_and_not_answered() -> None:
    fitting, held_out = made(6, 3000, 2), made(7, 3000, 2)
    certified = certificates(fitting, held_out, (None, 0.1), 0.05)
    assert certified[0] is None
    assert set(certified_answers(held_out, certified).tolist()) == {NOBODY, 1}


def test_an_option_that_nothing_leads_with_is_not_certified() -> None:
    of = np.tile([0.9, 0.1], (50, 1))
    own = Posteriors(of, np.zeros(50, dtype=int), of.max(axis=1), np.zeros(50, dtype=int))
    assert certificates(own, own, (0.1, 0.1), 0.05)[1] is None


def test_the_hardest_cases_are_those_whose_truth_got_least_without_those_that_nobody_answered() -> None:
    ballots = drawn(9, 80, SEATS, 2, absent=0.3)
    own = posteriors(fitted_on(ballots), ballots)
    found = hardest(own, ballots)
    given = [(own.of[at, ballots.truths[at]], ballots.cases[at]) for at in range(80) if own.answered[at]]
    assert [(case.probability, case.case) for case in found] == sorted(given)[:HARDEST]
    assert not own.answered.all()
