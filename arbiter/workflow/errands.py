"""Work begun in this process and not waited for: counted, held on to, and finished before the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from arbiter.model import CaseId

log = logging.getLogger(__name__)


class Errands:
    """The cases this process works on right now."""

    def __init__(self) -> None:
        self._running: dict[CaseId, asyncio.Task[None]] = {}

    def start(self, case: CaseId, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` for the case; if it fails, that is logged and the safety net takes the case up."""
        task = asyncio.create_task(work)
        self._running[case] = task
        task.add_done_callback(lambda done: self._ended(case, done))

    def has(self, case: CaseId) -> bool:
        """Return whether this process is working on the case."""
        return case in self._running

    def __len__(self) -> int:
        """Return how many cases this process is working on."""
        return len(self._running)

    async def settled(self, case: CaseId) -> None:
        """Return once this process is not working on the case."""
        running = self._running.get(case)
        if running is not None:
            await asyncio.wait([running])

    async def finish(self, seconds: float) -> None:
        """Wait for what is running, at most that long, then cancel the rest."""
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=seconds)
            for task in late:
                task.cancel()

    def _ended(self, case: CaseId, task: asyncio.Task[None]) -> None:
        if self._running.get(case) is task:
            del self._running[case]
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.warning("case %s is left to the safety net", case, exc_info=fault)
