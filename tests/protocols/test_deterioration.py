"""The shipped protocol `deterioration`: families, greatest ages, and how hard its synthetic patients are."""

from __future__ import annotations

import pytest

from arbiter.panels.scores import cart, mews, news2
from arbiter.panels.scores.table import Score
from arbiter.question import QUESTION
from tests.protocols.patients import area_under_curve, six_hundred
from tests.protocols.shipping import bundle

NAME = "deterioration"


def test_all_voting_seats_are_one_family_because_they_share_inputs() -> None:
    voting = [seat for seat in bundle(NAME).protocol.seats if seat.asks == QUESTION]
    assert len(voting) == 3
    assert len({seat.family for seat in voting}) == 1


def test_greatest_ages_stand_on_every_fact_that_changes() -> None:
    standing = {spec.name for spec in bundle(NAME).protocol.question.facts if spec.greatest_age is None}
    assert standing == {"spo2_scale", "age", "pregnant", "treatment_limitation"}


@pytest.mark.parametrize(
    ("score", "least", "most"), [(news2.SCORE, 0.9, 0.995), (mews.SCORE, 0.85, 0.99), (cart.SCORE, 0.8, 0.97)]
)
def test_labels_follow_the_scores_and_no_score_is_perfect(score: Score, least: float, most: float) -> None:
    area = area_under_curve(NAME, score, "urgent-review")
    print(f"{score.title}: area under the curve {area:.3f} over 600 cases of seed 1")
    assert least < area < most


def test_about_three_in_ten_are_urgent() -> None:
    urgent = sum(case.label == "urgent-review" for case in six_hundred(NAME))
    assert 0.2 < urgent / 600 < 0.36


def test_fahrenheit_and_kilopascal_appear_beside_the_question_s_own_units() -> None:
    units = {fact.unit for case in six_hundred(NAME) for fact in case.facts}
    assert {"[degF]", "kPa", "Cel", "mm[Hg]"} <= units
