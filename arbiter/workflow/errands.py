"""Work begun in this process and not waited for: counted, held on to, and finished before the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from arbiter.errors import ArbiterError, StaleStateError
from arbiter.model import CaseId
from arbiter.store.transaction import DatabaseError

log = logging.getLogger(__name__)


class Errands:
    """The cases this process works on right now."""

    def __init__(self) -> None:
        self._running: dict[CaseId, asyncio.Task[None]] = {}

    def start(self, case: CaseId, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` for the case; its failure is logged and left to the safety net."""
        self._running[case] = asyncio.create_task(self._run(case, work))

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

    async def _run(self, case: CaseId, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StaleStateError:
            log.info("case %s was taken up elsewhere", case)
        except (ArbiterError, DatabaseError, OSError) as error:
            log.warning("case %s is left to the safety net: %s", case, type(error).__name__)
        finally:
            self._running.pop(case, None)
