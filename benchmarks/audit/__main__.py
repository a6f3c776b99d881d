"""What the log costs and how fast it is, and how each figure grows from a thousand entries to a million.

Run with `make bench`, or `python -m benchmarks.audit --largest 10000` for a quick look. A house of its own on an
embedded PostgreSQL of its own, everything in one run on the machine's cores: entries in the bytes that cases write,
business transactions by the product's own statement, the product's own sealer, verifier and prover. The log that was
measured is verified whole at each size, so a figure of a log that does not check out is never printed.

A slow disk is emulated by `commit_delay` (with `commit_siblings = 0`): the server sleeps that long before each flush of
its write-ahead log, holding the flush, as a disk would. It flatters in one way: what commits during the sleep still
goes out with that flush, where with a real disk it waits for the next. Nothing but commits is slowed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import uvloop

from arbiter.clock import SystemChance
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId
from arbiter.serving import settle_memory
from arbiter.settings import Mode, Settings
from arbiter.store.database import DATABASE, prepare_database
from arbiter.store.embedded import SUPERUSER
from arbiter.store.keys import init_keys
from arbiter.store.log.appending import NewEntry
from arbiter.wiring import open_house, run_house
from arbiter.workflow.house import House
from benchmarks.audit.chains import new_chains
from benchmarks.audit.figures import AtSize, Figures, Slowed, draw_figures, print_figures
from benchmarks.audit.loads import WRITERS, Heads, write_at_once, write_steadily
from benchmarks.audit.measures import grow, measure_room, newest, prove, verify
from benchmarks.cases import SITE, decide_inside, measure_commit, measure_fsync

SIZES = (1_000, 10_000, 100_000, 1_000_000)
FSYNC_MS = (1, 4)
HEADS = 64
EACH = 6
"""Entries of a business transaction: what the step writes in which the panel decides."""

RATE = 2_000
AT_ONCE = 30_000
STEADILY = 10_000
PROOFS = 300
SLOWED_BULK = 60_000


@dataclass(frozen=True, slots=True)
class Bench:
    """A house, the cases whose heads move, and the way to its server's settings."""

    house: House
    settings: Settings
    heads: Heads
    superuser_url: str

    def delay_commits(self, milliseconds: int) -> None:
        """Let each flush of the write-ahead log take that much longer."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET commit_siblings = 0")
            connection.execute(f"ALTER SYSTEM SET commit_delay = {1000 * milliseconds}".encode())
            connection.execute("SELECT pg_reload_conf()")


async def _cases(house: House) -> list[CaseId]:
    """Put cases in whose heads then move: real ones, decided and released."""
    await add_site(house.identities, SITE, "Bench")
    principal, _ = await register_client(
        house.identities, house.clock, house.chance, "bench", [Role.INTEGRATION_CLIENT], [SITE]
    )
    async with run_house(house):
        for number in range(HEADS):
            await decide_inside(house, principal, f"head-{number}")
    found = await house.store.run("SELECT id FROM case_file ORDER BY id", {})
    return [CaseId(row[0]) for row in found]


async def measure_size(bench: Bench, entries: Iterator[NewEntry], size: int) -> AtSize:
    """Grow the log to `size` entries and measure there."""
    house = bench.house
    missing = size - (await newest(house)).size
    taken = await grow(house, entries, missing)
    at_once = await write_at_once(house, bench.heads, min(size, AT_ONCE), EACH)
    receipts = await write_steadily(house, bench.heads, min(size, STEADILY), EACH, RATE)
    return AtSize(
        size=(await newest(house)).size,
        bulk=missing / taken,
        at_once=at_once,
        receipts=receipts,
        proof=await prove(house, PROOFS),
        verification=await verify(house),
        room=await asyncio.to_thread(measure_room, bench.superuser_url),
    )


async def measure_slowed(bench: Bench, entries: Iterator[NewEntry], fsync_ms: int, most: int) -> Slowed:
    """Measure what waits for the disk with each flush that much longer."""
    bench.delay_commits(fsync_ms)
    try:
        house, count = bench.house, min(most, SLOWED_BULK)
        commit = await measure_commit(bench.settings, 100)
        taken = await grow(house, entries, count)
        at_once = await write_at_once(house, bench.heads, min(most, AT_ONCE), EACH)
        receipts = await write_steadily(house, bench.heads, min(most, STEADILY), EACH, RATE)
        return Slowed(fsync_ms, commit, count / taken, at_once, receipts)
    finally:
        bench.delay_commits(0)


async def measure(folder: Path, largest: int) -> Figures:
    """Measure everything, telling how far it is."""
    init_keys(folder, "bench.invalid/log", SystemChance())
    settings = Settings(data=folder, mode=Mode.DEMONSTRATION, database_pool_size=WRITERS + 4)
    fsync = measure_fsync(folder, 400)
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)

    database = await prepare_database(settings)
    try:
        assert database.embedded is not None
        commit = await measure_commit(settings, 400)
        async with open_house(settings) as house:
            tell(f"{HEADS} cases are put in")
            heads = await Heads.of(house, await _cases(house))
            # As `arbiter serve` does: or the collector's rounds through what never changes are measured, 60 to 140 ms each.
            settle_memory()
            address = database.embedded.url(SUPERUSER, DATABASE).replace("+psycopg", "")
            bench = Bench(house, settings, heads, address)
            entries = new_chains()
            sizes = []
            for size in [size for size in SIZES if size <= largest]:
                tell(f"the log grows to {size:,} entries")
                sizes.append(await measure_size(bench, entries, size))
            slowed = []
            for fsync_ms in FSYNC_MS:
                tell(f"each flush takes {fsync_ms} ms longer")
                slowed.append(await measure_slowed(bench, entries, fsync_ms, largest))
        return Figures(fsync, commit, RATE, sizes, slowed)
    finally:
        await asyncio.to_thread(database.close)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="entries in the log at most")
    parser.add_argument("--plots", type=Path, help="the folder for the drawings; a fresh one if not given")
    arguments = parser.parse_args()
    if arguments.largest < SIZES[0]:
        parser.error(f"--largest is at least {SIZES[0]}")
    plots = arguments.plots or Path(tempfile.mkdtemp(prefix="arbiter-bench-audit-plots-"))
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        figures = uvloop.run(measure(folder, arguments.largest))
    print(f"fsync of 4 KiB on this disk  {figures.fsync}")
    print(f"one durable INSERT           {figures.commit}")
    print_figures(figures)
    drawn = draw_figures(figures, plots)
    print(f"\n{len(drawn)} drawings in {plots}")


if __name__ == "__main__":
    main()
