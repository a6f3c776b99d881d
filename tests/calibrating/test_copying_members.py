"""Two members that copy each other's errors are heard as about one, and the panel is as sure as it is right."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from arbiter.calibrating.fitting import FitSettings, Fitted, fit
from arbiter.calibrating.labelled import Labelled
from arbiter.calibrating.temperature import fit_temperature
from tests.calibrating.cases import copied

SETTINGS = FitSettings(smoothing=1.0, shrinkage=20.0, family_prior=0.5)


def posteriors(cases: Labelled, fitted: Fitted) -> list[tuple[float, ...]]:
    """Every case's: here everybody answers."""
    return [found for found in map(fitted.posterior, cases.rows) if found is not None]


def calibration_error(sure_of: Sequence[Sequence[float]], truths: Sequence[int]) -> float:
    """By how much the leading option's probability misses how often it is right, over ten bins of equal width."""
    sure = np.array([max(own) for own in sure_of])
    right = np.array([own.index(max(own)) == truth for own, truth in zip(sure_of, truths, strict=True)])
    bins = np.minimum((sure * 10).astype(int), 9)
    return float(
        sum(abs(sure[bins == at].sum() - right[bins == at].sum()) for at in range(10)) / len(sure_of)
    )


@pytest.mark.parametrize("copies", [1.0, 0.8, 0.5])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_two_that_copy_each_other_weights_beat_naive_bayes(seed: int, copies: float) -> None:
    chance = random.Random(seed)
    fitting, tempering, held_out = (copied(chance, number, copies=copies) for number in (400, 400, 4000))
    weighted = fit(fitting, tempering, ["a", "a", "b"], SETTINGS)
    apart = tuple(tuple(float(one == other) for other in range(3)) for one in range(3))
    naive = replace(weighted, correlations=apart, temperature=1.0)
    logarithms = [naive.logarithms(row) for row in tempering.rows]
    cooled = replace(
        naive, temperature=fit_temperature([own for own in logarithms if own], tempering.truths).value
    )

    losses, errors = [], []
    for fitted in (weighted, cooled, naive):
        found = posteriors(held_out, fitted)
        losses.append(log_loss(held_out.truths, found, labels=[0, 1, 2]))
        errors.append(calibration_error(found, held_out.truths))
    assert losses[0] < losses[2]
    assert errors[0] < errors[2]
    # A temperature alone mends how sure the panel is, but not whom it hears.
    assert losses[0] < losses[1]


def test_where_nobody_copies_weights_cost_next_to_nothing() -> None:
    chance = random.Random(4)
    fitting, tempering, held_out = (copied(chance, number, copies=0.0) for number in (400, 400, 4000))
    weighted = fit(fitting, tempering, ["a", "b", "c"], SETTINGS)
    apart = tuple(tuple(float(one == other) for other in range(3)) for one in range(3))
    naive = replace(weighted, correlations=apart, temperature=1.0)
    losses = [
        log_loss(held_out.truths, posteriors(held_out, fitted), labels=[0, 1, 2])
        for fitted in (weighted, naive)
    ]
    assert losses[0] < losses[1] + 0.01
