"""Cases put before a serving house, so many in flight all the time: a new one begins when one ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.documents.canonical import decode
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


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the house's records say of a case: seconds of its slowest member, and why any was asked at another replica too."""

    slowest_seconds: float
    reroutes: Counter[str]


async def look_back(house: Furnished, cases: Sequence[CaseId]) -> list[Recorded]:
    """Return what the records say of each case, opened as whoever may read them opens them."""
    recorded = []
    async with open_house(house.settings_of_its_own()) as opened:
        for case in cases:
            async with opened.store.read() as transaction:
                dossier = await load_dossier(opened, transaction, case)
            recorded.append(
                Recorded(
                    max((o.answered_at - o.asked_at).total_seconds() for o in dossier.opinions()),
                    Counter(
                        str(decode(document.content)["cause"])
                        for document in dossier.documents
                        if document.name == "reroute"
                    ),
                )
            )
    return recorded
