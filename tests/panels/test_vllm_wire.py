"""The wire to a model server, on both event loops, against a server that sends exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.wire import IDLE_SECONDS, Talk, Wire
from tests.panels.model_servers import refusing_url
from tests.panels.test_vllm_faults import self_signed

COMPLETE, BROKEN, TOO_LARGE = Ending.COMPLETE, Ending.BROKEN, Ending.TOO_LARGE
OK = b"HTTP/1.1 200 OK\r\n"
LIMIT = 1000
LONG_BODY = b"x" * (8 * 1024 * 1024)
"""More than the sockets' own buffers take in."""

Main = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def on_loop(request: pytest.FixtureRequest) -> Callable[[Main], None]:
    """Runs a coroutine on a loop of that kind; whatever was left open is found at its end."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(main: Main) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
        gc.collect()

    return run


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
FOLDED = gzip.compress(b" " * 100_000)

# What the server sends, how that ends, and what of the body is held.
REPLIES: dict[str, tuple[list[bytes | float | str | None], Ending, bytes]] = {
    "sized": ([sized(b"abc")], COMPLETE, b"abc"),
    "sized in pieces": ([sized(b"abc")[:9], 0.02, sized(b"abc")[9:-1], 0.02, b"c"], COMPLETE, b"abc"),
    "empty": ([sized(b"")], COMPLETE, b""),
    "without content": ([b"HTTP/1.1 204 No Content\r\n\r\n"], COMPLETE, b""),
    "chunked": ([CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"], COMPLETE, b"abc"),
    "after an interim reply": ([b"HTTP/1.1 100 Continue\r\n\r\n", 0.02, sized(b"abc")], COMPLETE, b"abc"),
    "old and sized": ([b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "close"], COMPLETE, b"abc"),
    "the last time": ([sized(b"abc", b"Connection: close"), "close"], COMPLETE, b"abc"),
    "redirected": ([sized(b"", b"Location: /stolen", status=b"307 Elsewhere")], COMPLETE, b""),
    "folded": ([sized(FOLDED, b"Content-Encoding: gzip")], COMPLETE, FOLDED),
    "as long as it may be": ([sized(b"x" * LIMIT)], COMPLETE, b"x" * LIMIT),
    "a byte too long": ([sized(b"x" * (LIMIT + 1))], TOO_LARGE, b"x" * LIMIT),
    "too long and going on": ([OK + b"Content-Length: 999999\r\n\r\n" + b"x" * 2000, None], TOO_LARGE, b"x" * LIMIT),
    "too long in chunks": ([CHUNKED, *[b"1f4\r\n" + b"x" * 500 + b"\r\n"] * 3, None], TOO_LARGE, b"x" * LIMIT),
    # It may be half of one, and half of an answer cannot be read.
    "until the end": ([OK + b"\r\nabc", "close"], COMPLETE, b"abc"),
    "old until the end": ([b"HTTP/1.0 200 OK\r\n\r\nabc", "close"], COMPLETE, b"abc"),
    "cut off in the body": ([OK + b"Content-Length: 4\r\n\r\nabc", "close"], BROKEN, b"abc"),
    "cut off later in the body": ([OK + b"Content-Length: 4\r\n\r\nabc", 0.02, "close"], BROKEN, b"abc"),
    "cut off in chunks": ([CHUNKED + b"3\r\nabc\r\n", 0.02, "close"], BROKEN, b"abc"),
    "cut off in the head": ([OK, "close"], BROKEN, b""),
    "cut off at once": (["close"], BROKEN, b""),
    "no chunk, at once": ([CHUNKED + b"zz\r\n"], BROKEN, b""),
    "two lengths": ([OK + b"Content-Length: 3\r\nContent-Length: 2\r\n\r\nabc"], BROKEN, b""),
    "length and chunks": ([OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"], BROKEN, b""),
    "no length": ([OK + b"Content-Length: -1\r\n\r\nabc"], BROKEN, b""),
    "no HTTP": ([b"220 mail.example ESMTP\r\n", None], BROKEN, b""),
    "a long header": ([OK + b"A: " + b"b" * 9000, None], BROKEN, b""),
    "a long first line": ([b"HTTP/1.1 200 " + b"b" * 9000, None], BROKEN, b""),
}  # fmt: skip


@pytest.mark.parametrize("name", REPLIES)
def test_every_reply_ends_as_it_must_at_once_and_no_more_of_it_is_held(
    on_loop: Callable[[Main], None], name: str
) -> None:
    reply, ending, body = REPLIES[name]

    async def main() -> None:
        server = Told([reply])
        async with listening(server.serve) as wire:
            talk = await over(asks(wire))
            assert (talk.ending, bytes(talk.body)) == (ending, body)
            assert (talk.status is None) == (talk.head is None)
        assert len(server.requests) == server.connections == 1

    on_loop(main)


# --- one request is sent once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_request_on_a_connection_that_is_dropped_is_not_sent_again(
    on_loop: Callable[[Main], None], end: str
) -> None:

    async def main() -> None:
        requests: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            requests.append(await reader.readuntil(b"{}"))
            writer.write(sized(b"abc"))
            requests.append(await reader.readuntil(b"{}"))
            if end == "reset":
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            writer.close()

        async with listening(serve) as wire:
            assert (await over(asks(wire))).ending is COMPLETE
            assert (await over(asks(wire))).ending is BROKEN
            await asyncio.sleep(0.05)
        assert len(requests) == 2

    on_loop(main)


def test_connections_are_used_again_but_none_that_was_idle_too_long_or_closed(
    on_loop: Callable[[Main], None],
) -> None:
    async def main() -> None:
        server = Told([[sized(b"1")], [sized(b"2"), 0.05, "close"], [sized(b"3")], [sized(b"4")]])
        async with listening(server.serve) as wire:
            assert [(await over(asks(wire))).body for _ in range(2)] == [b"1", b"2"]
            assert server.connections == 1
            await until(lambda: server.left == 1)
            await asyncio.sleep(0.1)
            assert (await over(asks(wire))).body == b"3"
            assert server.connections == 2
            await asyncio.sleep(IDLE_SECONDS + 0.2)
            assert (await over(asks(wire))).body == b"4"
            assert server.connections == 3

    on_loop(main)


# --- no reply is another's ---------------------------------------------------------------------------------------


def test_each_of_many_gets_its_own_reply_however_soon_its_connection_is_used_again(
    on_loop: Callable[[Main], None],
) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    reply = sized(await reader.readexactly(4))
                    for piece in (reply[:-2], reply[-2:]):
                        writer.write(piece)
                        await asyncio.sleep(0)
            writer.close()

        async with listening(serve) as wire:
            talks: list[Talk] = []
            began = asyncio.Event()
            loop = asyncio.get_running_loop()

            def begin() -> None:
                """In every turn of the loop, so that some begin just when a connection is given back."""
                talks.append(asks(wire, content=b"%04d" % len(talks)))
                if len(talks) < 500:
                    loop.call_soon(begin)
                else:
                    began.set()

            begin()
            await began.wait()
            replies = [bytes((await over(talk)).body) for talk in talks]
            assert replies == [b"%04d" % at for at in range(500)]
            assert {talk.ending for talk in talks} == {COMPLETE}

    on_loop(main)


UNASKED = {
    "behind a reply": (sized(b"abc"), 0.05, sized(b"")),
    "right behind a reply": (sized(b"abc"), 0.0, sized(b"")),
    "before any reply": (b"", 0.0, b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", UNASKED)
def test_a_server_that_goes_on_speaking_unasked_is_left_and_none_of_it_is_kept(
    on_loop: Callable[[Main], None], name: str
) -> None:
    first, pause, unasked = UNASKED[name]

    async def main() -> None:
        sent, left = 0, asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            with contextlib.suppress(OSError):
                await reader.readuntil(b"{}")
                writer.write(first)
                await asyncio.sleep(pause)
                while sent < 32 * 2**20:
                    writer.write(unasked * 1_000)
                    sent += 1_000 * len(unasked)
                    await writer.drain()
            left.set()
            writer.close()

        async with listening(serve) as wire:
            talk = await over(asks(wire))
            assert talk.ending is (COMPLETE if first else BROKEN)
            # Long before an idle connection would be closed; what lies in the sockets' own buffers counts here too.
            await asyncio.wait_for(left.wait(), IDLE_SECONDS / 2)
            assert sent < 16 * 2**20

    on_loop(main)


# --- what is sent ------------------------------------------------------------------------------------------------


def test_nothing_of_the_environment_and_no_cookie_is_in_a_request(
    on_loop: Callable[[Main], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password something\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, refusing_url())

    async def main() -> None:
        server = Told([[sized(b"abc", b"Set-Cookie: a=b; Path=/")], [sized(b"abc")]])
        async with listening(server.serve) as wire:
            for _ in range(2):
                assert (await over(asks(wire))).ending is COMPLETE
        for request in server.requests:
            head, _, body = request.partition(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            assert first == b"POST /v1/chat/completions HTTP/1.1"
            assert body == b"{}"
            names = sorted(line.partition(b":")[0].lower().decode() for line in lines)
            assert names == [
                "accept", "accept-encoding", "content-length", "content-type", "host", "user-agent", "x-request-id",
            ]  # fmt: skip

    on_loop(main)


def test_the_key_goes_with_every_request_and_a_long_request_arrives_whole(
    on_loop: Callable[[Main], None],
) -> None:
    async def main() -> None:
        server = Told([[sized(b"abc")]])
        async with listening(server.serve, token="the key") as wire:
            assert (await over(asks(wire, content=LONG_BODY))).ending is COMPLETE
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert b"Authorization: Bearer the key" in head.split(b"\r\n")
        assert body == LONG_BODY

    on_loop(main)


# --- hanging up --------------------------------------------------------------------------------------------------

SILENT: dict[str, list[bytes | float | str | None]] = {
    "nothing came": [None],
    "half a head came": [OK, None],
    "half a body came": [OK + b"Content-Length: 100\r\n\r\nabc", None],
    "half a chunk came": [CHUNKED + b"6\r\nabc", None],
}


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("name", SILENT)
def test_hanging_up_takes_no_time_and_leaves_no_connection_whenever_it_happens(
    on_loop: Callable[[Main], None], name: str, turns: int
) -> None:
    async def main() -> None:
        server = Told([SILENT[name]] * 20)
        async with listening(server.serve) as wire:
            talks = [asks(wire) for _ in range(20)]
            for _ in range(turns):
                await asyncio.sleep(0.001 if turns == 100 else 0)
            for talk in talks:
                talk.hang_up(Ending.GIVEN_UP)
                assert talk.done.done()
            assert {talk.ending for talk in talks} == {Ending.GIVEN_UP}
            await until(lambda: server.left == server.connections)
            talks[0].hang_up(Ending.OUT_OF_TIME)
            assert talks[0].ending is Ending.GIVEN_UP

    on_loop(main)


def test_hanging_up_while_a_connection_is_made_leaves_no_socket(on_loop: Callable[[Main], None]) -> None:
    with socket.socket() as held, contextlib.ExitStack() as others:
        held.bind(("127.0.0.1", 0))
        held.listen(0)
        address = held.getsockname()
        for _ in range(8):  # the queue of those that nobody accepts is full now
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(address)

        async def main() -> None:
            wire = Wire(f"http://127.0.0.1:{address[1]}", None)
            talk = asks(wire)
            await asyncio.sleep(0.1)
            assert talk.ending is None
            talk.hang_up(Ending.OUT_OF_TIME)
            assert talk.done.done()
            await asyncio.sleep(0.05)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await wire.close()

        on_loop(main)


def test_closing_ends_whatever_is_under_way_and_nothing_begins_after_it(
    on_loop: Callable[[Main], None],
) -> None:
    async def main() -> None:
        server = Told([[None]] * 5)
        async with listening(server.serve) as wire:
            talks = [asks(wire) for _ in range(5)]
            await until(lambda: len(server.requests) == 5)
            talks.append(asks(wire))
            await wire.close()
            assert {talk.ending for talk in talks} == {BROKEN}
            assert asks(wire).ending is Ending.NOT_CONNECTED
            await wire.close()

    on_loop(main)


@pytest.mark.parametrize("url", ["", "http://no-such-host.invalid", 'http://a"b', "http://" + "a" * 300])
def test_a_server_that_cannot_be_reached_is_not_connected(on_loop: Callable[[Main], None], url: str) -> None:
    async def main() -> None:
        wire = Wire(url or refusing_url(), None)
        talk = await over(asks(wire), 20)
        await wire.close()
        assert (talk.ending, talk.status, talk.head) == (Ending.NOT_CONNECTED, None, None)

    on_loop(main)


# --- https -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
def test_over_https_the_machines_trust_store_decides(
    on_loop: Callable[[Main], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trusted: bool
) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def main() -> None:
        server = Told([[sized(b"abc")], [sized(b"abc")], [OK, None]])
        async with listening(server.serve, context) as wire:
            talk = await over(asks(wire))
            assert talk.ending is (COMPLETE if trusted else Ending.NOT_CONNECTED)
            assert len(server.requests) == int(trusted)
            if trusted:
                assert (await over(asks(wire))).ending is COMPLETE
                hung_up = asks(wire)
                await asyncio.sleep(0.05)
                hung_up.hang_up(Ending.GIVEN_UP)
                await until(lambda: server.left == 1)
                assert server.connections == 1

    on_loop(main)
