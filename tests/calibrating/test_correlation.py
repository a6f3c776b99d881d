"""Correlation of errors: numpy's within one truth, none where it is noise or a truth alone is hard, the prior without measure."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from arbiter.calibrating.correlation import correlations
from arbiter.calibrating.labelled import Labelled
from tests.calibrating.cases import copied, drawn, labelled, said

YES, NO = (1.0, 0.0), (0.0, 1.0)


def measured(cases: Labelled) -> tuple[tuple[float, ...], ...]:
    """Without any prior."""
    families = [f"family-{member}" for member in range(cases.members)]
    return correlations(cases, families, shrinkage=0.0, family_prior=0.0)


def by_numpy(errors: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numpy's correlations of N x J errors, those within two standard deviations of none set to 0."""
    found = np.corrcoef(errors.T)
    return np.where(np.abs(found) < 2 / math.sqrt(len(errors)), 0.0, found)


def of_one_truth(cases: Labelled, truth: int) -> Labelled:
    chosen = [row for row, own in zip(cases.rows, cases.truths, strict=True) if own == truth]
    return Labelled(tuple(chosen), (truth,) * len(chosen), cases.options)


# --- what is measured ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_within_one_truth_and_unshrunk_it_is_numpys_correlation(seed: int) -> None:
    cases = of_one_truth(copied(random.Random(seed), 300, copies=0.4), 1)
    errors = np.array([[1.0 - shares[1] for shares in row if shares is not None] for row in cases.rows])
    assert np.array(measured(cases)) == pytest.approx(by_numpy(errors), abs=1e-12)
    assert 0.2 < measured(cases)[0][1] < 0.7


def test_over_several_truths_it_is_numpys_of_deviations_from_each_truths_mean() -> None:
    cases = copied(random.Random(4), 300, copies=0.4)
    errors = np.array(
        [
            [1.0 - shares[truth] for shares in row if shares is not None]
            for row, truth in zip(cases.rows, cases.truths, strict=True)
        ]
    )
    truths = np.array(cases.truths)
    for truth in range(cases.options):
        errors[truths == truth] -= errors[truths == truth].mean(axis=0)
    assert np.array(measured(cases)) == pytest.approx(by_numpy(errors), abs=1e-12)
    assert 0.2 < measured(cases)[0][1] < 0.7


def test_two_of_which_one_copies_correlate_fully_and_the_third_does_not() -> None:
    rho = measured(copied(random.Random(1), 1000, copies=1.0))
    assert rho[0][1] == pytest.approx(1.0, abs=1e-12)
    assert abs(rho[0][2]) < 0.1


def test_members_that_all_find_one_truth_hard_but_err_apart_do_not_correlate() -> None:
    """Deviations from one mean for all truths would call them alike; the standard error is 0.022."""
    chance = random.Random(7)
    truths = [chance.randrange(2) for _ in range(2000)]
    rows = [
        [said(truth if chance.random() < (0.95, 0.6)[truth] else 1 - truth, 2) for _ in range(2)]
        for truth in truths
    ]
    errors = np.array([[1.0 - one[at], 1.0 - two[at]] for (one, two), at in zip(rows, truths, strict=True)])
    assert np.corrcoef(errors.T)[0, 1] > 0.15
    assert abs(measured(labelled(rows, truths))[0][1]) < 0.05


def test_only_cases_that_both_answered_count() -> None:
    both = of_one_truth(drawn(random.Random(2), 200, members=2), 0)
    alone = Labelled((*both.rows, *[(None, said(1, 3))] * 40), (*both.truths, *[0] * 40), 3)
    assert measured(alone) == measured(both)


def test_one_that_errs_where_the_other_does_not_is_below_zero() -> None:
    rows = [[YES, NO], [NO, YES], [YES, NO], [NO, YES]]
    assert measured(labelled(rows, [0] * 4))[0][1] == pytest.approx(-1.0)


# --- what is noise ------------------------------------------------------------------------------------------------


def test_members_that_err_apart_are_left_apart_in_nineteen_pairs_of_twenty() -> None:
    """Beyond two standard deviations come 4.6 % of what independent members come to; 400 pairs give 18, give or take 4."""
    found = [
        measured(of_one_truth(drawn(random.Random(seed), 600, members=2), 0))[0][1] for seed in range(400)
    ]
    kept = [rho for rho in found if rho != 0.0]
    assert 6 <= len(kept) <= 34


