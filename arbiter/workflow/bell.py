"""Wakes those in this process who wait for a case to move. Waiters elsewhere look again by the clock."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from arbiter.model import CaseId

LOOK_AGAIN_SECONDS = 1.0
"""How long a waiter trusts silence: a case may have been moved by another process."""


class Bell:
    """One future per waiter, all of a case's woken together."""

    def __init__(self) -> None:
        self._waiting: defaultdict[CaseId, set[asyncio.Future[None]]] = defaultdict(set)

    def ring(self, case: CaseId) -> None:
        """Wake everyone who waits for this case."""
        for waiter in self._waiting.pop(case, ()):
            if not waiter.done():
                waiter.set_result(None)

    def expect(self, case: CaseId) -> asyncio.Future[None]:
        """Return a future that the case's next ring completes; take it before looking at the case, then `wait`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[case].add(waiter)
        return waiter

    async def wait(self, case: CaseId, waiter: asyncio.Future[None], seconds: float) -> None:
        """Return when the bell has rung, or after that many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            pass
        finally:
            self.forget(case, waiter)

    def forget(self, case: CaseId, waiter: asyncio.Future[None]) -> None:
        """Stop expecting."""
        waiting = self._waiting.get(case)
        if waiting is not None:
            waiting.discard(waiter)
            if not waiting:
                del self._waiting[case]
