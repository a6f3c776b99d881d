"""The fan-out with nothing around it: tasks and one HTTP client. A crash loses every case, and nobody would know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.peers.panel import Decide, Panel, decide


@asynccontextmanager
async def opened(panel: Panel) -> AsyncIterator[Decide]:
    """Yield what decides a case."""

    async def decide_case(case: int) -> str:
        return decide(await asyncio.gather(*(panel.ask(member, case) for member in panel.members)))

    yield decide_case
