"""HTTP/1.1 to one model server, by aiohttp's client, and no more of it than asking a model takes.

Guarantees: a reply is read no further than its limit while it streams, and what is not body (heads, chunk marks, interim
replies) no further than `FRAME_LIMIT`; one request is sent once over one connection, whatever becomes of it; no redirect is
followed, nothing unpacked, no proxy or credential taken from the environment, no cookie kept. An exchange can be hung up on at
any instant, and costs whoever does so no waiting. A connection is used again only after a reply that told its length and of
which every byte is accounted for, and only if nothing more came. A reply whose end only the closing of its connection would
tell counts as broken off: it may be half of one.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import time
from contextvars import ContextVar
from functools import partial
from typing import Final

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from arbiter.panels.vllm.exchange import Ending
from arbiter.telemetry import outgoing_headers

FRAME_LIMIT: Final = 1024 * 1024
"""So much of a reply may be other than its body: more than is ever read ahead of whoever reads it."""
MOST_HEADERS: Final = 64
LONGEST_HEADER: Final = 8 * 1024
# Below the 5 seconds after which vLLM's own HTTP server closes an idle connection.
IDLE_SECONDS: Final = 4.0
_READ_AHEAD: Final = 64 * 1024
_CHUNK_OVERHEAD: Final = 8
_LARGE_REQUEST: Final = 1024 * 1024
"""Above it aiohttp warns of bytes that are handed over in one piece."""
_FIRST_FINAL_STATUS: Final = 200
_WITHOUT_BODY: Final = frozenset({204, 304})
_LONGEST_RETRY_AFTER: Final = 3_600
_NO_TIMEOUTS: Final = aiohttp.ClientTimeout(total=None, sock_connect=None)


class Talk:
    """One request and what has come of it so far; `done` is set when nothing more will."""

    __slots__ = (
        "_line", "_task", "body", "done", "ended", "ending", "head", "limit", "retry_after", "seen", "started", "status",
        "whole",
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
        self.whole: int | None = None
        self.ending: Ending | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line: _Line | None = None
        self._task: asyncio.Task[None] | None = None

    def hang_up(self, ending: Ending) -> None:
        """End it now, if it has not ended; its connection is gone at once."""
        if self.ending is not None:
            return
        self.end(ending)
        if self._line is not None:
            self._line.abort()
        if self._task is not None:
            self._task.cancel()

    def end(self, ending: Ending) -> None:
        """Set how it ended; the first word counts."""
        if self.ending is None:
            self.ending = ending
            self.ended = time.perf_counter()
            if not self.done.done():
                self.done.set_result(None)

    def take_head(self, response: aiohttp.ClientResponse) -> None:
        """Take in the head of the reply."""
        self.head = time.perf_counter()
        self.status = response.status
        said = response.headers.get("Retry-After", "")
        if len(said) <= 5 and said.isascii() and said.isdigit():
            self.retry_after = min(int(said), _LONGEST_RETRY_AFTER)
        self.whole = _expected_bytes(response)

    def take(self, piece: bytes) -> None:
        """Take in a piece of the body."""
        self.seen += len(piece)
        # INVARIANT: never more held than the limit, however large the piece that came.
        room = self.limit - len(self.body)
        if room > 0:
            self.body += piece[:room]


_TALK: ContextVar[Talk] = ContextVar("talk")
"""The talk that the present task carries, for whoever gives it its connection."""


class Wire:
    """The connections to one base URL."""

    def __init__(self, url: str, token: str | None) -> None:
        self._base = url.rstrip("/")
        self._ssl = _trust(self._base)
        self._urls: dict[str, URL] = {}
        self._open: set[_Line] = set()
        self._under_way: set[Talk] = set()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "arbiter",
        }
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def begin(
        self, method: str, path: str, content: bytes, limit: int, request_id: str | None = None
    ) -> Talk:
        """Send a request; what comes of it is in the talk returned, of whose body at most `limit` bytes are read."""
        talk = Talk(limit)
        if self._closed:
            talk.end(Ending.NOT_CONNECTED)
            return talk
        headers: dict[str, str] = {}
        if content:
            headers["Content-Type"] = "application/json"
            headers.update(outgoing_headers())
        if request_id is not None:
            headers["X-Request-Id"] = request_id
        talk._task = task = asyncio.create_task(self._exchange(talk, method, path, content, headers))  # noqa: SLF001 - its own talk
        self._under_way.add(talk)
        task.add_done_callback(partial(self._over, talk))
        return talk

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def close(self) -> None:
        """Close every connection, whatever is under way on it."""
        self._closed = True
        tasks = [talk._task for talk in self._under_way if talk._task is not None]  # noqa: SLF001 - its own talks
        for talk in list(self._under_way):
            talk.hang_up(Ending.BROKEN)
        for line in list(self._open):
            line.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        if self._session is not None:
            await self._session.close()
        # A turn of the loop, in which transports let go of their sockets.
        await asyncio.sleep(0)

    def _over(self, talk: Talk, task: asyncio.Task[None]) -> None:
        del task
        self._under_way.discard(talk)

    def _opened(self) -> aiohttp.ClientSession:
        """Return the one session there is; it belongs to the loop that first asked."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(self._open, self._ssl),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_NO_TIMEOUTS,
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_READ_AHEAD,
                max_line_size=LONGEST_HEADER,
                max_field_size=LONGEST_HEADER,
                max_headers=MOST_HEADERS,
            )
        return self._session

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self._base + path, encoded=True)
        return url

    async def _exchange(
        self, talk: Talk, method: str, path: str, content: bytes, headers: dict[str, str]
    ) -> None:
        _TALK.set(talk)
        response = None
        data = io.BytesIO(content) if len(content) > _LARGE_REQUEST else content or None
        try:
            response = await self._opened().request(
                method, self._url(path), data=data, headers=headers, allow_redirects=False
            )
            talk.take_head(response)
            await _read(talk, response)
        except (aiohttp.ClientError, OSError, ValueError):
            talk.end(Ending.NOT_CONNECTED if talk._line is None else Ending.BROKEN)  # noqa: SLF001 - its own talk
        finally:
            # Nobody is left waiting, whatever happened that is not foreseen above.
            talk.end(Ending.BROKEN)
            if talk._line is not None:  # noqa: SLF001 - its own talk
                talk._line.let_go(talk)  # noqa: SLF001 - its own talk
            if response is not None:
                response.close()


