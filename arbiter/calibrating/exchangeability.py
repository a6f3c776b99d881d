"""Tells whether a stream still comes from where the calibration sample came from: a conformal test martingale.

Each new value is ranked among all before it, the calibration sample first. While all are exchangeable, smoothed ranks

    p = (how many before are greater + theta (how many are equal + 1)) / (how many before + 1),  theta uniform in [0, 1)

are independent and uniform, whatever the distribution and however many values are equal, and what is won by betting
against that reaches 1 / delta with probability at most delta, over all time (Vovk 2021, Testing randomness online,
Statist. Sci. 36:595). Bets are the simple jumper's: three players bet 1 + epsilon (p - 1/2), epsilon -1, 0, 1, and
before each bet a hundredth of what they own is shared out anew, so that a change is noticed in either direction and
also late (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson, Gammerman 2021, Retrain or not retrain, arXiv 2102.10439).

Half of the stake is played on p and sees values that rise or fall; half on |2p - 1|, as uniform as p, and sees values
that move away from the middle, or toward it. The value itself is what is ranked: an input, or a measure of
disagreement.

A rank needs every value before it, so a stream that never ended would need memory without end. At `MOST_VALUES` the
drift is full and takes no more: begin anew, with a later sample and with a delta of its own. Taking ranks among the
calibration sample alone would bound memory too, but then they are not independent, and the bound on false alarms is
lost.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

MOST_VALUES: Final = 20_000
"""Of the calibration sample and the stream together; each new one copies as many references, at most 160 kB."""

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
    """What a stream so far says against coming from where the calibration sample came from.

    `values` are sorted, the sample's and the stream's; `seen` counts the stream's. `place` bets on p, `spread` on
    |2p - 1|. `highest` is the logarithm of the most that both together have been worth.
    """

    delta: float
    values: tuple[float, ...]
    seen: int
    place: Jumper
    spread: Jumper
    highest: float

    def after(self, value: float, theta: float) -> Drift:
        """Return what it says after one more value.

        Args:
            value: the stream's next.
            theta: drawn uniformly from [0, 1) for this value, whatever the value is.

        Raises:
            ValueError: when the value is not finite, `theta` lies outside, or the drift is full.
        """
        if self.is_full:
            raise ValueError(
                f"expected at most {MOST_VALUES} values, got one more: begin with a later sample"
            )
        rank = p_value(self.values, value, theta)
        place, spread = self.place.after(rank), self.spread.after(abs(2.0 * rank - 1.0))
        at = bisect_right(self.values, value)
        return replace(
            self,
            values=(*self.values[:at], value, *self.values[at:]),
            seen=self.seen + 1,
            place=place,
            spread=spread,
            highest=max(self.highest, _log_mean(place.log_value, spread.log_value)),
        )

    @property
    def log_value(self) -> float:
        """The logarithm of what both together are worth now, 1 at the beginning."""
        return _log_mean(self.place.log_value, self.spread.log_value)

    @property
    def alarmed(self) -> bool:
        """Whether the martingale has ever reached 1 / delta."""
        return self.highest >= -math.log(self.delta)

    @property
    def is_full(self) -> bool:
        """Whether no more values are taken."""
        return len(self.values) >= MOST_VALUES


def begin(sample: Sequence[float], delta: float) -> Drift:
    """Return the drift before the stream.

    Args:
        sample: the calibration sample, in any order; the more values, the sooner a change is seen.
        delta: the probability that an alarm may be false, over all time.

    Raises:
        ValueError: when the sample is empty, leaves no room for a stream, or holds what is not finite; or when `delta`
            does not lie between 0 and 1.
    """
    if not 0.0 < delta < 1.0:
        raise ValueError(f"expected delta between 0 and 1, got {delta!r}")
    if not 0 < len(sample) < MOST_VALUES:
        raise ValueError(
            f"expected a sample of at least one value and fewer than {MOST_VALUES}, got {len(sample)}"
        )
    for value in sample:
        _finite(value)
    return Drift(delta, tuple(sorted(sample)), 0, Jumper(), Jumper(), 0.0)


def p_value(before: Sequence[float], value: float, theta: float) -> float:
    """Return the smoothed rank of a value among those before it, which are sorted: near 0 when it is greater than most.

    Raises:
        ValueError: when the value is not finite or `theta` does not lie in [0, 1).
    """
    _finite(value)
    if not 0.0 <= theta < 1.0:
        raise ValueError(f"expected theta from 0 to below 1, got {theta!r}")
    least, most = bisect_left(before, value), bisect_right(before, value)
    return (len(before) - most + theta * (most - least + 1)) / (len(before) + 1)


def _log_mean(one: float, other: float) -> float:
    most = max(one, other)
    return most + math.log((math.exp(one - most) + math.exp(other - most)) / 2.0)


def _finite(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"expected a finite value, got {value!r}")
