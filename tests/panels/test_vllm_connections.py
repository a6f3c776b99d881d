"""The connections of the wire to a model server, on both event loops: used again, hung up on, closed, and trusted."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.wire import IDLE_SECONDS, Wire
from tests.panels.model_servers import refusing_url
from tests.panels.test_vllm_faults import self_signed
from tests.panels.wires import (
    BROKEN,
    CHUNKED,
    COMPLETE,
    OK,
    Main,
    Told,
    asks,
    listening,
    over,
    sized,
    until,
)

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


@pytest.mark.parametrize("url", ["", 'http://a"b', "http://" + "a" * 300])
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
