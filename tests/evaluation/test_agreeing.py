"""Agreement and correlation of errors against krippendorff and NumPy."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from arbiter.evaluation.agreeing import agreement, error_correlation
from arbiter.evaluation.ballots import NOBODY
from tests.evaluation.small import drawn, seats

SEATS = seats("a", "a", "b")


def test_alpha_is_that_of_krippendorffs_package() -> None:
    ballots = drawn(1, 300, SEATS, 3)
    coded = np.where(ballots.leads == NOBODY, np.nan, ballots.leads).T
    outside = krippendorff.alpha(reliability_data=coded, level_of_measurement="nominal")
    assert agreement(ballots, "question", "x").alpha == pytest.approx(outside)


def test_pairs_are_counted_over_the_cases_that_both_answered() -> None:
    ballots = drawn(2, 300, SEATS, 2)
    found = agreement(ballots, "question", "x").agreement
    both = (ballots.leads[:, 0] != NOBODY) & (ballots.leads[:, 2] != NOBODY)
    assert found.cases[0][2] == both.sum() < 300
    assert found.values[0][2] == pytest.approx(accuracy_score(ballots.leads[both, 0], ballots.leads[both, 2]))
    assert found.values[2][0] == found.values[0][2]
    assert [found.values[at][at] for at in range(3)] == [None, None, None]


def test_errors_correlate_as_numpy_says() -> None:
    ballots = drawn(3, 400, SEATS, 2, absent=0.0)
    wrong = (ballots.leads != ballots.truths[:, np.newaxis]).astype(float)
    assert error_correlation(ballots).values[0][1] == pytest.approx(np.corrcoef(wrong.T)[0, 1])


def test_where_one_never_errs_there_is_no_correlation() -> None:
    ballots = drawn(4, 50, SEATS, 2, absent=0.0)
    ballots.leads[:, 0] = ballots.truths
    found = error_correlation(ballots)
    assert found.values[0] == (None, None, None)
    assert found.values[1][2] is not None


def test_members_that_never_answer_together_have_no_agreement() -> None:
    ballots = drawn(5, 20, SEATS, 2, absent=0.0)
    ballots.leads[:10, 0] = NOBODY
    ballots.leads[10:, 1] = NOBODY
    found = agreement(ballots, "question", "x").agreement
    assert (found.values[0][1], found.cases[0][1]) == (None, 0)
