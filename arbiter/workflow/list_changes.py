"""Tells whoever keeps a work list open that something moved at their sites; never what, and never at once.

One look at the database every few seconds serves every open list of this process, and finds what other processes did too. A look
gathers all that happened since the one before: when an event comes says no more of a case than a list that is fetched that often.
While nobody listens, nobody looks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from arbiter.store.cases.waiting import standing_marks
from arbiter.workflow.downtime import OUTAGES
from arbiter.workflow.house import House

log = logging.getLogger(__name__)

LOOK_SECONDS = 3.0


class ListChanges:
    """The marks of a house's work lists as they were seen last, for those who wait for them to change."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._marks: Mapping[str, str] = {}
        self._listeners = 0
        self._looking: asyncio.Task[None] | None = None
        self._changed: asyncio.Event | None = None

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """Have somebody look during the block; before it begins, the marks are those of now.

        Raises:
            UnavailableError: when the database does not answer.
        """
        self._listeners += 1
        try:
            if self._looking is None:
                self._marks = await standing_marks(self._house.store)
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            yield
        finally:
            self._listeners -= 1
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def marks(self, sites: Iterable[str]) -> tuple[str | None, ...]:
        """Return the marks of these sites; they differ from what was returned before once something moved there."""
        return tuple(self._marks.get(site) for site in sorted(sites))

    async def wait(self, seconds: float) -> None:
        """Return when something has moved at some site, or after that many seconds."""
        if self._changed is None:
            self._changed = asyncio.Event()
        changed = self._changed
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            pass

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                marks = await standing_marks(self._house.store)
            except OUTAGES as error:
                # The lists ask by themselves as well, and say that they cannot be refreshed.
                log.warning("the work lists' marks could not be read: %s", type(error).__name__)
                continue
            if marks != self._marks:
                self._marks = marks
                changed, self._changed = self._changed, None
                if changed is not None:
                    changed.set()
