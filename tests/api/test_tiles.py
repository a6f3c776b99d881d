"""The log's checkpoint and tiles at the door: together they are one tree, and a tile may be kept once it is full."""

from __future__ import annotations

import asyncio

import pytest

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.merkle import root_of
from arbiter.audit.note import VerifierKey
from tests.api.cases import settled
from tests.api.conftest import Caller, stable_case

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_checkpoint_and_tiles_agree(caller: Caller) -> None:
    await settled(caller, stable_case())
    reply = await caller.http.get("/v1/audit/checkpoint")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=1"
    keys = [VerifierKey.parse(line) for line in (await caller.http.get("/v1/audit/keys")).text.splitlines()]
    checkpoint = open_checkpoint(reply.content, keys).checkpoint
    full, width = divmod(checkpoint.size, 256)
    hashes = b""
    for index in range(full):
        hashes += (await caller.http.get(f"/v1/audit/tile/0/{index:03d}")).content
    if width:
        tile = await caller.http.get(f"/v1/audit/tile/0/{full:03d}.p/{width}")
        assert tile.headers["content-type"] == "application/octet-stream"
        assert "immutable" not in tile.headers["cache-control"]
        hashes += tile.content
    leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    assert len(leaves) == checkpoint.size
    assert root_of(leaves) == checkpoint.root


async def test_a_full_tile_may_be_kept_for_ever(caller: Caller) -> None:
    await settled(caller, stable_case())  # without which there is no checkpoint yet
    while True:
        note = (await caller.http.get("/v1/audit/checkpoint")).text
        if int(note.splitlines()[1]) >= 256:
            break
        await asyncio.gather(*(settled(caller, stable_case()) for _ in range(10)))
    tile = await caller.http.get("/v1/audit/tile/0/000")
    assert len(tile.content) == 256 * 32
    assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
    held = await caller.http.get("/v1/audit/tile/0/000", headers={"If-None-Match": tile.headers["etag"]})
    assert held.status_code == 304
    assert (await caller.http.get("/v1/audit/tile/1/000.p/1")).status_code == 200
    # C2SP tlog-tiles: a partial tile that has become full may still be asked for, by those who know an older checkpoint.
    part = await caller.http.get("/v1/audit/tile/0/000.p/255")
    assert (part.status_code, part.content) == (200, tile.content[: 255 * 32])


@pytest.mark.parametrize("path", ["0/x900/000", "5/000", "63/000.p/1"])
async def test_a_tile_that_no_checkpoint_covers_is_not_found(caller: Caller, path: str) -> None:
    assert (await caller.http.get(f"/v1/audit/tile/{path}")).status_code == 404
