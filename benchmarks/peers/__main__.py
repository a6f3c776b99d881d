"""Runs one of the peers: `python -m benchmarks.peers SPEC plain|langgraph|dbos [...]`, by the peers' environment's Python.

Every peer asks the same models by the same bytes, reads every sample of every reply, and takes the option that most
samples name; they differ in how the seven are run and what is kept. What each keeps of a member is its votes and the
whole reply. The last line of output is JSON: seconds of each case, those beyond its slowest member, cases a second,
processor seconds a case.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.peers.panel import Decide, Panel


async def measure(panel: Panel, decide_case: Decide) -> dict[str, list[float]]:
    """Keep so many cases in flight until all are decided, after a warm-up that is not counted."""
    spec = panel.spec
    await _load(decide_case, range(spec["warm"]), spec["at_once"])
    began, began_processor = time.perf_counter(), time.process_time()
    taken = await _load(decide_case, range(spec["warm"], spec["warm"] + spec["cases"]), spec["at_once"])
    rate = len(taken) / (time.perf_counter() - began)
    return {
        "seconds": list(taken.values()),
        "beyond": [seconds - panel.slowest[case] for case, seconds in taken.items()],
        "rates": [rate],
        "processor": [(time.process_time() - began_processor) / len(taken)],
    }


async def _load(decide_case: Decide, numbers: range, at_once: int) -> dict[int, float]:
    left = iter(numbers)
    taken: dict[int, float] = {}

    async def caller() -> None:
        for number in left:
            began = time.perf_counter()
            if await decide_case(number) != "continue-monitoring":
                raise ValueError("expected the option that the server answers with")
            taken[number] = time.perf_counter() - began

    async with asyncio.TaskGroup() as callers:
        for _ in range(at_once):
            callers.create_task(caller())
    return taken


def _opener(name: str) -> Callable[..., AbstractAsyncContextManager[Decide]]:
    match name:
        case "plain":
            from benchmarks.peers.plain import opened  # noqa: PLC0415 - each needs only its own packages

            return opened
        case "langgraph":
            from benchmarks.peers.on_langgraph import opened as on_langgraph  # noqa: PLC0415 - as above

            return on_langgraph
        case "dbos":
            from benchmarks.peers.on_dbos import opened as on_dbos  # noqa: PLC0415 - as above

            return on_dbos
        case _:
            raise SystemExit(f"no peer is called {name}")


async def run(spec: dict[str, Any], name: str, *how: str) -> dict[str, list[float]]:
    """Open the peer, measure it and close it."""
    panel = Panel(spec)
    try:
        async with _opener(name)(panel, *how) as decide_case:
            return await measure(panel, decide_case)
    finally:
        await panel.close()


if __name__ == "__main__":
    spec = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    print(json.dumps(uvloop.run(run(spec, *sys.argv[2:]))))
