"""Cases put before a serving house, so many in flight all the time: a new one begins when one ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.model import CaseId
from arbiter.wiring import open_house
from arbiter.workflow.dossier import load_dossier
from benchmarks.cases import Door
from benchmarks.fleet.houses import PROTOCOL, Furnished

CREATED: Final = 201
TURNED_AWAY: Final = frozenset({429, 503})
AGAIN_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Decided:
    """A case, the seconds from its first POST to its released decision, and how often it was turned away before."""

    case: CaseId
    seconds: float
    turned_away: int


async def load(house: Furnished, cases: int, at_once: int, name: str) -> list[Decided]:
    """Return the cases in the order in which they ended; raises unless every one is decided and released."""
    left = iter(range(cases))
    decided: list[Decided] = []

    async def caller() -> None:
        door = Door(house.settings.port, house.token, PROTOCOL)
        for number in left:
            began = time.perf_counter()
            turned_away = 0
            while (offered := await door.offer_case(f"{name}-{number}"))[0] in TURNED_AWAY:
                # As a client does: what the house has no room for comes again.
                turned_away += 1
                await asyncio.sleep(AGAIN_SECONDS)
            status, answer = offered
            if status != CREATED or answer["phase"] != "released":
                raise RuntimeError(f"expected a released decision, came {status} {answer}")
            decided.append(Decided(CaseId(answer["id"]), time.perf_counter() - began, turned_away))
        door.close()

    async with asyncio.TaskGroup() as callers:
        for _ in range(min(at_once, cases)):
            callers.create_task(caller())
    return decided


async def slowest_members(house: Furnished, cases: Sequence[CaseId]) -> list[float]:
    """Return for each case the seconds of its slowest member, as the house recorded when each was asked and answered."""
    slowest = []
    async with open_house(house.settings_of_its_own()) as opened:
        for case in cases:
            async with opened.store.read() as transaction:
                dossier = await load_dossier(opened, transaction, case)
            slowest.append(max((o.answered_at - o.asked_at).total_seconds() for o in dossier.opinions()))
    return slowest
