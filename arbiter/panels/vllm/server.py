"""A vLLM server as this deployment knows it: one HTTP client, one request an ask, and a limit on everything.

Guarantees: an exchange ends when its time is up, however slowly the server drips; a reply is read no further than its limit;
nothing is retried, no redirect followed, no proxy or credential taken from the environment, no cookie kept, so that one
case leaves nothing behind for the next. What a server does wrong is told in the exchange and raises nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from types import MappingProxyType
from typing import Final

import httpx

from arbiter.fleet.fleet import Fleet
from arbiter.panels.vllm.exchange import Ending, Exchange
from arbiter.ports import Clock
from arbiter.telemetry import outgoing_headers

CHAT_PATH: Final = "/v1/chat/completions"
VERSION_PATH: Final = "/version"
UNKNOWN: Final = "unknown"
KEPT_OF_TOO_LARGE: Final = 64 * 1024

_CLOSING_SECONDS: Final = 2.0
_VERSION_LIMIT: Final = 4 * 1024
_VERSION_SECONDS: Final = 1.0
_VERSION_HOLDS_SECONDS: Final = 60.0
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}")
# Below the 5 seconds after which vLLM's own HTTP server closes an idle connection.
_IDLE_SECONDS: Final = 4.0
_LIMITS: Final = httpx.Limits(
    max_connections=128, max_keepalive_connections=32, keepalive_expiry=_IDLE_SECONDS
)


@dataclass(slots=True)
class _Progress:
    """What has come of a reply so far; read when the exchange is over, however it ended."""

    started: float = field(default_factory=time.perf_counter)
    status: int | None = None
    head_after_us: int | None = None
    chunks: list[bytes] = field(default_factory=list)
    seen: int = 0

    def passed_us(self) -> int:
        return round((time.perf_counter() - self.started) * 1_000_000)


class ModelServer:
    """One server by name; members in any number of seats ask through it."""

    def __init__(self, name: str, url: str, token: str | None, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "arbiter"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=None,  # noqa: S113 - each exchange is bounded as a whole
            limits=_LIMITS,
            follow_redirects=False,
            trust_env=False,
            verify=_trust(url),
        )
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._version: asyncio.Task[str] | None = None
        self._version_until = 0.0
        self._hanging_up: set[asyncio.Task[Ending]] = set()

    async def ask(self, request: bytes, seconds: float, limit: int) -> Exchange:
        """Post a chat completion and return the exchange, at the latest after that many seconds."""
        return await self._exchange("POST", CHAT_PATH, request, seconds, limit)

    def look_up_version(self) -> asyncio.Task[str]:
        """Return the running or finished look at the server's version; a new one at most once a minute.

        Its result is `unknown` where the server did not tell. It is shared: wait for it, never cancel it.
        """
        now = asyncio.get_running_loop().time()
        if self._version is None or now >= self._version_until:
            self._version = asyncio.create_task(self._ask_version())
            self._version_until = now + _VERSION_HOLDS_SECONDS
        return self._version

    async def close(self) -> None:
        """Close every connection."""
        if self._version is not None:
            self._version.cancel()
            await asyncio.wait({self._version})
        if self._hanging_up:
            await asyncio.wait(self._hanging_up, timeout=_CLOSING_SECONDS)
        await self._http.aclose()

    async def _ask_version(self) -> str:
        exchange = await self._exchange("GET", VERSION_PATH, b"", _VERSION_SECONDS, _VERSION_LIMIT)
        if exchange.ending is not Ending.COMPLETE or exchange.status != httpx.codes.OK:
            return UNKNOWN
        try:
            document = json.loads(exchange.reply)
        except (ValueError, RecursionError):
            return UNKNOWN
        version = document.get("version") if isinstance(document, dict) else None
        return version if isinstance(version, str) and _VERSION.fullmatch(version) else UNKNOWN

    async def _exchange(self, method: str, path: str, request: bytes, seconds: float, limit: int) -> Exchange:
        progress = _Progress()
        talk = asyncio.create_task(self._converse(method, path, request, limit, progress))
        try:
            # Not awaited itself: closing a connection takes its time, and whoever is out of time has none for that.
            await asyncio.wait({talk}, timeout=seconds)
        finally:
            if not talk.done():
                self._hang_up(talk)
        ending = talk.result() if talk.done() else Ending.OUT_OF_TIME
        kept = KEPT_OF_TOO_LARGE if ending is Ending.TOO_LARGE else limit
        return Exchange(
            server=self.name,
            path=path,
            request=request,
            status=progress.status,
            reply=b"".join(progress.chunks)[:kept],
            reply_bytes=progress.seen,
            ending=ending,
            head_after_us=progress.head_after_us,
            ended_after_us=progress.passed_us(),
        )

    def _hang_up(self, talk: asyncio.Task[Ending]) -> None:
        """End a talk without waiting until its connection is closed."""
        talk.cancel()
        self._hanging_up.add(talk)
        talk.add_done_callback(self._hung_up)

    def _hung_up(self, talk: asyncio.Task[Ending]) -> None:
        self._hanging_up.discard(talk)
        if not talk.cancelled():
            # Collected, so that nothing is logged about a connection that nobody waits for.
            talk.exception()

    async def _converse(
        self, method: str, path: str, request: bytes, limit: int, progress: _Progress
    ) -> Ending:
        """Send the request and read the reply into `progress`, which holds what came however this ends."""
        try:
            return await self._read(method, path, request, limit, progress)
        except httpx.ConnectError:
            return Ending.NOT_CONNECTED
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError):
            return Ending.BROKEN

    async def _read(self, method: str, path: str, request: bytes, limit: int, progress: _Progress) -> Ending:
        headers = {"Content-Type": "application/json", **outgoing_headers()} if request else {}
        async with self._http.stream(method, path, content=request or None, headers=headers) as response:
            progress.status = response.status_code
            progress.head_after_us = progress.passed_us()
            # Raw: a compressed body is one that nobody asked for, and may unfold without end.
            async for chunk in response.aiter_raw():
                progress.seen += len(chunk)
                progress.chunks.append(chunk)
                if progress.seen > limit:
                    return Ending.TOO_LARGE
        return Ending.COMPLETE


def _trust(url: str) -> ssl.SSLContext:
    """Return the machine's own trust store, where a hospital's authority stands; nothing is trusted over plain HTTP."""
    if url.startswith("https:"):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


NO_SERVERS: Final[Mapping[str, ModelServer]] = MappingProxyType({})


def open_servers(fleet: Fleet, token: str | None, clock: Clock) -> Mapping[str, ModelServer]:
    """Return every server of the fleet by its name; no connection is made before somebody asks."""
    return MappingProxyType(
        {
            name: ModelServer(name, server.replicas[0].url, token, clock)
            for name, server in fleet.servers.items()
        }
    )


async def close_servers(servers: Mapping[str, ModelServer]) -> None:
    """Close every server's connections."""
    for server in servers.values():
        await server.close()
