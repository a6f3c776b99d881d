"""A case for practice: marked wherever it shows, told to nobody, and nothing that comes of it leaves the house."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.errors import ConflictError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.store.log.chains import load_entries
from arbiter.workflow import closing, intake, reading, review
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import OwnOpinion
from tests.houses import a_client, a_house, a_reviewer, listed_for, settle, submission


async def practised(house: House, principal: Principal, key: str = "key", **changes: object) -> CaseId:
    made = replace(submission(house.clock.now(), **changes), training=True)  # type: ignore[arg-type]
    case = (await intake.submit(house, principal, made, key, b"body")).case
    await settle(house)
    return case


def messages(database: Database) -> int:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        found = connection.execute("SELECT count(*) FROM message").fetchone()
    assert found is not None
    return int(found[0])


async def test_a_training_case_is_decided_marked_and_told_to_nobody(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        case = await practised(house, principal)
        view = await reading.view_case(house, principal, case)
        assert (view.phase, view.training) == (Phase.RELEASED, True)
        async with house.store.read() as transaction:
            dossier = await load_dossier(house, transaction, case)
            entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]
        assert all(("mode", "training") in entry.versions for entry in entries)
        certificate = decode(dossier.latest("certificate").content)
        assert certificate["training"] is True
        assert certificate["plain"].startswith("TRAINING")
        assert messages(database) == 0
        assert all(step.same for step in await replay_case(house, case))


async def test_nothing_that_comes_of_it_leaves(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        case = await practised(house, principal)
        for read in (reading.decision, reading.certificate, reading.receipt):
            with pytest.raises(ConflictError, match="training"):
                await read(house, principal, case)


async def test_a_reviewer_practises_the_whole_way_and_nobody_is_told(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        anna = await a_reviewer(house)
        case = await practised(house, principal, pregnant=(True, None))
        (item,) = await listed_for(house, anna)
        assert item.training
        await review.claim(house, anna, case)
        own = OwnOpinion("urgent-review", 80, (), "")
        await review.commit_opinion(house, anna, case, own)
        await review.reveal(house, anna, case)
        await review.sign(house, anna, case, "urgent-review", "")
        await settle(house)
        signed = await review.signed_case(house, anna, case)
        assert signed is not None
        assert signed.training
        assert signed.plain.startswith("TRAINING")
        await closing.retract(house, principal, case, "practice is over")
        assert messages(database) == 0


async def test_practice_and_care_are_never_one_case(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        real = submission(house.clock.now())
        first = await intake.submit(house, principal, real, "real", b"body")
        second = await intake.submit(house, principal, replace(real, training=True), "practice", b"body")
        assert first.case != second.case
        assert not second.duplicate


async def test_a_real_case_carries_no_mark(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        case = (await intake.submit(house, principal, submission(house.clock.now()), "real", b"body")).case
        await settle(house)
        certificate = decode(await reading.certificate(house, principal, case))
        assert "training" not in certificate
        assert "TRAINING" not in certificate["plain"]
