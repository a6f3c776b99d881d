"""What a case takes while one of three replicas is dead, or ten times slower, beside the healthy fleet in the same run.

Phases take turns, so that a machine that is faster now and slower then is so for all. A fault begins in the middle of the
load, and everything from then on counts: the requests that die with the replica too. Every case must be decided, or the run
ends in an error. What the replicas were asked is counted by themselves; why a member was asked twice is read from what the
house recorded of its cases: of one that was slow, the second request is a hedge.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from arbiter.model import RerouteCause
from benchmarks.cases import Spread, serving
from benchmarks.fleet.houses import MEMBERS, Furnished, Replica
from benchmarks.fleet.loads import Decided, load, look_back

REPLICAS: Final = 3
SLOWER: Final = 10
RECOVERY_SECONDS: Final = 300.0
SLOW: Final = RerouteCause.SLOW.value


class Phase(StrEnum):
    """What is the matter with the last replica."""

    HEALTHY = "healthy"
    DEAD = "one of three dead"
    SLOW = "one of three ten times slower"


@dataclass
class Seen:
    """What a phase came to over all its turns.

    `seconds` are its cases; `asked` counts what each replica was asked meanwhile, `probes` those of no member. `cases` and
    `reroutes` (by cause) are counted over the phase and the recovery that follows it.
    """

    seconds: list[float] = field(default_factory=list)
    asked: list[int] = field(default_factory=lambda: [0] * REPLICAS)
    probes: int = 0
    cases: int = 0
    reroutes: Counter[str] = field(default_factory=Counter)

    @property
    def spread(self) -> Spread:
        """How long cases took."""
        return Spread.of(self.seconds)

    def note(self, at: int, told: dict[str, Any]) -> None:
        """Take in what a replica was asked."""
        self.asked[at] += told["asked"]
        self.probes += told["probes"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Cases of a phase in each turn, so many in flight."""

    cases: int
    warm: int
    at_once: int
    turns: int


async def measure(house: Furnished, replicas: Sequence[Replica], plan: Plan) -> dict[Phase, Seen]:
    """Measure every phase in turns."""
    bench = _Bench(house, replicas, plan)
    seen = {phase: Seen() for phase in Phase}
    decided: dict[Phase, list[Decided]] = {phase: [] for phase in Phase}
    async with serving(house.settings, **house.variables):
        decided[Phase.HEALTHY] += await load(house, plan.warm, plan.at_once, "warm")
        for turn in range(plan.turns):
            for phase in Phase:
                print(f"  turn {turn + 1} of {plan.turns}: {phase}", file=sys.stderr, flush=True)
                decided[phase] += await bench.run(phase, f"{turn}-{phase.name.lower()}", seen[phase])
    for phase, cases in decided.items():
        seen[phase].cases = len(cases)
        for recorded in await look_back(house, [each.case for each in cases]):
            seen[phase].reroutes += recorded.reroutes
    return seen


class _Bench:
    """The house, the replicas, and the one of them that things happen to."""

    def __init__(self, house: Furnished, replicas: Sequence[Replica], plan: Plan) -> None:
        self._house = house
        self._replicas = replicas
        self._victim = replicas[-1]
        self._plan = plan

    async def run(self, phase: Phase, name: str, seen: Seen) -> list[Decided]:
        """Measure a phase once, and bring the fleet back to health; return all its cases, those of the recovery too."""
        plan, victim = self._plan, self._victim
        usual_ms = victim.delay_ms
        for replica in self._replicas:
            await replica.seen()
        loading = asyncio.create_task(load(self._house, plan.cases, plan.at_once, name))
        # While requests are under way: a replica does not wait with dying until it is idle.
        await asyncio.sleep(2 * usual_ms / 1000)
        match phase:
            case Phase.HEALTHY:
                pass
            case Phase.DEAD:
                seen.note(len(self._replicas) - 1, await victim.seen())
                await victim.kill()
            case Phase.SLOW:
                await victim.behave(SLOWER * usual_ms)
        decided = await loading
        seen.seconds += [each.seconds for each in decided]
        for at, replica in enumerate(self._replicas):
            if phase is not Phase.DEAD or replica is not victim:
                seen.note(at, await replica.seen())
        if phase is Phase.DEAD:
            await victim.start()
        await victim.behave(usual_ms)
        return decided if phase is Phase.HEALTHY else [*decided, *await self._recover(name)]

    async def _recover(self, name: str) -> list[Decided]:
        """Put cases in until the replica has its share of the work again."""
        plan = self._plan
        decided: list[Decided] = []
        ends_at = time.monotonic() + RECOVERY_SECONDS
        for number in itertools.count():
            await self._victim.seen()
            decided += await load(self._house, plan.at_once, plan.at_once, f"{name}-recovery-{number}")
            if (await self._victim.seen())["asked"] >= MEMBERS * plan.at_once / (2 * REPLICAS):
                break
            if time.monotonic() > ends_at:
                raise RuntimeError(
                    f"the replica came back and got no share of the work in {RECOVERY_SECONDS:.0f} s"
                )
        return decided
