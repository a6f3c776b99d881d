"""What is measured of business transactions: each moves a case's head and writes its entries, and the house seals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain as chained

from arbiter.audit.merkle import inclusion_parts, prove_inclusion
from arbiter.model import CaseId
from arbiter.store.cases.heads import CaseRow, load_case
from arbiter.store.cases.steps import StepWrite
from arbiter.store.log.appending import NewEntry
from arbiter.store.log.chains import load_entries
from arbiter.store.log.nodes import load_nodes
from arbiter.workflow.house import House
from benchmarks.audit.chains import Chain
from benchmarks.audit.measures import newest
from benchmarks.cases import Spread

WRITERS = 32


@asynccontextmanager
async def sealing(house: House) -> AsyncIterator[None]:
    """Seal while the block runs."""
    task = asyncio.create_task(house.sealer.run())
    try:
        yield
        await house.sealer.request()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Heads:
    """Cases whose heads move: a step of theirs is what the product writes when nothing but the log is of interest."""

    def __init__(self, house: House, rows: Sequence[CaseRow]) -> None:
        self._house = house
        self._rows = {row.id: row for row in rows}
        self._versions = {row.id: row.version for row in rows}
        self._chains = {row.id: Chain(row.id, row.seq, row.prev.hex()) for row in rows}
        self.cases = tuple(self._rows)
        self._number = 0

    @classmethod
    async def of(cls, house: House, cases: Sequence[CaseId]) -> Heads:
        """Return the heads of cases that nobody else moves."""
        return cls(house, [await load_case(house.store, case) for case in cases])

    def grow(self, case: CaseId, count: int) -> tuple[NewEntry, ...]:
        """Make a case's next entries."""
        self._number += count
        return tuple(self._chains[case].grow(self._number + place) for place in range(count))

    async def step(self, case: CaseId, entries: Sequence[NewEntry]) -> None:
        """Move a head by a step of these entries, durably."""
        last = entries[-1]
        step = StepWrite(
            case=case,
            at=self._house.clock.now(),
            from_version=self._versions[case],
            state=self._rows[case].state,
            seq=last.seq,
            prev=last.hash,
            entries=tuple((written.seq, written.body) for written in entries),
            documents=(),
            decided_seq=None,
            job=None,
            dropped_job=None,
        )
        if not await self._house.steps.save(step):
            raise RuntimeError(f"case {case} was moved by somebody else")
        self._versions[case] += 1


async def write_at_once(house: House, heads: Heads, count: int, each: int) -> float:
    """Write about `count` entries through concurrent transactions of `each`; return entries a second, to the last seal.

    The entries are made beforehand, as in bulk: what is measured is writing and sealing them.
    """
    steps = max(1, count // each // WRITERS)
    made = {case: [heads.grow(case, each) for _ in range(steps)] for case in heads.cases[:WRITERS]}

    async def write(case: CaseId) -> None:
        for entries in made[case]:
            await heads.step(case, entries)

    async with sealing(house):
        began = time.perf_counter()
        await asyncio.gather(*(write(case) for case in made))
        await house.sealer.request()
        return len(made) * steps * each / (time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Receipts:
    """From the moment a transaction was to begin: until its checkpoint is signed and committed, and with a proof made."""

    sealed: Spread
    proved: Spread
    rate: float


async def write_steadily(house: House, heads: Heads, count: int, each: int, rate: float) -> Receipts:
    """Begin transactions of `each` entries at a fixed rate of entries a second, however long earlier ones take."""
    sealed: list[float] = []
    proved: list[float] = []
    free = asyncio.Queue[CaseId]()
    for case in heads.cases:
        free.put_nowait(case)

    async def write(number: int, due: float) -> None:
        case = await free.get()
        entries = heads.grow(case, each)
        await heads.step(case, entries)
        free.put_nowait(case)
        await house.sealer.request()
        sealed.append(time.perf_counter() - due)
        if number % 10 == 0:
            await _prove(house, entries[-1])
            proved.append(time.perf_counter() - due)

    async with sealing(house):
        began = time.perf_counter()
        async with asyncio.TaskGroup() as writers:
            for number in range(count // each):
                due = began + number * each / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                writers.create_task(write(number, due))
        rate = (count // each) * each / (time.perf_counter() - began)
    return Receipts(Spread.of(sealed), Spread.of(proved), rate)


async def _prove(house: House, entry: NewEntry) -> None:
    _, _, index = (await load_entries(house.store, entry.chain, after=entry.seq - 1))[0]
    assert index is not None
    sealed = await newest(house)
    nodes = await load_nodes(house.store, chained.from_iterable(inclusion_parts(index, sealed.size)))
    prove_inclusion(index, sealed.size, nodes)
