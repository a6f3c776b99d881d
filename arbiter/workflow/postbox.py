"""Wakes this process's dispatcher when a step has left something to be told. Other processes look by the clock."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Postbox:
    """A flag that any step raises and the dispatcher lowers."""

    def __init__(self) -> None:
        self._filled = asyncio.Event()

    def fill(self) -> None:
        """Say that a committed step has left messages."""
        self._filled.set()

    async def wait(self, seconds: float) -> None:
        """Return once something was left since the last return, or after that many seconds."""
        with suppress(TimeoutError):
            # Not `wait_for`, which in Python 3.11 loses a cancellation that comes together with the flag.
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        self._filled.clear()
