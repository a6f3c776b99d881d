"""A model server whose every answer is right and takes a fixed time: `python -m benchmarks.fleet.answering`.

It speaks vLLM's HTTP API and prints its port. It is as lean as it can be, so that what is measured is whoever asks it: an
answer is made once for each model and number of samples, from the first request of that kind, and sent again ever after;
so the facts of all cases must be the same. `POST /behave` changes how long an answer takes, `GET /seen` tells what was
asked and how long answers truly took, `GET /last` the last request to each model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from array import array
from itertools import count
from typing import Any, Final, cast

import uvloop

ABSTAIN: Final = "abstain"
CALM: Final = ("continue-monitoring", "not-high")
CHAT: Final = b"/v1/chat/completions"
_MODEL: Final = re.compile(rb'"model":\s*"([^"]*)"')
_SAMPLES: Final = re.compile(rb'"n":\s*(\d+)')
_CALLED: Final = re.compile(rb"(?i)\r\nx-request-id: *([!-~]+)")
_CALLED_WITHIN: Final = re.compile(rb'"request_id":\s*"([^"]*)"')
_ID: Final = "chatcmpl-"


class Server:
    """What all connections share: the prepared answers, the time they take, and the counts."""

    def __init__(self, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self.asked = 0
        self.left = 0
        self.probes = 0
        self.took = array("d")
        self.last: dict[bytes, bytes] = {}
        self._prepared: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
        self._ids = count(1)

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Return the whole response to a chat completion, which is called as its request was."""
        kind = (_found(_MODEL, body), _found(_SAMPLES, body))
        self.last[kind[0]] = body
        called = _found(_CALLED, head) or _found(_CALLED_WITHIN, body) or b"%d" % next(self._ids)
        prepared = self._prepared.get(kind)
        if prepared is None:
            content = json.dumps(_completion(json.loads(body))).encode()
            before, mark, after = content.partition(_ID.encode())
            prepared = self._prepared[kind] = (before + mark, after)
        before, after = prepared
        return _head(len(before) + len(called) + len(after)) + before + called + after

    def seen(self) -> bytes:
        """Return the counts, and the quantiles of how long answers took in milliseconds; then count anew."""
        took = sorted(self.took)
        quantiles = {
            name: 1000 * took[min(len(took) - 1, int(len(took) * share))] if took else None
            for name, share in (("p50", 0.5), ("p99", 0.99))
        }
        told = {"asked": self.asked, "left": self.left, "probes": self.probes, "took_ms": quantiles}
        self.asked = self.left = self.probes = 0
        self.took = array("d")
        return response(told)


def _found(pattern: re.Pattern[bytes], body: bytes) -> bytes:
    found = pattern.search(body)
    return b"" if found is None else found[1]


def _head(length: int, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()


def response(document: Any, status: str = "200 OK") -> bytes:
    """Return a whole HTTP response with the document as JSON."""
    body = json.dumps(document).encode()
    return _head(len(body), status) + body


def _completion(asked: dict[str, Any]) -> dict[str, Any]:
    """Return a chat completion that answers rightly where an answer is bound to a schema, and says a word elsewhere."""
    said = json.dumps(_right_answer(asked), separators=(",", ":")) if "response_format" in asked else "ready"
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None, "tool_calls": []}
    samples = asked.get("n", 1)
    return {
        "id": _ID,
        "object": "chat.completion",
        "created": 1,
        "model": asked["model"],
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": "stop"}
            for index in range(samples)
        ],
        "usage": {
            "prompt_tokens": 900,
            "completion_tokens": 90 * samples,
            "total_tokens": 900 + 90 * samples,
        },
    }


def _right_answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the calm answer, citing two facts as the case has them."""
    schema = asked["response_format"]["json_schema"]["schema"]["properties"]
    options = schema["option"]["enum"]
    told = asked["messages"][-1]["content"]
    facts = json.loads(told[told.index("{") : told.rindex("}") + 1])["facts"]
    cited = [fact for fact in facts if fact["name"] in {"respiratory_rate", "spo2"}]
    return {
        "evidence": [
            {"fact": fact["name"], "value": fact["value"], "finding": "within the usual range"}
            for fact in cited
        ],
        "missing": [],
        "rationale": "Breathing and saturation are within the usual range and nothing else stands out.",
        "option": next(option for option in options if option in CALM),
        "confidence": 85,
        "consult": [],
    }


class Talk(asyncio.Protocol):
    """One connection: requests come one after another, as from a client that does not pipeline."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._read = bytearray()
        self._pending: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count who left before the answer."""
        del exc
        self._transport = None
        if self._pending is not None:
            self._pending.cancel()
            self._server.left += 1

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and act once a request is whole."""
        self._read += data
        head_ends = self._read.find(b"\r\n\r\n")
        if head_ends < 0:
            return
        head = bytes(self._read[:head_ends])
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        whole = head_ends + 4 + (0 if length is None else int(length[1]))
        if len(self._read) < whole:
            return
        body = bytes(self._read[head_ends + 4 : whole])
        del self._read[:whole]
        self._act(head, body)

    def _act(self, head: bytes, body: bytes) -> None:
        server = self._server
        path = head.split(b" ", 2)[1]
        match path:
            case b"/v1/chat/completions" | b"/v1/completions":
                is_member = path == CHAT and b'"response_format"' in body
                server.asked += is_member
                server.probes += not is_member
                answer = server.answer(head, body)
                self._pending = self._loop.call_later(
                    server.delay_seconds, self._reply, answer, time.perf_counter()
                )
            case b"/behave":
                server.delay_seconds = json.loads(body)["delay_ms"] / 1000
                self._send(response({}))
            case b"/seen":
                self._send(server.seen())
            case b"/last":
                last = {model.decode(): body.decode() for model, body in server.last.items()}
                self._send(response(last))
            case b"/version":
                self._send(response({"version": "0.0.1+answering"}))
            case b"/health":
                self._send(response({}))
            case _:
                self._send(response({}, "404 Not Found"))

    def _reply(self, answer: bytes, came: float) -> None:
        self._pending = None
        self._server.took.append(time.perf_counter() - came)
        self._send(answer)

    def _send(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(content)


async def serve(port: int, delay_seconds: float) -> None:
    """Serve until killed."""
    server = Server(delay_seconds)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Talk(server), "127.0.0.1", port, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="a model server whose every answer takes a fixed time")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=200.0)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.delay_ms / 1000))


if __name__ == "__main__":
    main()
