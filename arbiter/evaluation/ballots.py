"""What members said of labelled cases as arrays: the form in which every figure is computed.

N cases that were put to the panel, J members that answer one question (or facet), K options. A member that gave no valid
answer has said nothing: its shares are 0 and its `valid` is False. `leads` is the one option with most of a member's samples,
-1 where there is none or several share the lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arbiter.evaluation.cases import Case
from arbiter.evaluation.hearing import Hearing
from arbiter.model import MemberStatus, Opinion
from arbiter.question import Option, Protocol, Seat

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

NOBODY = -1
"""In the place of an option: none is named, a human is asked."""


@dataclass(frozen=True, slots=True)
class Ballots:
    """What was said about one question. `truths` are indices of options, NOBODY throughout for a facet, whose truth is unknown."""

    cases: tuple[str, ...]
    seats: tuple[Seat, ...]
    options: tuple[Option, ...]
    truths: Indices
    shares: Floats
    valid: Flags
    leads: Indices

    def __len__(self) -> int:
        return len(self.cases)

    def of(self, chosen: Flags) -> Ballots:
        """Return the ballots of some of the cases."""
        return Ballots(
            tuple(case for case, is_chosen in zip(self.cases, chosen, strict=True) if is_chosen),
            self.seats,
            self.options,
            self.truths[chosen],
            self.shares[chosen],
            self.valid[chosen],
            self.leads[chosen],
        )

    def rows(self) -> tuple[tuple[tuple[float, ...] | None, ...], ...]:
        """Return each case's shares member by member, None for one that said nothing: the form that fitting takes."""
        shares, valid = self.shares.tolist(), self.valid.tolist()
        return tuple(
            tuple(tuple(own) if there else None for own, there in zip(case, present, strict=True))
            for case, present in zip(shares, valid, strict=True)
        )


def ballots_of(
    protocol: Protocol, asks: str, pairs: Sequence[tuple[Case, Hearing]], *, labelled: bool
) -> Ballots:
    """Return the ballots on the question, or on the facet that `asks` names, of cases that were put to the panel."""
    seats = tuple(seat for seat in protocol.seats if seat.asks == asks)
    options = protocol.options_for(asks)
    index = {option.id: at for at, option in enumerate(options)}
    shares = np.zeros((len(pairs), len(seats), len(options)))
    place = {seat.member: at for at, seat in enumerate(seats)}
    for row, (_, hearing) in enumerate(pairs):
        for opinion in hearing.opinions:
            if opinion.member in place and opinion.status is MemberStatus.VALID:
                _count(opinion, index, shares[row, place[opinion.member]])
    truths = [index[case.labelled.label] if labelled else NOBODY for case, _ in pairs]
    valid = shares.sum(axis=2) > 0.0
    return Ballots(
        cases=tuple(case.id for case, _ in pairs),
        seats=seats,
        options=options,
        truths=np.array(truths, dtype=np.int64),
        shares=shares,
        valid=valid,
        leads=leading(shares, valid),
    )


def _count(opinion: Opinion, index: dict[str, int], own: Floats) -> None:
    for option, count in opinion.votes:
        own[index[option]] = count / opinion.valid_samples


def leading(shares: Floats, valid: Flags) -> Indices:
    """Return the one option with the greatest share along the last axis, NOBODY where several have it or nothing was said."""
    most = shares.max(axis=-1)
    alone = (shares == most[..., np.newaxis]).sum(axis=-1) == 1
    return np.where(valid & alone, shares.argmax(axis=-1), NOBODY)
