"""A system that receives webhooks: real sockets, any misbehaviour, and signatures checked by the published library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

Answer = Callable[["Receiver", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Arrived:
    """One request that came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass
class Receiver:
    """Keeps whatever arrives and answers as `answer` says."""

    url: str = ""
    secret: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    answer: Answer = field(default_factory=lambda: status(204))
    taken: list[str] = field(default_factory=list)
    """The ids answered with 2xx."""

    simulated_time: bool = False
    """The house's clock is not the real one, so the library's tolerance for timestamps cannot be kept."""

    def verified(self) -> list[Arrived]:
        """What arrived, each signature verified by the library, each id once."""
        once: dict[str, Arrived] = {}
        for request in self.arrived:
            library = Webhook(self.secret)
            if self.simulated_time:
                at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
                assert (
                    library.sign(request.id, at, request.body.decode())
                    == request.headers["webhook-signature"]
                )
            else:
                library.verify(request.body, request.headers)
            once.setdefault(request.id, request)
        return list(once.values())

    def types(self) -> list[str]:
        return [request.document["type"] for request in self.verified()]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                lines = head.split("\r\n")
                assert lines[0].startswith("POST "), lines[0]
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.arrived.append(Arrived(headers, body))
                await self.answer(self, writer)
                if writer.is_closing():
                    break


def status(code: int, *more: str, body: bytes = b"") -> Answer:
    """Answer with that status."""

    async def answer(receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        if 200 <= code < 300:
            receiver.taken.append(receiver.arrived[-1].id)
        lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", *more, "", ""]
        writer.write("\r\n".join(lines).encode("ascii") + body)
        await writer.drain()

    return answer


async def reset(_receiver: Receiver, writer: asyncio.StreamWriter) -> None:
    """Hang up without an answer."""
    writer.transport.abort()


async def silence(_receiver: Receiver, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(3600)


@asynccontextmanager
async def a_receiver(answer: Answer | None = None) -> AsyncIterator[Receiver]:
    """Yield a receiver that listens on the loopback address."""
    receiver = Receiver() if answer is None else Receiver(answer=answer)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        # The streams' own callback would report a cancelled connection as a fault: it ends here.
        with suppress(asyncio.CancelledError):
            await receiver.handle(reader, writer)
        writer.transport.abort()
        connections.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)
        await server.wait_closed()
