"""A model server that misbehaves on demand: `python -m tests.panels.misbehaving_server` prints its port.

It speaks vLLM's HTTP API over plain sockets, so that it can hang, drip, break off and lie in ways that no web framework
allows. What it does is chosen by the name of the model asked; `GET /seen` tells what it has been asked.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

VERSION = "0.0.1+misbehaving"
HUGE_BYTES = 400 * 1024 * 1024
SEEN: Counter[str] = Counter()
LAST: dict[str, Any] = {}


class Request:
    """One request, taken apart by this file alone."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def asked(self) -> Any:
        return json.loads(self.body) if self.body else {}

    @property
    def model(self) -> str:
        return str(self.asked.get("model", ""))

    @property
    def id(self) -> str:
        """What the reply is named after, as vLLM has it: the header first."""
        return self.headers.get("x-request-id") or str(self.asked.get("request_id", "made-up"))

    def options(self) -> Any:
        """The options as the schema in the request offers them."""
        return self.asked["response_format"]["json_schema"]["schema"]["properties"]["option"]["enum"]

    def case(self) -> Any:
        """The case, read from between the fences as the prompt describes them."""
        user = self.asked["messages"][-1]["content"]
        found = re.fullmatch(r"<<<CASE DATA\n(.*)\nCASE DATA>>>", user)
        assert found, user
        return json.loads(found[1])


def answer(request: Request, option: str | None = None, **changes: Any) -> dict[str, Any]:
    """A sound answer that cites the case's first fact, with changes."""
    fact = request.case()["facts"][0]
    calm = "continue-monitoring"
    return {
        "evidence": [{"fact": fact["name"], "value": fact["value"], "finding": "noted"}],
        "missing": [],
        "rationale": "the first fact says so",
        "option": option or (calm if calm in request.options() else request.options()[0]),
        "confidence": 80,
        "consult": [],
    } | changes


def choice(index: int, content: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, "refusal": None, "tool_calls": []} | message
    return {"index": index, "message": said, "logprobs": None, "finish_reason": finish}


def reply(request: Request, choices: list[dict[str, Any]], **changes: Any) -> bytes:
    document = {
        "id": f"chatcmpl-{request.id}",
        "object": "chat.completion",
        "created": 1,
        "model": request.model,
        "choices": choices,
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    } | changes
    return json.dumps(document).encode()


def each(request: Request, make: Callable[[int], str | None], **extra: Any) -> bytes:
    """A reply with as many choices as were asked for."""
    return reply(request, [choice(index, make(index), **extra) for index in range(request.asked["n"])])


def said(request: Request, **changes: Any) -> bytes:
    return each(request, lambda _: json.dumps(answer(request, **changes)))


def spoilt(request: Request, old: str, new: str) -> bytes:
    """A reply in whose answers one text is replaced by another."""
    return each(request, lambda _: json.dumps(answer(request)).replace(old, new))


def first_of(request: Request, count: int) -> bytes:
    return reply(request, [choice(index, json.dumps(answer(request))) for index in range(count)])


def mixed(request: Request, *options: str) -> bytes:
    return each(request, lambda index: json.dumps(answer(request, options[index % len(options)])))


def twice_the_first(request: Request) -> bytes:
    return reply(request, [choice(0, json.dumps(answer(request)))] * request.asked["n"])


def some_sound(request: Request) -> bytes:
    """Every other choice is sound."""
    return each(request, lambda index: json.dumps(answer(request)) if index % 2 == 0 else "{}")


SUNG = {"evidence": [{"fact": "heart_rate", "value": "9999", "finding": "high"}]}

BODIES: dict[str, Callable[[Request], bytes]] = {
    "good": said,
    "split": lambda request: mixed(request, *request.options()[:2]),
    "abstains": lambda request: said(request, option="abstain", evidence=[], missing=["lactate"]),
    "half-sound": some_sound,
    "float-confidence": lambda request: spoilt(request, '"confidence": 80', '"confidence": 80.0'),
    "wrong-schema": lambda request: each(request, lambda _: '{"answer": "yes"}'),
    "wrong-option": lambda request: said(request, option="discharge"),
    "extra-member": lambda request: said(request, points=3),
    "confidence-101": lambda request: said(request, confidence=101),
    "confidence-true": lambda request: said(request, confidence=True),
    "confidence-nan": lambda request: spoilt(request, '"confidence": 80', '"confidence": NaN'),
    "long-rationale": lambda request: said(request, rationale="x" * 1001),
    "control-character": lambda request: said(request, rationale="a\u0007b"),
    "reversed-text": lambda request: said(request, rationale="a\u202eb"),
    "lone-surrogate": lambda request: spoilt(request, "the first fact", "\\ud800"),
    "duplicate-keys": lambda request: spoilt(request, '"option": "', '"option": "abstain", "option": "'),
    "spaces": lambda request: each(request, lambda _: json.dumps(answer(request)) + " " * 250_000),
    "inner-spaces": lambda request: spoilt(request, '"confidence": ', '"confidence": ' + " " * 250_000),
    "trailing-words": lambda request: each(request, lambda _: json.dumps(answer(request)) + " Done."),
    "fenced": lambda request: each(request, lambda _: f"```json\n{json.dumps(answer(request))}\n```"),
    "two-answers": lambda request: each(request, lambda _: json.dumps(answer(request)) * 2),
    "deep": lambda request: each(request, lambda _: '{"a":' * 4_000 + "1" + "}" * 4_000),
    "empty-content": lambda request: each(request, lambda _: ""),
    "null-content": lambda request: each(request, lambda _: None),
    "tool-call": lambda request: each(
        request, lambda _: json.dumps(answer(request)), tool_calls=[{"id": "1"}]
    ),
    "refusal": lambda request: each(request, lambda _: json.dumps(answer(request)), refusal="no"),
    "truncated": lambda request: each(request, lambda _: json.dumps(answer(request)), finish="length"),
    "ungrounded": lambda request: said(request, **SUNG),
    "cites-nothing": lambda request: said(request, evidence=[]),
    "fewer": lambda request: first_of(request, 1),
    "none": lambda request: first_of(request, 0),
    "more": lambda request: first_of(request, request.asked["n"] + 1),
    "same-index": twice_the_first,
    "wrong-model": lambda request: reply(request, json.loads(said(request))["choices"], model="other"),
    "invalid-utf-8": lambda request: said(request).replace(b"the first", b"the \xff\xfe first"),
    "outer-duplicate": lambda request: said(request).replace(b'{"id"', b'{"model": "x", "id"'),
    "byte-order-mark": lambda request: b"\xef\xbb\xbf" + said(request),
    "not-json": lambda _: b"<html>It works!</html>",
    "a-list": lambda _: b"[]",
    "outer-deep": lambda _: b"[" * 100_000,
    "many-digits": lambda request: said(request).replace(b'"created": 1', b'"created": ' + b"9" * 50_000),
    "nothing": lambda _: b"",
}
STATUSES = {"status-400": 400, "status-401": 401, "status-404": 404, "status-429": 429, "status-500": 500,
            "status-503": 503, "status-201": 201}  # fmt: skip


