"""Who may export what: rights, documents, sites, and that an account may as a client may."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from arbiter.audit.export.manifest import Selection
from arbiter.errors import ForbiddenError, NotFoundError
from arbiter.identity.accounts import create_account
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import ActorId
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.verifying.report import verify
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.log.chronicle import note_in_house
from tests.exports import an_auditor, exported
from tests.houses import SITE, a_client
from tests.workflow.furniture import Furniture, chain, entries_of


async def test_only_auditors_export_and_only_discloser_auditors_documents(furnished: Furniture) -> None:
    house = furnished.house
    client, _ = await a_client(house, "another ward")
    auditor, _ = await an_auditor(house)
    before = len(await chain(house, HOUSE_CHAIN))
    for principal, asked in (
        (client, Selection()),
        (auditor, Selection(payloads=True)),
        (auditor, Selection(cases=(furnished.cases.decided,), payloads=True)),
    ):
        out = BytesIO()
        with pytest.raises(ForbiddenError):
            await make_export(house, principal, asked, out)
        assert out.getvalue() == b""
    assert len(await chain(house, HOUSE_CHAIN)) == before
    read = [entry for entry in await chain(house, furnished.cases.decided) if entry.type == "content.read"]
    assert read == []


async def test_an_account_may_export_as_a_client_does(furnished: Furniture) -> None:
    house = furnished.house
    ben = await create_account(
        house.identities,
        house.clock,
        house.chance,
        "ben",
        "Ben",
        "correct horse battery staple",
        frozenset({Role.AUDITOR, Role.DISCLOSURE}),
        frozenset({SITE}),
    )
    made = await exported(
        house, ben, Selection(cases=(furnished.cases.asking,), payloads=True), furnished.cases
    )
    assert made.manifest().made_by == ben.id
    assert made.manifest().payloads > 0


async def test_without_documents_nothing_of_a_patient_is_in_it(furnished: Furniture) -> None:
    auditor, _ = await an_auditor(furnished.house)
    made = await exported(furnished.house, auditor, Selection(paper=True), furnished.cases)
    names = set(made.members())
    assert not [name for name in names if name.startswith(("payloads/", "replay/", "protocols/"))]
    everything = b"".join(
        content for name, content in made.members().items() if not name.startswith("source/")
    )
    for secret in (b"made-up-1", b"urn:example:patients", b"visit-1"):
        assert secret not in everything
    paper = PdfReader(BytesIO(made.members()[f"cases/{furnished.cases.signed}.pdf"]))
    text = "\n".join(page.extract_text() for page in paper.pages)
    assert "only its timeline is" in " ".join(text.split())
    assert "looks well" not in text


async def test_another_sites_case_and_site_do_not_exist_for_an_auditor(furnished: Furniture) -> None:
    house = furnished.house
    await add_site(house.identities, "south", "South Hospital")
    stranger, _ = await an_auditor(house, Role.DISCLOSURE, name="south", sites=frozenset({"south"}))
    for asked in (
        Selection(cases=(furnished.cases.decided,)),
        Selection(cases=(furnished.cases.decided,), payloads=True),
        Selection(sites=(SITE,)),
        Selection(cases=("c_nobody",)),
    ):
        with pytest.raises(NotFoundError):
            await make_export(house, stranger, asked, BytesIO())
    made = await exported(house, stranger, Selection(payloads=True), furnished.cases)
    assert made.manifest().selection.sites == ("south",)
    assert made.manifest().entries == 0
    assert not made.manifest().whole


async def test_an_auditor_of_some_sites_gets_their_cases_and_the_manifest_says_so(
    furnished: Furniture, tmp_path: Path
) -> None:
    house = furnished.house
    await note_in_house(house, house.store, "house.tried", ActorId("operator"), {})
    auditor, _ = await an_auditor(house)
    whole = await exported(house, auditor, Selection(), furnished.cases)
    assert whole.manifest().whole
    assert HOUSE_CHAIN in {entry.case for entry in entries_of(whole)}
    await add_site(house.identities, "south", "South Hospital")
    part = await exported(house, auditor, Selection(), furnished.cases)
    assert part.manifest().selection.sites == (SITE,)
    assert not part.manifest().whole
    assert {entry.case for entry in entries_of(part)} == {
        furnished.cases.decided,
        furnished.cases.signed,
        furnished.cases.asking,
    }
    path = tmp_path / "part.zip"
    path.write_bytes(part.content)
    assert all(chain.complete for chain in verify(path, part.keys).evidence.chains)
