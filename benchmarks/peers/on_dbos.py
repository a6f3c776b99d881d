"""The fan-out as a DBOS workflow: a step a member, started in a fixed order and awaited together.

As documented for asynchronous steps. The workflow is called, not started and polled, which is the faster way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

from benchmarks.peers.panel import Decide, Opinion, Panel, decide

DATABASE = "peer_dbos"


@asynccontextmanager
async def opened(panel: Panel) -> AsyncIterator[Decide]:
    """Yield what decides a case."""
    before, _, query = panel.spec["database"].partition("?")
    config: DBOSConfig = {
        "name": "fan-out",
        "system_database_url": f"{before.rpartition('/')[0]}/{DATABASE}?{query}",
        "log_level": "WARNING",
        "application_version": "1",
    }
    DBOS(config=config)

    async def ask(member: int, case: int) -> Opinion:
        return await panel.ask(member, case)

    # The decorators, called: whoever checks types here does not have the package.
    step: Callable[[int, int], Coroutine[Any, Any, Opinion]] = DBOS.step()(ask)

    async def deliberate(case: int) -> str:
        asked = [asyncio.create_task(step(member, case)) for member in panel.members]
        return decide(await asyncio.gather(*asked))

    workflow: Decide = DBOS.workflow()(deliberate)

    async def decide_case(case: int) -> str:
        with SetWorkflowID(f"{panel.spec['turn']}-{case}"):
            return await workflow(case)

    DBOS.launch()
    try:
        yield decide_case
    finally:
        DBOS.destroy()
