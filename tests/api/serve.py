"""A serving process for tests that need real sockets: `python -m tests.api.serve DATA DATABASE_URL` prints its port."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn

from arbiter.api.app import create_app
from arbiter.clock import SystemChance
from arbiter.settings import Mode, Settings
from arbiter.wiring import Ports, open_house, run_house
from tests.conftest import SettableClock


async def serve(data: Path, database_url: str) -> None:
    settings = Settings(data=data, database_url=database_url, workers=False, mode=Mode.DEMONSTRATION)
    async with open_house(settings, Ports(SettableClock(), SystemChance())) as house, run_house(house):
        config = uvicorn.Config(
            create_app(house), lifespan="on", log_config=None, access_log=False, server_header=False
        )
        with socket.create_server(("127.0.0.1", 0)) as listening:
            print(listening.getsockname()[1], flush=True)
            await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
