"""A fleet of misbehaving replicas in one server process, and asks that go through its pool."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from arbiter.fleet.state import Position, ReplicaState, ServerState
from arbiter.model import RiskClass
from arbiter.panels.panel import Returned, ask_panel
from arbiter.panels.vllm.member import model_member
from arbiter.panels.vllm.pool import Pool, Servers, close_servers, open_servers
from arbiter.panels.vllm.prompt import PROMPTS
from tests.fleet.files import a_fleet
from tests.panels.asking import NEWS2, RealClock, asked
from tests.panels.model_servers import model, refusing_url, soon

MODEL = "ward"


@asynccontextmanager
async def fleet_of(url: str, *acts: str, probing: bool = False, **more: Any) -> AsyncIterator[Servers]:
    """A server `gpu-a` with a replica for each act; `refused` is one on which nobody listens."""
    urls = [
        refusing_url() if act == "refused" else f"{url}/as/{act}/{at}" for at, act in enumerate(acts, start=1)
    ]
    servers = open_servers(a_fleet({"gpu-a": urls}, **more), None, RealClock())
    watching = asyncio.create_task(servers.keep_probing()) if probing else None
    try:
        yield servers
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})
        await close_servers(servers)


def pool_of(servers: Servers) -> Pool:
    return servers["gpu-a"]


def state_of(servers: Servers) -> ServerState:
    return pool_of(servers).state()


def replica_of(servers: Servers, at: int) -> ReplicaState:
    return state_of(servers).replicas[at]


def position_of(servers: Servers, at: int, name: str = MODEL) -> Position:
    """The position of one replica's breaker for a model; `at` counts from 0."""
    return next(breaker.position for breaker in replica_of(servers, at).breakers if breaker.model == name)


async def put(
    servers: Servers, seconds: float = 5.0, risk: RiskClass = RiskClass.ROUTINE, name: str = MODEL
) -> Returned:
    """Ask the model once."""
    member = model_member(model(name), PROMPTS["question-v1"], servers)
    question = asked(deadline=soon(seconds), risk_class=risk)
    (returned,) = [item async for item in ask_panel({NEWS2: member}, {NEWS2: question}, RealClock())]
    return returned


async def puts(servers: Servers, count: int, **options: Any) -> Sequence[Returned]:
    """Ask it so often, one after another."""
    return [await put(servers, **options) for _ in range(count)]


def opened(returned: Returned) -> dict[str, Any]:
    assert returned.exchange is not None
    document: dict[str, Any] = json.loads(returned.exchange)
    return document


def sent(returned: Returned) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(base64.b64decode(opened(returned)["request"]))
    return body


def seen(url: str) -> dict[str, int]:
    found: dict[str, int] = httpx.get(f"{url}/seen", trust_env=False).json()["counts"]
    return found


def become(url: str, name: str, act: str) -> None:
    """Let the replica of that name do something else from now on."""
    httpx.get(f"{url}/become/{name}/{act}", trust_env=False)


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until that holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
