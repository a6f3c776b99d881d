"""The log over HTTP: what everybody may fetch, what auditors may, how long each may be kept, and what does not exist."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import event

from arbiter.api.app import create_app
from arbiter.audit.case_proofs import verify_case_proofs
from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.proof import TlogProof, verify_proof
from arbiter.audit.tiles import Tile, parse_bundle, tile_width
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import ActorId, CaseId
from arbiter.store.database import Database
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log.chronicle import note_in_house
from tests.houses import SITE, a_client, a_house, submission

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAR = "far-away"
CASES = 3
SIZE = 257
IMMUTABLE = "max-age=31536000, immutable"


@dataclass
class Reader:
    """A client at the door, or nobody in particular."""

    http: httpx.AsyncClient
    token: str | None = None

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.ask("GET", path, **headers)

    async def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        return await self.http.request(method, path, headers=sent)


@dataclass
class Shown:
    """A house whose log has exactly SIZE entries of a few cases and of the house, and who may read it."""

    house: House
    http: httpx.AsyncClient
    cases: tuple[CaseId, ...]

    @property
    def anyone(self) -> Reader:
        return Reader(self.http)

    async def client(self, role: Role, *sites: str) -> Reader:
        house = self.house
        _, token = await register_client(
            house.identities, house.clock, house.chance, role, frozenset({role}), frozenset(sites)
        )
        return Reader(self.http, token)

    async def checkpoint(self) -> Checkpoint:
        return open_checkpoint(
            (await self.anyone.get("/v1/audit/checkpoint")).content, self.house.verifiers
        ).checkpoint


async def pad(house: House, number: int) -> None:
    """Append entries of the house's own, unsealed."""
    for _ in range(number):
        await note_in_house(house, house.store, "house.tried", ActorId("operator:test"), {})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    folder = tmp_path_factory.mktemp("reading")
    async with a_house(folder, module_database, running=False) as house:
        await add_site(house.identities, FAR, "Far Away Infirmary")
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            client, _ = await a_client(house)
            cases = []
            for number in range(CASES):
                taken = await submit(house, client, submission(house.clock.now()), f"key-{number}", b"body")
                cases.append(taken.case)
                await house.errands.finish(10)
                # Releasing is written behind the seal that allows it.
                while await house.sealer.round():
                    pass
            yielded = Shown(house, http, tuple(cases))
            size = (await yielded.checkpoint()).size
            assert size < SIZE
            await pad(house, SIZE - size)
            await house.sealer.round()
            yield yielded


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auditor(shown: Shown) -> Reader:
    """An auditor of every site."""
    return await shown.client(Role.AUDITOR, SITE, FAR)