@pytest.mark.parametrize(("agreeing", "kept"), [(59, False), (60, True), (41, False), (40, True)])
def test_what_is_measured_stands_from_two_standard_deviations_on(agreeing: int, kept: bool) -> None:
    """Of 100 cases in which each errs in half, so many agree: r is 2 a - 1, and 2 / sqrt(100) is 0.2."""
    rows = [(YES, YES), (NO, NO)] * (agreeing // 2) + [(YES, NO), (NO, YES)] * ((100 - agreeing) // 2)
    rows += [(YES, YES)] * (agreeing % 2) + [(YES, NO)] * (agreeing % 2)
    cases = labelled([list(row) for row in rows], [0] * len(rows))
    errors = np.array([[1.0 - one[0], 1.0 - two[0]] for one, two in rows])
    exact = np.corrcoef(errors.T)[0, 1]
    assert measured(cases)[0][1] == (pytest.approx(exact, abs=1e-12) if kept else 0.0)


def test_noise_between_members_of_one_family_leaves_the_prior_its_share_alone() -> None:
    rows = [(YES, YES), (NO, NO), (YES, NO), (NO, YES)] * 25 + [(YES, YES), (NO, NO)]
    cases = labelled([list(row) for row in rows], [0] * len(rows))
    rho = correlations(cases, ["a", "a"], shrinkage=50.0, family_prior=0.4)
    assert rho[0][1] == pytest.approx(50 * 0.4 / (102 + 50))


# --- what is assumed ----------------------------------------------------------------------------------------------


def test_shrinkage_mixes_measured_and_prior_by_their_numbers_of_cases() -> None:
    cases = of_one_truth(drawn(random.Random(3), 90, members=3), 2)
    number, plain = len(cases.rows), measured(cases)
    rho = correlations(cases, ["a", "b", "a"], shrinkage=25.0, family_prior=0.4)
    assert rho[0][2] == pytest.approx((number * plain[0][2] + 25 * 0.4) / (number + 25))
    assert rho[0][1] == pytest.approx(number * plain[0][1] / (number + 25))


def test_a_member_that_never_errs_leaves_the_prior() -> None:
    cases = labelled([[YES, YES], [YES, NO], [YES, YES]], [0, 0, 0])
    assert correlations(cases, ["a", "a"], shrinkage=0.0, family_prior=0.3)[0][1] == 0.3


def test_a_member_that_errs_always_as_much_leaves_the_prior_despite_rounding() -> None:
    # The mean of three errors of 0.8 is not 0.8 in floating point.
    cases = labelled([[(0.2, 0.8), YES], [(0.2, 0.8), NO], [(0.2, 0.8), YES]], [0, 0, 0])
    assert correlations(cases, ["a", "a"], shrinkage=5.0, family_prior=0.3)[0][1] == 0.3


@pytest.mark.parametrize(("families", "prior"), [(["a", "a"], 0.3), (["a", "b"], 0.0)])
def test_members_that_never_answered_together_have_the_prior(families: list[str], prior: float) -> None:
    cases = labelled([[YES, None], [None, NO], [NO, None]], [0, 1, 0])
    assert correlations(cases, families, shrinkage=0.0, family_prior=0.3) == ((1.0, prior), (prior, 1.0))


def test_a_single_case_of_each_truth_has_nothing_to_deviate_from() -> None:
    cases = labelled([[NO, NO], [NO, YES]], [0, 1])
    assert correlations(cases, ["a", "a"], shrinkage=1.0, family_prior=0.5)[0][1] == 0.5


@pytest.mark.parametrize("absent", [0.0, 0.5, 0.97])
def test_it_is_symmetric_with_ones_and_from_minus_one_to_one(absent: float) -> None:
    rho = np.array(measured(drawn(random.Random(9), 80, members=5, absent=absent)))
    assert (rho == rho.T).all()
    assert (np.diag(rho) == 1.0).all()
    assert np.abs(rho).max() <= 1.0


def test_rounding_leads_no_correlation_beyond_one() -> None:
    """One member errs half as much as the other, whatever it errs."""
    chance = random.Random(1)
    found = set()
    for _ in range(300):
        rights = [chance.randrange(6) / 5 for _ in range(chance.randrange(3, 9))]
        rows = [[(right, 1.0 - right), (0.5 + right / 2, 0.5 - right / 2)] for right in rights]
        found.add(measured(labelled(rows, [0] * len(rows)))[0][1])
    assert max(found) == 1.0
    assert min(found - {0.0}) > 1.0 - 1e-12


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("families", "shrinkage", "prior", "expected"),
    [
        (["a"], 1.0, 0.5, "2 families, one for each member, got 1"),
        (["a", "b", "c"], 1.0, 0.5, "2 families, one for each member, got 3"),
        (["a", "b"], -1.0, 0.5, "shrinkage from 0"),
        (["a", "b"], math.nan, 0.5, "shrinkage from 0"),
        (["a", "b"], math.inf, 0.5, "shrinkage from 0"),
        (["a", "b"], 1.0, 1.1, "family prior from 0 to 1"),
        (["a", "b"], 1.0, -0.1, "family prior from 0 to 1"),
        (["a", "b"], 1.0, math.nan, "family prior from 0 to 1"),
    ],
)
def test_settings_outside_their_range_are_refused(
    families: list[str], shrinkage: float, prior: float, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        correlations(labelled([[YES, NO]], [0]), families, shrinkage=shrinkage, family_prior=prior)
