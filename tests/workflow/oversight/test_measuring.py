"""Figures from rows: intervals against SciPy, small numbers untold, planted cases apart, families by their members."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from arbiter.model import CaseId, RiskClass
from arbiter.store.review_figures import Measured, ReviewFigure, ReviewOutcome
from arbiter.workflow.oversight.measuring import FEWEST, Share, measure, quantile, share_of
from tests.conftest import NOON


def figure(
    number: int = 0,
    *,
    own_is_leading: bool | None = True,
    own_is_final: bool | None = True,
    leading_is_final: bool | None = True,
    planted: bool = False,
    families: dict[str, dict[str, int]] | None = None,
    took: timedelta = timedelta(minutes=10),
) -> ReviewFigure:
    at = NOON + timedelta(hours=number)
    return ReviewFigure(
        case=CaseId(f"c_{number}"),
        site="north",
        protocol="deterioration",
        protocol_hash="0" * 64,
        risk_class=RiskClass.URGENT,
        training=planted,
        planted=planted,
        escalated_at=at,
        claimed_at=at + took / 2,
        opinion_at=at + took / 2,
        revealed_at=at + took / 2,
        signed_at=at + took,
        overdue=False,
        kind="kept",
        own_is_final=own_is_final,
        leading_is_final=leading_is_final,
        own_is_leading=own_is_leading,
        reasons=("no-majority",),
        families={} if families is None else families,
    )


def told(own: bool | None, leading: bool | None, final: bool, at: datetime = NOON) -> ReviewOutcome:
    return ReviewOutcome("planted", own, leading, final, at)


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
    assert share_of([True, None, False, None, True]) == Share(2, 3)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40), st.floats(0, 1))
def test_a_quantile_is_numpys(values: list[float], part: float) -> None:
    assert quantile(values, part) == pytest.approx(float(np.quantile(values, part)), rel=1e-9, abs=1e-6)


# --- judging ---------------------------------------------------------------------------------------------------------


def test_a_switch_is_toward_the_panel_or_away_from_it_or_neither() -> None:
    toward = figure(1, own_is_leading=False, own_is_final=False, leading_is_final=True)
    away = figure(2, own_is_leading=True, own_is_final=False, leading_is_final=False)
    third = figure(3, own_is_leading=False, own_is_final=False, leading_is_final=False)
    kept = figure(4, own_is_leading=False, own_is_final=True, leading_is_final=False)
    judging = measure([Measured(each, None) for each in (toward, away, third, kept)]).judging
    assert (judging.switched, judging.overridden) == (Share(3, 4), Share(3, 4))
    assert (judging.toward, judging.elsewhere, judging.away) == (Share(1, 3), Share(1, 3), Share(1, 1))


def test_who_saw_the_panel_first_has_switched_nothing() -> None:
    first = figure(1, own_is_leading=None, own_is_final=None, leading_is_final=False)
    judging = measure([Measured(first, None)]).judging
    assert judging.switched == Share(0, 0)
    assert judging.overridden == Share(1, 1)


def test_a_panel_that_leant_to_nothing_is_not_overridden() -> None:
    none = figure(1, own_is_leading=None, own_is_final=True, leading_is_final=None)
    assert measure([Measured(none, None)]).judging.overridden == Share(0, 0)


def test_a_planted_case_counts_for_reliance_and_for_nothing_else() -> None:
    followed = figure(1, own_is_leading=False, own_is_final=False, leading_is_final=True, planted=True)
    stayed = figure(2, own_is_leading=False, own_is_final=True, leading_is_final=False, planted=True)
    fell = figure(3, own_is_leading=True, own_is_final=True, leading_is_final=True, planted=True)
    found = measure(
        [
            Measured(followed, told(own=True, leading=False, final=False)),
            Measured(stayed, told(own=True, leading=False, final=True)),
            Measured(fell, told(own=False, leading=False, final=False)),
        ]
    )
    assert found.reliance.planted == 3
    assert (found.reliance.followed, found.reliance.before, found.reliance.after) == (
        Share(1, 2), Share(2, 3), Share(1, 3)
    )  # fmt: skip
    assert found.judging.reviews == 0
    assert found.reasons == ()
    assert found.pairs == ()
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
    found = measure([Measured(figure(at, families=each), None) for at, each in enumerate(answers)])
    assert {(pair.one, pair.other): pair.agreed for pair in found.pairs} == {
        ("models", "models"): Share(1, 1),
        ("models", "scores"): Share(1, 2),
        ("scores", "scores"): Share(1, 2),
    }


def test_times_of_too_few_are_not_told() -> None:
    few = measure([Measured(figure(at), None) for at in range(FEWEST - 1)])
    assert [times.to_claim for times in few.times if times.risk_class is RiskClass.URGENT] == [None]
    enough = measure([Measured(figure(at), None) for at in range(FEWEST)])
    (urgent,) = (times for times in enough.times if times.risk_class is RiskClass.URGENT)
    assert urgent.to_claim is not None
    assert urgent.to_claim.p95 == timedelta(minutes=5)
