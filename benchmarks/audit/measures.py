"""What is measured of the log alone: appending and sealing in bulk, proofs, verification, room."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import psycopg

from arbiter.audit.merkle import verify_inclusion
from arbiter.audit.verify import LogVerifier
from arbiter.store.log.appending import NewEntry, append_entries
from arbiter.store.log.checkpoints import StoredCheckpoint, load_checkpoints, load_newest_checkpoint
from arbiter.store.log.leaves import stream_leaves
from arbiter.store.log.nodes import load_inclusion_proof, load_nodes, remembered_edges
from arbiter.workflow.auditing import BATCH, verify_log
from arbiter.workflow.house import House
from benchmarks.cases import Spread

AHEAD = 40_000
"""Entries appended and not sealed yet, at most, while appending in bulk."""

TRANSACTION = 10_000
"""Entries appended at once, which is one COPY."""


async def append(house: House, entries: Sequence[NewEntry]) -> None:
    """Append entries durably, in a transaction of their own."""
    async with house.store.copying() as connection:
        await append_entries(connection, entries)


async def grow(house: House, entries: Iterator[NewEntry], count: int) -> float:
    """Append and seal `count` entries in bulk; return the seconds from the first statement to the last checkpoint."""
    taken = 0.0
    while count:
        block = list(islice(entries, min(count, 5 * AHEAD)))
        count -= len(block)
        began = time.perf_counter()
        await _grow(house, block)
        taken += time.perf_counter() - began
    return taken


async def _grow(house: House, block: Sequence[NewEntry]) -> None:
    appended = sealed = 0
    written = asyncio.Event()
    room = asyncio.Event()

    async def write() -> None:
        nonlocal appended
        for start in range(0, len(block), TRANSACTION):
            while appended - sealed >= AHEAD:
                room.clear()
                await room.wait()
            part = block[start : start + TRANSACTION]
            await append(house, part)
            appended += len(part)
            written.set()

    async def seal() -> None:
        nonlocal sealed
        while sealed < len(block):
            written.clear()
            done = await house.sealer.round()
            sealed += done
            room.set()
            if not done:
                await written.wait()

    async with asyncio.TaskGroup() as both:
        both.create_task(write())
        both.create_task(seal())


# --- reading ------------------------------------------------------------------------------------------------------


async def newest(house: House) -> StoredCheckpoint:
    """Return the newest checkpoint."""
    async with house.store.read() as transaction:
        found = await load_newest_checkpoint(transaction)
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class Proofs:
    """Proofs under a checkpoint that was proved from before, and each as if it were the first under its checkpoint."""

    again: Spread
    first: Spread


async def prove(house: House, count: int) -> Proofs:
    """Prove entries drawn at random from the database; each proof is verified outside its time."""
    sealed = await newest(house)
    chance = random.Random(sealed.size)
    again: list[float] = []
    first: list[float] = []
    for _ in range(count + 20):
        for taken in (first, again):
            if taken is first:
                remembered_edges.clear()
            index = chance.randrange(sealed.size)
            began = time.perf_counter()
            proof = await load_inclusion_proof(house.store, index, sealed)
            taken.append(time.perf_counter() - began)
            leaf = await load_nodes(house.store, [(0, index)])
            verify_inclusion(leaf(0, index), index, sealed.size, proof, sealed.root)
    return Proofs(Spread.of(again[20:]), Spread.of(first[20:]))


@dataclass(frozen=True, slots=True)
class Verification:
    """Seconds to verify a whole log: reading it from the database, and with its rows in memory; the process's own time."""

    from_database: float
    in_memory: float
    processor: float
    entries: int
    checkpoints: int


async def verify(house: House) -> Verification:
    """Verify the whole log as `arbiter audit verify` does, and once more from rows in memory: bytes to a report."""
    began = time.perf_counter()
    await verify_log(house, None)
    from_database = time.perf_counter() - began
    async with house.store.read() as transaction:
        notes = [checkpoint.note.encode() for checkpoint in await load_checkpoints(transaction)]
        rows = [batch async for batch in stream_leaves(transaction, BATCH)]
    began, began_processor = time.perf_counter(), time.process_time()
    verifier = LogVerifier(notes, house.verifiers)
    for batch in rows:
        verifier.feed(batch)
    report = verifier.finish()
    return Verification(
        from_database,
        time.perf_counter() - began,
        time.process_time() - began_processor,
        report.entries,
        report.checkpoints,
    )


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes an entry in live tables beside its body: its row and indexes, its leaf, the tree; and what a seal adds."""

    entry: float
    leaf: float
    tree: float
    seal: float
    body: float

    @property
    def overhead(self) -> float:
        """All but the checkpoints, which belong to seals."""
        return self.entry + self.leaf + self.tree


def measure_room(superuser_url: str) -> Room:
    """Vacuum, then ask the server how large the log's tables are with their indexes."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        sizes = {}
        for table in ("entry", "pending", "sealed_run", "tree_node", "checkpoint"):
            connection.execute(f"VACUUM ANALYZE {table}".encode())
            row = connection.execute("SELECT pg_total_relation_size(%s)", [table]).fetchone()
            assert row is not None
            sizes[table] = row[0]
        row = connection.execute(
            "SELECT count(*), sum(octet_length(body)), (SELECT count(*) FROM checkpoint) FROM entry"
        ).fetchone()
        assert row is not None
        entries, bodies, seals = row
    return Room(
        entry=float(sizes["entry"] - bodies) / entries,
        leaf=(sizes["sealed_run"] + sizes["pending"]) / entries,
        tree=sizes["tree_node"] / entries,
        seal=sizes["checkpoint"] / seals,
        body=float(bodies) / entries,
    )
