"""A server that sends exactly the bytes it is told to, and the wire to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.wire import Talk, Wire

COMPLETE, BROKEN, TOO_LARGE = Ending.COMPLETE, Ending.BROKEN, Ending.TOO_LARGE
OK = b"HTTP/1.1 200 OK\r\n"
LIMIT = 1000
LONG_BODY = b"x" * (8 * 1024 * 1024)
"""More than the sockets' own buffers take in."""

Main = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Told:
    """A server that answers each request with the next of its lines; None is silence, and "close" ends the connection."""

    replies: list[list[bytes | float | str | None]]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    left: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
                length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
                self.requests.append(head + await reader.readexactly(length))
                await self.reply(writer, self.replies.pop(0))
        self.left += 1
        writer.close()

    async def reply(self, writer: asyncio.StreamWriter, parts: list[bytes | float | str | None]) -> None:
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            elif isinstance(part, float):
                await asyncio.sleep(part)
            elif part == "close":
                writer.close()
                return


@contextlib.asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    trust: ssl.SSLContext | None = None,
    token: str | None = None,
) -> AsyncIterator[Wire]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trust)
    scheme = "https" if trust else "http"
    wire = Wire(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", token)
    try:
        yield wire
    finally:
        await wire.close()
        server.close()
        # What the server still serves has been hung up on.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        await asyncio.sleep(0.005)


async def over(talk: Talk, seconds: float = 5.0) -> Talk:
    await asyncio.wait_for(asyncio.shield(talk.done), seconds)
    return talk


def asks(wire: Wire, content: bytes = b"{}") -> Talk:
    return wire.begin("POST", "/v1/chat/completions", content, LIMIT, "r1")


def sized(body: bytes, *more: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
