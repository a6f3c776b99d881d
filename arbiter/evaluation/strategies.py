"""Answers cases by each simple strategy as adjudication does, many at a time.

`arbiter.adjudication.aggregation` is what decides, one case at a time and in exact numbers; this is the same in arrays, and the
tests hold the two together. The weights of those who answered depend on who did, and of such sets there are few.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np

from arbiter.adjudication.aggregation import NEAR, independence
from arbiter.evaluation.ballots import NOBODY, Ballots, Floats, Indices
from arbiter.question import Adjudication

HALF: Final = Decimal("0.5")


def by_votes(ballots: Ballots, *, unanimous: bool) -> Indices:
    """Return the option that more than half of the members with a valid answer lead with, or all of them; else NOBODY."""
    options = len(ballots.options)
    votes = np.stack([(ballots.leads == option).sum(axis=1) for option in range(options)], axis=1)
    voices = ballots.valid.sum(axis=1)
    needed = voices if unanimous else voices // 2 + 1
    most = votes.max(axis=1)
    alone = (votes == most[:, np.newaxis]).sum(axis=1) == 1
    answered = (most > 0) & alone & (most >= needed)
    return np.where(answered, votes.argmax(axis=1), NOBODY)


def by_weight(ballots: Ballots, settings: Adjudication) -> Indices:
    """Return the option whose share of the seats' weights is above the protocol's threshold; else NOBODY.

    Where the protocol decides otherwise and has no threshold, it is `HALF`.
    Numbers no more than a millionth apart are not told apart, as in adjudication.
    """
    mixed = _mixture(ballots, settings)
    ordered = np.sort(mixed, axis=1)
    first, second = ordered[:, -1], ordered[:, -2]
    threshold = float(threshold_of(settings))
    clear = (first - second > NEAR) & (first > threshold) & (np.abs(first - threshold) > NEAR)
    return np.where(clear, mixed.argmax(axis=1), NOBODY)


def threshold_of(settings: Adjudication) -> Decimal:
    """Return the share of weight that an option must exceed."""
    return HALF if settings.threshold is None else settings.threshold


def _mixture(ballots: Ballots, settings: Adjudication) -> Floats:
    """Return the weighted mean of the members' shares, case by case; all zero where nobody answered."""
    mixed = np.zeros((len(ballots), len(ballots.options)))
    for present in np.unique(ballots.valid, axis=0):
        members = np.flatnonzero(present)
        if not members.size:
            continue
        chosen = (ballots.valid == present).all(axis=1)
        seats = [ballots.seats[member] for member in members]
        independent = independence([seat.family for seat in seats], settings.family_correlation)
        weights = np.array(
            [float(seat.weight) * float(own) for seat, own in zip(seats, independent, strict=True)]
        )
        shares = ballots.shares[chosen][:, members]
        mixed[chosen] = np.einsum("j,njk->nk", weights / weights.sum(), shares)
    return mixed
