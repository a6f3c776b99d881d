"""A model server that misbehaves on demand: `python -m tests.panels.misbehaving_server` prints its port.

It speaks vLLM's HTTP API over plain sockets, so that it can hang, drip, break off and lie in ways that no web framework
allows. What it does is chosen by the name of the model asked, or by what its base URL ends in: below `/as/NAME/1` it does NAME
whatever model is asked, so that one process is a whole fleet. `GET /become/NAME/ACT` lets NAME do ACT from then on, and
`GET /seen` tells what it has been asked. `/health` is well whatever happens.
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
HUGE_BYTES = 1024 * 1024 * 1024
UNFOLDING = gzip.compress(b" " * (16 * 1024 * 1024), compresslevel=1) * 25
"""A small body that unfolds to 400 MiB."""
STORM = 5
"""So many times a storm answers with 500 before it ends."""
SEEN: Counter[str] = Counter()
LAST: dict[str, Any] = {}
BECOME: dict[str, str] = {}


class Request:
    """One request, taken apart by this file alone."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        below = re.fullmatch(r"/as/([a-z0-9-]+)/[0-9]+(/.*)", path)
        self.role = below[1] if below else None
        self.path = below[2] if below else path
        self.method, self.headers, self.body = method, headers, body

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

    @property
    def act(self) -> str:
        """What to do."""
        return self.model if self.role is None else BECOME.get(self.role, self.role)

    @property
    def is_probe(self) -> bool:
        """Whether a token is asked for, and nothing about any case."""
        return "response_format" not in self.asked

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


ENVELOPES: dict[str, dict[str, Any]] = {
    "wrong-model": {"model": "other"},
    "other-reply": {"id": "chatcmpl-0123456789abcdef"},
    "unnamed-reply": {"id": None},
}


def token(request: Request) -> bytes:
    """A reply to a probe."""
    return reply(request, [choice(0, "Yes", "length")], **ENVELOPES.get(request.act, {}))


def in_envelope(request: Request) -> bytes:
    return reply(request, json.loads(said(request))["choices"], **ENVELOPES[request.act])


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

MARKUP = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>]]><!-- </bdi></p></li> --> [click](javascript:alert(3)) "
    "**bold** <a href='https://evil.example/'>here</a> https://evil.example/ &lt;b&gt; {{ 7*7 }} %(x)s {x} \u200f\u05d0\u05d1 end"
)
"""What a model may write within every limit, and a page must show as it is."""

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
    "hostile": lambda request: said(
        request,
        rationale=MARKUP,
        evidence=[
            {"fact": fact["name"], "value": fact["value"], "finding": MARKUP[:200]}
            for fact in request.case()["facts"][:1]
        ],
    ),
    "hostile-ungrounded": lambda request: said(
        request, evidence=[{"fact": "heart_rate", "value": "<b>1</b>\u200f", "finding": MARKUP[:200]}]
    ),
    "cites-nothing": lambda request: said(request, evidence=[]),
    "fewer": lambda request: first_of(request, 1),
    "none": lambda request: first_of(request, 0),
    "more": lambda request: first_of(request, request.asked["n"] + 1),
    "same-index": twice_the_first,
    **dict.fromkeys(ENVELOPES, in_envelope),
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
    await send(writer, head(200, len(UNFOLDING), "Content-Encoding: gzip") + UNFOLDING)


async def say(request: Request, writer: asyncio.StreamWriter, status: int, *more: str) -> None:
    """Answer with a status and, where it is 200, soundly."""
    body = b'{"error": {"message": "as asked"}}'
    if status == 200:
        body = token(request) if request.is_probe else said(request)
    await send(writer, head(status, len(body), *more) + body)


async def storm(request: Request, writer: asyncio.StreamWriter) -> None:
    """500 a few times in a row, and then all is well."""
    SEEN[f"{request.role or request.model} stormed"] += 1
    ended = SEEN[f"{request.role or request.model} stormed"] > STORM
    await say(request, writer, 200 if ended else 500)


async def busy_once(request: Request, writer: asyncio.StreamWriter) -> None:
    """Too many requests, come again in a second; whoever does is answered."""
    SEEN[f"{request.id} busy"] += 1
    again = SEEN[f"{request.id} busy"] > 1
    await (say(request, writer, 200) if again else say(request, writer, 429, "Retry-After: 1"))


async def busy_always(request: Request, writer: asyncio.StreamWriter) -> None:
    await say(request, writer, 429, "Retry-After: 1")


async def busy_for_long(request: Request, writer: asyncio.StreamWriter) -> None:
    await say(request, writer, 429, "Retry-After: 3600")


async def busy_until_a_date(request: Request, writer: asyncio.StreamWriter) -> None:
    await say(request, writer, 429, "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT")


async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
    """Ten times as slow as `steady`."""
    await asyncio.sleep(0.5)
    await say(request, writer, 200)


async def steady(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.05)
    await say(request, writer, 200)


async def dead_engine(request: Request, writer: asyncio.StreamWriter) -> None:
    """The server is well and the engine behind it is not: what has to be generated never comes."""
    await (say(request, writer, 500) if request.is_probe else black_hole(request, writer))


async def talkative(request: Request, writer: asyncio.StreamWriter) -> None:
    """A sound reply, and right behind it a second one that nobody asked for."""
    body = said(request)
    other = body.replace(b"the first fact says so", b"somebody else's answer")
    await send(writer, head(200, len(body)) + body + head(200, len(other)) + other)


async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
    """A sound reply whose end only the end of the connection tells."""
    body = said(request)
    await send(writer, head(200, None) + body)
    writer.close()


async def crumbs(_: Request, writer: asyncio.StreamWriter) -> None:
    """A body of chunks of one byte, each with a long extension."""
    await send(writer, head(200, None, "Transfer-Encoding: chunked"))
    while True:
        await send(writer, (b"1;x=" + b"y" * 200 + b"\r\n \r\n") * 64)


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
    "redirect": redirect, "bad-chunks": bad_chunks, "storm": storm, "busy-once": busy_once, "busy-always": busy_always,
    "busy-for-long": busy_for_long, "busy-until-a-date": busy_until_a_date, "slow": slow, "steady": steady,
    "dead-engine": dead_engine, "talkative": talkative, "endless": endless, "crumbs": crumbs,
}  # fmt: skip


def told(request: Request) -> bytes | None:
    """What it says about itself, or None where a model is asked."""
    if request.path == "/seen":
        body = json.dumps({"counts": SEEN, "last": LAST}).encode()
        return head(200, len(body)) + body
    if request.path.startswith("/become/"):
        _, _, name, act = request.path.split("/")
        BECOME[name] = act
        return head(204, None)
    SEEN[request.path] += 1
    if request.path == "/health":
        return head(200, 0)
    if request.path == "/version":
        body = json.dumps({"version": VERSION}).encode()
        return head(200, len(body)) + body
    return None if request.path == "/v1/chat/completions" and request.method == "POST" else head(404, 0)


async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
    about_itself = told(request)
    if about_itself is not None:
        return await send(writer, about_itself)
    name = request.role or request.model
    SEEN[name] += 1
    if request.is_probe:
        SEEN[f"{name} probed"] += 1
    LAST[name] = request.headers
    if request.act in ACTS:
        return await ACTS[request.act](request, writer)
    if request.act in STATUSES:
        return await say(request, writer, STATUSES[request.act])
    body = token(request) if request.is_probe else BODIES[request.act](request)
    return await send(writer, head(200, len(body), "Set-Cookie: session=yes; Path=/") + body)


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
