"""No held-out case touches the stacker's fit: its weights are scikit-learn's of the fitting cases, its trial scipy's of the others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import norm, sem, ttest_rel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from arbiter.adjudication.disagreement import self_consistency
from arbiter.evaluation.ballots import NOBODY
from arbiter.evaluation.figures.report import Decisions
from arbiter.evaluation.probabilities import Posteriors, posteriors
from arbiter.evaluation.splitting import Part
from arbiter.evaluation.stacked import Stacked, consistencies, fit_stacked, log_odds, stacker_figures
from arbiter.evaluation.unseated import unseated
from tests.evaluation.parted import FITTING, HELD_OUT, ON_FITTING, ON_HELD_OUT, SEATS, WHOLE, changed, way
from tests.evaluation.small import drawn
from tests.evaluation.test_other_panels import SAMPLES, decisions_of, reported
from tests.evaluation.test_probabilities import fitted_on


@pytest.fixture(scope="module")
def found() -> Decisions:
    return decisions_of(reported(WHOLE))


@pytest.fixture(scope="module")
def stacked() -> Stacked:
    own = fit_stacked(ON_FITTING, FITTING)
    assert own is not None
    return own


def weights(decisions: Decisions) -> tuple[float | None, ...]:
    own = decisions.stacker
    assert own is not None
    return (own.cases, own.intercept, own.log_odds, own.self_consistency, own.groundedness, own.confidence)


def test_no_held_out_case_reaches_the_stackers_weights(found: Decisions) -> None:
    other = changed(Part.HELD_OUT, truths=True, answers=True)
    assert weights(other) == weights(found)
    assert other.stacker != found.stacker
    assert weights(changed(Part.FITTING, truths=True)) != weights(found)


def test_the_weights_are_scikit_learns_of_the_fitting_cases_signs(stacked: Stacked) -> None:
    chosen = ON_FITTING.leads != NOBODY
    rows = np.column_stack(
        [
            logit(ON_FITTING.scores[chosen]),
            [
                np.mean([self_consistency(shares) for shares in case if shares is not None])
                for case, is_chosen in zip(FITTING.rows(), chosen, strict=True)
                if is_chosen
            ],
        ]
    )
    model = LogisticRegression(C=1.0, tol=1e-10, solver="newton-cholesky").fit(
        rows, (ON_FITTING.leads == FITTING.truths)[chosen]
    )
    own = stacked.stacker
    assert stacked.reads_consistency
    assert (own.intercept, own.log_odds, own.self_consistency) == pytest.approx(
        (model.intercept_[0], *model.coef_[0]), abs=1e-6
    )
    assert (own.groundedness, own.confidence) == (0.0, 0.0)


def test_the_report_tells_the_stacker_of_the_fitting_cases_on_the_held_out_ones(found: Decisions) -> None:
    own = found.stacker
    assert own is not None
    assert own.cases == (FITTING.valid.any(axis=1)).sum()
    assert own.held_out == way(found, "posterior").coverage.count
    assert (own.groundedness, own.confidence) == (None, None)
    assert own.self_consistency is not None


def test_the_trial_is_scipys_on_scikit_learns_losses(stacked: Stacked) -> None:
    own = stacker_figures(stacked, ON_HELD_OUT, HELD_OUT)
    chosen = ON_HELD_OUT.leads != NOBODY
    right = (ON_HELD_OUT.leads == HELD_OUT.truths)[chosen]
    chances = (
        ON_HELD_OUT.scores[chosen],
        [stacked.stacker.chance_right(signs) for signs in stacked.signs(ON_HELD_OUT, HELD_OUT)],
    )
    alone, losses = (
        np.array(
            [log_loss([each], [chance], labels=[False, True]) for each, chance in zip(right, of, strict=True)]
        )
        for of in chances
    )
    assert (own.posterior_log_loss, own.log_loss) == pytest.approx((alone.mean(), losses.mean()))
    assert own.p_value == pytest.approx(ttest_rel(alone, losses, alternative="greater").pvalue)
    half = norm.ppf(0.975) * sem(alone - losses)
    middle = (alone - losses).mean()
    assert (own.gain.value, own.gain.low, own.gain.high) == pytest.approx(
        (middle, middle - half, middle + half)
    )
    assert own.wins == (own.p_value is not None and own.p_value <= 0.05)


def test_it_answers_what_the_posterior_leads_with_where_that_is_likelier_right(stacked: Stacked) -> None:
    stern = dataclasses.replace(stacked, stacker=dataclasses.replace(stacked.stacker, intercept=-1.5))
    answers = stern.answers(ON_HELD_OUT, HELD_OUT)
    signs = iter(stern.signs(ON_HELD_OUT, HELD_OUT))
    for answer, lead in zip(answers.tolist(), ON_HELD_OUT.leads.tolist(), strict=True):
        likely = lead != NOBODY and stern.stacker.chance_right(next(signs)) > 0.5
        assert answer == (lead if likely else NOBODY)
    assert 0 < (answers != NOBODY).sum() < (ON_HELD_OUT.leads != NOBODY).sum()


def test_members_that_draw_one_sample_have_no_consistency_to_weigh() -> None:
    scores = drawn(12, 400, SEATS, 2)
    own = fit_stacked(posteriors(fitted_on(scores), scores), scores)
    assert own is not None
    assert not own.reads_consistency
    assert own.stacker.self_consistency == 0.0
    told = stacker_figures(own, posteriors(fitted_on(scores), scores), scores)
    assert (told.self_consistency, told.groundedness, told.confidence) == (None, None, None)


def test_consistency_is_zero_where_nobody_answered() -> None:
    ballots = drawn(13, 60, SEATS, 3, SAMPLES, absent=0.7)
    found = consistencies(ballots)
    silent = ~ballots.valid.any(axis=1)
    assert silent.any()
    assert (found[silent] == 0.0).all()
    assert ((found >= 0.0) & (found <= 1.0)).all()


def test_certainty_keeps_log_odds_that_are_finite() -> None:
    of = np.array([[1.0, 1e-18], [1.0, 0.0], [0.25, 0.75]])
    own = Posteriors(of, np.array([0, 0, 1]), of.max(axis=1), np.array([0, 0, 1]))
    found = log_odds(own, np.array([True, True, True]))
    assert found[0] == pytest.approx(-np.log(1e-18))
    assert found[0] < found[1] < np.inf
    assert found[2] == pytest.approx(logit(0.75))


@pytest.mark.parametrize("right", [True, False])
def test_what_is_always_right_or_never_fits_no_stacker(*, right: bool) -> None:
    truths = ON_FITTING.leads if right else 1 - ON_FITTING.leads
    own = dataclasses.replace(ON_FITTING, truths=truths)
    assert fit_stacked(own, FITTING) is None
    both = unseated(FITTING, HELD_OUT, own, ON_HELD_OUT)
    assert [each.name for each in both.ways] == ["cold-start"]
    assert both.stacker is None


@pytest.mark.parametrize("cases", [0, 1, 20])
def test_on_few_held_out_cases_it_never_wins(stacked: Stacked, cases: int) -> None:
    few = (ON_HELD_OUT.leads != NOBODY) & (np.cumsum(ON_HELD_OUT.leads != NOBODY) <= cases)
    ballots = HELD_OUT.of(few)
    sure = dataclasses.replace(stacked, stacker=dataclasses.replace(stacked.stacker, intercept=9.0))
    truths = ON_HELD_OUT.leads[few]
    own = Posteriors(ON_HELD_OUT.of[few], truths, ON_HELD_OUT.scores[few], truths)
    told = stacker_figures(sure, own, ballots)
    assert (told.held_out, told.wins) == (cases, False)
    assert (told.p_value is None) == (told.gain.value is None) == (told.log_loss is None) == (cases < 2)
