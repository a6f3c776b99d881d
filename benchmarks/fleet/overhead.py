"""What asking seven models costs a case beyond the time of the slowest, here and with other ways to fan out.

Everything in one run on one machine, in turns, so that a machine that is faster now and slower then is so for all. Each
contestant has the same number of cases in flight all the time (a new one begins when one ends), sends the same bytes to
the same server process and reads every sample of every reply. Arbiter is measured through its door, from POST to
released decision, callers and all; the others are called inside their own process, which flatters them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Self

from arbiter.store.database import Database
from benchmarks.cases import Spread, serving
from benchmarks.fleet.houses import MEMBERS, SAMPLES, Furnished, Replica
from benchmarks.fleet.loads import load, look_back
from benchmarks.fleet.profiling import processor_seconds

LOOKED_AT: Final = 200
"""Cases of a turn, about, whose opinions are read back to see how long the slowest member took."""

ROOT: Final = Path(__file__).parents[2]
ARBITER: Final = "arbiter, POST to release"
PLAIN: Final = "asyncio + httpx, no guarantee"
CONTESTANTS: Final = {
    ARBITER: None,
    PLAIN: ("plain",),
    "LangGraph, PostgreSQL, sync": ("langgraph", "sync"),
    "LangGraph, PostgreSQL, async": ("langgraph", "async"),
    "DBOS, PostgreSQL": ("dbos",),
}
"""Each with the arguments of the peers' runner. `sync` keeps every step before the next, as Arbiter and DBOS do;
`async` is LangGraph's default and may lose the last step."""


class PeerError(Exception):
    """A peer ended in an error."""


@dataclass
class Measured:
    """One contestant's cases over all turns.

    `seconds` are whole cases; `beyond`, of some of them, what they took beyond their slowest member as the contestant itself
    saw that member. Turn by turn: cases a second, and seconds of the process's own processor time a case.
    """

    seconds: list[float] = field(default_factory=list)
    beyond: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    turned_away: int = 0
    failures: list[str] = field(default_factory=list)

    def over(self, floor_ms: float) -> Spread:
        """Return what cases took beyond that."""
        return Spread.of([second - floor_ms / 1000 for second in self.seconds])

    @property
    def rate(self) -> float:
        """Cases a second in the mean."""
        return fmean(self.rates)

    @property
    def processor_ms(self) -> float:
        """Milliseconds of processor time a case in the mean; the database's processes are not in it."""
        return 1000 * fmean(self.processor)

    def __iadd__(self, turn: Measured) -> Self:
        """Take in another turn."""
        self.seconds += turn.seconds
        self.beyond += turn.beyond
        self.rates += turn.rates
        self.processor += turn.processor
        self.turned_away += turn.turned_away
        return self


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: cases a turn after the warm-up, so many in flight."""

    cases: int
    warm: int
    at_once: int
    turns: int


async def measure_arbiter(house: Furnished, plan: Plan, turn: str) -> Measured:
    """Measure a turn of cases from POST to released decision."""
    async with serving(house.settings, **house.variables) as process:
        await load(house, plan.warm, plan.at_once, f"{turn}-warm")
        began, began_processor = time.perf_counter(), processor_seconds(process.pid)
        decided = await load(house, plan.cases, plan.at_once, turn)
        took = time.perf_counter() - began
        processor = processor_seconds(process.pid) - began_processor
    some = decided[:: max(1, len(decided) // LOOKED_AT)]
    recorded = await look_back(house, [each.case for each in some])
    return Measured(
        seconds=[each.seconds for each in decided],
        beyond=[each.seconds - case.slowest_seconds for each, case in zip(some, recorded, strict=True)],
        rates=[plan.cases / took],
        processor=[processor / plan.cases],
        turned_away=sum(each.turned_away for each in decided),
    )


async def measure_peer(
    python: Path, arguments: Sequence[str], spec: dict[str, Any], folder: Path
) -> Measured:
    """Run a peer for a turn in a process of its own, by its own environment's Python."""
    path = folder / "peer.json"
    path.write_text(json.dumps(spec), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "benchmarks.peers", str(path), *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    told, complaint = await process.communicate()
    if process.returncode != 0:
        print(complaint.decode()[-4000:], file=sys.stderr)
        raise PeerError(f"{arguments[0]} ended with {process.returncode}")
    return Measured(**json.loads(told.splitlines()[-1]))


def _environment() -> dict[str, str]:
    """Nothing of the caller's: no proxy, no tracing to anybody's cloud."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LANGSMITH_TRACING": "false", "HOME": "/nonexistent"}


async def measure(
    folder: Path, database: Database, house: Furnished, replica: Replica, python: Path | None, plan: Plan
) -> dict[str, Measured]:
    """Measure every contestant in turns, those of an environment that is not there left out."""
    assert database.embedded is not None
    measured: dict[str, Measured] = {
        name: Measured() for name, way in CONTESTANTS.items() if way is None or python is not None
    }
    for turn in range(plan.turns):
        # There and back again: whatever drifts does so for all.
        for name in (
            measured if turn % 2 == 0 else [ARBITER, *[n for n in reversed(measured) if n != ARBITER]]
        ):
            way = CONTESTANTS[name]
            print(f"  turn {turn + 1} of {plan.turns}: {name}", file=sys.stderr, flush=True)
            if way is None:
                measured[name] += await measure_arbiter(house, plan, f"turn-{turn}")
            else:
                assert python is not None
                spec: dict[str, Any] = {
                    "url": replica.url,
                    "requests": list((await replica.last()).values()),
                    "samples": SAMPLES,
                    "cases": plan.cases,
                    "warm": plan.warm,
                    "at_once": plan.at_once,
                    "database": database.embedded.superuser_url.replace("+psycopg", ""),
                    "turn": turn,
                }
                if len(spec["requests"]) != MEMBERS:
                    raise RuntimeError(f"expected requests to {MEMBERS} models, came {len(spec['requests'])}")
                try:
                    measured[name] += await measure_peer(python, way, spec, folder)
                except PeerError as error:
                    # What the others came to is not lost for it; it is told among the figures.
                    measured[name].failures.append(str(error))
    return measured
