"""What counts as a probe that generated a token, against a server that answers it with anything, and what becomes of its breaker."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from arbiter.fleet.fleet import Replica
from arbiter.fleet.state import Position
from arbiter.panels.vllm.breaker import Fault
from arbiter.panels.vllm.moves import Move, Moves
from arbiter.panels.vllm.places import Places
from arbiter.panels.vllm.probing import Prober, probe
from arbiter.panels.vllm.replica import ServingReplica
from tests.fleet.files import a_fleet
from tests.panels.asking import RealClock

MODEL = "ward"

Change = Callable[[dict[str, Any]], dict[str, Any]]


def choices(*made: dict[str, Any]) -> Change:
    return lambda reply: reply | {"choices": list(made)}


def ended(reason: object) -> Change:
    return choices({"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": reason})


PROBES: dict[str, tuple[int, Change, Fault | None]] = {
    "a token": (200, ended("length"), None),
    "the end at once": (200, ended("stop"), None),
    "an end of its own": (200, ended("abort"), Fault.UNREADABLE),
    "no end": (200, ended(None), Fault.UNREADABLE),
    "a list for an end": (200, ended([]), Fault.UNREADABLE),
    "an object for an end": (200, ended({"stop": 1}), Fault.UNREADABLE),
    "no choice": (200, choices(), Fault.UNREADABLE),
    "two choices": (200, lambda reply: reply | {"choices": reply["choices"] * 2}, Fault.UNREADABLE),
    "a choice that is none": (200, lambda reply: reply | {"choices": ["stop"]}, Fault.UNREADABLE),
    "no name of a choice": (200, choices({"finish_reason": "stop"}), Fault.UNREADABLE),
    "another model": (200, lambda reply: reply | {"model": "other"}, Fault.OTHER_MODEL),
    "another request's": (200, lambda reply: reply | {"id": "chatcmpl-1"}, Fault.OTHER_REQUEST),
    "a token, and an error": (500, ended("length"), Fault.SERVER_ERROR),
    "a model it does not know": (404, ended("length"), Fault.REFUSED),
    "too much to do": (429, ended("length"), Fault.REFUSED),
    "another success": (201, ended("length"), Fault.REFUSED),
}


@contextlib.asynccontextmanager
async def answering(status: int, change: Change) -> AsyncIterator[ServingReplica]:
    """A replica that answers every probe in that way."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")
            )
            asked = json.loads(await reader.readexactly(length))
            whole = ended("length")({"id": f"chatcmpl-{asked['request_id']}", "model": asked["model"]})
            body = json.dumps(change(whole)).encode()
            writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    replica = ServingReplica(
        Replica("gpu-a-1", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), None
    )
    try:
        yield replica
    finally:
        await replica.close()
        server.close()


class Watched(Moves):
    """Moves that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.came: asyncio.Queue[Move] = asyncio.Queue()

    def note(self, move: Move) -> None:
        super().note(move)
        self.came.put_nowait(move)


def opened(replica: ServingReplica, moves: Moves) -> Places:
    """The places of a server of that one replica, whose breaker has just opened."""
    server = a_fleet({"gpu-a": [replica.url]}).servers["gpu-a"]
    places = Places(server, (replica,), RealClock(), moves)
    for _ in range(3):
        places.failed(replica, MODEL, Fault.BROKEN)
    assert replica.record(MODEL).breaker.position is Position.OPEN
    return places


@pytest.mark.parametrize("name", PROBES)
async def test_only_a_token_of_that_model_to_that_request_proves_anything(name: str) -> None:
    status, change, fault = PROBES[name]
    async with answering(status, change) as replica:
        assert await probe(replica, MODEL) is fault


@pytest.mark.parametrize("name", PROBES)
async def test_whatever_comes_back_the_breaker_does_not_stay_half_open(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, change, fault = PROBES[name]
    async with answering(status, change) as replica:
        moves = Watched()
        running = asyncio.create_task(Prober(opened(replica, moves)).run())
        walked = [(await moves.came.get()).to_position for _ in range(3)]
        assert walked[:2] == [Position.OPEN, Position.HALF_OPEN]
        assert walked[2] is (Position.CLOSED if fault is None else Position.OPEN)
        breaker = replica.record(MODEL).breaker
        running.cancel()
        await asyncio.wait({running})
        assert breaker.cause == ("probe-answered" if fault is None else fault.value)
    assert not caplog.records


async def test_one_who_stops_probing_leaves_nothing_under_way_and_no_breaker_half_open() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    replica = ServingReplica(
        Replica("gpu-a-1", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), None
    )
    moves = Watched()
    running = asyncio.create_task(Prober(opened(replica, moves)).run())
    while (await moves.came.get()).to_position is not Position.HALF_OPEN:
        pass
    assert replica.record(MODEL).breaker.position is Position.HALF_OPEN
    running.cancel()
    await asyncio.wait({running})
    assert replica.record(MODEL).breaker.position is Position.OPEN
    await replica.close()
    server.close()
