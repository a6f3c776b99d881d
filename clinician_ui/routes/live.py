"""Says to an open work list that it has changed, by server-sent events (HTML, section 9.2), and nothing else.

An event holds no case, no number and no name: the page then fetches its list as it always does. A stream is no use of the session
and ends with it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from arbiter.errors import ArbiterError
from arbiter.identity.roles import Permission
from arbiter.workflow.list_changes import ListChanges
from clinician_ui.desk import Desk
from clinician_ui.rendering import NO_STORE
from clinician_ui.session import Visitor

HEARTBEAT_SECONDS = 15.0
"""How long a stream is silent at most, and how long it may outlive its session."""
STREAM_SECONDS = 900.0
MOST_STREAMS = 200
MOST_OF_A_SESSION = 4
RETRY_MS = 5000

_BEGINS = f"retry: {RETRY_MS}\n\n".encode()
_CHANGED = b"event: changed\ndata: changed\n\n"
_HEARTBEAT = b": \n\n"


class LivePages:
    """`/worklist/events`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._changes = ListChanges(desk.house)
        self._open: Counter[str] = Counter()

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (Route("/worklist/events", self.listen, methods=["GET"]),)

    async def listen(self, request: Request) -> Response:
        """Return the stream of a reviewer; 429 where too many are open, and the list asks by itself."""
        visitor = await self._desk.door.visitor(request, acting=False)
        visitor.principal.require(Permission.REVIEW_WORK)
        headers = {**NO_STORE, "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(None, headers=headers, media_type="text/event-stream")
        if self._open.total() >= MOST_STREAMS or self._open[visitor.token] >= MOST_OF_A_SESSION:
            return Response(None, 429, headers={**NO_STORE, "Retry-After": "60"})
        return StreamingResponse(
            self._events(request, visitor), headers=headers, media_type="text/event-stream"
        )

    async def _events(self, request: Request, visitor: Visitor) -> AsyncIterator[bytes]:
        self._open[visitor.token] += 1
        try:
            yield _BEGINS
            async with self._changes.heard():
                async for event in self._until_late(request, visitor):
                    yield event
        except ArbiterError:
            # No session any more, or no database. The page asks for its list, and is led to where it belongs.
            yield _CHANGED
        finally:
            self._open[visitor.token] -= 1
            self._open += Counter()

    async def _until_late(self, request: Request, visitor: Visitor) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        ends_at = now() + STREAM_SECONDS
        proven_at, sites = now(), visitor.principal.sites
        seen = self._changes.marks(sites)
        # What moved since the page was made, or since its last stream ended, was told to nobody: the page asks once, now that it hears.
        yield _CHANGED
        while (left := ends_at - now()) > 0:
            quiet_for = proven_at + HEARTBEAT_SECONDS - now()
            await self._changes.wait(max(0.0, min(quiet_for, left)))
            if now() >= proven_at + HEARTBEAT_SECONDS:
                principal = (await self._desk.door.visitor(request, acting=False)).principal
                principal.require(Permission.REVIEW_WORK)
                proven_at = now()
                if principal.sites != sites:
                    sites, seen = principal.sites, ()
                yield _HEARTBEAT
            marks = self._changes.marks(sites)
            if marks != seen:
                seen = marks
                yield _CHANGED
