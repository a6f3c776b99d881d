"""What asking a fleet costs a case: `python -m benchmarks.fleet overhead`, `… tail`, and where it goes, `… profile`.

`make bench-fleet` makes the peers' environment and runs all three.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
from pathlib import Path

import uvloop

from arbiter.store.database import prepare_database
from benchmarks.cases import measure_commit, measure_fsync
from benchmarks.fleet import overhead, tail
from benchmarks.fleet.figures import print_overhead, print_profile, print_tail
from benchmarks.fleet.houses import furnish, replicas
from benchmarks.fleet.profiling import profile

DELAY_MS = 200.0
AT_ONCE = 100
TAIL_AT_ONCE = 8
WARM = 40


async def run_overhead(folder: Path, peers: Path | None, plan: overhead.Plan) -> None:
    """Measure and print what a case costs over the slowest member."""
    fsync = measure_fsync(folder, 400)
    async with replicas(1, DELAY_MS) as (replica,):
        house = await furnish(folder, [replica.url], concurrency=1024)
        commit = await measure_commit(house.settings, 200)
        database = await prepare_database(house.settings)
        try:
            python = None if peers is None else peers / "bin" / "python"
            measured = await overhead.measure(folder, database, house, replica, python, plan)
        finally:
            await asyncio.to_thread(database.close)
    print(f"fsync of 4 KiB on this disk   {fsync}")
    print(f"one durable INSERT            {commit}")
    print_overhead(measured, DELAY_MS, plan.at_once)


async def run_tail(folder: Path, plan: tail.Plan) -> None:
    """Measure and print what one bad replica of three costs."""
    async with replicas(tail.REPLICAS, DELAY_MS) as made:
        house = await furnish(folder, [replica.url for replica in made], concurrency=256)
        database = await prepare_database(house.settings)
        try:
            seen = await tail.measure(house, made, plan)
        finally:
            await asyncio.to_thread(database.close)
    print_tail(seen, DELAY_MS, plan.at_once)


async def run_profile(folder: Path, cases: int, at_once: int) -> None:
    """Print where the serving process's time goes."""
    async with replicas(1, DELAY_MS) as (replica,):
        house = await furnish(folder, [replica.url], concurrency=1024)
        database = await prepare_database(house.settings)
        try:
            print_profile(await profile(house, cases, at_once))
        finally:
            await asyncio.to_thread(database.close)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["overhead", "tail", "profile"])
    parser.add_argument("--peers", type=Path, help="the peers' environment; without it they are left out")
    parser.add_argument("--cases", type=int, default=600, help="cases a turn, of each contestant or phase")
    parser.add_argument("--at-once", type=int, help="cases in flight: 100, and 8 for the tail")
    parser.add_argument("--turns", type=int, default=2)
    arguments = parser.parse_args()
    at_once = arguments.at_once or (TAIL_AT_ONCE if arguments.what == "tail" else AT_ONCE)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cases, warm = arguments.cases, max(2 * at_once, WARM)
        match arguments.what:
            case "overhead":
                work = run_overhead(
                    folder,
                    arguments.peers and arguments.peers.absolute(),
                    overhead.Plan(cases, warm, at_once, arguments.turns),
                )
            case "tail":
                work = run_tail(folder, tail.Plan(cases, warm, at_once, arguments.turns))
            case _:
                work = run_profile(folder, cases, at_once)
        uvloop.run(work)


if __name__ == "__main__":
    main()
