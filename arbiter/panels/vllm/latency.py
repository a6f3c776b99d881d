"""A sketch of latencies in bounded memory: counts in buckets that grow by a fixed ratio, so each quantile is known to a few %.

Guarantees: a quantile read from the sketch lies within `RELATIVE_ERROR` of one of the values seen at that rank (the bound
of DDSketch, arXiv 1908.10693, whose buckets these are), for values from 100 µs to 600 s: what is shorter or longer counts
as that. The sketch holds `_BUCKETS` counts and no more. Two sketches take turns, so that what is read tells of the last
some thousand replies and not of last month's.
"""

from __future__ import annotations

import math
from typing import Final

from arbiter.fleet.state import Latency

RELATIVE_ERROR: Final = 0.04
_RATIO: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_BUCKET: Final = 1 / math.log(_RATIO)
_SMALLEST_US: Final = 100
_LARGEST_US: Final = 600_000_000
_BUCKETS: Final = math.ceil(math.log(_LARGEST_US / _SMALLEST_US) * _PER_BUCKET) + 1
_TURN: Final = 2_000
"""So many replies, and the older half of what is known is forgotten."""


class Sketch:
    """What is known of how long replies took."""

    __slots__ = ("_counts", "_former", "_former_total", "_total", "seen")

    def __init__(self) -> None:
        self.seen = 0
        self._counts = [0] * _BUCKETS
        self._total = 0
        self._former: list[int] | None = None
        self._former_total = 0

    def add(self, microseconds: int) -> None:
        """Count one reply."""
        if self._total >= _TURN:
            self._former, self._former_total = self._counts, self._total
            self._counts, self._total = [0] * _BUCKETS, 0
        self._counts[_bucket(microseconds)] += 1
        self._total += 1
        self.seen += 1

    @property
    def known(self) -> int:
        """How many replies the quantiles rest on."""
        return self._total + self._former_total

    def quantile(self, share: float) -> int:
        """Return the value in microseconds below or at which that share of the replies known stays; 0 where none is known."""
        rank = max(1, math.ceil(share * self.known))
        passed = 0
        for bucket in range(_BUCKETS):
            passed += self._counts[bucket] + (self._former[bucket] if self._former else 0)
            if passed >= rank:
                return _value(bucket)
        return 0

    def told(self) -> Latency:
        """Return the sketch for those who watch; `count` is of all replies since the process began."""
        pairs = []
        for bucket in range(_BUCKETS):
            counted = self._counts[bucket] + (self._former[bucket] if self._former else 0)
            if counted:
                pairs.append((_bound(bucket), counted))
        return Latency(self.seen, self.quantile(0.5), self.quantile(0.95), self.quantile(0.99), tuple(pairs))

    def merged_with(self, other: Sketch) -> Sketch:
        """Return one sketch of the replies of both."""
        both = Sketch()
        both.seen = self.seen + other.seen
        for sketch in (self, other):
            for counts in (sketch._counts, sketch._former or ()):  # noqa: SLF001 - one of its own kind
                for bucket, counted in enumerate(counts):
                    both._counts[bucket] += counted
        both._total = self.known + other.known
        return both


def _bucket(microseconds: int) -> int:
    if microseconds <= _SMALLEST_US:
        return 0
    return min(math.ceil(math.log(microseconds / _SMALLEST_US) * _PER_BUCKET), _BUCKETS - 1)


def _bound(bucket: int) -> int:
    """Return the greatest value of a bucket."""
    return round(_SMALLEST_US * _RATIO**bucket)


def _value(bucket: int) -> int:
    """Return the value that stands for a bucket: within the relative error of each in it."""
    return round(2 * _SMALLEST_US * _RATIO**bucket / (_RATIO + 1)) if bucket else _SMALLEST_US
