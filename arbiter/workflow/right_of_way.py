"""Lets graver cases go first inside a process: while one is at work, the steps of routine ones wait a moment.

Admission decides who comes in. This decides who goes next among those that are in, because one event loop runs one step
at a time, and a step that has begun holds everybody up until it ends.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

RECENT_SECONDS: Final = 0.06
"""A graver case that took a step within this time is at work: twice what the longest step, from opinions to release, takes."""

PATIENCE_SECONDS: Final = 0.25
"""A routine step waits this long at most, whatever comes: its own deadline counts too."""


class RightOfWay:
    """Who goes next on one event loop."""

    def __init__(self) -> None:
        self._taken_at = -math.inf
        self._turn = asyncio.Lock()

    def take(self) -> None:
        """Say that a graver case takes a step now, and will take the next one soon."""
        self._taken_at = _now()

    def taken_within(self, seconds: float) -> bool:
        """Return whether a graver case took a step within the last so many seconds."""
        return _now() - self._taken_at < seconds

    async def give(self) -> None:
        """Wait while a graver case is at work, for `PATIENCE_SECONDS` at most.

        Those who waited go on one after another, so that a graver case that comes meanwhile meets one step, not all.
        """
        ends_at = _now() + PATIENCE_SECONDS
        async with self._turn:
            # What is waited for is a time that moves, not something that happens.
            while (wait := min(self._taken_at + RECENT_SECONDS, ends_at) - _now()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(wait)


def _now() -> float:
    return asyncio.get_running_loop().time()
