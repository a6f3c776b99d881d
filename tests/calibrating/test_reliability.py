"""Reliability matrices: counted by hand, and near equal shares where little was seen."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from arbiter.adjudication.posterior import Matrix, Shares, log_posterior, tempered
from arbiter.calibrating.labelled import Labelled
from arbiter.calibrating.reliability import reliability_matrices, smoothed_prior
from tests.calibrating.cases import drawn, labelled, said

YES, NO = (1.0, 0.0), (0.0, 1.0)


def test_three_cases_are_smoothed_as_the_formula_has_it() -> None:
    cases = labelled([[YES], [(0.75, 0.25)], [NO]], [0, 0, 1])
    (found,) = reliability_matrices(cases, smoothing=1.0)
    assert [row[0] for row in found] == pytest.approx([(1.75 + 0.5) / 3, (0.0 + 0.5) / 2])
    assert smoothed_prior(cases, smoothing=1.0) == pytest.approx((2.5 / 4, 1.5 / 4))


def test_with_little_smoothing_a_matrix_is_scikit_learns_confusion_matrix() -> None:
    cases = drawn(random.Random(11), 400, members=1, samples=1)
    answers = [shares.index(1.0) for (shares,) in cases.rows if isinstance(shares, tuple)]
    (found,) = reliability_matrices(cases, smoothing=1e-9)
    assert np.array(found) == pytest.approx(
        confusion_matrix(cases.truths, answers, normalize="true"), abs=1e-9
    )


def test_a_case_that_a_member_did_not_answer_counts_for_the_others_alone() -> None:
    with_gap = labelled([[YES, YES], [None, NO], [NO, NO]], [0, 0, 1])
    first = labelled([[YES], [NO]], [0, 1])
    second = labelled([[YES], [NO], [NO]], [0, 0, 1])
    assert reliability_matrices(with_gap, smoothing=2.0) == (
        *reliability_matrices(first, smoothing=2.0),
        *reliability_matrices(second, smoothing=2.0),
    )


def test_a_member_that_never_answered_says_nothing() -> None:
    cases = labelled([[YES, None], [NO, None]], [0, 1])
    assert reliability_matrices(cases, smoothing=1.0)[1] == ((0.5, 0.5), (0.5, 0.5))


def test_one_case_of_a_truth_says_little_and_thirty_say_much() -> None:
    """How many times likelier the member's word makes that truth than one of which nothing is known."""
    few, many = (
        reliability_matrices(labelled([[YES]] * number, [0] * number), smoothing=2.0)[0] for number in (1, 30)
    )
    assert few[0][0] / few[1][0] == pytest.approx(4 / 3)
    assert many[0][1] / many[1][1] == pytest.approx(1 / 16)


def mean_loss(prior: Shares, matrices: Sequence[Matrix], cases: Labelled) -> float:
    losses = [
        -math.log(
            tempered(log_posterior(prior, matrices, [1.0] * len(row), [own for own in row if own]), 1.0)[
                truth
            ]
        )
        for row, truth in zip(cases.rows, cases.truths, strict=True)
    ]
    return math.fsum(losses) / len(losses)


def toward_its_own_words(cases: Labelled, smoothing: float) -> list[Matrix]:
    """Rows shrunk to what each member says whatever the truth, itself shrunk to equal shares."""
    shares = np.array(cases.rows)
    said_under = np.array(
        [shares[np.array(cases.truths) == truth].sum(axis=0) for truth in range(cases.options)]
    )
    in_all = said_under.sum(axis=0) + smoothing / cases.options
    whatever = in_all / in_all.sum(axis=1, keepdims=True)
    rows = said_under + smoothing * whatever
    rows /= rows.sum(axis=2, keepdims=True)
    return [[tuple(map(float, row)) for row in matrix] for matrix in rows.transpose(1, 0, 2)]


@pytest.mark.parametrize("smoothing", [0.5, 1.0, 2.0])
def test_with_a_rare_option_equal_shares_fit_better_than_the_members_own_words(smoothing: float) -> None:
    differences = []
    for seed in range(12):
        chance = random.Random(seed)
        fitting, held_out = (rare(chance, number) for number in (50, 300))
        prior = smoothed_prior(fitting, smoothing=smoothing)
        equal = reliability_matrices(fitting, smoothing=smoothing)
        own = toward_its_own_words(fitting, smoothing)
        differences.append(mean_loss(prior, own, held_out) - mean_loss(prior, equal, held_out))
    assert math.fsum(differences) / len(differences) > 0.01


def rare(chance: random.Random, number: int) -> Labelled:
    """Three members that are right in seven cases of ten, over options of which one is common and two are rare."""
    truths = chance.choices(range(3), [0.9, 0.07, 0.03], k=number)
    rows = [
        [said(truth if chance.random() < 0.7 else chance.randrange(3), 3) for _ in range(3)]
        for truth in truths
    ]
    return labelled(rows, truths, options=3)


def test_more_smoothing_draws_rows_together_and_none_to_zero() -> None:
    cases = drawn(random.Random(5), 60, members=1)
    apart = [
        max(abs(one - other) for one, other in zip(*matrix[:2], strict=True))
        for matrix in (reliability_matrices(cases, smoothing=smoothing)[0] for smoothing in (0.1, 10.0, 1e6))
    ]
    assert apart[0] > apart[1] > apart[2]
    assert apart[2] < 1e-4
    assert min(min(row) for row in reliability_matrices(cases, smoothing=1e-9)[0]) > 0.0


def test_rows_and_prior_sum_to_one_also_for_an_option_that_is_never_the_truth() -> None:
    cases = labelled([[said(0, 3)], [said(1, 3)]], [0, 1], options=3)
    rows = [*reliability_matrices(cases, smoothing=0.5)[0], smoothed_prior(cases, smoothing=0.5)]
    assert [math.fsum(row) for row in rows] == pytest.approx([1.0] * 4, abs=1e-12)
    assert min(map(min, rows)) > 0.0


@pytest.mark.parametrize("smoothing", [0.0, -1.0, math.nan, math.inf])
def test_smoothing_that_is_no_number_above_zero_is_refused(smoothing: float) -> None:
    cases = labelled([[YES], [NO]], [0, 1])
    with pytest.raises(ValueError, match="smoothing above 0"):
        reliability_matrices(cases, smoothing=smoothing)
    with pytest.raises(ValueError, match="smoothing above 0"):
        smoothed_prior(cases, smoothing=smoothing)