def head(status: int, length: int | None, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json", *more]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def send(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content)
    await writer.drain()


async def black_hole(_: Request, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    """Break the connection off with a TCP reset in the middle of the body."""
    body = said(request)
    await send(writer, head(200, len(body)) + body[: len(body) // 2])
    await asyncio.sleep(0.05)
    taken: socket.socket = writer.get_extra_info("socket")
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def cut_short(request: Request, writer: asyncio.StreamWriter) -> None:
    """Close in good order before the body is whole."""
    body = said(request)
    await send(writer, head(200, len(body) + 10) + body)
    writer.close()


async def hang_up(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def huge(_: Request, writer: asyncio.StreamWriter) -> None:
    await send(writer, head(200, HUGE_BYTES))
    block = b" " * (1024 * 1024)
    for _step in range(HUGE_BYTES // len(block)):
        await send(writer, block)
        SEEN["huge-mebibytes"] += 1


async def unfolding(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send a small body that unfolds to hundreds of megabytes."""
    body = gzip.compress(b" " * HUGE_BYTES, compresslevel=1)
    await send(writer, head(200, len(body), "Content-Encoding: gzip") + body)


async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
    body = said(request)
    await send(writer, head(200, len(body)))
    for at in range(len(body)):
        await send(writer, body[at : at + 1])
        await asyncio.sleep(0.2)


async def drip_head(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await send(writer, b"X-More: yes\r\n")
        await asyncio.sleep(0.2)


async def endless_head(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await send(writer, b"X-More: " + b"y" * 60_000 + b"\r\n")


async def no_http(_: Request, writer: asyncio.StreamWriter) -> None:
    await send(writer, b"220 mail.example ESMTP\r\n")
    await asyncio.sleep(0.05)
    writer.close()


async def redirect(request: Request, writer: asyncio.StreamWriter) -> None:
    where = f"Location: http://{request.headers['host']}/stolen"
    await send(writer, head(307, 0, where, "Set-Cookie: tracked=yes; Path=/"))


async def bad_chunks(_: Request, writer: asyncio.StreamWriter) -> None:
    await send(writer, head(200, None, "Transfer-Encoding: chunked") + b"ZZ\r\nnot a chunk\r\n")
    await asyncio.sleep(0.05)
    writer.close()


ACTS = {
    "black-hole": black_hole, "reset": reset, "cut-short": cut_short, "hang-up": hang_up, "huge": huge,
    "unfolding": unfolding, "drip": drip, "drip-head": drip_head, "endless-head": endless_head, "no-http": no_http,
    "redirect": redirect, "bad-chunks": bad_chunks,
}  # fmt: skip


async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
    if request.path == "/seen":
        body = json.dumps({"counts": SEEN, "last": LAST}).encode()
        return await send(writer, head(200, len(body)) + body)
    SEEN[request.path] += 1
    if request.path == "/version":
        body = json.dumps({"version": VERSION}).encode()
        return await send(writer, head(200, len(body)) + body)
    if request.path != "/v1/chat/completions" or request.method != "POST":
        return await send(writer, head(404, 0))
    SEEN[request.model] += 1
    LAST[request.model] = request.headers
    if request.model in ACTS:
        return await ACTS[request.model](request, writer)
    if request.model in STATUSES:
        body = b'{"error": {"message": "as asked"}}'
        return await send(writer, head(STATUSES[request.model], len(body)) + body)
    body = BODIES[request.model](request)
    await send(writer, head(200, len(body), "Set-Cookie: session=yes; Path=/") + body)
    return None


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = raw.decode().strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    SEEN["connections"] += 1
    try:
        while not writer.is_closing() and (request := await read_request(reader)) is not None:
            await respond(request, writer)
    except (OSError, asyncio.IncompleteReadError):
        SEEN["left-by-the-caller"] += 1
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
