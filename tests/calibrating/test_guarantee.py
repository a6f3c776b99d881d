"""Learn-then-Test: against MAPIE, against a second implementation, and in long runs of known error rates."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController, BinaryRisk, control_fwer
from scipy.stats import beta, binom

from arbiter.adjudication.aggregation import NEAR
from arbiter.calibrating.binomial import interval
from arbiter.calibrating.guarantee import Scored, certify, grid
from tests.calibrating.scored import ALPHA, DELTA, cases, scores, true_error

# --- second implementations ---------------------------------------------------------------------------------------


def by_brute_force(
    given: Sequence[Scored], thresholds: Sequence[float], alpha: float, delta: float
) -> float | None:
    """All tests at once in arrays, then the sequence: a threshold counts when none up to it failed."""
    score = np.array(scores(given))
    wrong = np.array([not case.right for case in given])
    accepted = score[:, None] > np.array(thresholds)[None, :] + NEAR
    sizes, errors = accepted.sum(axis=0), (accepted & wrong[:, None]).sum(axis=0)
    bounds = np.where(errors < sizes, beta.ppf(1 - delta, errors + 1, np.maximum(sizes - errors, 1)), 1.0)
    passed = np.logical_and.accumulate(bounds <= alpha)
    return thresholds[int(passed.sum()) - 1] if passed.any() else None


def test_what_is_certified_is_what_brute_force_certifies() -> None:
    chance, found = random.Random(20261127), []
    for _ in range(150):
        size, worst = chance.choice([80, 300, 1000]), chance.choice([0.0, 0.1, 0.2, 0.4])
        alpha = chance.choice([0.02, 0.05, 0.1])
        thresholds = grid(scores(cases(chance, size, worst)), size, alpha, DELTA)
        given = cases(chance, size, worst)
        certified = certify(given, thresholds, alpha, DELTA)
        assert certified.threshold == by_brute_force(given, thresholds, alpha, DELTA)
        found.append(certified.threshold)
    # The comparison saw each kind of end.
    assert None in found
    assert 0.0 in found
    assert len(set(found)) > 30


def by_mapie(
    given: Sequence[Scored], thresholds: Sequence[float], alpha: float, delta: float
) -> float | None:
    """MAPIE's p-values of the error rate among accepted cases, and its fixed-sequence test of them."""
    controller = BinaryClassificationController(
        predict_function=lambda score: np.column_stack([1 - score, score]),
        risk=BinaryRisk(lambda truth, said: truth != said, lambda _, said: said == 1, higher_is_better=False),
        target_level=alpha,
        confidence_level=1 - delta,
        best_predict_param_choice="recall",
        list_predict_params=np.array(thresholds) + NEAR,
        fwer_method="bonferroni",
    )
    with warnings.catch_warnings():
        # It warns where nothing passes its own choice of a correction, which is not asked for here.
        warnings.simplefilter("ignore")
        controller.calibrate(np.array(scores(given)), np.array([int(case.right) for case in given]))
    passed = control_fwer(controller.p_values[:, 0], delta, fwer_method="fixed_sequence")
    return thresholds[int(passed[-1])] if len(passed) else None


def test_what_is_certified_is_what_mapie_certifies() -> None:
    chance, found = random.Random(7), []
    for _ in range(100):
        worst = chance.choice([0.05, 0.1, 0.2, 0.3])
        thresholds = grid(scores(cases(chance, 400, worst)), 400, ALPHA, DELTA, most=30)
        given = cases(chance, 400, worst)
        certified = certify(given, thresholds, ALPHA, DELTA)
        if any(
            math.ceil(test.accepted * (test.errors / test.accepted)) != test.errors for test in certified.path
        ):
            continue  # MAPIE rounds errors up from a rate, and where a float errs upward it counts one too many.
        assert certified.threshold == by_mapie(given, thresholds, ALPHA, DELTA)
        found.append(certified.threshold)
    assert len(found) > 50
    assert None in found
    assert len(set(found)) > 10


# --- what is promised ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "worst"), [(300, 0.24), (600, 0.4)])
def test_the_certified_error_rate_is_exceeded_in_no_more_runs_than_delta(size: int, worst: float) -> None:
    """1,000 runs each; that more than the bound were exceeded by chance has probability 1 in 1,000."""
    chance, runs, exceeded, certified_at_all = random.Random(20261127), 1000, 0, 0
    thresholds = grid(scores(cases(chance, size, worst)), size, ALPHA, DELTA, most=25)
    for _ in range(runs):
        certified = certify(cases(chance, size, worst), thresholds, ALPHA, DELTA)
        certified_at_all += certified.threshold is not None
        exceeded += certified.threshold is not None and true_error(worst, certified.threshold) > ALPHA
    assert certified_at_all > runs / 3
    assert exceeded <= binom.ppf(0.999, runs, DELTA)
    # Nor is the promise idle: the interval of how often it broke reaches up to what is allowed.
    assert interval(exceeded, runs, 0.999)[1] > DELTA / 4


