"""Labelled cases in their parts, a posterior fitted on the first, and the report where one part's labels or answers are others."""

from __future__ import annotations

import dataclasses

import numpy as np

from arbiter.evaluation.figures.answers import StrategyFigures
from arbiter.evaluation.figures.report import Decisions
from arbiter.evaluation.probabilities import posteriors
from arbiter.evaluation.splitting import Part, part_of
from tests.evaluation.small import drawn, seats
from tests.evaluation.test_other_panels import SAMPLES, reported
from tests.evaluation.test_probabilities import fitted_on

SEATS = seats("a", "a", "b")
WHOLE = drawn(11, 900, SEATS, 2, SAMPLES)
PARTS = np.array([part_of(case) for case in WHOLE.cases])
FITTING, HELD_OUT = WHOLE.of(PARTS == Part.FITTING), WHOLE.of(PARTS == Part.HELD_OUT)
FITTED = fitted_on(FITTING)
ON_FITTING, ON_HELD_OUT = posteriors(FITTED, FITTING), posteriors(FITTED, HELD_OUT)


def changed(part: Part, *, truths: bool = False, answers: bool = False) -> Decisions:
    """The same report where the labels, or what members said, of one part went to other cases of it."""
    of, order = np.flatnonzero(part == PARTS), np.random.default_rng(1)
    own = dataclasses.replace(WHOLE, truths=WHOLE.truths.copy(), shares=WHOLE.shares.copy())
    if truths:
        own.truths[of] = WHOLE.truths[order.permutation(of)]
    if answers:
        own.shares[of] = WHOLE.shares[order.permutation(of)]
    told = reported(own).decisions
    assert told is not None
    return told


def way(decisions: Decisions, name: str) -> StrategyFigures:
    return next(each for each in decisions.strategies if each.name == name)
