"""A model is asked on the event loop that `arbiter serve` and `arbiter demo` run, whose transports are of other classes."""

from __future__ import annotations

import asyncio

import uvloop

from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.wire import Wire

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(REPLY)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask() -> tuple[Ending | None, int | None, bytes]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        wire = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
        talk = wire.begin("GET", "/version", b"", 1_000)
        async with asyncio.timeout(10):
            await talk.done
        await wire.close()
        return talk.ending, talk.status, bytes(talk.body)


def test_an_exchange_completes_on_uvloop() -> None:
    assert uvloop.run(ask()) == (Ending.COMPLETE, 200, b"{}")
