"""A model server whose answers follow a distribution that the test sets: a real socket, vLLM's shapes, seeded draws.

As with vLLM, a draw depends on the request's seed and the choice's index alone: the same request gets the same words for as
long as nobody changes the mood.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from arbiter.question import ABSTAIN

NONSENSE = "nonsense"


@dataclass
class Moods:
    """What the server says: by model, the weight of each option (`abstain` and `nonsense` too); words; version; silence.

    `by_case` turns everything the model says of one case, told by the value of its heart rate, into one option,
    `by_index` every choice of that index; `silent_about` has it refuse to answer of a case. `speakers` names who a reply says it is by.
    """

    weights: dict[str, Mapping[str, float]] = field(default_factory=dict)
    by_case: dict[tuple[str, str], str] = field(default_factory=dict)
    by_index: dict[tuple[str, int], str] = field(default_factory=dict)
    rationale: str = "the first fact says so"
    version: str = "0.0.2+moody"
    silent: set[str] = field(default_factory=set)
    silent_about: set[tuple[str, str]] = field(default_factory=set)
    speakers: dict[str, str] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    url: str = ""

    def content(self, asked: Mapping[str, Any], index: int) -> str:
        """What one choice says."""
        model = asked["model"]
        weights = self.weights.get(model, {"continue-monitoring": 1.0})
        draw = random.Random(f"{asked['seed']}/{index}")
        option = draw.choices(list(weights), list(weights.values()))[0]
        data, heart = _case_of(asked)
        option = self.by_case.get((model, heart), self.by_index.get((model, index), option))
        if option == NONSENSE:
            return "{}"
        first = data["facts"][0]
        return json.dumps(
            {
                "evidence": []
                if option == ABSTAIN
                else [{"fact": first["name"], "value": first["value"], "finding": "noted"}],
                "missing": [],
                "rationale": self.rationale,
                "option": option,
                "confidence": 80,
                "consult": [],
            }
        )

    def reply(self, body: bytes) -> bytes:
        """The whole reply to a request's body."""
        asked = json.loads(body)
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": self.content(asked, index), "tool_calls": []},
                "finish_reason": "stop",
            }
            for index in range(asked.get("n", 1))
        ]
        return json.dumps(
            {
                "id": f"chatcmpl-{asked.get('request_id', '1')}",
                "object": "chat.completion",
                "created": len(self.asked),
                "model": self.speakers.get(asked["model"], asked["model"]),
                "choices": choices,
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        ).encode()


def _case_of(asked: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The case that a request is about, and its heart rate."""
    data: dict[str, Any] = json.loads(asked["messages"][-1]["content"].split("\n")[1])
    return data, next((fact["value"] for fact in data["facts"] if fact["name"] == "heart_rate"), "")


@contextlib.asynccontextmanager
async def a_moody_server() -> AsyncIterator[Moods]:
    """Yield the moods of a server on a loopback port; `url` says where it is."""
    moods = Moods()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                await _respond(moods, first, body, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    moods.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield moods
    finally:
        server.close()


async def _respond(moods: Moods, first: str, body: bytes, writer: asyncio.StreamWriter) -> None:
    status, content = 404, b"{}"
    if first.startswith("GET /version "):
        status, content = 200, json.dumps({"version": moods.version}).encode()
    elif first.startswith("POST /v1/chat/completions "):
        moods.asked.append(body)
        asked = json.loads(body)
        model = asked["model"]
        silent = model in moods.silent or (model, _case_of(asked)[1]) in moods.silent_about
        status, content = (503, b"{}") if silent else (200, moods.reply(body))
    writer.write(
        f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        + content
    )
    await writer.drain()