@contextmanager
def statements_of(house: House) -> Iterator[list[str]]:
    """Everything that is sent to the database through the engine."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    engine = house.store.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
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


# --- a case -----------------------------------------------------------------------------------------------------------


async def test_a_cases_entries_and_proofs_verify_offline(shown: Shown) -> None:
    reader = await shown.client(Role.AUDITOR, SITE)
    for case in shown.cases:
        reply = await reader.get(f"/v1/cases/{case}/proofs")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["arbiter-unsealed"] == "0"
        assert reply.headers["cache-control"] == "no-store"
        verified = verify_case_proofs(reply.content, shown.house.verifiers)
        assert (verified.case, verified.from_start, verified.closed) == (case, True, True)
        assert verified.entries[0][1].type == "case.received"
        assert verified.opened.checkpoint == await shown.checkpoint()


async def test_a_page_leads_to_the_next_and_together_they_are_the_chain(
    shown: Shown, auditor: Reader
) -> None:
    path, found = f"/v1/cases/{shown.cases[0]}/proofs?limit=2", []
    while True:
        reply = await auditor.get(path)
        verified = verify_case_proofs(reply.content, shown.house.verifiers)
        found += [entry.seq for _, entry in verified.entries]
        if "link" not in reply.headers:
            break
        assert len(verified.entries) == 2
        path = reply.links["next"]["url"]
    assert found == list(range(len(found)))
    assert len(found) > 4
    assert (await auditor.get(f"/v1/cases/{shown.cases[0]}/proofs?after={found[-1]}")).status_code == 404


async def test_the_archive_holds_each_entry_with_its_proof_and_is_the_same_each_time(
    shown: Shown, auditor: Reader
) -> None:
    path = f"/v1/cases/{shown.cases[0]}/proofs"
    reply = await auditor.get(path, Accept="application/zip")
    assert reply.headers["content-type"] == "application/zip"
    assert (await auditor.get(path, Accept="text/html, Application/ZIP;q=0.5")).content == reply.content
    document = json.loads((await auditor.get(path, Accept="application/json, */*")).content)
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        names = archive.namelist()
        assert len(names) == 2 * len(document["entries"])
        for number, listed in enumerate(document["entries"]):
            body = archive.read(f"{number:06d}.json")
            assert body.decode() == listed["entry"]
            proof = TlogProof.parse(archive.read(f"{number:06d}.tlog-proof"))
            verify_proof(proof, leaf_hash(body), shown.house.verifiers)


async def test_one_entry_and_its_proof(shown: Shown, auditor: Reader) -> None:
    case = shown.cases[1]
    entry = await auditor.get(f"/v1/cases/{case}/entries/2")
    proof = await auditor.get(f"/v1/cases/{case}/entries/2/proof")
    assert proof.headers["content-type"] == "text/plain; charset=utf-8"
    assert proof.headers["content-disposition"] == f'attachment; filename="{case}-2.tlog-proof"'
    assert proof.content.startswith(b"c2sp.org/tlog-proof@v1\nindex ")
    verify_proof(TlogProof.parse(proof.content), leaf_hash(entry.content), shown.house.verifiers)
    found = Entry.from_bytes(entry.content)
    assert (found.case, found.seq) == (case, 2)
    held = await auditor.get(f"/v1/cases/{case}/entries/2", If_None_Match=entry.headers["etag"])
    assert held.status_code == 304


@pytest.mark.parametrize("path", ["proofs", "entries/0", "entries/0/proof"])
async def test_a_cases_entries_are_for_auditors_of_its_site(shown: Shown, path: str) -> None:
    address = f"/v1/cases/{shown.cases[0]}/{path}"
    assert (await shown.anyone.get(address)).status_code == 401
    for role in (Role.INTEGRATION_CLIENT, Role.ADMINISTRATOR):
        assert (await (await shown.client(role, SITE)).get(address)).status_code == 403
    stranger = await shown.client(Role.AUDITOR, FAR)
    foreign = await stranger.get(address)
    unknown = await stranger.get(f"/v1/cases/c_nobodyknowsthis/{path}")
    # Whether the case exists is not told either.
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("entries/999", 404),
        ("entries/999/proof", 404),
        ("entries/-1", 400),
        ("entries/01x", 400),
        ("entries/99999999999999999999", 400),
        ("entries/0/proofs", 404),
        ("proofs?after=x", 400),
        ("proofs?limit=0", 400),
        ("proofs?limit=1001", 400),
        ("proofs?seq=1", 400),
        ("proofs?after=0&after=1", 400),
        ("proofs?after=999", 404),
    ],
)
async def test_what_a_case_does_not_have(shown: Shown, auditor: Reader, path: str, status: int) -> None:
    assert (await auditor.get(f"/v1/cases/{shown.cases[0]}/{path}")).status_code == status


@pytest.mark.parametrize("chain", ["house", "s_aaaaaaaaaaaaaaaaaaaaaaaa"])
async def test_a_chain_that_is_no_cases_is_not_shown_as_one(
    shown: Shown, auditor: Reader, chain: str
) -> None:
    assert (await auditor.get(f"/v1/cases/{chain}/proofs")).status_code == 404


async def test_proofs_of_what_is_not_sealed_yet_come_later(database: Database, tmp_path: Any) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            client, _ = await a_client(house)
            reader = await Shown(house, http, ()).client(Role.AUDITOR, SITE)
            case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
            await house.errands.finish(10)
            for path in ("proofs", "entries/0/proof"):
                early = await reader.get(f"/v1/cases/{case}/{path}")
                assert (early.status_code, early.headers["retry-after"]) == (409, "1")
            assert (await reader.get(f"/v1/cases/{case}/entries/0")).status_code == 200
            await house.sealer.round()
            sealed = await reader.get(f"/v1/cases/{case}/proofs")
            verified = verify_case_proofs(sealed.content, house.verifiers)
            # Releasing came behind the seal, and waits for the next one.
            unsealed = int(sealed.headers["arbiter-unsealed"])
            assert unsealed > 0
            assert not verified.closed
            last = len(verified.entries)
            assert (await reader.get(f"/v1/cases/{case}/entries/{last}/proof")).status_code == 409
            await house.sealer.round()
            whole = await reader.get(f"/v1/cases/{case}/proofs")
            assert whole.headers["arbiter-unsealed"] == "0"
            assert verify_case_proofs(whole.content, house.verifiers).closed


async def test_many_read_while_the_log_grows_and_every_proof_holds(shown: Shown, auditor: Reader) -> None:
    async def read() -> None:
        for _ in range(4):
            reply = await auditor.get(f"/v1/cases/{shown.cases[2]}/proofs")
            verify_case_proofs(reply.content, shown.house.verifiers)

    async def grow() -> None:
        for _ in range(10):
            await pad(shown.house, 3)
            await shown.house.sealer.round()

    await asyncio.gather(grow(), *(read() for _ in range(6)))
