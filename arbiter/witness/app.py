"""A witness behind HTTP: `add-checkpoint` for logs; its key and what it cosigned last for whoever watches it.

A body is read no further than its limit and for no longer than `BODY_SECONDS`. Everything here is public.
"""

from __future__ import annotations

import asyncio
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from arbiter.witness.request import MAX_BYTES
from arbiter.witness.witness import Answer, Witness

BODY_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 60
MOST_REQUESTS: Final = 256
DRAIN_SECONDS: Final = 5


def create_app(witness: Witness) -> Starlette:
    """Return the application of one witness."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await asyncio.wait_for(_body(request), BODY_SECONDS)
        except TimeoutError:
            return _reply(Answer(408, b"the body did not come in time\n"), closing=True)
        except ClientDisconnect:
            return _reply(Answer(400, b"the body broke off\n"), closing=True)
        if body is None:
            return _reply(Answer(413, f"expected at most {MAX_BYTES} bytes\n".encode()), closing=True)
        return _reply(await asyncio.to_thread(witness.add_checkpoint, body))

    async def checkpoint(request: Request) -> Response:
        origin_hash = str(request.path_params["origin_hash"])
        return _reply(await asyncio.to_thread(witness.checkpoint, origin_hash))

    async def verifier_key(_request: Request) -> Response:
        return _reply(Answer(200, f"{witness.key.public.encode()}\n".encode()))

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/checkpoint/{origin_hash}", checkpoint, methods=["GET"]),
            Route("/verifier-key", verifier_key, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """Return the body, or None as soon as it is beyond its limit."""
    announced = request.headers.get("content-length", "0")
    if announced.isascii() and announced.isdecimal() and int(announced[:20]) > MAX_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            return None
    return bytes(body)


def _reply(answer: Answer, *, closing: bool = False) -> Response:
    headers = {
        "Content-Type": answer.media_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    if closing:
        headers["Connection"] = "close"
    return Response(answer.body, answer.status, headers)


def serve(witness: Witness, host: str, port: int) -> None:
    """Serve until interrupted."""
    uvicorn.run(
        create_app(witness),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=MOST_REQUESTS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
