"""What is told is written with the step it tells of: nothing told that did not happen, nothing that happened untold."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from arbiter.errors import StaleStateError
from arbiter.lifecycle.events import Cancel
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.workflow import closing, intake
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.docket import ARBITER, advance
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.saving import save
from tests.houses import ShiftableClock, a_client, a_house, settle, submission

Told = list[tuple[int, str, str, int | None]]


def told(database: Database, case: CaseId) -> Told:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        query = "SELECT seq, audience, topic, rung FROM message WHERE case_id = %s ORDER BY id"
        return connection.execute(query, (case,)).fetchall()


async def submitted(house: House, **changes: tuple[Decimal | str | bool, str | None] | None) -> CaseId:
    principal, _ = await a_client(house)
    made = await intake.submit(
        house, principal, submission(house.clock.now(), **changes), "key-1", b"the body"
    )
    await settle(house)
    return made.case


async def test_a_released_decision_is_told_once_about_its_own_entry(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        case = await submitted(house)
        async with house.store.read() as transaction:
            row = (await load_dossier(house, transaction, case)).row
        assert told(database, case) == [(row.seq, "requester", "case.released", None)]


async def test_an_excluded_case_calls_the_duty_group_and_tells_the_requester(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        case = await submitted(house, pregnant=(True, None))
        assert told(database, case) == [
            (1, "duty", "case.escalated", 0),
            (1, "requester", "case.escalated", None),
        ]


async def test_a_step_that_somebody_else_overtook_tells_nothing(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database) as house:
        case = await submitted(house, pregnant=(True, None))
        async with house.store.read() as transaction:
            dossier = await load_dossier(house, transaction, case)
        principal, _ = await a_client(house, "another")
        await closing.cancel(house, principal, case, "no longer needed")
        before = told(database, case)
        late = advance(
            house,
            dossier.docket,
            Cancel(),
            actor=ARBITER,
            now=house.clock.now(),
            key=dossier.key,
            documents={"reason": b"{}"},
        )
        with pytest.raises(StaleStateError):
            await save(house, late, house.clock.now())
        assert told(database, case) == before


async def test_time_alone_tells_that_nobody_came(tmp_path: Path, database: Database) -> None:
    clock = ShiftableClock()
    async with a_house(tmp_path / "data", database, clock, running=False) as house:
        case = await submitted_alone(house)
        for _ in range(3):
            clock.advance(timedelta(hours=2))
            await expire_due(house)
        topics = [(audience, topic) for _, audience, topic, _ in told(database, case)]
        assert topics == [
            ("duty", "case.escalated"),
            ("requester", "case.escalated"),
            ("requester", "escalation.overdue"),
            ("requester", "escalation.unattended"),
        ]


async def submitted_alone(house: House) -> CaseId:
    principal, _ = await a_client(house)
    excluded = submission(house.clock.now(), pregnant=(True, None))
    return (await intake.submit(house, principal, excluded, "key-1", b"the body")).case
