"""Who is let in when there is little room, who is turned away first, and that nobody turned away leaves anything behind."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from arbiter.errors import InvalidCaseError, OverloadedError, ShedError
from arbiter.model import RiskClass
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database, conninfo
from arbiter.workflow import admission as gate
from arbiter.workflow import intake
from arbiter.workflow import right_of_way as rule
from arbiter.workflow.admission import Admission, Ticket
from tests.houses import a_client, a_house, settle, submission

ROUTINE, URGENT, EMERGENCY = RiskClass.ROUTINE, RiskClass.URGENT, RiskClass.EMERGENCY
SOON = timedelta(seconds=30)


def fill(admission: Admission, count: int) -> list[Ticket]:
    return [admission.admit(EMERGENCY, SOON) for _ in range(count)]


async def test_routine_cases_are_turned_away_first_and_emergencies_last() -> None:
    admission = Admission(100)
    fill(admission, 59)
    admission.admit(ROUTINE, SOON)
    with pytest.raises(ShedError):
        admission.admit(ROUTINE, SOON)
    fill(admission, 24)
    admission.admit(URGENT, SOON)
    with pytest.raises(ShedError):
        admission.admit(URGENT, SOON)
    fill(admission, 15)
    for risk_class in RiskClass:
        with pytest.raises(OverloadedError):
            admission.admit(risk_class, SOON)


async def test_a_place_given_back_is_free_again_and_only_once() -> None:
    admission = Admission(10)
    tickets = fill(admission, 10)
    tickets[0].give_back(concluded=True)
    tickets[0].give_back(concluded=True)
    admission.admit(EMERGENCY, SOON)
    with pytest.raises(OverloadedError):
        admission.admit(EMERGENCY, SOON)


async def test_a_busy_loop_sheds_routine_cases_and_lets_the_others_pass() -> None:
    admission = Admission(100)
    admission.note_lateness(0.1)
    for _ in range(gate.ALWAYS):
        admission.admit(ROUTINE, SOON)
    with pytest.raises(ShedError) as told:
        admission.admit(ROUTINE, SOON)
    assert told.value.retry_after_seconds >= 1
    admission.admit(URGENT, SOON)
    admission.note_lateness(5.0)
    with pytest.raises(ShedError):
        admission.admit(URGENT, SOON)
    admission.admit(EMERGENCY, SOON)


async def test_an_urgent_case_is_never_turned_away_for_how_many_routine_ones_came() -> None:
    admission = Admission(100)
    for _ in range(gate.A_SECOND):
        admission.admit(ROUTINE, SOON).give_back(concluded=True)
    admission.note_lateness(5.0)
    admission.admit(URGENT, SOON)


async def test_lateness_is_forgotten() -> None:
    admission = Admission(100)
    fill(admission, gate.ALWAYS)
    admission.note_lateness(0.1)
    for _ in range(40):
        admission.note_lateness(0.0)
    admission.admit(ROUTINE, SOON)


async def test_a_loop_that_is_blocked_is_noticed() -> None:
    admission = Admission(100)
    watching = asyncio.create_task(admission.watch())
    await asyncio.sleep(gate.SAMPLE_SECONDS / 2)
    spin_until = asyncio.get_running_loop().time() + 0.15
    while asyncio.get_running_loop().time() < spin_until:
        pass
    await asyncio.sleep(0.001)
    assert admission.late_seconds > gate.LATEST_SECONDS[ROUTINE]
    watching.cancel()


async def test_a_case_that_would_miss_its_deadline_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(gate, "_now", lambda: now)
    admission = Admission(1000)
    tickets = fill(admission, 70)
    now += 5.0
    for ticket in tickets[:10]:
        ticket.give_back(concluded=True)
    # Ten in five seconds are two a second: sixty in hand take thirty.
    with pytest.raises(OverloadedError) as told:
        admission.admit(URGENT, timedelta(seconds=29))
    assert 1 <= told.value.retry_after_seconds <= 60
    admission.admit(URGENT, timedelta(seconds=31))
    admission.admit(EMERGENCY, timedelta(seconds=1))


async def test_few_cases_on_an_idle_house_say_nothing_of_how_many_it_can_carry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(gate, "_now", lambda: now)
    admission = Admission(1000)
    for _ in range(20):
        admission.admit(URGENT, SOON).give_back(concluded=True)
        now += 0.2
    tickets = [admission.admit(URGENT, SOON) for _ in range(120)]
    now += 0.5
    for ticket in tickets[:20]:
        ticket.give_back(concluded=True)
    # Twenty in half a second: a hundred take less than three.
    admission.admit(URGENT, SOON)


async def test_work_that_was_not_done_counts_as_no_conclusion() -> None:
    admission = Admission(1000)
    for ticket in fill(admission, 10):
        ticket.give_back()
    fill(admission, 60)
    admission.admit(URGENT, timedelta(seconds=1))


# --- in the house ------------------------------------------------------------------------------------------------


def small(folder: Path) -> Settings:
    return Settings(data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=False, capacity=8)


def rows(database: Database, table: str) -> int:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert found is not None
    return int(found[0])


async def test_who_is_turned_away_leaves_nothing_behind_and_may_come_again(
    tmp_path: Path, database: Database
) -> None:
    folder = tmp_path / "data"
    async with a_house(folder, database, settings=small(folder)) as house:
        principal, _ = await a_client(house)
        held = fill(house.admission, 8)
        with pytest.raises(OverloadedError):
            await intake.submit(house, principal, submission(house.clock.now()), "key", b"body")
        assert [rows(database, table) for table in ("case_file", "entry", "idempotency", "subject")] == [
            0
        ] * 4
        for ticket in held:
            ticket.give_back()
        await intake.submit(house, principal, submission(house.clock.now()), "key", b"body")
        await settle(house)
        assert rows(database, "case_file") == 1


async def test_every_way_out_of_the_door_gives_the_place_back(tmp_path: Path, database: Database) -> None:
    folder = tmp_path / "data"
    async with a_house(folder, database, settings=small(folder)) as house:
        principal, _ = await a_client(house)
        made = submission(house.clock.now())
        for number in range(12):
            await intake.submit(house, principal, made, "once", b"body")
            excluded = submission(house.clock.now(), pregnant=(True, None))
            await intake.submit(house, principal, excluded, f"excluded-{number}", b"body")
            await intake.submit(house, principal, made, f"duplicate-{number}", b"body")
            unfit = submission(house.clock.now(), heart_rate=("fast", None))
            with pytest.raises(InvalidCaseError):
                await intake.submit(house, principal, unfit, f"unfit-{number}", b"body")
        await settle(house)
        assert sum(house.admission.in_hand.values()) == 0


# --- at the door -------------------------------------------------------------------------------------------------


def busy(capacity: int = 100) -> Admission:
    """A process that uses a whole processor, with one routine case in hand."""
    admission = Admission(capacity)
    admission.admit(ROUTINE, SOON)
    for _ in range(100):
        admission.note_busy(1.0)
    return admission


async def test_a_busy_process_keeps_routine_cases_at_the_door_and_lets_urgent_ones_pass() -> None:
    admission = busy()
    with pytest.raises(ShedError):
        admission.admit(ROUTINE, SOON)
    await admission.enter(URGENT, SOON)
    await admission.enter(EMERGENCY, SOON)


async def test_while_graver_cases_are_about_routine_ones_come_in_apart_however_long_each_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(gate, "_now", lambda: now)
    monkeypatch.setattr(rule, "_now", lambda: now)
    admission = Admission(100)
    admission.way.take()
    for _ in range(10):
        admission.admit(ROUTINE, SOON)
        with pytest.raises(ShedError):
            admission.admit(ROUTINE, SOON)
        admission.admit(URGENT, SOON)
        now += gate.APART_SECONDS
    now += gate.WATCHFUL_SECONDS
    for _ in range(10):
        admission.admit(ROUTINE, SOON)


async def test_a_routine_case_at_the_door_is_let_in_when_it_gets_quiet() -> None:
    admission = busy()
    waiting = asyncio.create_task(admission.enter(ROUTINE, SOON))
    await asyncio.sleep(3 * gate.LOOK_AGAIN_SECONDS)
    assert not waiting.done()
    for _ in range(100):
        admission.note_busy(0.0)
    assert isinstance(await asyncio.wait_for(waiting, 5), Ticket)


async def test_who_waits_in_vain_is_turned_away_and_leaves_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.05)
    admission = busy()
    for _ in range(2):
        with pytest.raises(ShedError):
            await admission.enter(ROUTINE, SOON)
    assert not admission.door_is_full
    assert admission.in_hand[ROUTINE] == 1


async def test_a_full_door_turns_the_next_away_at_once() -> None:
    admission = busy()
    waiting = [asyncio.create_task(admission.enter(ROUTINE, SOON)) for _ in range(gate.WAITING_LIMIT)]
    await asyncio.sleep(0)
    assert admission.door_is_full
    with pytest.raises(ShedError):
        await admission.enter(ROUTINE, SOON)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not admission.door_is_full
