"""What comes beside the facts is for the clinician alone: sealed, bounded, erased, exported; nobody who decides is given any of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbiter.audit.export.manifest import Selection
from arbiter.documents.canonical import decode
from arbiter.documents.context import CONTEXT, Context, RecordText
from arbiter.errors import ErasedError, InvalidCaseError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.protocols.context import TEXT_LIMIT, RawContext
from arbiter.protocols.intake import RawFact
from arbiter.store.database import Database
from arbiter.verifying.report import verify, words_of
from arbiter.workflow.amending import amend
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.house import House
from arbiter.workflow.intake import Submitted, submit
from arbiter.workflow.reading import view_case
from arbiter.workflow.review import claim, open_case
from tests.exports import Exported, Furnished, an_auditor, exported
from tests.houses import a_client, a_house, a_reviewer, submission, types_of
from tests.workflow.erasures import Records

BOX = "bedside-box-7"
SECRET = "says that the neighbour's tablets helped"
EXCLUDED: dict[str, Any] = {"pregnant": (True, None)}


def told(house: House, **changes: Any) -> RawContext:
    now = house.clock.now()
    earlier = RawFact(Decimal(18), "/min", now - timedelta(hours=6), "final", BOX)
    text = RecordText("Night round", "ward note", now - timedelta(hours=3), "ward nurse", SECRET)
    return replace(RawContext((("respiratory_rate", earlier),), (text,)), **changes)


async def hand_in(
    house: House, client: Principal, key: str, context: RawContext | None = None, **changes: Any
) -> Submitted:
    made = replace(submission(house.clock.now(), **changes), context=context or RawContext())
    return await submit(house, client, made, key, key.encode())


async def dossier_of(house: House, case: CaseId) -> Dossier:
    async with house.store.read() as transaction:
        return await load_dossier(house, transaction, case)


async def test_it_is_sealed_under_the_entry_that_took_it_in_and_a_case_without_has_none(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        with_it = (await hand_in(house, client, "one", told(house))).case
        without = (await hand_in(house, client, "two", spo2=(Decimal(96), "%"))).case
        await house.errands.finish(10)
        first, second = await dossier_of(house, with_it), await dossier_of(house, without)
        assert [(d.seq, d.name) for d in first.documents if d.name == CONTEXT] == [(0, CONTEXT)]
        assert Context.decode(first.latest(CONTEXT).content).documents[0].text == SECRET
        assert CONTEXT not in {document.name for document in second.documents}
        assert second.context().empty
        await verify_log(house, None)


async def test_no_opinion_certificate_or_other_document_holds_a_word_of_it(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        case = (await hand_in(house, client, "one", told(house))).case
        await house.errands.finish(10)
        found = await dossier_of(house, case)
        assert {"opinion", "certificate", "facts", "request"} <= {d.name for d in found.documents}
        for document in found.documents:
            if document.name != CONTEXT:
                assert SECRET.encode() not in document.content
                assert b"Night round" not in document.content
                assert BOX.encode() not in document.content


async def test_a_panel_decides_the_same_with_and_without_it(database: Database, tmp_path: Path) -> None:
    def said(dossier: Dossier) -> Mapping[str, Any]:
        certificate = decode(dossier.latest("certificate").content)
        return {name: certificate[name] for name in ("verdict", "rules", "facts") if name in certificate}

    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        at = house.clock.now()
        cases = []
        for key, context, patient in (("one", told(house), "1"), ("two", RawContext(), "2")):
            made = replace(submission(at), context=context)
            made = replace(made, subject=replace(made.subject, value=patient))
            cases.append((await submit(house, client, made, key, key.encode())).case)
        await house.errands.finish(10)
        with_it, without = [await dossier_of(house, case) for case in cases]
        assert said(with_it) == said(without) != {}
        assert with_it.taken_facts().hash == without.taken_facts().hash
        for case in cases:
            await house.sealer.round()
            assert all(step.same for step in await replay_case(house, case))


async def test_the_same_facts_with_another_context_are_the_case_that_is_there(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        at = house.clock.now()
        made = replace(submission(at), context=told(house))
        first = await submit(house, client, made, "one", b"one")
        again = await submit(house, client, replace(made, context=RawContext()), "two", b"two")
        assert (again.case, again.duplicate) == (first.case, True)
        assert (await dossier_of(house, first.case)).context().documents[0].text == SECRET


async def test_one_that_does_not_fit_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        bad = told(house, history=(("star_sign", told(house).history[0][1]),))
        with pytest.raises(InvalidCaseError) as refused:
            await hand_in(house, client, "one", bad)
        assert [each.pointer for each in refused.value.problems] == ["/context/history/0"]
        assert not (await hand_in(house, client, "one", told(house))).repeated


async def test_an_amendment_adds_to_it_and_the_value_it_replaces_becomes_earlier(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        anna = await a_reviewer(house)
        case = (await hand_in(house, client, "one", told(house), **EXCLUDED)).case
        now = house.clock.now()
        newer = RecordText("Day round", "ward note", now - timedelta(hours=1), "ward nurse", "Better.")
        raw = RawFact(Decimal(26), "/min", now - timedelta(minutes=1), "final", "test")
        await amend(house, client, case, {"respiratory_rate": raw}, RawContext((), (newer,)))
        await claim(house, anna, case)
        blind = await open_case(house, anna, case)
        (fact,) = [each for each in blind.facts if each.name == "respiratory_rate"]
        assert fact.value == "26"
        assert [(each.value, each.source) for each in fact.earlier] == [("18", BOX), ("15", "test")]
        assert [each.title for each in blind.documents] == ["Night round", "Day round"]
        assert len(blind.amended_at) == 1
        assert blind.received_at < blind.amended_at[0]
        documents = (await dossier_of(house, case)).documents
        assert [d.name for d in documents if d.name == CONTEXT] == [CONTEXT] * 2
        assert (await types_of(house, case)).count("facts.amended") == 1


async def test_amendments_together_hold_no_more_than_one_case_may(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        large = tuple(
            replace(told(house).documents[0], title=f"{number}", text="x" * TEXT_LIMIT) for number in range(9)
        )
        case = (await hand_in(house, client, "one", RawContext((), large), **EXCLUDED)).case
        raw = RawFact(Decimal(26), "/min", house.clock.now(), "final", "test")
        more = RawContext((), tuple(replace(each, title=f"more {each.title}") for each in large))
        with pytest.raises(InvalidCaseError, match="more than is kept"):
            await amend(house, client, case, {"respiratory_rate": raw}, more)
        assert (await view_case(house, client, case)).facts_version == 1


async def test_an_auditors_export_shows_it_verifies_and_replays(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        client, _ = await a_client(house)
        case = (await hand_in(house, client, "one", told(house))).case
        await house.errands.finish(10)
        await house.sealer.round()
        auditor, _ = await an_auditor(house, Role.DISCLOSURE)
        made: Exported = await exported(
            house, auditor, Selection(cases=(case,), payloads=True), Furnished(case, case, case)
        )
        shown = [content for name, content in made.members().items() if name.endswith("context.json")]
        assert [Context.decode(content).documents[0].text for content in shown] == [SECRET]
        path = tmp_path / "export.zip"
        path.write_bytes(made.content)
        verified = await asyncio.to_thread(verify, path, made.keys)
        assert len(verified.again) == 1
        assert not [line for line in words_of(verified) if "not recomputed" in line]
        bare = await exported(house, auditor, Selection(cases=(case,)), Furnished(case, case, case))
        assert SECRET.encode() not in b"".join(bare.members().values())


async def test_erasing_a_case_erases_it(kept: Records) -> None:
    house = kept.house
    case = (await hand_in(house, kept.client, "with", told(house), spo2=(Decimal(96), "%"))).case
    await house.errands.finish(10)
    await house.sealer.round()
    assert (await dossier_of(house, case)).context().documents
    await erase(house, Order(kept.olga), case)
    with pytest.raises(ErasedError):
        await dossier_of(house, case)