def test_always_no_at_3_percent_prevalence_passes_over_all_options_and_not_as_a_stratum() -> None:
    """The panel says no whatever it sees; who has the condition gets a score like all others, and sometimes a yes."""
    chance = random.Random(1)

    def ward(size: int) -> list[tuple[str, Scored]]:
        found = []
        for _ in range(size):
            has, score = chance.random() < 0.03, chance.uniform(0.6, 1.0)
            # Of a hundred answers one is a yes, and that at random too.
            said = "yes" if chance.random() < 0.01 else "no"
            found.append((said, Scored(score, (said == "yes") == has)))
        return found

    fitting, guarantee = ward(20_000), ward(20_000)

    def certified(options: str, alpha: float) -> float | None:
        seen, own = ([case for said, case in ward if said in options] for ward in (fitting, guarantee))
        laid = grid(scores(seen), len(own), alpha, DELTA, right=[case.right for case in seen])
        return certify(own, laid, alpha, DELTA).threshold

    assert certified("no yes", ALPHA) == 0.0
    assert certified("yes", ALPHA) is None
    # "No" is as often right as prevalence makes it, so its own level has to be set below prevalence.
    assert certified("no", ALPHA) == 0.0
    assert certified("no", 0.01) is None


def test_testing_stops_at_the_first_failure_even_where_a_looser_threshold_would_pass() -> None:
    strict = [Scored(0.95, right=at >= 20) for at in range(120)]
    loose = [Scored(0.55, right=True)] * 2000
    assert certify(strict + loose, (0.5,), ALPHA, DELTA).threshold == 0.5
    certified = certify(strict + loose, (0.9, 0.5), ALPHA, DELTA)
    assert (certified.threshold, certified.accepted, certified.errors, certified.bound) == (None, 0, 0, 1.0)
    assert [(test.threshold, test.accepted, test.errors) for test in certified.path] == [(0.9, 120, 20)]
    assert certified.path[0].bound > ALPHA


def test_the_path_tells_each_test_and_ends_with_the_one_that_failed() -> None:
    chance = random.Random(3)
    given = cases(chance, 2000, 0.4)
    certified = certify(given, grid(scores(given), 2000, ALPHA, DELTA), ALPHA, DELTA)
    assert len(certified.path) > 3
    for test in certified.path:
        own = [case for case in given if case.score > test.threshold]
        assert (test.accepted, test.errors) == (len(own), sum(not case.right for case in own))
        assert test.bound == pytest.approx(
            float(beta.ppf(1 - DELTA, test.errors + 1, test.accepted - test.errors)), abs=1e-9
        )
    assert all(test.bound <= ALPHA for test in certified.path[:-1])
    assert certified.path[-1].bound > ALPHA
    assert certified.path[-2].threshold == certified.threshold


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [math.nan, -0.001, 1.001, math.inf])
def test_what_is_no_score_is_refused(score: float) -> None:
    for ask in (
        lambda: Scored(score, right=True),
        lambda: grid([0.5, score], 100, ALPHA, DELTA),
        lambda: certify([Scored(0.5, right=True)], (score,), ALPHA, DELTA),
    ):
        with pytest.raises(ValueError, match=f"expected a score from 0 to 1, got {score}"):
            ask()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0, math.nan])
def test_levels_must_lie_between_0_and_1(share: float) -> None:
    one = [Scored(0.5, right=True)]
    for name, alpha, delta in (("alpha", share, DELTA), ("delta", ALPHA, share)):
        with pytest.raises(ValueError, match=f"expected {name} between 0 and 1, got {share}"):
            certify(one, (0.0,), alpha, delta)
        with pytest.raises(ValueError, match=f"expected {name} between 0 and 1, got {share}"):
            grid([0.5], 100, alpha, delta)


def test_empty_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one score to lay thresholds on, got none"):
        grid([], 100, ALPHA, DELTA)
    with pytest.raises(ValueError, match="at least one case, got 0"):
        grid([0.5], 0, ALPHA, DELTA)
    with pytest.raises(ValueError, match="at least one labelled case to certify on, got none"):
        certify([], (0.0,), ALPHA, DELTA)
    with pytest.raises(ValueError, match="at least one threshold, got none"):
        certify([Scored(0.5, right=True)], (), ALPHA, DELTA)
    with pytest.raises(ValueError, match="at least two thresholds, got 1"):
        grid([0.5], 100, ALPHA, DELTA, most=1)


@pytest.mark.parametrize("thresholds", [(0.5, 0.9), (0.9, 0.9), (0.9, 0.5, 0.7)])
def test_thresholds_that_do_not_fall_are_refused(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected thresholds from strict to loose"):
        certify([Scored(0.5, right=True)], thresholds, ALPHA, DELTA)
