"""Steps that are to be written at the same moment share a statement: its cost, its commit and its wait for the disk.

Each step stays one whole: its head moves by compare-and-set, and whoever waits for it is answered once it is durable, or
told that it was not written. What is wrong with one step is nobody else's trouble: a statement that the server refused
is repeated a step at a time, and nobody queues behind one that is long in coming. A step that comes alone goes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass

import psycopg

from arbiter.errors import UnavailableError
from arbiter.store.cases.steps import StepWrite, save_steps
from arbiter.store.transaction import Store
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement

AT_ONCE = 2
"""Statements under way at a time: while one waits for the disk, the other works."""

LONG_SECONDS = 0.25
"""How long a statement counts as one of these. One that waits for a head, or for a server that is gone, lets others by."""

MOST = 16
"""Steps of a statement at most: bounds its parameters, and what is repeated when one of them is refused."""

PATIENCE_MS = 100
"""How long a shared statement waits for a head that somebody holds; a step by itself waits as long as any statement."""


@dataclass(frozen=True, slots=True)
class _Asked:
    step: StepWrite
    moved: asyncio.Future[bool]


class StepWriter:
    """Writes the steps of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Asked] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._long: set[asyncio.Task[None]] = set()

    @as_statement(Statement.STEP)
    async def save(self, step: StepWrite) -> bool:
        """Write a step durably; return False when somebody else moved the case first, and nothing was written.

        Raises:
            UnavailableError: when the database does not answer; whether the step was written is then unknown.
        """
        asked = _Asked(step, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._begin()
        return await asked.moved

    def _begin(self) -> None:
        if self._waiting and len(self._writing) < AT_ONCE:
            # In no trace: the statement is that of several, and each has a span of its own for it.
            self._writing.add(asyncio.create_task(self._write(), context=Context()))

    async def _write(self) -> None:
        """Write until nothing waits, or until another does so in this one's place."""
        own = asyncio.current_task()
        assert own is not None
        later = asyncio.get_running_loop().call_later
        try:
            while own in self._writing and (together := self._take()):
                takes_long = later(LONG_SECONDS, self._let_by, own)
                try:
                    await self._save(together)
                finally:
                    takes_long.cancel()
        finally:
            # INVARIANT: nothing is awaited between finding that nothing waits and this, or a step could wait for ever.
            self._writing.discard(own)
            self._long.discard(own)

    def _let_by(self, writing: asyncio.Task[None]) -> None:
        self._writing.discard(writing)
        self._long.add(writing)
        self._begin()

    def _take(self) -> list[_Asked]:
        """Take what goes together: one step of a case, as the second one stands where the first has put the head."""
        taken: dict[str, _Asked] = {}
        left = []
        for asked in self._waiting:
            if asked.moved.cancelled():
                continue
            if len(taken) < MOST and asked.step.case not in taken:
                taken[asked.step.case] = asked
            else:
                left.append(asked)
        self._waiting = left
        return list(taken.values())

    async def _save(self, together: Sequence[_Asked]) -> None:
        alone = len(together) == 1
        try:
            moved = await save_steps(
                self._store,
                [asked.step for asked in together],
                patience_ms=None if alone else PATIENCE_MS,
            )
        except Exception as error:  # noqa: BLE001 - whatever it was, who waits for the step is told
            if alone or _may_be_written(error):
                for asked in together:
                    _fail(asked, error)
                return
            await asyncio.gather(*(self._save([asked]) for asked in together))
        except BaseException:
            for asked in together:
                asked.moved.cancel()
            raise
        else:
            for asked in together:
                if not asked.moved.done():
                    asked.moved.set_result(asked.step.case in moved)


def _fail(asked: _Asked, error: Exception) -> None:
    if asked.moved.done():
        return
    if isinstance(error, UnavailableError):
        # One each: what is raised carries where it was raised.
        told = UnavailableError(str(error))
        told.__cause__ = error
        error = told
    asked.moved.set_exception(error)


def _may_be_written(error: Exception) -> bool:
    """Return whether the statement may have taken effect all the same: nobody heard the server refuse it."""
    if not isinstance(error, UnavailableError):
        return False
    refusal = error.__cause__
    state = refusal.sqlstate if isinstance(refusal, psycopg.Error) else None
    # Classes of a connection that failed and of a server that went down.
    return state is None or state.startswith(("08", "57P"))
