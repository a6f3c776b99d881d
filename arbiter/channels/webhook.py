"""Posts a signed notice to an endpoint. Only a 2xx status counts as taken; redirects are not followed.

The reply's body is never read: nothing an endpoint answers can fill memory, reach a log, or keep a sender waiting past
`ATTEMPT_SECONDS`. Proxies and credentials of the environment are not used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from typing import Final
from urllib.parse import urlsplit

import httpx

from arbiter import __version__
from arbiter.channels.attempt import Attempt, Failed, Gone, Sent
from arbiter.channels.signing import signed_headers
from arbiter.errors import Problem, RefusedError
from arbiter.ports import Clock

ATTEMPT_SECONDS: Final = 15.0
"""From the first byte out to the status line; the specification recommends 15 to 30 seconds."""

CONNECT_SECONDS: Final = 5.0
LONGEST_URL: Final = 2000
LONGEST_PAUSE_SECONDS: Final = 3600
"""How far a receiver's Retry-After is heeded."""


def open_http(*, most_connections: int) -> httpx.AsyncClient:
    """Return the client that all webhooks of a process go out by."""
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=most_connections, max_keepalive_connections=20),
        headers={"User-Agent": f"Arbiter/{__version__}", "Content-Type": "application/json"},
    )


async def post(
    http: httpx.AsyncClient, clock: Clock, url: str, secret: bytes, notice_id: str, body: bytes
) -> Attempt:
    """Post one notice and return what became of it."""
    headers = signed_headers(secret, notice_id, clock.now(), body)
    try:
        async with (
            asyncio.timeout(ATTEMPT_SECONDS),
            http.stream("POST", url, content=body, headers=headers) as reply,
        ):
            return _judged(reply)
    except TimeoutError:
        return Failed("no answer in time")
    except httpx.TimeoutException:
        return Failed("no answer in time")
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        # The class alone: the text may quote addresses and what the other side sent.
        return Failed(type(error).__name__)


def _judged(reply: httpx.Response) -> Attempt:
    if reply.is_success:
        return Sent()
    if reply.status_code == httpx.codes.GONE:
        return Gone("HTTP 410")
    return Failed(f"HTTP {reply.status_code}", _retry_after(reply.headers.get("retry-after", "")))


def _retry_after(text: str) -> int:
    # The date form is not heeded: it would make our pause depend on their clock.
    return (
        min(int(text), LONGEST_PAUSE_SECONDS) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    )


def check_url(url: str) -> str:
    """Return `url` if notices may be sent there: https, or http to this very machine.

    Raises:
        RefusedError: otherwise; the URL itself is not repeated, for it may hold a secret.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("expected a URL") from None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise _refused(f"expected a URL of at most {LONGEST_URL} printable ASCII characters without spaces")
    if not host:
        raise _refused("expected a URL with a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused("expected a URL without user, password or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise _refused("expected https; http is taken for the loopback address alone")
    return url


def is_loopback(host: str) -> bool:
    """Return whether a host's name can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(detail: str) -> RefusedError:
    return RefusedError("the endpoint's address does not fit", (Problem("/url", "url", detail),))
