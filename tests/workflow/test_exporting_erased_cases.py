"""A case that is erased before or during an export: nobody gets its documents, and the next archive names it."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path

import pytest

from arbiter.audit.export.manifest import Selection
from arbiter.cli.audit import exporting
from arbiter.errors import ErasedError
from arbiter.identity.accounts import create_account
from arbiter.identity.roles import Role
from arbiter.lifecycle.events import Read
from arbiter.model import CaseId
from arbiter.store.erasures import erased_among
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.log.checkpoints import StoredCheckpoint
from arbiter.store.transaction import Transaction
from arbiter.verifying.report import verify, words_of
from arbiter.workflow.acting import act
from arbiter.workflow.erasure.erasing import erase_again
from arbiter.workflow.exports.disclosing import Discloser
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.house import House
from arbiter.workflow.log.cosigned import shown_newest
from tests.exports import an_auditor, exported
from tests.houses import PASSWORD, SITE, a_reviewer
from tests.workflow.furniture import Furniture, chain


def erasing(monkeypatch: pytest.MonkeyPatch, house: House, case: CaseId, when: str) -> None:
    """Have the case erased, for real and by another transaction, at one moment of the making of an export."""
    disclose = Discloser.disclose

    async def disclosed(self: Discloser, of: CaseId) -> int:
        count = await disclose(self, of)
        if of == case:
            await erase_again(house, case)
        return count

    async def looked(house: House, transaction: Transaction) -> StoredCheckpoint | None:
        await erase_again(house, case)
        return await shown_newest(house, transaction)

    if when == "once its documents are written":
        monkeypatch.setattr(Discloser, "disclose", disclosed)
    else:
        monkeypatch.setattr("arbiter.workflow.exports.making.shown_newest", looked)


async def test_an_erased_case_is_named_and_its_entries_still_verify(
    furnished: Furniture, tmp_path: Path
) -> None:
    house, cases = furnished.house, furnished.cases
    await erase_again(house, cases.signed)
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    made = await exported(house, auditor, Selection(payloads=True), cases)
    assert made.manifest().unopened == (cases.signed,)
    path = tmp_path / "export.zip"
    path.write_bytes(made.content)
    found = verify(path, made.keys)
    assert cases.signed not in found.evidence.disclosed
    assert cases.decided in found.evidence.disclosed
    assert f"case {cases.signed}: its documents were asked for and did not open" in words_of(found)


async def test_a_case_erased_once_its_documents_are_written_ends_the_export_and_is_named(
    furnished: Furniture, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    erasing(monkeypatch, house, cases.signed, "once its documents are written")
    with pytest.raises(ErasedError, match=f"^{cases.signed}: erased while .* ask for it again"):
        await make_export(house, auditor, Selection(payloads=True), BytesIO())
    # Nobody has it, so no entry says that somebody does.
    assert "log.exported" not in {entry.type for entry in await chain(house, HOUSE_CHAIN)}
    monkeypatch.undo()
    made = await exported(house, auditor, Selection(payloads=True), cases)
    assert made.manifest().unopened == (cases.signed,)


async def test_a_case_erased_before_the_export_looks_at_the_database_is_left_out_of_it(
    furnished: Furniture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    erasing(monkeypatch, house, cases.signed, "before it looks")
    made = await exported(house, auditor, Selection(payloads=True), cases)
    assert made.manifest().unopened == (cases.signed,)
    assert not [name for name in made.members() if cases.signed in name and name.startswith("payloads/")]
    path = tmp_path / "export.zip"
    path.write_bytes(made.content)
    assert cases.signed not in verify(path, made.keys).evidence.disclosed


async def test_the_command_leaves_no_file_of_an_export_that_an_erasure_ended(
    furnished: Furniture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house, cases = furnished.house, furnished.cases
    dora = ("dora", "Dora", PASSWORD, frozenset({Role.AUDITOR, Role.DISCLOSURE}), frozenset({SITE}))
    await create_account(house.identities, house.clock, house.chance, *dora)
    erasing(monkeypatch, house, cases.signed, "once its documents are written")
    file = tmp_path / "case.zip"
    with pytest.raises(ErasedError, match=cases.signed):
        await exporting._export(
            house, "dora", [PASSWORD], Selection(cases=(cases.signed,), payloads=True), file
        )
    assert list(tmp_path.glob("case.zip*")) == []


async def test_an_erasure_waits_for_the_end_of_an_export_and_comes_after_it(furnished: Furniture) -> None:
    house, case = furnished.house, furnished.cases.signed
    async with house.store.begin() as transaction:
        assert await erased_among(transaction, [case, furnished.cases.decided]) == ()
        erasure = asyncio.create_task(erase_again(house, case))
        done, _ = await asyncio.wait([erasure], timeout=1)
        assert not done
        # What only moves a case waits for nobody.
        await act(house, await a_reviewer(house, "ida"), case, lambda _dossier, _now: (Read(), {}))
        assert await erased_among(transaction, [case]) == ()
    await erasure
    async with house.store.begin() as transaction:
        assert await erased_among(transaction, [case, furnished.cases.decided]) == (case,)
