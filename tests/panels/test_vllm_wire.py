"""What is sent over the wire to a model server and what is taken in of its replies, on both event loops, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.wire import IDLE_SECONDS, Talk
from tests.panels.model_servers import refusing_url
from tests.panels.wires import (
    BROKEN,
    CHUNKED,
    COMPLETE,
    LIMIT,
    LONG_BODY,
    OK,
    TOO_LARGE,
    Main,
    Told,
    asks,
    listening,
    over,
    sized,
)

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


def test_a_body_in_crumbs_is_read_no_further_than_its_limit_allows_for(
    on_loop: Callable[[Main], None],
) -> None:
    crumbs: list[bytes | float | str | None] = [CHUNKED, *[b"1;x=" + b"y" * 500 + b"\r\n \r\n"] * 500, None]

    async def main() -> None:
        server = Told([crumbs])
        async with listening(server.serve) as wire:
            talk = await over(asks(wire))
            assert talk.ending is TOO_LARGE
            assert 0 < talk.seen <= LIMIT

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
