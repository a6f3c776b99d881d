"""The log over HTTP: what everybody may fetch, what auditors may, how long each may be kept, and what does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import event

from arbiter.api.app import create_app
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.tiles import Tile, parse_bundle, tile_width
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.store.database import Database
from arbiter.workflow.house import House
from tests.api.log_readers import FAR, SIZE, Reader, Shown, pad
from tests.houses import SITE, a_house

pytestmark = pytest.mark.asyncio(loop_scope="module")
IMMUTABLE = "max-age=31536000, immutable"


@contextmanager
def statements_of(house: House) -> Iterator[list[str]]:
    """Everything that is sent to the database, on either road."""
    sent: list[str] = []
    execute = psycopg.AsyncConnection.execute

    async def noted(connection: psycopg.AsyncConnection[Any], query: object, *rest: Any, **named: Any) -> Any:
        sent.append(str(query))
        return await execute(connection, query, *rest, **named)  # type: ignore[call-overload]  # handed on as it came

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    engine = house.store.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.AsyncConnection, "execute", noted)
        yield sent
    event.remove(engine, "before_cursor_execute", note)


# --- what everybody may fetch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("checkpoint", "text/plain; charset=utf-8", "public, max-age=1"),
        ("keys", "text/plain; charset=utf-8", "public, max-age=300"),
        ("tile/0/000", "application/octet-stream", f"public, {IMMUTABLE}"),
        ("tile/0/001.p/1", "application/octet-stream", "public, max-age=3600"),
        ("tile/0/000.p/255", "application/octet-stream", "public, max-age=3600"),
        ("tile/1/000.p/1", "application/octet-stream", "public, max-age=3600"),
        ("tile/entries/000", "application/octet-stream", f"private, {IMMUTABLE}"),
        ("tile/entries/001.p/1", "application/octet-stream", "private, max-age=3600"),
    ],
)
async def test_each_resource_says_what_it_is_and_how_long_it_may_be_kept(
    shown: Shown, auditor: Reader, path: str, kind: str, cache: str
) -> None:
    reader = auditor if "entries" in path else shown.anyone
    reply = await reader.get(
        f"/v1/audit/{path}", Accept_Encoding="gzip, br", Origin="https://elsewhere.example"
    )
    assert reply.status_code == 200
    headers = reply.headers
    assert (headers["content-type"], headers["cache-control"]) == (kind, cache)
    assert headers["x-content-type-options"] == "nosniff"
    # Hashes do not shrink; a proxy in front may compress bundles. The tag is of the bytes as they are.
    assert "content-encoding" not in headers
    # No page of another origin reads a hospital's log through an employee's browser.
    assert not [name for name in headers if name.startswith("access-control")]
    head = await reader.ask("HEAD", f"/v1/audit/{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(reply.content))
    for name in ("content-type", "cache-control", "etag"):
        assert head.headers[name] == headers[name]
    held = await reader.get(f"/v1/audit/{path}", If_None_Match=headers["etag"])
    assert (held.status_code, held.content) == (304, b"")
    assert held.headers["cache-control"] == cache
    other = await reader.get(f"/v1/audit/{path}", If_None_Match='"something-else"')
    assert (other.status_code, other.content) == (200, reply.content)


async def test_a_preflight_of_another_origin_is_turned_away(shown: Shown) -> None:
    reply = await shown.anyone.ask(
        "OPTIONS",
        "/v1/audit/checkpoint",
        Origin="https://elsewhere.example",
        Access_Control_Request_Method="GET",
    )
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "0/001",
        "0/001.p/2",
        "0/001.p/255",
        "0/002",
        "0/002.p/1",
        "0/x001/000",
        "1/000",
        "1/000.p/2",
        "1/001.p/1",
        "2/000.p/1",
        "63/000.p/1",
        "0/x999/x999/x999/x999/x999/999",
    ],
)
async def test_nothing_beyond_the_checkpoint_is_served_nor_its_absence_kept(
    shown: Shown, auditor: Reader, path: str
) -> None:
    assert (await shown.checkpoint()).size == SIZE
    replies = [await shown.anyone.get(f"/v1/audit/tile/{path}")]
    if path.startswith("0/"):
        replies.append(await auditor.get(f"/v1/audit/tile/entries/{path.removeprefix('0/')}"))
    for reply in replies:
        assert reply.status_code == 404
        # It will be there once the log has grown.
        assert reply.headers["cache-control"] == "no-store"
        assert "etag" not in reply.headers


@pytest.mark.parametrize(
    "path",
    [
        "0",
        "000.p/0",
        "000.p/256",
        "000.p/01",
        "000.p",
        "x000/000",
        "000/",
        "/000",
        "001.p/1.p/1",
        "%2e%2e/000",
    ],
)
async def test_a_bundle_spelt_otherwise_is_not_found(auditor: Reader, path: str) -> None:
    assert (await auditor.get(f"/v1/audit/tile/entries/{path}")).status_code == 404


async def test_entries_that_wait_for_their_seal_show_in_no_tile(database: Database, tmp_path: Any) -> None:
    """At every size on the edge of a tile, exactly the tiles of the published size are served, none of them empty."""
    async with a_house(tmp_path / "data", database, running=False) as house:
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            reader = Reader(http)
            assert (await reader.get("/v1/audit/checkpoint")).status_code == 404
            written = 0
            for size in (1, 2, 255, 256, 257):
                await pad(house, size - written)
                published = await served_size(reader)
                assert published == (0 if size == 1 else written)
                await all_tiles_of(reader, published)
                await house.sealer.round()
                written = size
                assert await served_size(reader) == size
                await all_tiles_of(reader, size)


async def served_size(reader: Reader) -> int:
    reply = await reader.get("/v1/audit/checkpoint")
    return 0 if reply.status_code == 404 else int(reply.text.split("\n")[1])


async def all_tiles_of(reader: Reader, size: int) -> None:
    for level in range(3):
        for index in range(3):
            width = tile_width(level, index, size)
            if width:
                reply = await reader.get(f"/v1/audit/{Tile(level, index, width).path}")
                assert (reply.status_code, len(reply.content)) == (200, 32 * width)
            if width < 256:
                wider = await reader.get(f"/v1/audit/{Tile(level, index, width + 1).path}")
                assert wider.status_code == 404


async def test_a_tile_costs_a_few_statements_and_a_bundle_too(shown: Shown, auditor: Reader) -> None:
    for path in ("tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "checkpoint"):
        with statements_of(shown.house) as sent:
            assert (await shown.anyone.get(f"/v1/audit/{path}")).status_code == 200
        assert 1 <= len(sent) <= 3, sent
    with statements_of(shown.house) as sent:
        assert (await auditor.get("/v1/audit/tile/entries/000")).status_code == 200
    # Who asks, which sites there are, the checkpoint, and the runs that hold the entries.
    assert 1 <= len(sent) <= 7, sent


# --- bundles ----------------------------------------------------------------------------------------------------------


async def test_bundles_hash_to_the_leaves_and_the_leaves_to_the_root(shown: Shown, auditor: Reader) -> None:
    checkpoint = await shown.checkpoint()
    entries: list[bytes] = []
    for index in range(2):
        tile = Tile(None, index, tile_width(None, index, checkpoint.size))
        entries += parse_bundle((await auditor.get(f"/v1/audit/{tile.path}")).content, tile.width)
    leaves = b"".join(map(leaf_hash, entries))
    assert leaves[: 256 * 32] == (await shown.anyone.get("/v1/audit/tile/0/000")).content
    assert root_of(tuple(map(leaf_hash, entries))) == checkpoint.root


async def test_bundles_are_for_auditors_who_act_for_every_site(shown: Shown, auditor: Reader) -> None:
    path = "/v1/audit/tile/entries/000"
    assert (await shown.anyone.get(path)).status_code == 401
    assert (await Reader(shown.http, "arb_c" + "a" * 16 + "_" + "s" * 43).get(path)).status_code == 401
    for role in (Role.INTEGRATION_CLIENT, Role.ADMINISTRATOR, Role.PAGING_CLIENT):
        assert (await (await shown.client(role, SITE, FAR)).get(path)).status_code == 403
    for site in (SITE, FAR):
        refused = await (await shown.client(Role.AUDITOR, site)).get(path)
        assert refused.status_code == 403
        assert "/v1/cases/{case}/proofs" in refused.json()["detail"]
        assert b"case.received" not in refused.content
    assert (await auditor.get(path)).status_code == 200


async def test_a_site_that_is_added_ends_the_right_to_bundles_until_it_is_given(
    tmp_path: Any, database: Database
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            reader = await Shown(house, http, ()).client(Role.AUDITOR, SITE)
            await pad(house, 2)
            await house.sealer.round()
            assert (await reader.get("/v1/audit/tile/entries/000.p/2")).status_code == 200
            await add_site(house.identities, FAR, "Far Away Infirmary")
            assert (await reader.get("/v1/audit/tile/entries/000.p/2")).status_code == 403


async def test_reading_the_log_makes_it_no_longer(shown: Shown, auditor: Reader) -> None:
    before = await shown.checkpoint()
    for path in (
        "audit/tile/entries/000",
        f"cases/{shown.cases[0]}/proofs",
        f"cases/{shown.cases[0]}/entries/0/proof",
    ):
        assert (await auditor.get(f"/v1/{path}")).status_code == 200
    await shown.house.sealer.round()
    assert await shown.checkpoint() == before
