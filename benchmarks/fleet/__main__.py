"""What the fleet's client costs a case: `python -m benchmarks.fleet overhead`, `python -m benchmarks.fleet tail`.

`make bench-fleet` makes the peers' environment and runs both.
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
from benchmarks.fleet.houses import MEMBERS, SAMPLES, furnish, replicas

DELAY_MS = 200.0
AIM_P50_MS, AIM_P99_MS = 30.0, 150.0
AIM_TAIL = 1.3
HEDGE_CAP = 0.05


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
    print(f"\n{plan.at_once} cases in flight, {MEMBERS} members, n={SAMPLES}, a server that takes {DELAY_MS:.0f} ms:")
    plain = measured.get(overhead.PLAIN)
    for name, figures in measured.items():
        over = figures.over(DELAY_MS)
        ratio = "" if plain is None else f"   p50 {over.p50 / plain.over(DELAY_MS).p50:5.2f} times plain"
        print(f"  {name:30s} over the slowest member {over}   {figures.rate:7.1f} cases/s{ratio}")


async def run_tail(folder: Path, plan: tail.Plan) -> None:
    """Measure and print what one bad replica of three costs."""
    async with replicas(tail.REPLICAS, DELAY_MS) as made:
        house = await furnish(folder, [replica.url for replica in made], concurrency=256)
        database = await prepare_database(house.settings)
        try:
            seen = await tail.measure(house, made, plan)
        finally:
            await asyncio.to_thread(database.close)
    print(f"\n{plan.at_once} cases in flight, {MEMBERS} members, n={SAMPLES}, three replicas that take {DELAY_MS:.0f} ms:")
    healthy = seen[tail.Phase.HEALTHY].spread
    for phase, found in seen.items():
        asked = " + ".join(str(count) for count in found.asked)
        print(
            f"  {phase:32s} {found.spread}   p99 {found.spread.p99 / healthy.p99:5.2f} times the healthy fleet's, aim {AIM_TAIL}"
        )
        calls = MEMBERS * found.spread.count
        print(
            f"  {'':32s} asked {asked}: {found.beyond} beyond one a member, {100 * found.beyond / calls:.2f} % of calls, "
            f"cap {100 * HEDGE_CAP:.0f} %; {found.probes} probes"
        )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["overhead", "tail"])
    parser.add_argument("--peers", type=Path, help="the peers' environment; without it they are left out")
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--turns", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        plan = overhead.Plan(arguments.cases, max(7, arguments.cases // 5), arguments.at_once, arguments.turns)
        if arguments.what == "overhead":
            uvloop.run(run_overhead(folder, arguments.peers, plan))
        else:
            uvloop.run(run_tail(folder, tail.Plan(arguments.cases, 40, arguments.at_once, arguments.turns)))


if __name__ == "__main__":
    main()
