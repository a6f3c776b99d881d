"""Work that never ends: sealing, deadlines, the safety net. What ends all the same is begun again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from arbiter.errors import UnavailableError
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.telemetry import Safe

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
STEADY_SECONDS = 60.0
"""Work that lasted this long has recovered: its next failure is met with the first pause again."""

LOOK_SECONDS = 60.0
AGAIN_SECONDS = 1.0


async def keep_up(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` until cancelled; whenever it ends or fails, log that and begin again after a growing pause."""
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE_SECONDS
    while True:
        begun = loop.time()
        try:
            await work()
            log.error("%s has ended and is begun again", Safe(name))
        except Exception:
            # Whatever it was: a house that silently stopped sealing or watching deadlines would look healthy.
            log.exception("%s has failed and is begun again", Safe(name))
        if loop.time() - begun > STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def every_minute(name: str, work: Callable[[], Awaitable[None]], *waited_out: type[Exception]) -> None:
    """Do `work` every minute until cancelled or it fails; neither a database that is away nor what is `waited_out` ends it."""
    over_some_day: tuple[type[Exception], ...] = (UnavailableError, *DATABASE_ERRORS, *waited_out)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await work()
        except over_some_day as error:
            log.warning("%s could not be done, and is tried again: %s", Safe(name), type(error).__name__)


async def end_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until each has ended; what any of them raised stays with it.

    They are cancelled again and again: a library under a task may lose a cancellation that comes together with what it
    waits for.
    """
    ending = set(tasks)
    while ending:
        for task in ending:
            task.cancel()
        _, ending = await asyncio.wait(ending, timeout=AGAIN_SECONDS)


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` to its end, whoever cancels meanwhile: the cancellation is raised after it."""
    doing = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait({doing})
        except asyncio.CancelledError as error:
            cancelled = error
    doing.result()
    if cancelled is not None:
        raise cancelled
