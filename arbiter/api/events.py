"""A case's steps as server-sent events: numbered, resumable, kept alive, bounded in number and in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from arbiter.api.headers import last_event_id
from arbiter.api.problems import TooManyStreamsError
from arbiter.errors import ArbiterError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import ENDS
from arbiter.model import CaseId
from arbiter.workflow import reading
from arbiter.workflow.house import House
from arbiter.workflow.views import CaseStep

KEEPALIVE_SECONDS = 15.0
STREAM_SECONDS = 900.0
"""A stream ends after that long; its client comes back with Last-Event-ID, and its token is proven again."""

STREAM_LIMIT = 200
RECONNECT_MS = 2000

_open_streams: set[asyncio.Task[object] | None] = set()


async def stream_steps(request: Request, house: House, principal: Principal, case: CaseId) -> Response:
    """Return the stream of the case's entries after the last one seen; 204 when all was seen and the case is over.

    Raises:
        TooManyStreamsError: when `STREAM_LIMIT` streams are open in this process.
    """
    after = last_event_id(request)
    view = await reading.view_case(house, principal, case)
    if after is not None and view.phase in ENDS and after >= view.entries - 1:
        # Tells a browser's EventSource to stop reconnecting (HTML, server-sent events).
        return Response(None, HTTPStatus.NO_CONTENT)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.scope.get("arbiter.head"):
        return Response(None, HTTPStatus.OK, headers, media_type="text/event-stream")
    if len(_open_streams) >= STREAM_LIMIT:
        raise TooManyStreamsError(f"at most {STREAM_LIMIT} event streams are open at a time")
    steps = reading.follow(house, principal, case, -1 if after is None else after)
    return StreamingResponse(_frames(steps), headers=headers, media_type="text/event-stream")


async def _frames(steps: AsyncIterator[CaseStep]) -> AsyncIterator[bytes]:
    me = asyncio.current_task()
    _open_streams.add(me)
    try:
        yield format_sse_event(retry=RECONNECT_MS)
        async for step in _until_late(steps):
            yield KEEPALIVE_COMMENT if step is None else _frame(step)
    except ArbiterError:
        # The reply has begun and cannot turn into a problem: the stream ends and the client asks again.
        return
    finally:
        _open_streams.discard(me)


def _frame(step: CaseStep) -> bytes:
    data = json.dumps({"seq": step.seq, "type": step.type, "at": step.at.isoformat()}, separators=(",", ":"))
    return format_sse_event(data_str=data, event=step.type, id=str(step.seq))


async def _until_late(steps: AsyncIterator[CaseStep]) -> AsyncIterator[CaseStep | None]:
    """Yield the steps, None whenever nothing came for a while, and stop after `STREAM_SECONDS`."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + STREAM_SECONDS
    upcoming: asyncio.Future[CaseStep] | None = None
    try:
        while (left := ends_at - loop.time()) > 0:
            upcoming = upcoming or asyncio.ensure_future(anext(steps))
            await asyncio.wait({upcoming}, timeout=min(KEEPALIVE_SECONDS, left))
            if not upcoming.done():
                yield None
                continue
            try:
                step = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            yield step
    finally:
        if upcoming is not None and not upcoming.done():
            upcoming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await upcoming
        close = getattr(steps, "aclose", None)
        if close is not None:
            await close()
