"""The posterior of a fit: the method's formula in arrays, whoever is away, and numbers that no fit gives."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from arbiter.calibrating.fitting import FitSettings, Fitted, fit
from arbiter.calibrating.labelled import Row
from tests.calibrating.cases import drawn

CHANCE = random.Random(1)
CASES = drawn(CHANCE, 80, members=4, samples=3, right=0.3, absent=0.3)
FITTED = fit(CASES, CASES, ["a", "b", "a", "c"], FitSettings(smoothing=1.0, shrinkage=20.0, family_prior=0.5))
YES = (1.0, 0.0)


def by_definition(fitted: Fitted, row: Row) -> Any:
    """The method's formula in arrays."""
    present = [member for member, shares in enumerate(row) if shares is not None]
    rho = np.maximum(np.array(fitted.correlations)[np.ix_(present, present)], 0.0)
    weights = 1.0 / rho.sum(axis=0)
    shares = np.array([row[member] for member in present])
    logs = np.log(np.array(fitted.reliabilities)[present])
    unnormalised = np.log(fitted.prior) + np.einsum("j,jl,jkl->k", weights, shares, logs)
    powers = np.exp((unnormalised - unnormalised.max()) / fitted.temperature)
    return powers / powers.sum()


def test_the_posterior_is_that_of_the_formula_whoever_is_away() -> None:
    for row in CASES.rows:
        if any(shares is not None for shares in row):
            assert FITTED.posterior(row) == pytest.approx(by_definition(FITTED, row), abs=1e-12)


def test_where_nobody_answered_there_is_no_posterior() -> None:
    assert FITTED.posterior([None] * 4) is None
    assert FITTED.logarithms([None] * 4) is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([None] * 3, "expected 4 members, got 3"),
        ([None] * 5, "expected 4 members, got 5"),
        ([None, None, (0.5, 0.5), None], "member 2: expected 3 shares, got 2"),
        ([(math.nan, 0.5, 0.5), None, None, None], "member 0: expected shares"),
        ([None, None, None, (0.9, 0.3, -0.2)], "member 3: expected shares"),
    ],
)
def test_a_row_of_another_panel_or_question_or_of_no_shares_is_refused(row: Row, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        FITTED.posterior(row)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"prior": (1.0,)}, "at least two options"),
        ({"reliabilities": (), "correlations": ()}, "one member, got 2 and 0"),
        ({"prior": (0.5, 0.4)}, "sum to 1"),
        ({"prior": (1.0, 0.0)}, "probabilities above 0"),
        ({"prior": (math.nan, 1.0)}, "sum to 1"),
        ({"reliabilities": (((0.9, 0.1),),) * 2}, "2 rows in each reliability matrix"),
        ({"reliabilities": (((0.9, 0.1), (1.0, 0.0)),) * 2}, "probabilities above 0"),
        ({"reliabilities": (((0.9, 0.1), (0.2, 0.3, 0.5)),) * 2}, "expected 2 shares, got 3"),
        ({"correlations": ((1.0,),)}, "2 rows of 2 correlations"),
        ({"correlations": ((1.0, 0.2), (0.3, 1.0))}, "symmetric correlations"),
        ({"correlations": ((1.0, 1.2), (1.2, 1.0))}, "from -1 to 1"),
        ({"correlations": ((0.9, 0.2), (0.2, 1.0))}, "its own 1"),
        ({"correlations": ((1.0, math.nan), (math.nan, 1.0))}, "from -1 to 1"),
        ({"temperature": 0.0}, "temperature above 0"),
        ({"temperature": math.nan}, "temperature above 0"),
        ({"temperature": math.inf}, "temperature above 0"),
    ],
)
def test_numbers_that_no_fit_gives_are_refused(changed: dict[str, Any], expected: str) -> None:
    whole: dict[str, Any] = {
        "prior": (0.5, 0.5),
        "reliabilities": (((0.9, 0.1), (0.2, 0.8)),) * 2,
        "correlations": ((1.0, 0.2), (0.2, 1.0)),
        "temperature": 1.0,
    }
    assert Fitted(**whole).posterior([YES, None]) is not None
    with pytest.raises(ValueError, match=expected):
        Fitted(**{**whole, **changed})
