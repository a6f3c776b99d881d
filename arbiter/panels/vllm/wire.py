"""HTTP to one model server, by aiohttp's client, and no more of it than asking a model takes.

Guarantees: a reply is read no further than its limit while it streams, and a connection on which a server goes on
speaking unasked is dropped; a request with a body is sent once, whatever becomes of it; no redirect is followed, nothing
unpacked, no proxy or credential taken from the environment, no cookie kept. An exchange can be hung up on at any instant,
and costs whoever does so no waiting. A single reply that nobody asked for may answer the next request on its connection:
that a reply is to the request that was sent is seen by its id (`arbiter.panels.vllm.reading`).
"""

from __future__ import annotations

import asyncio
import functools
import io
import ssl
import time
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from arbiter.fleet.probing import trusted
from arbiter.panels.vllm.exchange import Ending
from arbiter.telemetry import outgoing_headers

LONGEST_HEADER: Final = 8 * 1024
# Below the 5 seconds after which vLLM's own HTTP server closes an idle connection.
IDLE_SECONDS: Final = 4.0
_READ_AHEAD: Final = 64 * 1024
_LARGE_REQUEST: Final = 1024 * 1024
"""Above it aiohttp warns of bytes that are handed over in one piece."""
_LONGEST_RETRY_AFTER: Final = 3_600
_CLOSING_SECONDS: Final = 1.0
_AROUND_A_REPLY: Final = 64 * 1024
"""So many bytes may come beside twice a reply's limit: whoever sends a body in crumbs costs more to read than it says."""
_UNTAKEN_REPLIES: Final = 16
"""So many replies, interim ones too, may wait on a connection; more come only from a server that was not asked for them."""


class Talk:
    """One request and what has come of it so far; `done` is set when nothing more will."""

    __slots__ = (
        "_task", "body", "done", "ended", "ending", "head", "limit", "retry_after", "seen", "started", "status",
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
        self._task: asyncio.Task[None] | None = None

    def carried_by(self, task: asyncio.Task[None]) -> None:
        """Belong to a task that is cancelled when it is hung up on."""
        self._task = task

    def hang_up(self, ending: Ending) -> None:
        """End it now, if it has not ended; its connection goes too."""
        if self.ending is None:
            self.end(ending)
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

    def take(self, piece: bytes) -> None:
        """Take in a piece of the body."""
        self.seen += len(piece)
        # INVARIANT: never more held than the limit, however large the piece that came.
        room = self.limit - len(self.body)
        if room > 0:
            self.body += piece[:room]


class Wire:
    """The connections to one base URL."""

    def __init__(self, url: str, token: str | None) -> None:
        self._base = url.rstrip("/")
        self._trust = _trust(self._base)
        self._talks: dict[asyncio.Task[None], Talk] = {}
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
        task = asyncio.create_task(self._exchange(talk, method, path, content, headers))
        talk.carried_by(task)
        self._talks[task] = talk
        task.add_done_callback(self._over)
        return talk

    async def close(self) -> None:
        """Close every connection, whatever is under way on it."""
        self._closed = True
        tasks = list(self._talks)
        for talk in list(self._talks.values()):
            talk.hang_up(Ending.BROKEN)
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSING_SECONDS)
        if self._session is not None:
            await self._session.close()
        # A turn of the loop, in which transports let go of their sockets.
        await asyncio.sleep(0)

    def _over(self, task: asyncio.Task[None]) -> None:
        talk = self._talks.pop(task)
        # Nobody is left waiting, whatever happened that `_exchange` does not foresee.
        talk.end(Ending.BROKEN)
        if not task.cancelled():
            task.exception()

    def _opened(self) -> aiohttp.ClientSession:
        """Return the one session there is; it belongs to the loop that first asked."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(self._trust),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_READ_AHEAD,
                max_line_size=LONGEST_HEADER,
                max_field_size=LONGEST_HEADER,
            )
        return self._session

    async def _exchange(
        self, talk: Talk, method: str, path: str, content: bytes, headers: dict[str, str]
    ) -> None:
        data = io.BytesIO(content) if len(content) > _LARGE_REQUEST else content or None
        url = URL(self._base + path, encoded=True)
        try:
            async with self._opened().request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                talk.take_head(response)
                connection = response.connection
                async for piece in response.content.iter_any():
                    talk.take(piece)
                    if talk.seen > talk.limit or _came_over(connection) > 2 * talk.limit + _AROUND_A_REPLY:
                        talk.end(Ending.TOO_LARGE)
                        response.close()
                        return
                talk.end(Ending.COMPLETE)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError):
            talk.end(Ending.NOT_CONNECTED)
        except (aiohttp.ClientError, OSError, ValueError):
            talk.end(Ending.BROKEN)


class _Connection(ResponseHandler):
    """One connection; aiohttp's own keeps every reply that comes, also while nobody waits for one."""

    came = 0
    """How many bytes came since a request was last sent, the head and what stands around chunks counted in."""

    def set_response_params(self, **options: Any) -> None:
        """Make ready for the reply to a request."""
        self.came = 0
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        """Take in what came, and drop the connection where it is far more than was asked for."""
        self.came += len(data)
        super().data_received(data)
        if len(self._buffer) > _UNTAKEN_REPLIES:
            self.abort()


class _Connector(aiohttp.TCPConnector):
    """Makes such connections. How much is asked at once, and for how long, is bounded by who asks."""

    def __init__(self, trust: ssl.SSLContext | bool) -> None:
        super().__init__(limit=0, keepalive_timeout=IDLE_SECONDS, ssl=trust)
        made: type[ResponseHandler] = _Connection
        self._factory = functools.partial(made, loop=self._loop)


def _came_over(connection: aiohttp.connector.Connection | None) -> int:
    """Return how many bytes came over a connection for the present reply; none where it is whole and the connection given back."""
    protocol = None if connection is None else connection.protocol
    return protocol.came if isinstance(protocol, _Connection) else 0


def _trust(url: str) -> ssl.SSLContext | bool:
    """Return the machine's own trust store; over plain HTTP nothing is to be trusted."""
    return trusted() if url.startswith("https:") else True
