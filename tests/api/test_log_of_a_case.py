"""A case's entries and their proofs over HTTP: for auditors of its site, one by one or whole, and verified offline."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from arbiter.api.app import create_app
from arbiter.audit.case_proofs import verify_case_proofs
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.proof import TlogProof, verify_proof
from arbiter.identity.roles import Role
from arbiter.store.database import Database
from arbiter.workflow.intake import submit
from tests.api.log_readers import FAR, Reader, Shown, pad
from tests.houses import SITE, a_client, a_house, submission

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
