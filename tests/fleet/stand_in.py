"""A model server's HTTP door without a model behind it, on a socket of its own: for what a healthy vLLM does not say."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

BASE = "_unseated"


@dataclass
class StandIn:
    """What it says of itself, and by path what it does instead of answering.

    A fault is a status, raw bytes for a whole reply, or one of `hang`, `break off`, `drip`. `speakers` names who answers for a
    model asked, `faults` may name a path and a model: `/v1/chat/completions respiratory`.
    """

    cards: list[dict[str, Any]] = field(default_factory=list)
    version: Any = "0.32.0"
    speakers: dict[str, str] = field(default_factory=dict)
    faults: dict[str, int | bytes | str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    url: str = ""
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def adapters(self, *names: str, root: str = "/srv/adapters", base: str = "/srv/model") -> StandIn:
        """Serve these adapters on one base."""
        self.cards = [{"id": BASE, "root": base, "parent": None, "max_model_len": 8192}]
        self.cards += [
            {"id": name, "root": f"{root}/{name}", "parent": BASE, "max_model_len": None} for name in names
        ]
        return self

    def base(self, name: str, root: str = "/srv/model", tokens: int = 8192) -> StandIn:
        """Serve one base alone."""
        self.cards = [{"id": name, "root": root, "parent": None, "max_model_len": tokens}]
        return self

    def card(self, name: str) -> dict[str, Any]:
        return next(card for card in self.cards if card["id"] == name)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *headers = head.split("\r\n")
                fields = {n.lower(): v.strip() for n, _, v in (h.partition(":") for h in headers if h)}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                self.keys.add(fields.get("authorization", ""))
                if not await self._answer(line.split()[1], json.loads(body) if body else {}, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(task)
            with contextlib.suppress(ConnectionError):
                writer.close()

    async def _answer(self, path: str, asked: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        model = asked.get("model", "")
        self.seen[path] += 1
        self.seen[f"{path} {model}"] += 1
        self.seen["case"] += "CASE DATA" in json.dumps(asked)
        fault = self.faults.get(f"{path} {model}", self.faults.get(path))
        match fault:
            case "hang":
                await asyncio.sleep(3600)
            case "break off":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                await writer.drain()
                return False
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            case bytes():
                writer.write(_reply(200, fault))
            case int():
                writer.write(_reply(fault, b'{"error": "made up"}', "Location: /health\r\n"))
            case _:
                writer.write(_reply(*self._said(path, asked)))
        await writer.drain()
        return True

    def _said(self, path: str, asked: dict[str, Any]) -> tuple[int, bytes]:
        match path:
            case "/health":
                return 200, b""
            case "/v1/models":
                return 200, json.dumps({"object": "list", "data": self.cards}).encode()
            case "/version":
                return 200, json.dumps({"version": self.version}).encode()
            case "/v1/chat/completions" | "/v1/completions":
                model = asked["model"]
                if all(card["id"] != model for card in self.cards):
                    return 404, b"{}"
                speaker = self.speakers.get(model, model)
                said = {"finish_reason": "length", "text": "y", "message": {"content": "y"}}
                choices = [{"index": at, **said} for at in range(asked.get("n", 1))]
                # vLLM names its reply after the request.
                reply = {
                    "id": f"chatcmpl-{asked.get('request_id', 'x')}",
                    "model": speaker,
                    "choices": choices,
                }
                return 200, json.dumps(reply).encode()
            case _:
                return 404, b"{}"

    async def hang_up(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


def _reply(status: int, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


@asynccontextmanager
async def a_stand_in(stand_in: StandIn | None = None, port: int = 0) -> AsyncIterator[StandIn]:
    """A stand-in that listens on loopback while the block runs."""
    standing = StandIn() if stand_in is None else stand_in
    server = await asyncio.start_server(standing.handle, "127.0.0.1", port)
    standing.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield standing
    finally:
        server.close()
        await standing.hang_up()
        await server.wait_closed()