class _Connector(aiohttp.TCPConnector):
    """Gives each talk one connection, once, over a line that counts what comes."""

    def __init__(self, opened: set[_Line], trust: ssl.SSLContext | bool) -> None:
        # How much is asked at once is bounded by who asks.
        super().__init__(
            limit=0, keepalive_timeout=IDLE_SECONDS, ssl=trust, resolver=aiohttp.ThreadedResolver()
        )
        self._lines = opened

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as aiohttp names it
    ) -> Connection:
        """Return a connection for the talk of the present task."""
        talk = _TALK.get()
        if talk._line is not None:  # noqa: SLF001 - its own talk
            # aiohttp sends an idempotent request anew where its connection was dropped: nothing is retried here.
            raise aiohttp.ClientConnectionError
        while True:
            connection = await super().connect(req, traces, timeout)
            transport, handler = connection.transport, connection.protocol
            assert transport is not None
            assert handler is not None
            line = transport.get_protocol()
            is_new = not isinstance(line, _Line)
            if not isinstance(line, _Line):
                line = _Line(handler, transport, self._lines)
                transport.set_protocol(line)
            if line.is_clean and not handler.should_close:
                line.carry(talk, connection)
                return connection
            # It has spoken before it was asked, or said more than its reply.
            connection.close()
            if is_new:
                raise aiohttp.ClientConnectionError


class _Line(asyncio.Protocol):
    """Stands between a connection and aiohttp: counts what comes, and lets nothing through that nobody asked for."""

    def __init__(self, handler: asyncio.Protocol, transport: asyncio.Transport, opened: set[_Line]) -> None:
        self._handler = handler
        self._transport = transport
        self._opened = opened
        self._talk: Talk | None = None
        self._lent: Connection | None = None
        self._received = 0
        opened.add(self)

    def carry(self, talk: Talk, lent: Connection) -> None:
        """Belong to a talk until its connection is given back."""
        self._talk, self._lent, self._received = talk, lent, 0
        talk._line = self  # noqa: SLF001 - its own talk

    @property
    def is_clean(self) -> bool:
        """Whether all that came so far was the reply to what was asked."""
        return self._talk is None or self._received == self._talk.whole

    def let_go(self, talk: Talk) -> None:
        """Belong to that talk no more; a connection that was not given back, or on which more came, is dropped."""
        if self._talk is not talk:
            return  # given back and given to another since
        if not self.is_clean or (self._lent is not None and self._lent.protocol is not None):
            self.abort()
        self._talk = self._lent = None

    def abort(self) -> None:
        """Drop the connection without waiting."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        talk = self._talk
        if talk is None or self._lent is None or self._lent.protocol is None:
            # Nobody asked: whatever it answers, it is not the next request.
            self.abort()
            return
        self._received += len(data)
        self._handler.data_received(data)
        if self._received > FRAME_LIMIT + _CHUNK_OVERHEAD * talk.seen:
            # A head without end, or a body that is nearly all frame.
            talk.hang_up(Ending.BROKEN)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        self._handler.connection_lost(exc)
        if self._talk is not None:
            # After whoever reads has been woken: of a frame that is wrong half-way through a body aiohttp tells nobody.
            asyncio.get_running_loop().call_soon(self._lost, self._talk)

    def _lost(self, talk: Talk) -> None:
        if self._talk is talk:
            talk.hang_up(Ending.BROKEN)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()


async def _read(talk: Talk, response: aiohttp.ClientResponse) -> None:
    content = response.content
    while piece := await content.readany():
        talk.take(piece)
        if talk.seen > talk.limit:
            talk.end(Ending.TOO_LARGE)
            return
    talk.end(Ending.COMPLETE if _tells_its_end(response) else Ending.BROKEN)


def _tells_its_end(response: aiohttp.ClientResponse) -> bool:
    """Return whether a reply says itself how long it is: where it does, aiohttp has seen to it that all of it came."""
    if response.status < _FIRST_FINAL_STATUS:
        return False
    codings = response.headers.getall("Transfer-Encoding", ())
    if codings:
        return [coding.strip().lower() for coding in codings] == ["chunked"]
    return "Content-Length" in response.headers or response.status in _WITHOUT_BODY


def _expected_bytes(response: aiohttp.ClientResponse) -> int | None:
    """Return how many bytes such a reply has as servers write it, or None where it does not tell."""
    length = response.headers.get("Content-Length", "")
    if response.status in _WITHOUT_BODY or not (length.isascii() and length.isdigit()):
        return None
    first = len(f"HTTP/1.1 {response.status} ") + len(response.reason or "")
    return first + 4 + sum(len(name) + len(value) + 4 for name, value in response.raw_headers) + int(length)


def _trust(url: str) -> ssl.SSLContext | bool:
    """Return the machine's own trust store, where a hospital's authority stands; over plain HTTP nothing is to be trusted."""
    return ssl.create_default_context() if url.startswith("https:") else True
