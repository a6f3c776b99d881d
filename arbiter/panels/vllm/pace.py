"""How much slower a replica is than the fastest of its like, as a ratio over all its models: what slows one down slows them all.

A slow reply counts at once, a quick one by and by: the peak-sensitive moving average that load balancers use (Peak EWMA, as
in Finagle). A replica that becomes slow is left at its first slow reply; it is tried again by one request at a time, and the
longer nothing was heard of it, the more a quick reply counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

ALIKE: Final = 1.25
"""Replicas this much slower than the fastest count as equal to it: who has least under way is asked then."""
_DOUBTFUL: Final = 2.0
_WHO_KNOWS: Final = 4.0
"""What was not waited for to its end is reckoned to take so many times what it was waited for."""
_MOST: Final = 10.0
"""No replica is thought slower than that, so that each is tried again within half a minute even where there is little to do."""
_SMOOTHING: Final = 0.2
"""What a quick reply changes where others came just before."""
_FORGETTING_SECONDS: Final = 5.0
"""What was slow and has told nothing for so long is thought half as much slower than the others as it was."""


@dataclass(slots=True)
class Pace:
    """The ratio, 1 for the fastest, and when (seconds of one clock) a reply, or the lack of one, last told of it."""

    ratio: float = 1.0
    told_at: float = 0.0

    def took(self, ratio: float, now: float) -> None:
        """Take in a reply that took so many times what the fastest replica takes."""
        if ratio >= self.ratio:
            self.ratio = min(ratio, _MOST)
        else:
            self.ratio = ratio + (1 - _SMOOTHING) * self._remembered(now) * (self.ratio - ratio)
        self.told_at = now

    def outlasted(self, ratio: float, now: float) -> None:
        """Take in that a reply was waited for so long in vain: how much longer it takes nobody knows.

        What is no longer than others take tells nothing, and keeps nobody thought slow.
        """
        if ratio > ALIKE:
            self.ratio = min(max(self.ratio, _WHO_KNOWS * ratio), _MOST)
            self.told_at = now

    def expected(self, now: float, *, busy: bool) -> float:
        """Return the ratio to reckon with; nothing is forgiven a replica that is `busy`, so that one request at a time tries it."""
        ratio = self.ratio if busy else 1.0 + (self.ratio - 1.0) * self._remembered(now)
        return ratio if ratio > ALIKE else 1.0

    @property
    def is_doubtful(self) -> bool:
        """Whether another replica would have been through in the time that its last replies took."""
        return self.ratio > _DOUBTFUL

    def _remembered(self, now: float) -> float:
        """Return how much of what was known still counts, from 1 down to 0 with the time that nothing told of it."""
        return math.exp2(-(now - self.told_at) / _FORGETTING_SECONDS)
