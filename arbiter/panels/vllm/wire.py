"""HTTP/1.1 to one model server, and no more of it than asking a model takes: each exchange alone on its connection.

Guarantees: a reply is read no further than its limit, its head no further than `HEAD_LIMIT`; nothing is retried, no redirect
followed, nothing unpacked, no proxy or credential taken from the environment, no cookie kept. An exchange can be hung up on at
any instant, and costs whoever does so no waiting. A connection on which the server said a word too many is not used again. A
reply whose end only the closing of its connection would tell counts as broken off: it may be half of one.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from arbiter.panels.vllm.exchange import Ending
from arbiter.telemetry import outgoing_headers

HEAD_LIMIT: Final = 64 * 1024
# Below the 5 seconds after which vLLM's own HTTP server closes an idle connection.
IDLE_SECONDS: Final = 4.0
_CHUNK_OVERHEAD: Final = 8
_FIRST_FINAL_STATUS: Final = 200
_RETRY_AFTER: Final = b"retry-after"
_LONGEST_RETRY_AFTER: Final = 3_600


class Talk:
    """One request and what has come of it so far; `done` is set when nothing more will."""

    __slots__ = (
        "_connecting", "_connection", "body", "done", "ended", "ending", "head", "limit", "retry_after", "seen", "started",
        "status",
    )  # fmt: skip

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.started = time.perf_counter()
        self.head: float | None = None
        self.ended = self.started
        self.status: int | None = None
        self.retry_after: int | None = None
        self.body = bytearray()
        self.seen = 0
        self.ending: Ending | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[None] | None = None

    def hang_up(self, ending: Ending) -> None:
        """End it now, if it has not ended; its connection is gone at once."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.abort()
        self.end(ending)

    def end(self, ending: Ending) -> None:
        """Set how it ended; the first word counts."""
        if self.ending is None:
            self.ending = ending
            self.ended = time.perf_counter()
            self._connection = None
            if not self.done.done():
                self.done.set_result(None)


