"""Runs one of the peers: `python run.py SPEC plain|langgraph|dbos [...]`, by the Python of the peers' environment.

Every peer asks the same models by the same bytes, reads every sample of every reply, and takes the option that most
samples name; they differ in how the seven are run and what is kept. What each keeps of a member is its votes and the
whole reply. The last line of output is JSON: seconds of each case, those beyond its
slowest member, cases a second, processor seconds a case.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import uvloop

sys.path.insert(0, str(Path(__file__).parent))

Opinion = dict[str, Any]
Decide = Callable[[int], Awaitable[str]]


class Panel:
    """The members, and how one of them is asked; nothing is kept here."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        # What differs between cases is the salt alone: cut each request there once.
        self._parts = [_cut(request) for request in spec["requests"]]
        self.members = range(len(self._parts))
        self.slowest: dict[int, float] = {}
        self._http = httpx.AsyncClient(
            base_url=spec["url"],
            timeout=30,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            trust_env=False,
        )

    async def ask(self, member: int, case: int) -> Opinion:
        """Ask one member and count its votes; raises where anything about the reply is not as agreed."""
        before, after = self._parts[member]
        began = time.perf_counter()
        reply = await self._http.post(
            "/v1/chat/completions",
            content=f"{before}{case:064d}{after}",
            headers={"Content-Type": "application/json"},
        )
        reply.raise_for_status()
        choices = reply.json()["choices"]
        if len(choices) != self.spec["samples"]:
            raise ValueError(f"expected {self.spec['samples']} samples, came {len(choices)}")
        self.slowest[case] = max(self.slowest.get(case, 0.0), time.perf_counter() - began)
        votes = Counter(str(json.loads(choice["message"]["content"])["option"]) for choice in choices)
        return {"member": member, "votes": dict(votes), "reply": reply.text}

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _cut(request: str) -> tuple[str, str]:
    salt = json.loads(request)["cache_salt"]
    before, _, after = request.partition(salt)
    return before, after


def decide(opinions: list[Opinion]) -> str:
    """Return the option that most samples name."""
    votes = sum((Counter(opinion["votes"]) for opinion in opinions), Counter[str]())
    return votes.most_common(1)[0][0]


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
            from plain import opened  # noqa: PLC0415 - each needs only its own packages
        case "langgraph":
            from on_langgraph import opened  # noqa: PLC0415 - as above
        case "dbos":
            from on_dbos import opened  # noqa: PLC0415 - as above
        case _:
            raise SystemExit(f"no peer is called {name}")
    return opened


async def run(spec: dict[str, Any], name: str, *how: str) -> dict[str, list[float]]:
    """Open the peer, measure it and close it."""
    panel = Panel(spec)
    try:
        async with _opener(name)(panel, *how) as decide_case:
            return await measure(panel, decide_case)
    finally:
        await panel.close()


if __name__ == "__main__":
    # The modules beside this one import it under its name.
    sys.modules["run"] = sys.modules["__main__"]
    spec = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    print(json.dumps(uvloop.run(run(spec, *sys.argv[2:]))))
