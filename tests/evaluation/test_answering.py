"""Figures of a way to answer against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from arbiter.evaluation.answering import Cost, Way, judge, member_ways
from arbiter.evaluation.ballots import NOBODY
from tests.evaluation.small import drawn, seats

NO_COST = Cost(np.full((400, 3), np.nan), np.full((400, 3), np.nan))
SEATS = seats("a", "a", "b")


@pytest.mark.parametrize("number", [2, 4])
def test_accuracy_coverage_and_confusion_are_scikit_learns(number: int) -> None:
    ballots = drawn(1, 400, SEATS, number)
    figures = judge(Way("m0", "m0", "member", ballots.leads[:, 0], (0,)), ballots, 430, NO_COST)
    answered = ballots.leads[:, 0] != NOBODY
    truths, answers = ballots.truths[answered], ballots.leads[answered, 0]
    assert figures.accuracy.value == pytest.approx(accuracy_score(truths, answers))
    assert figures.coverage.value == pytest.approx(answered.mean())
    own = np.array(figures.confusion)
    assert (own[:, :number] == confusion_matrix(truths, answers, labels=range(number))).all()
    assert own[:, number].sum() == (~answered).sum()
    wrong = [rate.count / int((truths == at).sum()) for at, rate in enumerate(figures.wrong_by_truth)]
    assert wrong == pytest.approx(1 - recall_score(truths, answers, average=None))


def test_cases_never_put_to_the_panel_are_a_clinicians() -> None:
    ballots = drawn(1, 400, SEATS, 2, absent=0.0)
    figures = judge(Way("m0", "m0", "member", ballots.leads[:, 0], (0,)), ballots, 430, NO_COST)
    assert (figures.to_human.count, figures.to_human.of) == (30, 430)
    assert (figures.coverage.count, figures.coverage.of) == (400, 400)


def test_a_way_that_never_answers_has_no_accuracy_and_all_its_cases_are_a_clinicians() -> None:
    ballots = drawn(1, 400, SEATS, 2)
    figures = judge(Way("x", "x", "strategy", np.full(400, NOBODY), (0, 1)), ballots, 400, NO_COST)
    assert (figures.accuracy.value, figures.accuracy.of) == (None, 0)
    assert figures.to_human.value == 1.0
    assert figures.samples_per_case is None
    assert figures.seconds_per_case is None


def test_the_best_member_is_chosen_on_the_fitting_cases_even_where_another_does_better_later() -> None:
    fitting, held_out = drawn(2, 300, SEATS, 2), drawn(3, 300, SEATS, 2)
    fitting.leads[:, 2] = fitting.truths
    held_out.leads[:, 2] = 1 - held_out.truths
    best = member_ways(fitting, held_out)[0]
    assert (best.name, best.members) == ("best-member", (2,))
    assert judge(best, held_out, 300, NO_COST).accuracy.value == 0.0


def test_models_cost_their_samples_together_and_the_time_of_the_slowest() -> None:
    cost = Cost(
        np.array([[np.nan, 5.0, 3.0], [np.nan, 5.0, 1.0]]),
        np.array([[np.nan, 0.5, 2.0], [np.nan, 1.0, 0.25]]),
    )
    assert cost.samples((0, 1, 2)) == pytest.approx(7.0)
    assert cost.seconds((0, 1, 2)) == pytest.approx(1.5)
    assert cost.samples((0,)) is None
    assert cost.seconds((1,)) == pytest.approx(0.75)
