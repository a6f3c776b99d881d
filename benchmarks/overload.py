"""What becomes of urgent cases when twice the load comes that can be carried: `python -m benchmarks.overload`.

One service process of its own on an embedded database, callers in this one, everything in one run:

1. idle: urgent cases one at a time, from POST to released decision;
2. what can be carried: routine cases from many callers at once, as fast as they are let in;
3. twice that, open loop: routine cases come at a fixed rate whether or not earlier ones were answered, and urgent ones
   beside them as when idle;
4. the count: every case that was accepted, anywhere above, is asked for again and must have been decided.

Figures are quoted as ratios within the run; the machine's own speed cancels out.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table

from tests.system.service import Service, case_body

out = Console(highlight=False)

URGENT_EVERY_SECONDS: Final = 0.25
CALLERS: Final = 16
AGAIN: Final = frozenset({429, 503})
_numbers = itertools.count(1)


@dataclass
class Seen:
    """What callers saw: milliseconds to a released decision, statuses, the accepted cases' ids."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    without_advice: int = 0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value at that share of the sorted values (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(share * (len(ranked) - 1)))]


async def post(http: httpx.AsyncClient, risk_class: str, seen: Seen) -> None:
    """Post one case, wait for its decision, and note what came."""
    number = next(_numbers)
    body: dict[str, Any] = case_body(f"load-{number}", {}) | {"risk_class": risk_class}
    begun = time.perf_counter()
    reply = await http.post(
        "/v1/cases", json=body, headers={"Idempotency-Key": f"load-{number}", "Prefer": "wait=20"}
    )
    seen.statuses[reply.status_code] += 1
    if reply.status_code in AGAIN:
        seen.without_advice += "retry-after" not in reply.headers
        return
    reply.raise_for_status()
    seen.accepted.append(reply.json()["id"])
    if reply.json()["phase"] == "released":
        seen.latencies_ms.append((time.perf_counter() - begun) * 1000)


async def every(http: httpx.AsyncClient, risk_class: str, seconds: float, ends_at: float, seen: Seen) -> None:
    """Post a case each so many seconds, whatever became of the ones before."""
    tasks = []
    due = time.perf_counter()
    while due < ends_at:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(post(http, risk_class, seen)))
        due += seconds
    await asyncio.gather(*tasks)


async def one_by_one(http: httpx.AsyncClient, seconds: float, seen: Seen) -> None:
    """Post urgent cases at the pace of the overloaded part, alone."""
    await every(http, "urgent", URGENT_EVERY_SECONDS, time.perf_counter() + seconds, seen)


async def as_many_as_can_be(http: httpx.AsyncClient, seconds: float, seen: Seen) -> float:
    """Return how many routine cases a second are carried when callers never pause but where they are told to."""
    ends_at = time.perf_counter() + seconds
    begun = time.perf_counter()

    async def caller() -> None:
        while time.perf_counter() < ends_at:
            before = seen.statuses[429] + seen.statuses[503]
            await post(http, "routine", seen)
            if seen.statuses[429] + seen.statuses[503] > before:
                await asyncio.sleep(0.05)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(seen.latencies_ms) / (time.perf_counter() - begun)


async def lost(http: httpx.AsyncClient, accepted: Sequence[str]) -> list[str]:
    """Return the accepted cases that are not decided and released in the end."""
    missing = []
    for case in accepted:
        reply = await http.get(f"/v1/cases/{case}", headers={"Prefer": "wait=20"})
        if reply.status_code != 200 or reply.json()["phase"] != "released":
            missing.append(case)
    return missing


async def measure(seconds: float) -> bool:
    """Run all parts and print them; return whether the aims were met."""
    with tempfile.TemporaryDirectory(prefix="arbiter-load-") as folder:
        service = Service(Path(folder))
        await service.furnish()
        try:
            service.start()
            return await _measured(service, seconds)
        finally:
            service.stop()
            service.tear_down()


async def _measured(service: Service, seconds: float) -> bool:
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=400)
    headers = {"Authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(
        base_url=service.url, headers=headers, timeout=60, limits=limits, trust_env=False
    ) as http:
        await one_by_one(http, 2, Seen())  # connections, caches
        idle, carried, routine, urgent = Seen(), Seen(), Seen(), Seen()
        await one_by_one(http, seconds, idle)
        rate = await as_many_as_can_be(http, seconds, carried)
        ends_at = time.perf_counter() + seconds
        await asyncio.gather(
            every(http, "routine", 1 / (2 * rate), ends_at, routine),
            every(http, "urgent", URGENT_EVERY_SECONDS, ends_at, urgent),
        )
        accepted = [*idle.accepted, *carried.accepted, *routine.accepted, *urgent.accepted]
        missing = await lost(http, accepted)
    return _tell(idle, rate, routine, urgent, accepted, missing)


def _tell(
    idle: Seen, rate: float, routine: Seen, urgent: Seen, accepted: Sequence[str], missing: Sequence[str]
) -> bool:
    table = Table(
        "urgent cases", "count", "p50 ms", "p99 ms", title=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
    for name, seen in (("idle", idle), ("at twice the load", urgent)):
        table.add_row(
            name,
            str(len(seen.latencies_ms)),
            f"{statistics.median(seen.latencies_ms):.1f}",
            f"{percentile(seen.latencies_ms, 0.99):.1f}",
        )
    out.print(table)
    ratio = percentile(urgent.latencies_ms, 0.99) / percentile(idle.latencies_ms, 0.99)
    shed = routine.statuses[429] + routine.statuses[503]
    offered = routine.statuses.total()
    out.print(f"carried: {rate:.1f} routine cases a second; offered then: {2 * rate:.1f} a second")
    out.print(
        f"routine: {offered} offered, {len(routine.accepted)} accepted, {shed} turned away "
        f"({routine.statuses[429]} with 429, {routine.statuses[503]} with 503), "
        f"{routine.without_advice} of them without Retry-After"
    )
    out.print(f"urgent: {urgent.statuses.total()} offered, {len(urgent.accepted)} accepted")
    out.print(f"urgent p99, overloaded / idle: {ratio:.2f} (aim: at most 1.5)")
    out.print(f"accepted in all: {len(accepted)}, of which lost: {len(missing)} (aim: 0)")
    return ratio <= 1.5 and not missing and shed > 0 and len(urgent.accepted) == urgent.statuses.total()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="urgent cases under twice the load that can be carried")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each part takes")
    met = asyncio.run(measure(parser.parse_args().seconds))
    out.print("aims met" if met else "aims missed")


if __name__ == "__main__":
    main()