class Wire:
    """The connections to one base URL."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._ssl = _trust(parts.scheme)
        self._port = parts.port or (443 if self._ssl else 80)
        self._path = parts.path.rstrip("/")
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False
        lines = [
            f"Host: {parts.netloc}",
            "Accept: application/json",
            "Accept-Encoding: identity",
            "User-Agent: arbiter",
        ]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        self._lines = "\r\n".join(lines)

    def begin(
        self, method: str, path: str, content: bytes, limit: int, request_id: str | None = None
    ) -> Talk:
        """Send a request; what comes of it is in the talk returned, of whose body at most `limit` bytes are read."""
        talk = Talk(limit)
        message = self._head(method, path, content, request_id) + content
        connection = self._at_hand()
        if connection is not None:
            connection.begin(talk, message)
        else:
            talk._connecting = task = asyncio.create_task(self._connect(talk, message))  # noqa: SLF001 - its own talk
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        return talk

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def close(self) -> None:
        """Close every connection, whatever is under way on it."""
        self._closed = True
        for task in list(self._connecting):
            task.cancel()
        for connection in list(self._open):
            connection.abort()
        if self._connecting:
            await asyncio.wait(set(self._connecting), timeout=1.0)
        # A turn of the loop, in which transports let go of their sockets.
        await asyncio.sleep(0)

    def _head(self, method: str, path: str, content: bytes, request_id: str | None) -> bytes:
        lines = [f"{method} {self._path}{path} HTTP/1.1", self._lines]
        if content:
            lines.append(f"Content-Type: application/json\r\nContent-Length: {len(content)}")
            lines.extend(f"{name}: {value}" for name, value in outgoing_headers().items())
        if request_id is not None:
            lines.append(f"X-Request-Id: {request_id}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def _at_hand(self) -> _Connection | None:
        """Return the connection used last of those that the server still holds open, if there is one."""
        oldest = time.perf_counter() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since > oldest and not connection.is_closing:
                return connection
            connection.abort()
        return None

    async def _connect(self, talk: Talk, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        name = self._host if self._ssl else None
        try:
            _, connection = await loop.create_connection(
                partial(_Connection, self._idle.append, self._open),
                self._host,
                self._port,
                ssl=self._ssl,
                server_hostname=name,
            )
        except (OSError, UnicodeError):
            talk.end(Ending.NOT_CONNECTED)
            return
        if talk.ending is not None or self._closed:
            connection.abort()
            talk.end(Ending.NOT_CONNECTED)
        else:
            connection.begin(talk, message)


class _Connection(asyncio.Protocol):
    """One connection: idle, or carrying one talk."""

    def __init__(self, when_idle: Callable[[_Connection], None], opened: set[_Connection]) -> None:
        self.idle_since = 0.0
        self._when_idle = when_idle
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._talk: Talk | None = None
        self._received = 0
        self._whole = False
        self._keeps = False

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def begin(self, talk: Talk, message: bytes) -> None:
        """Send a request over this connection, which is idle."""
        if self._transport is None or self._transport.is_closing():
            talk.end(Ending.BROKEN)
            return
        self._talk, self._received, self._whole, self._keeps = talk, 0, False, False
        self._parser = httptools.HttpResponseParser(self)
        talk._connection = self  # noqa: SLF001 - its own talk
        self._transport.write(message)

    def abort(self) -> None:
        """Drop the connection without waiting."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Said, not checked: uvloop's transports do all of it and are no instances of it.
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._opened.discard(self)
        self._transport = None
        self._end(Ending.BROKEN)

    def eof_received(self) -> bool:
        self._end(Ending.BROKEN)
        return False

    def data_received(self, data: bytes) -> None:
        talk, parser = self._talk, self._parser
        if talk is None or parser is None:
            # Nobody asked: whatever it answers, it is not the next request.
            self.abort()
            return
        self._received += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end(Ending.COMPLETE if self._whole else Ending.BROKEN)
            self.abort()
            return
        if talk.seen > talk.limit:
            self._end(Ending.TOO_LARGE)
            self.abort()
        elif self._whole:
            self._end(Ending.COMPLETE)
            if self._keeps:
                self.idle_since = time.perf_counter()
                self._when_idle(self)
            else:
                self.abort()
        elif self._received > HEAD_LIMIT + _CHUNK_OVERHEAD * talk.seen:
            # A head without end, or a body that is nearly all frame.
            self._end(Ending.BROKEN)
            self.abort()

    def _end(self, ending: Ending) -> None:
        talk, self._talk, self._parser = self._talk, None, None
        if talk is not None:
            talk.end(ending)

    # --- the parser's side

    def on_message_begin(self) -> None:
        if self._whole:
            self._keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == _RETRY_AFTER and self._talk is not None and len(value) <= 5 and value.isdigit():
            self._talk.retry_after = min(int(value), _LONGEST_RETRY_AFTER)

    def on_headers_complete(self) -> None:
        talk, parser = self._talk, self._parser
        if talk is None or parser is None or self._whole:
            return
        status = parser.get_status_code()
        if status >= _FIRST_FINAL_STATUS:
            talk.status = status
            talk.head = time.perf_counter()

    def on_body(self, body: bytes) -> None:
        talk = self._talk
        if talk is None or self._whole:
            return
        talk.seen += len(body)
        # INVARIANT: never more held than the limit, however large the piece that came.
        room = talk.limit - len(talk.body)
        if room > 0:
            talk.body += body[:room]

    def on_message_complete(self) -> None:
        talk, parser = self._talk, self._parser
        if talk is not None and talk.status is not None and parser is not None and not self._whole:
            self._whole = True
            self._keeps = parser.should_keep_alive()


def _trust(scheme: str) -> ssl.SSLContext | None:
    """Return the machine's own trust store, where a hospital's authority stands; nothing is trusted over plain HTTP."""
    return ssl.create_default_context() if scheme == "https" else None
