"""Rotates the key-encryption key of a house in a process of its own, slowly and aloud, so that a test can kill it."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from arbiter.clock import SystemChance, SystemClock
from arbiter.model import ActorId
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.keys import read_keys
from arbiter.store.wrapping import Kind
from arbiter.wiring import Ports, open_house_on
from arbiter.workflow.log.rotating_kek import rotate_kek

BATCH = 7


def aloud(kind: Kind, done: int, total: int) -> None:
    print(kind.name, done, total, flush=True)
    time.sleep(0.05)


async def main(folder: Path, app_url: str) -> None:
    settings = Settings(data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=False)
    ports = Ports(SystemClock(), SystemChance())
    async with open_house_on(settings, Database(app_url, None, None), read_keys(folder), ports) as house:
        await rotate_kek(house, ActorId("operator:carla"), aloud, batch=BATCH)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
