"""What an export leaves in the log, and which entries it picks from it."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import pytest

from arbiter.audit.export.manifest import Selection
from arbiter.documents.canonical import decode
from arbiter.errors import ConflictError, RefusedError
from arbiter.identity.roles import Role
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents
from arbiter.verifying.report import verify, words_of
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.exports.selecting import selection_of
from tests.exports import an_auditor, exported
from tests.houses import a_house
from tests.workflow.furniture import Furniture, chain, entries_of


async def test_an_export_is_an_entry_of_the_house_that_names_its_hash(furnished: Furniture) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    out = BytesIO()
    made = await make_export(house, auditor, Selection(cases=(cases.signed,), payloads=True), out)
    entry = (await chain(house, HOUSE_CHAIN))[made.seq]
    assert (entry.type, entry.actor) == ("log.exported", auditor.id)
    async with house.store.read() as transaction:
        document = (await load_house_documents(transaction, HOUSE_CHAIN))[-1]
    told = decode(document.content)
    assert told["selection"]["cases"] == [cases.signed]
    assert told["selection"]["payloads"] is True
    assert told["sha256"] == made.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    assert (told["bytes"], told["payloads"]) == (len(out.getvalue()), made.manifest.payloads)
    await verify_log(house, None)


async def test_each_case_whose_documents_are_opened_gets_its_entry_and_no_other(furnished: Furniture) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    made = await exported(house, auditor, Selection(cases=(cases.signed,), payloads=True), cases)
    assert entries_of(made)[-1].type == "content.read"
    for case, reads in ((cases.signed, 1), (cases.decided, 0), (cases.asking, 0)):
        found = [entry for entry in await chain(house, case) if entry.type == "content.read"]
        assert [entry.actor for entry in found] == [auditor.id] * reads


async def test_time_and_actor_pick_entries_and_nothing_is_called_complete(
    furnished: Furniture, tmp_path: Path
) -> None:
    house = furnished.house
    auditor, _ = await an_auditor(house)
    everything = entries_of(await exported(house, auditor, Selection(), furnished.cases))
    middle = everything[len(everything) // 2].at
    for asked, wanted in (
        (selection_of(actor="arbiter"), [e for e in everything if e.actor == "arbiter"]),
        (selection_of(since=middle), [e for e in everything if e.at >= middle]),
        (selection_of(until=middle), [e for e in everything if e.at < middle]),
    ):
        made = await exported(house, auditor, asked, furnished.cases)
        assert [e for e in entries_of(made) if e.case != HOUSE_CHAIN] == [
            e for e in wanted if e.case != HOUSE_CHAIN
        ]
        path = tmp_path / "picked.zip"
        path.write_bytes(made.content)
        words = " ".join(words_of(verify(path, made.keys)))
        assert "whole log" not in words


async def test_a_certificate_whose_inputs_are_not_shown_is_said_not_to_be_recomputed(
    furnished: Furniture, tmp_path: Path
) -> None:
    house = furnished.house
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    everything = entries_of(await exported(house, auditor, Selection(), furnished.cases))
    decided = next(e for e in everything if e.case == furnished.cases.decided and e.type == "case.decided")
    path = tmp_path / "picked.zip"
    for asked, said in (
        (selection_of(cases=(decided.case,), since=decided.at, payloads=True), True),
        (selection_of(cases=(decided.case,), payloads=True), False),
    ):
        made = await exported(house, auditor, asked, furnished.cases)
        path.write_bytes(made.content)
        words = words_of(verify(path, made.keys))
        assert ("1 certificates of cases not shown whole: not recomputed" in words) is said


async def test_what_contradicts_itself_or_is_too_much_is_refused(furnished: Furniture) -> None:
    now = furnished.house.clock.now()
    for wrong in (
        {"since": now, "until": now},
        {"cases": [f"c_{number}" for number in range(1001)]},
        {"actor": "arbiter", "paper": True},
    ):
        with pytest.raises(RefusedError):
            selection_of(**wrong)


async def test_before_anything_is_sealed_there_is_nothing_to_prove(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        auditor, _ = await an_auditor(house)
        with pytest.raises(ConflictError):
            await make_export(house, auditor, Selection(), BytesIO())
