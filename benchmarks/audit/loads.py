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
from arbiter.store.cases.contents import load_entries
from arbiter.store.cases.heads import CaseRow, load_case
from arbiter.store.cases.steps import StepWrite, save_steps
from arbiter.store.log import load_nodes
from arbiter.workflow.house import House
from benchmarks.audit.chains import Chain, Written
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

    async def step(self, case: CaseId, count: int) -> Written:
        """Move a head by a step of `count` entries, durably; return the last entry."""
        chain, row = self._chains[case], self._rows[case]
        self._number += count
        grown = [chain.grow(self._number + place) for place in range(count)]
        step = StepWrite(
            case=case,
            from_version=self._versions[case],
            state=row.state,
            seq=chain.seq,
            prev=bytes.fromhex(chain.prev),
            entries=tuple((written.seq, written.body) for written in grown),
            documents=(),
            decided_seq=None,
            job=None,
            dropped_job=None,
        )
        moved = await save_steps(self._house.store, [step], self._house.clock.now())
        if moved != {case}:
            raise RuntimeError(f"case {case} was moved by somebody else")
        self._versions[case] += 1
        return grown[-1]


async def write_at_once(house: House, heads: Heads, count: int, each: int) -> float:
    """Write about `count` entries through concurrent transactions of `each`; return entries a second, to the last seal."""
    left = max(count // each, WRITERS)

    async def write(case: CaseId) -> int:
        nonlocal left
        done = 0
        while left > 0:
            left -= 1
            await heads.step(case, each)
            done += each
        return done

    async with sealing(house):
        began = time.perf_counter()
        done = await asyncio.gather(*(write(case) for case in heads.cases[:WRITERS]))
        await house.sealer.request()
        return sum(done) / (time.perf_counter() - began)


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
        last = await heads.step(case, each)
        free.put_nowait(case)
        await house.sealer.request()
        sealed.append(time.perf_counter() - due)
        if number % 10 == 0:
            await _prove(house, last)
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


async def _prove(house: House, entry: Written) -> None:
    _, _, index = (await load_entries(house.store, entry.chain, after=entry.seq - 1))[0]
    assert index is not None
    sealed = await newest(house)
    nodes = await load_nodes(house.store, chained.from_iterable(inclusion_parts(index, sealed.size)))
    prove_inclusion(index, sealed.size, nodes)
