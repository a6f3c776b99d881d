"""Labelled cases: what is let in, and what is refused before anything is fitted to it."""

from __future__ import annotations

import math

import pytest

from arbiter.adjudication.posterior import Shares
from arbiter.calibrating.labelled import Labelled, check_shares

YES, NO = (1.0, 0.0), (0.0, 1.0)


def test_members_and_options_are_counted_also_where_some_answered_nothing() -> None:
    cases = Labelled(((YES, None, NO), (None, None, None)), (0, 1), 2)
    assert (cases.members, cases.options) == (3, 2)


def test_an_option_that_nobody_said_and_no_case_has_is_still_one() -> None:
    assert Labelled((((1.0, 0.0, 0.0),),), (0,), 3).options == 3


def test_shares_that_only_rounding_keeps_from_one_are_let_in() -> None:
    check_shares([1 / 7] * 7, 7)


@pytest.mark.parametrize(
    ("rows", "truths", "options", "expected"),
    [
        ((), (), 2, "at least one labelled case"),
        (((),), (0,), 2, "at least one member"),
        ((((1.0,),),), (0,), 1, "at least two options, got 1"),
        (((YES,), (NO,)), (0,), 2, "2 truths, one for each case, got 1"),
        (((YES,),), (0, 1), 2, "1 truths, one for each case, got 2"),
        (((YES,), (YES, NO)), (0, 1), 2, "case 1: expected 1 members, got 2"),
        (((YES,),), (2,), 2, "case 0: expected a truth from 0 to 1, got 2"),
        (((YES,),), (-1,), 2, "case 0: expected a truth from 0 to 1, got -1"),
        (((YES,),), (0,), 3, "case 0, member 0: expected 3 shares, got 2"),
        (((None, (0.5, 0.25, 0.25)),), (0,), 2, "case 0, member 1: expected 2 shares, got 3"),
    ],
)
def test_cases_that_do_not_fit_together_are_refused(
    rows: tuple[tuple[Shares | None, ...], ...], truths: tuple[int, ...], options: int, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        Labelled(rows, truths, options)


@pytest.mark.parametrize(
    "shares",
    [
        (math.nan, 1.0),
        (1.0, math.nan),
        (math.nan, math.nan),
        (math.inf, 0.0),
        (math.inf, -math.inf),
        (1.5, -0.5),
        (0.5, 0.5 + 1e-8),
        (0.5, 0.4),
        (0.0, 0.0),
    ],
)
def test_what_is_no_distribution_is_refused(shares: Shares) -> None:
    with pytest.raises(ValueError, match=r"shares|fsum"):
        Labelled(((YES, shares),), (0,), 2)
