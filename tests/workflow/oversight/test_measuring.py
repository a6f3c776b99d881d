"""Figures from rows: intervals against SciPy, small numbers untold, planted cases apart, families by their members."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from arbiter.model import RiskClass
from arbiter.store.review_figures import Alike, Pattern, Waited
from arbiter.workflow.oversight.measuring import FEWEST, Share, measure, share_of


def alike(
    reviews: int = 1,
    *,
    own_is_leading: bool | None = True,
    own_is_final: bool | None = True,
    leading_is_final: bool | None = True,
    planted: bool = False,
    right: tuple[bool | None, bool | None, bool | None] = (None, None, None),
) -> Alike:
    """Reviews that are alike; `right`: the signer alone, the panel, what was signed."""
    return Alike(
        reviews=reviews,
        risk_class=RiskClass.URGENT,
        planted=planted,
        overdue=False,
        own_is_final=own_is_final,
        leading_is_final=leading_is_final,
        own_is_leading=own_is_leading,
        own_right=right[0],
        leading_right=right[1],
        final_right=right[2],
    )


TOOK = Waited(
    FEWEST,
    RiskClass.URGENT,
    (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=5)),
    (timedelta(seconds=90), timedelta(minutes=3), timedelta(minutes=10)),
)


# --- shares ----------------------------------------------------------------------------------------------------------


@given(st.integers(FEWEST, 400).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_an_interval_is_scipys_wilson(counts: tuple[int, int]) -> None:
    part, whole = counts
    found = Share(part, whole).interval
    expected = binomtest(part, whole).proportion_ci(confidence_level=0.95, method="wilson")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("whole", range(FEWEST))
def test_of_too_few_cases_no_share_is_told(whole: int) -> None:
    share = Share(whole, whole)
    assert (share.told, share.rate, share.interval) == (False, None, None)


def test_what_is_not_known_is_in_no_share() -> None:
    rows = [alike(own_is_final=known) for known in (True, None, False, None, True)]
    assert share_of(rows, lambda row: row.own_is_final) == Share(2, 3)


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([True, False, None])), max_size=20))
def test_rows_that_are_alike_count_as_often_as_there_are_reviews(
    counted: list[tuple[int, bool | None]],
) -> None:
    together = [alike(reviews, leading_is_final=value) for reviews, value in counted]
    apart = [alike(leading_is_final=value) for reviews, value in counted for _ in range(reviews)]
    assert measure(together, (), ()) == measure(apart, (), ())


# --- judging ---------------------------------------------------------------------------------------------------------


def test_a_switch_is_toward_the_panel_or_away_from_it_or_neither() -> None:
    toward = alike(own_is_leading=False, own_is_final=False, leading_is_final=True)
    away = alike(own_is_leading=True, own_is_final=False, leading_is_final=False)
    third = alike(own_is_leading=False, own_is_final=False, leading_is_final=False)
    kept = alike(own_is_leading=False, own_is_final=True, leading_is_final=False)
    judging = measure([toward, away, third, kept], (), ()).judging
    assert (judging.switched, judging.overridden) == (Share(3, 4), Share(3, 4))
    assert (judging.toward, judging.elsewhere, judging.away) == (Share(1, 3), Share(1, 3), Share(1, 1))


def test_who_saw_the_panel_first_has_switched_nothing() -> None:
    first = alike(own_is_leading=None, own_is_final=None, leading_is_final=False)
    judging = measure([first], (), ()).judging
    assert judging.switched == Share(0, 0)
    assert judging.overridden == Share(1, 1)


def test_a_panel_that_leant_to_nothing_is_not_overridden() -> None:
    none = alike(own_is_leading=None, own_is_final=True, leading_is_final=None)
    assert measure([none], (), ()).judging.overridden == Share(0, 0)


def test_a_planted_case_counts_for_reliance_and_for_nothing_else() -> None:
    followed = alike(own_is_leading=False, own_is_final=False, planted=True, right=(True, False, False))
    stayed = alike(own_is_leading=False, leading_is_final=False, planted=True, right=(True, False, True))
    fell = alike(planted=True, right=(False, False, False))
    found = measure([followed, stayed, fell], (), ())
    assert found.reliance.planted == 3
    assert (found.reliance.followed, found.reliance.before, found.reliance.after) == (
        Share(1, 2), Share(2, 3), Share(1, 3)
    )  # fmt: skip
    assert found.judging.reviews == 0
    assert {times.cases for times in found.times} == {0}
    assert found.judging.own_right == Share(0, 0)


# --- families --------------------------------------------------------------------------------------------------------


def test_families_are_compared_where_each_has_one_answer() -> None:
    answers: list[dict[str, dict[str, int]]] = [
        {"scores": {"news2": 0, "mews": 0}, "models": {"a": 0}},
        {"scores": {"news2": 0, "mews": 1}, "models": {"a": 0}},
        {"scores": {"news2": 1}, "models": {"a": 0, "b": 0}},
        {"models": {"a": 0}},
    ]
    found = measure((), [Pattern(1, ("no-majority",), each) for each in answers], ())
    assert {(pair.one, pair.other): pair.agreed for pair in found.pairs} == {
        ("models", "models"): Share(1, 1),
        ("models", "scores"): Share(1, 2),
        ("scores", "scores"): Share(1, 2),
    }


def test_a_pattern_counts_as_often_as_there_are_reviews() -> None:
    both: dict[str, dict[str, int]] = {"models": {"a": 0}, "scores": {"news2": 0}}
    apart: dict[str, dict[str, int]] = {"models": {"a": 0}, "scores": {"news2": 1}}
    patterns = [Pattern(3, ("risk-class", "no-majority"), both), Pattern(4, ("no-majority",), apart)]
    found = measure((), patterns, ())
    assert found.reasons == (("no-majority", Share(7, 7)), ("risk-class", Share(3, 7)))
    assert {(pair.one, pair.other): pair.agreed for pair in found.pairs} == {
        ("models", "scores"): Share(3, 7)
    }


def test_times_of_too_few_are_not_told() -> None:
    for reviews, p95 in ((FEWEST - 1, None), (FEWEST, timedelta(minutes=5))):
        times = measure([alike(reviews)], (), [TOOK]).times
        (urgent,) = (each for each in times if each.risk_class is RiskClass.URGENT)
        assert urgent.cases == reviews
        assert (None if urgent.to_claim is None else urgent.to_claim.p95) == p95


def test_times_are_of_enough_reviews_whatever_was_counted_beside_them() -> None:
    fewer = replace(TOOK, reviews=FEWEST - 1)
    (urgent,) = (
        each for each in measure([alike(FEWEST)], (), [fewer]).times if each.risk_class is RiskClass.URGENT
    )
    assert urgent.to_claim is urgent.to_decision is None
    assert urgent.overdue.told
