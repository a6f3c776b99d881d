"""A cold start sees no label: its numbers are those of EM on the fitting cases' answers, judged on the held-out cases."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, sem
from sklearn.metrics import log_loss

from arbiter.calibrating.dawid_skene import dawid_skene
from arbiter.evaluation import cold_start
from arbiter.evaluation.ballots import NOBODY
from arbiter.evaluation.cold_start import (
    TOLERANCE,
    cold_start_figures,
    fit_unlabelled,
    unlabelled_posteriors,
)
from arbiter.evaluation.figures.report import Decisions
from arbiter.evaluation.figures.unseated import ColdStartFigures
from arbiter.evaluation.probabilities import Posteriors, calibration
from arbiter.evaluation.rates import NO_ESTIMATE
from arbiter.evaluation.splitting import Part
from arbiter.evaluation.unseated import unseated
from tests.evaluation.parted import FITTING, HELD_OUT, ON_FITTING, ON_HELD_OUT, PARTS, WHOLE, changed, way
from tests.evaluation.small import drawn, seats
from tests.evaluation.test_other_panels import decisions_of, reported


@pytest.fixture(scope="module")
def found() -> Decisions:
    return decisions_of(reported(WHOLE))


def unpaired(own: ColdStartFigures) -> ColdStartFigures:
    """The figures that do not compare with the posterior, which labels fit."""
    return dataclasses.replace(own, accuracy_gain=NO_ESTIMATE, log_score_gain=NO_ESTIMATE)


def counts(leads: Any, options: int) -> list[list[tuple[int, ...]]]:
    return [[tuple(int(lead == at) for at in range(options)) for lead in row] for row in leads.tolist()]


def test_no_label_reaches_the_cold_start(found: Decisions) -> None:
    for part in (Part.FITTING, Part.TEMPERING):
        other = changed(part, truths=True)
        assert other.cold_start is not None
        assert found.cold_start is not None
        assert unpaired(other.cold_start) == unpaired(found.cold_start)
        assert way(other, "cold-start") == way(found, "cold-start")
    assert way(changed(Part.FITTING, truths=True), "posterior") != way(found, "posterior")


def test_the_labels_of_held_out_cases_judge_the_cold_start_and_fit_nothing(found: Decisions) -> None:
    other = changed(Part.HELD_OUT, truths=True)
    assert other.cold_start is not None
    assert found.cold_start is not None
    assert other.cold_start.priors == found.cold_start.priors
    assert (way(other, "cold-start").accuracy.value or 1) < (way(found, "cold-start").accuracy.value or 0)


def test_what_is_said_of_held_out_and_tempering_cases_does_not_move_the_estimates(found: Decisions) -> None:
    silent = dataclasses.replace(WHOLE, shares=WHOLE.shares.copy())
    silent.shares[np.flatnonzero(PARTS == Part.HELD_OUT)[10:]] = 0.0
    silent.shares[np.flatnonzero(PARTS == Part.TEMPERING)[20:]] = 0.0
    told = reported(silent).decisions
    assert told is not None
    other, own = told.cold_start, found.cold_start
    assert other is not None
    assert own is not None
    assert (other.priors, other.cases, other.iterations) == (own.priors, own.cases, own.iterations)
    assert other.calibration != own.calibration


def test_the_report_tells_the_modules_estimates_of_the_fitting_cases(found: Decisions) -> None:
    answered = FITTING.leads[(FITTING.leads != NOBODY).any(axis=1)]
    expected = dawid_skene(counts(answered, 2), tolerance=TOLERANCE)
    own = found.cold_start
    assert own is not None
    assert (own.cases, own.iterations, own.converged) == (len(answered), expected.iterations, True)
    assert own.priors == pytest.approx(expected.priors, abs=1e-9)
    probable = np.array([expected.probabilities(case) for case in counts(HELD_OUT.leads, 2)])
    silent = (HELD_OUT.leads == NOBODY).all(axis=1)
    answers = np.where(silent, NOBODY, probable.argmax(axis=1))
    told = way(found, "cold-start")
    assert told.accuracy.count == (answers == HELD_OUT.truths).sum()
    assert told.coverage.count == told.accuracy.of == (~silent).sum() < len(HELD_OUT)
    of = np.where(silent[:, np.newaxis], 0.0, probable)
    expected_figures = calibration(Posteriors(of, answers, of.max(axis=1), HELD_OUT.truths), 1.0)
    assert own.calibration is not None
    assert expected_figures is not None
    assert (own.calibration.cases, own.calibration.temperature) == (expected_figures.cases, 1.0)
    assert own.calibration.log_score == pytest.approx(expected_figures.log_score, abs=1e-9)
    assert own.calibration.ece == pytest.approx(expected_figures.ece, abs=1e-9)


def test_the_gain_is_paired_over_cases_of_which_both_say_something() -> None:
    estimates = fit_unlabelled(FITTING.leads.tolist(), 2)
    assert estimates is not None
    cold = unlabelled_posteriors(estimates, HELD_OUT)
    own = cold_start_figures(estimates, FITTING, cold, ON_HELD_OUT)
    both = (cold.leads != NOBODY) & (ON_HELD_OUT.leads != NOBODY)
    right = [(each.leads == HELD_OUT.truths)[both].astype(float) for each in (cold, ON_HELD_OUT)]
    gains = right[0] - right[1]
    half = norm.ppf(0.975) * sem(gains)
    found = own.accuracy_gain
    assert (found.value, found.low, found.high) == pytest.approx(
        (gains.mean(), gains.mean() - half, gains.mean() + half)
    )
    losses = [log_loss(HELD_OUT.truths[both], each.of[both]) for each in (ON_HELD_OUT, cold)]
    assert own.log_score_gain.value == pytest.approx(losses[0] - losses[1])


def test_a_case_in_which_no_member_leads_with_one_option_is_not_answered() -> None:
    estimates = fit_unlabelled(FITTING.leads.tolist(), 2)
    assert estimates is not None
    leads = HELD_OUT.leads.copy()
    leads[:5] = NOBODY
    cold = unlabelled_posteriors(estimates, dataclasses.replace(HELD_OUT, leads=leads))
    assert (cold.leads[:5] == NOBODY).all()
    assert not cold.answered[:5].any()


def test_where_nobody_leads_anywhere_there_is_no_cold_start() -> None:
    assert fit_unlabelled([[NOBODY, NOBODY]] * 4, 2) is None
    split = dataclasses.replace(FITTING, leads=np.full_like(FITTING.leads, NOBODY))
    both = unseated(split, HELD_OUT, ON_FITTING, ON_HELD_OUT)
    assert both.cold_start is None
    assert [each.name for each in both.ways] == ["stacker"]


def test_the_order_of_cases_changes_nothing() -> None:
    assert fit_unlabelled(FITTING.leads.tolist(), 2) == fit_unlabelled(FITTING.leads[::-1].tolist(), 2)


def test_a_search_that_takes_too_long_is_stopped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = drawn(1, 600, seats(*"abcdef"), 3)
    whole = fit_unlabelled(slow.leads.tolist(), 3)
    monkeypatch.setattr(cold_start, "MOST_WORK", 1)
    stopped = fit_unlabelled(slow.leads.tolist(), 3)
    assert whole is not None
    assert stopped is not None
    assert whole.converged
    assert (stopped.converged, stopped.iterations) == (False, cold_start.FEWEST_ITERATIONS)
