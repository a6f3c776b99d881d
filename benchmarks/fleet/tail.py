"""What a case takes while one of three replicas is dead, or ten times slower, beside the healthy fleet in the same run.

Phases take turns, so that a machine that is faster now and slower then is so for all. A fault begins in the middle of the
load, and everything from then on counts: the requests that die with the replica too. Every case must be decided, or the run
ends in an error. Hedges are counted from outside: what the replicas were asked beyond one request a member.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from benchmarks.cases import Spread, serving
from benchmarks.fleet.houses import MEMBERS, Furnished, Replica
from benchmarks.fleet.loads import load

REPLICAS: Final = 3
SLOWER: Final = 10
RECOVERY_SECONDS: Final = 60.0


class Phase(StrEnum):
    """What is the matter with the last replica."""

    HEALTHY = "healthy"
    DEAD = "one of three dead"
    SLOW = "one of three ten times slower"


@dataclass
class Seen:
    """What a phase came to over all its turns: seconds a case, what each replica was asked, probes."""

    seconds: list[float] = field(default_factory=list)
    asked: list[int] = field(default_factory=lambda: [0] * REPLICAS)
    probes: int = 0

    @property
    def spread(self) -> Spread:
        """How long cases took."""
        return Spread.of(self.seconds)

    @property
    def beyond(self) -> int:
        """How many requests the replicas were asked beyond one a member."""
        return sum(self.asked) - MEMBERS * len(self.seconds)


@dataclass(frozen=True, slots=True)
class Plan:
    """Cases of a phase in each turn, so many in flight."""

    cases: int
    warm: int
    at_once: int
    turns: int


async def measure(house: Furnished, replicas: Sequence[Replica], plan: Plan) -> dict[Phase, Seen]:
    """Measure every phase in turns."""
    seen = {phase: Seen() for phase in Phase}
    async with serving(house.settings, **house.variables):
        await load(house, plan.warm, plan.at_once, "warm")
        for turn in range(plan.turns):
            for phase in Phase:
                print(f"  turn {turn + 1} of {plan.turns}: {phase}", file=sys.stderr, flush=True)
                await _measure(house, replicas, plan, f"{turn}-{phase.name.lower()}", phase, seen[phase])
    return seen


async def _measure(
    house: Furnished, replicas: Sequence[Replica], plan: Plan, name: str, phase: Phase, seen: Seen
) -> None:
    victim = replicas[-1]
    usual_ms = victim.delay_ms
    for replica in replicas:
        await replica.seen()
    loading = asyncio.create_task(load(house, plan.cases, plan.at_once, name))
    # While requests are under way: a replica does not wait with dying until it is idle.
    await asyncio.sleep(usual_ms / 2000)
    match phase:
        case Phase.HEALTHY:
            pass
        case Phase.DEAD:
            _note(seen, len(replicas) - 1, await victim.seen())
            await victim.kill()
        case Phase.SLOW:
            await victim.behave(SLOWER * usual_ms)
    seen.seconds += [decided.seconds for decided in await loading]
    for at, replica in enumerate(replicas):
        if phase is not Phase.DEAD or replica is not victim:
            _note(seen, at, await replica.seen())
    if phase is Phase.DEAD:
        await victim.start()
    await victim.behave(usual_ms)
    if phase is not Phase.HEALTHY:
        await _recover(house, victim, plan, name)


def _note(seen: Seen, at: int, told: dict[str, Any]) -> None:
    seen.asked[at] += told["asked"]
    seen.probes += told["probes"]


async def _recover(house: Furnished, victim: Replica, plan: Plan, name: str) -> None:
    """Put cases in, uncounted, until the replica has its share of the work again."""
    ends_at = time.monotonic() + RECOVERY_SECONDS
    for number in range(1_000_000):
        await victim.seen()
        await load(house, plan.at_once, plan.at_once, f"{name}-recovery-{number}")
        if (await victim.seen())["asked"] >= MEMBERS * plan.at_once / (2 * REPLICAS):
            return
        if time.monotonic() > ends_at:
            break
    raise RuntimeError(f"the replica came back and got no share of the work in {RECOVERY_SECONDS:.0f} s")
