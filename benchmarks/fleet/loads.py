"""Cases put before a serving house, so many in flight all the time: a new one begins when one ends."""

from __future__ import annotations

import asyncio
import time

from benchmarks.cases import Door
from benchmarks.fleet.houses import PROTOCOL, Furnished


async def load(house: Furnished, cases: int, at_once: int, name: str) -> list[float]:
    """Return the seconds each case took from POST to released decision; raises unless every one is decided."""
    left = iter(range(cases))
    taken: list[float] = []

    async def caller() -> None:
        door = Door(house.settings.port, house.token, PROTOCOL)
        for number in left:
            began = time.perf_counter()
            await door.post_case(f"{name}-{number}")
            taken.append(time.perf_counter() - began)
        door.close()

    async with asyncio.TaskGroup() as callers:
        for _ in range(min(at_once, cases)):
            callers.create_task(caller())
    return taken
