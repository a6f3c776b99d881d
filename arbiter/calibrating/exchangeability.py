"""Tells whether a stream still comes from where its first values came from: a conformal test martingale over bins.

Values come as the numbers of ordered bins, so that a count a bin is all that is kept of them, however long the stream. The
first `reference` values are the sample. Each later one is ranked among all before it, the sample included. While all are
exchangeable, smoothed ranks

    p = (how many before are greater + theta (how many are equal + 1)) / (how many before + 1),  theta uniform in [0, 1)

are independent and uniform, whatever the distribution and however many values share a bin, and what is won by betting
against that reaches 1 / delta with probability at most delta, over all time (Vovk 2021, Testing randomness online,
Statist. Sci. 36:595). Binning costs sight of what moves within a bin, and never that bound. Bets are the simple
jumper's: three players bet 1 + epsilon (p - 1/2), epsilon -1, 0, 1, and before each bet a hundredth of what they own is
shared out anew, so that a change is noticed in either direction and also late (Vovk, Petej, Nouretdinov, Ahlberg,
Carlsson, Gammerman 2021, Retrain or not retrain, arXiv 2102.10439).

Half of the stake is played on p and sees values that rise or fall; half on |2p - 1|, as uniform as p, and sees values
that move away from the middle, or toward it. What moves in neither way stays unseen: bins without an order of their own
should stand in one in which a change that matters shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

_PLAYERS: Final = (-1.0, 0.0, 1.0)
_SHARED_OUT: Final = 0.01


@dataclass(frozen=True, slots=True)
class Jumper:
    """What three players won so far: the logarithm of all they own, the stake being 1, and each one's share of it."""

    log_value: float = 0.0
    shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)

    def after(self, p_value: float) -> Jumper:
        """Return what they own after a p-value.

        Raises:
            ValueError: when it does not lie from 0 to 1.
        """
        if not 0.0 <= p_value <= 1.0:
            raise ValueError(f"expected a p-value from 0 to 1, got {p_value!r}")
        owned = [
            ((1.0 - _SHARED_OUT) * share + _SHARED_OUT / len(_PLAYERS)) * (1.0 + player * (p_value - 0.5))
            for player, share in zip(_PLAYERS, self.shares, strict=True)
        ]
        whole = math.fsum(owned)
        return Jumper(self.log_value + math.log(whole), tuple(own / whole for own in owned))


@dataclass(frozen=True, slots=True)
class Drift:
    """What a stream so far says against all of it coming from where its first `reference` values came from.

    `counts` has every value so far, a count a bin. `place` bets on p, `spread` on |2p - 1|. `highest` is the logarithm of
    the most that both together have been worth.
    """

    delta: float
    reference: int
    counts: tuple[int, ...]
    place: Jumper
    spread: Jumper
    highest: float

    def after(self, at: int, theta: float) -> Drift:
        """Return what it says after one more value. While the sample is being taken no martingale moves.

        Args:
            at: the bin of the stream's next value, from 0.
            theta: drawn uniformly from [0, 1) for this value, whatever the value is.

        Raises:
            ValueError: when there is no such bin, or `theta` lies outside.
        """
        rank = p_value(self.counts, at, theta)
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        if self.seen < self.reference:
            return replace(self, counts=counts)
        place, spread = self.place.after(rank), self.spread.after(abs(2.0 * rank - 1.0))
        return replace(
            self,
            counts=counts,
            place=place,
            spread=spread,
            highest=max(self.highest, _log_mean(place.log_value, spread.log_value)),
        )

    @property
    def seen(self) -> int:
        """How many values there were, the sample's among them."""
        return sum(self.counts)

    @property
    def log_value(self) -> float:
        """The logarithm of what both together are worth now, 1 at the beginning."""
        return _log_mean(self.place.log_value, self.spread.log_value)

    @property
    def alarmed(self) -> bool:
        """Whether the martingale has ever reached 1 / delta."""
        return self.highest >= -math.log(self.delta)


def begin(bins: int, reference: int, delta: float) -> Drift:
    """Return the drift before the first value.

    Args:
        bins: how many there are.
        reference: how many of the first values are the sample; the more, the sooner a change is seen thereafter.
        delta: the probability that an alarm may be false, over all time.

    Raises:
        ValueError: when there are fewer than two bins or no sample, or `delta` does not lie between 0 and 1.
    """
    if bins < 2:
        raise ValueError(f"expected at least two bins, got {bins}")
    if reference < 1:
        raise ValueError(f"expected a sample of at least one value, got {reference}")
    if not 0.0 < delta < 1.0:
        raise ValueError(f"expected delta between 0 and 1, got {delta!r}")
    return Drift(delta, reference, (0,) * bins, Jumper(), Jumper(), 0.0)


def p_value(before: Sequence[int], at: int, theta: float) -> float:
    """Return the smoothed rank of a value in bin `at` among those before it: near 0 when it is greater than most.

    `before` counts those before it, a bin after the other.

    Raises:
        ValueError: when there is no such bin or `theta` does not lie in [0, 1).
    """
    if not 0 <= at < len(before):
        raise ValueError(f"expected a bin from 0 to {len(before) - 1}, got {at!r}")
    if not 0.0 <= theta < 1.0:
        raise ValueError(f"expected theta from 0 to below 1, got {theta!r}")
    return (sum(before[at + 1 :]) + theta * (before[at] + 1)) / (sum(before) + 1)


def _log_mean(one: float, other: float) -> float:
    most = max(one, other)
    return most + math.log((math.exp(one - most) + math.exp(other - most)) / 2.0)
