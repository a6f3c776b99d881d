"""The log under one prefix, as C2SP tlog-tiles asks: checkpoint, hash tiles and verifier keys for everyone.

Nothing of that names a case or a person. Entry bundles do, by opaque ids: they are for auditors of every site.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from arbiter.api.documentation import replies
from arbiter.api.headers import content_digests
from arbiter.api.replies import bytes_reply
from arbiter.api.security import PUBLIC, house_of, requires
from arbiter.audit.tiles import Tile, parse_tile_path
from arbiter.errors import NotFoundError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.workflow import publishing
from arbiter.workflow.log import proving

router = APIRouter(prefix="/v1/audit", tags=["log"])

# A checkpoint grows old within a second; a full tile never does. What a partial tile holds does not change either, but
# nobody asks for it once a newer checkpoint is out: kept long, it would only fill caches.
CHECKPOINT_CACHE = "public, max-age=1"
KEYS_CACHE = "public, max-age=300"
FULL_TILE_CACHE = "public, max-age=31536000, immutable"
PARTIAL_TILE_CACHE = "public, max-age=3600"
# Entries are for whoever proved to be an auditor: a cache that others share must not hold them.
FULL_BUNDLE_CACHE = "private, max-age=31536000, immutable"
PARTIAL_BUNDLE_CACHE = "private, max-age=3600"

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

Auditor = Annotated[Principal, requires(Permission.AUDIT_READ)]


@router.get(
    "/checkpoint",
    dependencies=[PUBLIC],
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
    dependencies=[PUBLIC],
    response_class=PlainTextResponse,
    responses=replies({200: {"description": "Verifier keys"}}, public=True),
)
async def read_keys(request: Request) -> Response:
    """Read the keys that verify checkpoints: C2SP verifier key strings, one a line."""
    keys = "".join(f"{key}\n" for key in publishing.verifier_keys(house_of(request))).encode()
    headers = {"Cache-Control": KEYS_CACHE, "ETag": content_digests(keys)["ETag"]}
    return bytes_reply(keys, "text/plain", headers, request)


@router.get(
    "/tile/entries/{path:path}",
    response_class=Response,
    responses=replies({200: {"content": _BYTES}}, 404),
)
async def read_bundle(request: Request, auditor: Auditor, path: str) -> Response:
    """Read an entry bundle, `<N>` or `<N>.p/<W>` (C2SP tlog-tiles); for auditors who act for every site."""
    tile = _tile_at(f"entries/{path}")
    width = tile.width if tile.is_partial else None
    content = await proving.bundle(house_of(request), auditor, tile.index, width)
    cache = PARTIAL_BUNDLE_CACHE if tile.is_partial else FULL_BUNDLE_CACHE
    return _octets(content, cache, request)


@router.get(
    "/tile/{path:path}",
    dependencies=[PUBLIC],
    response_class=Response,
    responses=replies({200: {"content": _BYTES}}, 404, public=True),
)
async def read_tile(request: Request, path: str) -> Response:
    """Read a hash tile: `<L>/<N>` or `<L>/<N>.p/<W>` (C2SP tlog-tiles); any other spelling is not found."""
    tile = _tile_at(path)
    if tile.level is None:
        raise NotFoundError("a bundle's path has more to it")
    width = tile.width if tile.is_partial else None
    content = await publishing.tile(house_of(request), tile.level, tile.index, width)
    cache = PARTIAL_TILE_CACHE if tile.is_partial else FULL_TILE_CACHE
    return _octets(content, cache, request)


def _tile_at(path: str) -> Tile:
    try:
        return parse_tile_path(f"tile/{path}")
    except VerificationError:
        raise NotFoundError("no such tile") from None


def _octets(content: bytes, cache: str, request: Request) -> Response:
    headers = {"Cache-Control": cache, "ETag": content_digests(content)["ETag"]}
    return bytes_reply(content, "application/octet-stream", headers, request)
