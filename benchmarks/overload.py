"""What becomes of urgent cases when twice the load comes that can be carried: `python -m benchmarks.overload`.

One service process of its own on an embedded database, everything in one run. Routine cases come from another process,
which yields the processor to the others as callers on other machines would: what this process measures is the service,
not its own waiting behind hundreds of requests that it makes itself.

1. what can be carried: routine cases from many callers at once, as fast as they are let in;
2. idle: urgent cases one at a time, from POST to released decision;
3. twice the load, open loop: routine cases come at a fixed rate whether or not earlier ones were answered, and urgent
   ones beside them as when idle;
4. the count: every case that was accepted, anywhere above, is asked for again and must have been decided.

The second and third part take turns, so that a machine that is faster now and slower then is so for both. Figures are
quoted as ratios within the run.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from rich.console import Console
from rich.table import Table

from tests.system.service import Service, case_body

out = Console(highlight=False)

URGENT_EVERY_SECONDS: Final = 0.25
ROUNDS: Final = 6
CALLERS: Final = 16
WAITING_AT_MOST: Final = 200
YIELDING: Final = 10
LEAD_SECONDS: Final = 1.0
"""How long routine cases have been coming, in the third part, when the first urgent one is timed."""

AGAIN: Final = frozenset({429, 503})
_numbers = itertools.count(1)


@dataclass
class Seen:
    """What callers saw: milliseconds to a released decision, statuses, the accepted cases' ids."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    without_advice: int = 0

    def __iadd__(self, other: Seen) -> Self:
        """Take in what was seen in another round."""
        self.latencies_ms += other.latencies_ms
        self.statuses += other.statuses
        self.accepted += other.accepted
        self.without_advice += other.without_advice
        return self


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value at that share of the sorted values (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(share * (len(ranked) - 1)))]


class Caller:
    """Calls the service over one connection a thread, with the standard library's client: it costs the machine little."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._own = threading.local()
        self._noting = threading.Lock()

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, Any, bool]:
        """Return the status, the JSON that came, and whether it says when to come again."""
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection: http.client.HTTPConnection = self._own.connection
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(
            method,
            path,
            body,
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **named},
        )
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read()), reply.headers["retry-after"] is not None

    def post(self, risk_class: str, seen: Seen) -> bool:
        """Post one case, wait for its decision, and note what came; return whether it was taken in."""
        number = next(_numbers)
        body = json.dumps(
            case_body(f"{risk_class}-{number}", {}) | {"risk_class": risk_class}, default=str
        ).encode()
        begun = time.perf_counter()
        status, told, advised = self.ask(
            "POST", "/v1/cases", body, Idempotency_Key=f"{risk_class}-{number}", Prefer="wait=20"
        )
        took_ms = (time.perf_counter() - begun) * 1000
        with self._noting:
            seen.statuses[status] += 1
            if status in AGAIN:
                seen.without_advice += not advised
                return False
            if status not in {201, 202}:
                raise RuntimeError(f"a good case was answered with {status}")
            seen.accepted.append(told["id"])
            if told["phase"] == "released":
                seen.latencies_ms.append(took_ms)
            return True

    def every(self, risk_class: str, pause_seconds: float, seconds: float) -> Seen:
        """Post a case each so many seconds, whatever became of the ones before."""
        seen, due = Seen(), time.perf_counter()
        ends_at = due + seconds
        with ThreadPoolExecutor(WAITING_AT_MOST) as threads:
            posted = []
            while due < ends_at:
                time.sleep(max(0.0, due - time.perf_counter()))
                posted.append(threads.submit(self.post, risk_class, seen))
                due += pause_seconds
            for one in posted:
                one.result()
        return seen

    def without_pause(self, seconds: float) -> tuple[Seen, float]:
        """Post routine cases from many callers that pause only when told to; return how many a second were carried."""
        seen, begun = Seen(), time.perf_counter()

        def calls() -> None:
            while time.perf_counter() < begun + seconds:
                if not self.post("routine", seen):
                    time.sleep(0.05)

        with ThreadPoolExecutor(CALLERS) as threads:
            for one in [threads.submit(calls) for _ in range(CALLERS)]:
                one.result()
        return seen, len(seen.latencies_ms) / (time.perf_counter() - begun)

    def lost(self, accepted: Sequence[str]) -> list[str]:
        """Return the accepted cases that are not decided and released in the end."""
        asked = [(case, self.ask("GET", f"/v1/cases/{case}", None, Prefer="wait=20")) for case in accepted]
        return [case for case, (status, told, _) in asked if status != 200 or told["phase"] != "released"]


def carry(port: int, token: str, seconds: float) -> tuple[Seen, float]:
    """Run the first part, in a process of its own."""
    return Caller(port, token).without_pause(seconds)


def offer(port: int, token: str, seconds: float, rate: float) -> Seen:
    """Run the third part's routine cases, so many a second, in a process of its own."""
    return Caller(port, token).every("routine", 1 / rate, seconds)


def measure(seconds: float) -> bool:
    """Run all parts and print them; return whether the aims were met."""
    with tempfile.TemporaryDirectory(prefix="arbiter-load-") as folder:
        service = Service(Path(folder))
        asyncio.run(service.furnish())
        try:
            service.start()
            return _measured(service.port, service.token, seconds)
        finally:
            service.stop()
            service.tear_down()


def _measured(port: int, token: str, seconds: float) -> bool:
    caller = Caller(port, token)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=os.nice, initargs=(YIELDING,)) as others:
        caller.every("urgent", URGENT_EVERY_SECONDS, 2)  # caches
        carried, rate = others.submit(carry, port, token, seconds).result()
        idle, routine, urgent = Seen(), Seen(), Seen()
        for _ in range(ROUNDS):
            idle += caller.every("urgent", URGENT_EVERY_SECONDS, seconds)
            offering = others.submit(offer, port, token, seconds + LEAD_SECONDS, 2 * rate)
            time.sleep(LEAD_SECONDS)
            urgent += caller.every("urgent", URGENT_EVERY_SECONDS, seconds)
            routine += offering.result()
    accepted = [*idle.accepted, *carried.accepted, *routine.accepted, *urgent.accepted]
    return _tell(idle, rate, routine, urgent, accepted, caller.lost(accepted))


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
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each part takes, each time")
    met = measure(parser.parse_args().seconds)
    out.print("aims met" if met else "aims missed")


if __name__ == "__main__":
    main()
