"""Planted cases: the panel is really asked, only its errors reach anybody, and nothing of them counts or leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.audit.entry import Entry
from arbiter.errors import ConflictError, ForbiddenError, RefusedError
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import RiskClass
from arbiter.protocols.bundle import ExampleFact, LabelledCase
from arbiter.store.cases.state import state_document, state_from
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow import reading, review
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.oversight.looking import newest, oversee_sites
from arbiter.workflow.oversight.planting import Planted, Wanted, may_be_planted, plant
from arbiter.workflow.oversight.telling import planted_told
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.subjects import SubjectRef
from tests.houses import CALM, PASSWORD, SITE, a_client, a_house, a_reviewer, listed_for, settle, types_of
from tests.workflow.oversight.practice import CONTINUE, EXCLUDED, SPLIT, URGENT, Facts


def invented(changes: Facts, truth: str, name: str = "invented") -> LabelledCase:
    chosen = {**CALM, **changes}
    facts = tuple(ExampleFact(key, *value, 5) for key, value in chosen.items() if value is not None)
    return LabelledCase(name, name, RiskClass.URGENT, facts, truth, "invented", None, ())


def consenting(house: House) -> House:
    settings = house.settings.model_copy(update={"planted_cases": Path("/srv/planted")})
    return replace(house, settings=settings)


async def planter_of(house: House) -> Principal:
    roles, sites = frozenset({Role.POLICY_APPROVER}), frozenset({SITE})
    return await create_account(
        house.identities, house.clock, house.chance, "paula", "Paula", PASSWORD, roles, sites
    )


def wanted(client: Principal, number: str = "7714403") -> Wanted:
    return Wanted(
        "deterioration", SITE, client.id, SubjectRef("urn:example:patients", number), "ward 7", "visit-1"
    )


async def test_where_the_panel_is_wrong_a_reviewer_finds_a_case_like_any_other(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as opened:
        house = consenting(opened)
        client, _ = await a_client(house)
        anna, planter = await a_reviewer(house), await planter_of(house)
        case, became = await plant(house, planter, invented(SPLIT, URGENT), wanted(client))
        assert became is Planted.ON_THE_LIST
        (item,) = await listed_for(house, anna)
        assert (item.case, item.training) == (case, False)
        await review.claim(house, anna, case)
        assert not (await review.open_case(house, anna, case)).view.training
        await review.commit_opinion(house, anna, case, OwnOpinion(URGENT, 80, (), ""))
        shown = await review.reveal(house, anna, case)
        assert "training" not in shown.certificate
        assert "TRAINING" not in shown.certificate["plain"]
        assert not shown.blind.view.training
        assert await planted_told(house, anna, case) is None
        await review.sign(house, anna, case, CONTINUE, "the panel convinced me")
        told = await planted_told(house, anna, case)
        assert told is not None
        assert (told.own_right, told.signed_right) == (True, False)
        await settle(house)
        assert all(step.same for step in await replay_case(house, case))
        async with house.store.read() as transaction:
            entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]
        assert all(("mode", "training") in entry.versions for entry in entries)
        assert entries[0].actor == planter.id
        found = (await oversee_sites(house, frozenset({SITE}), newest(house))).reviewed
        assert (found.reliance.planted, found.judging.reviews) == (1, 0)
        assert (found.reliance.followed.part, found.reliance.followed.whole) == (1, 1)
        for read in (reading.decision, reading.certificate, reading.receipt):
            with pytest.raises(ConflictError, match="training"):
                await read(house, client, case)


@pytest.mark.parametrize(
    ("facts", "truth"),
    [(SPLIT, CONTINUE), ({}, CONTINUE), (EXCLUDED, URGENT)],
    ids=["the panel leans to the truth", "the panel would decide it", "the panel was not asked"],
)
async def test_where_the_panel_is_not_wrong_nobody_ever_sees_the_case(
    tmp_path: Path, database: Database, facts: Facts, truth: str
) -> None:
    async with a_house(tmp_path / "data", database) as opened:
        house = consenting(opened)
        client, _ = await a_client(house)
        anna, planter = await a_reviewer(house), await planter_of(house)
        case, became = await plant(house, planter, invented(facts, truth), wanted(client))
        assert became is Planted.PANEL_WAS_RIGHT
        assert await listed_for(house, anna) == ()
        assert (await types_of(house, case))[-2:] == ["case.escalated", "case.cancelled"]


async def test_what_the_panel_would_decide_alone_and_wrongly_goes_to_a_clinician(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as opened:
        house = consenting(opened)
        client, _ = await a_client(house)
        case, became = await plant(house, await planter_of(house), invented({}, URGENT), wanted(client))
        assert became is Planted.ON_THE_LIST
        async with house.store.read() as transaction:
            state = (await load_dossier(house, transaction, case)).row.state
        assert (state.phase, state.decided_by, state.audit) == (Phase.ESCALATED, None, None)


async def test_planting_is_off_by_default_and_no_reviewers_or_clients_business(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        anna, planter = await a_reviewer(house), await planter_of(house)
        with pytest.raises(RefusedError, match="planting is off"):
            await plant(house, planter, invented(SPLIT, URGENT), wanted(client))
        for nobody in (anna, client):
            with pytest.raises(ForbiddenError):
                await plant(consenting(house), nobody, invented(SPLIT, URGENT), wanted(client))
        with pytest.raises(RefusedError, match="truth"):
            await plant(consenting(house), planter, invented(SPLIT, "perhaps"), wanted(client))
        assert await listed_for(house, anna) == ()


def test_only_what_the_department_consented_to_is_planted(tmp_path: Path) -> None:
    folder = tmp_path / "consented"
    folder.mkdir()
    (tmp_path / "other.jsonl").touch()
    assert may_be_planted(folder, folder / "cases.jsonl")
    assert not may_be_planted(folder, folder / ".." / "other.jsonl")
    (folder / "link.jsonl").symlink_to(tmp_path / "other.jsonl")
    assert not may_be_planted(folder, folder / "link.jsonl")
    assert not may_be_planted(None, folder / "cases.jsonl")


async def test_a_state_from_before_there_were_planted_cases_still_loads(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as opened:
        house = consenting(opened)
        client, _ = await a_client(house)
        case, _ = await plant(house, await planter_of(house), invented(SPLIT, URGENT), wanted(client))
        async with house.store.read() as transaction:
            state = (await load_dossier(house, transaction, case)).row.state
        document = state_document(state)
        assert state_from(document) == state
        del document["planted"]
        assert state_from(document) == replace(state, planted=False)
