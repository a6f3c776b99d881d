"""The public part of the log: checkpoint, hash tiles and verifier keys, under one prefix as C2SP tlog-tiles asks.

Nothing here names a case or a person; entry bundles are not public and not served.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from arbiter.api.documentation import replies
from arbiter.api.headers import content_digests
from arbiter.api.replies import bytes_reply
from arbiter.api.security import PUBLIC, house_of
from arbiter.audit.tiles import parse_tile_path
from arbiter.errors import NotFoundError, VerificationError
from arbiter.workflow import publishing

router = APIRouter(prefix="/v1/audit", tags=["log"], dependencies=[PUBLIC])

# A checkpoint grows old within a second; a full tile never does; a partial one may be dropped once it is full.
CHECKPOINT_CACHE = "public, max-age=1"
KEYS_CACHE = "public, max-age=300"
FULL_TILE_CACHE = "public, max-age=31536000, immutable"
PARTIAL_TILE_CACHE = "public, max-age=3600"


@router.get(
    "/checkpoint",
    response_class=PlainTextResponse,
    responses=replies({200: {"description": "A signed note"}}, 404, public=True),
)
async def read_checkpoint(request: Request) -> Response:
    """Read the newest checkpoint: a signed note (C2SP tlog-checkpoint)."""
    note = (await publishing.checkpoint(house_of(request))).encode()
    headers = {"Cache-Control": CHECKPOINT_CACHE, "ETag": content_digests(note)["ETag"]}
    return bytes_reply(note, "text/plain", headers, request)


@router.get(
    "/keys",
    response_class=PlainTextResponse,
    responses=replies({200: {"description": "Verifier keys"}}, public=True),
)
async def read_keys(request: Request) -> Response:
    """Read the keys that verify checkpoints: C2SP verifier key strings, one a line."""
    keys = "".join(f"{key}\n" for key in publishing.verifier_keys(house_of(request))).encode()
    headers = {"Cache-Control": KEYS_CACHE, "ETag": content_digests(keys)["ETag"]}
    return bytes_reply(keys, "text/plain", headers, request)


@router.get(
    "/tile/{path:path}",
    response_class=Response,
    responses=replies(
        {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
        404,
        public=True,
    ),
)
async def read_tile(request: Request, path: str) -> Response:
    """Read a hash tile: `<L>/<N>` or `<L>/<N>.p/<W>` (C2SP tlog-tiles); any other spelling is not found."""
    try:
        tile = parse_tile_path(f"tile/{path}")
    except VerificationError:
        raise NotFoundError("no such tile") from None
    if tile.level is None:
        raise NotFoundError("entry bundles are not public")
    width = tile.width if tile.is_partial else None
    content = await publishing.tile(house_of(request), tile.level, tile.index, width)
    cache = PARTIAL_TILE_CACHE if tile.is_partial else FULL_TILE_CACHE
    headers = {"Cache-Control": cache, "ETag": content_digests(content)["ETag"]}
    return bytes_reply(content, "application/octet-stream", headers, request)
