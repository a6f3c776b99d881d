"""What a panel without labels would be worth: Dawid and Skene's EM sees the fitting cases' answers, and never their labels.

Each member gives one answer a case, the option its samples lead with: as their model has it, five samples of one member would be
five witnesses. Cases of which the same was said are gone through once, so a panel of scores takes as long for a million
cases as for a thousand. No service decides by this: nothing can be certified where there are no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from arbiter.calibrating.dawid_skene import DawidSkene, dawid_skene
from arbiter.evaluation.ballots import NOBODY, Ballots, Floats, leading
from arbiter.evaluation.figures.unseated import ColdStartFigures
from arbiter.evaluation.probabilities import Posteriors, calibration
from arbiter.evaluation.rates import mean

TOLERANCE: Final = 1e-5
"""No probability of a case moves by more when EM ends."""

FEWEST_ITERATIONS: Final = 10
MOST_ITERATIONS: Final = 1_000
MOST_WORK: Final = 6_000_000
"""Products that all iterations together take, so that a large panel's EM ends within about a second; the report says if it did
not stand still by then."""

_LEAST: Final = 1e-300
"""What many members that never said so leave to an option at the least: nothing has no logarithm."""


def fit_unlabelled(leads: Sequence[Sequence[int]], options: int) -> DawidSkene | None:
    """Return what EM ends at; `leads` has each member's option by case, NOBODY for none. None where nobody has one anywhere."""
    said = np.array(leads, dtype=np.int64)
    said = said[(said != NOBODY).any(axis=1)]
    if not len(said):
        return None
    # Sorted, so that the order of the cases changes no rounding.
    kinds, times = np.unique(said, axis=0, return_counts=True)
    work = kinds.size * options * (options + 1)
    return dawid_skene(
        [_counts(kind, options) for kind in kinds.tolist()],
        times=times.tolist(),
        tolerance=TOLERANCE,
        most_iterations=min(MOST_ITERATIONS, max(FEWEST_ITERATIONS, MOST_WORK // work)),
    )


def unlabelled_posteriors(found: DawidSkene, ballots: Ballots) -> Posteriors:
    """Return the probabilities by EM's estimates, 0 throughout where no member leads with one option."""
    options = len(ballots.options)
    said, place = np.unique(ballots.leads, axis=0, return_inverse=True)
    by_kind = np.array([found.probabilities(_counts(kind, options)) for kind in said.tolist()])
    answered = (ballots.leads != NOBODY).any(axis=1)
    of: Floats = np.where(answered[:, np.newaxis], by_kind[place.reshape(-1)], 0.0)
    return Posteriors(of, leading(of, answered), of.max(axis=1), ballots.truths)


def cold_start_figures(
    found: DawidSkene, fitting: Ballots, cold: Posteriors, own: Posteriors
) -> ColdStartFigures:
    """Return the figures; `cold` and `own` are EM's probabilities and the posterior's of the same held-out cases."""
    both = (cold.leads != NOBODY) & (own.leads != NOBODY)
    at, truths = np.flatnonzero(both), own.truths[both]
    gained = (cold.leads[both] == truths).astype(float) - (own.leads[both] == truths).astype(float)
    return ColdStartFigures(
        cases=int((fitting.leads != NOBODY).any(axis=1).sum()),
        iterations=found.iterations,
        converged=found.converged,
        priors=found.priors,
        calibration=calibration(cold, 1.0),
        accuracy_gain=mean(gained),
        log_score_gain=mean(np.log(np.maximum(cold.of[at, truths], _LEAST)) - np.log(own.of[at, truths])),
    )


def _counts(kind: Sequence[int], options: int) -> list[tuple[int, ...]]:
    return [tuple(int(lead == option) for option in range(options)) for lead in kind]
