"""How far members say the same, and how far they err together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from arbiter.calibrating.agreement import krippendorff_alpha
from arbiter.evaluation.ballots import NOBODY, Ballots, Flags
from arbiter.evaluation.figures.members import Agreement, Pairwise

_LEAST_PAIR = 2


def agreement(ballots: Ballots, asks: str, title: str) -> Agreement:
    """Return Krippendorff's alpha and the pairwise agreement of the leading options."""
    leads = ballots.leads
    units = [[None if lead == NOBODY else lead for lead in row] for row in leads.tolist()]

    def same(one: int, other: int, both: Flags) -> float | None:
        return float((leads[both, one] == leads[both, other]).mean()) if both.any() else None

    return Agreement(asks, title, len(ballots), krippendorff_alpha(units), _pairwise(ballots, same))


def error_correlation(ballots: Ballots) -> Pairwise:
    """Return Pearson's correlation of two members' errors over the cases both answered; None where one never or always errs."""
    wrong = ballots.leads != ballots.truths[:, np.newaxis]

    def correlated(one: int, other: int, both: Flags) -> float | None:
        left, right = wrong[both, one].astype(float), wrong[both, other].astype(float)
        if both.sum() < _LEAST_PAIR or left.std() == 0.0 or right.std() == 0.0:
            return None
        return float(np.corrcoef(left, right)[0, 1])

    return _pairwise(ballots, correlated)


def _pairwise(ballots: Ballots, measure: Callable[[int, int, Flags], float | None]) -> Pairwise:
    answered = ballots.leads != NOBODY
    members = range(len(ballots.seats))
    both = [[answered[:, one] & answered[:, other] for other in members] for one in members]
    return Pairwise(
        members=tuple(seat.member for seat in ballots.seats),
        values=tuple(
            tuple(None if one == other else measure(one, other, both[one][other]) for other in members)
            for one in members
        ),
        cases=tuple(tuple(int(both[one][other].sum()) for other in members) for one in members),
    )
