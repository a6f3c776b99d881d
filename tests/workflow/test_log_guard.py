"""A database that goes back, or that an insider changed where the guard looks: noticed, told once, and nothing more is done."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.note import Ed25519NoteSigner, parse_note
from arbiter.errors import LogUnfitError, UnavailableError, VerificationError
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.telemetry.metrics import LOG_REFUSED
from arbiter.workflow import publishing
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log import guard as log_guard
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.faults import Fault
from arbiter.workflow.publishing import ready
from arbiter.workflow.reading import view_case
from tests.conftest import an_outage
from tests.databases import CUTTING_OFF, Copies
from tests.houses import a_client, a_house, submission
from tests.workflow.guarded import THREE_ROADS, grow, not_opened, refused, sealed, until_refused

pytestmark = list(CUTTING_OFF)


# --- a database that goes back ---------------------------------------------------------------------------------------


async def test_a_database_rolled_back_between_starts_is_refused_with_three_roads(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
    before = copies.take()
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
    copies.put_in_place(before)
    said = await not_opened(tmp_path, database)
    assert "the database's log has 3 sealed entries" in said
    assert "has 5: the database was rolled back or is another one" in said
    for road in THREE_ROADS:
        assert road in said
    copies.put_in_place(before)
    async with a_house(tmp_path, database, running=False) as house:
        assert await grow(house) == 6


async def test_a_sealer_whose_database_goes_back_seals_nothing_more(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        kept = (tmp_path / "checkpoint").read_bytes()
        copies.put_in_place(before)
        said = await refused(house)
        assert "has 3 sealed entries" in said
        for road in THREE_ROADS:
            assert road in said
        assert await sealed(house) == 3
        assert (tmp_path / "checkpoint").read_bytes() == kept


async def test_a_refused_log_stays_refused_though_the_database_comes_back(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        copies.put_in_place(before)
        await refused(house)
        copies.put_in_place(before)
        assert "has 3 sealed entries" in await refused(house)
        assert await sealed(house) == 5
    async with a_house(tmp_path, database, running=False) as house:
        assert await grow(house) == 7


async def test_an_idle_sealer_notices_before_anything_waits_to_be_sealed(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        copies.put_in_place(before)
        with pytest.raises(LogUnfitError):
            await house.sealer.round()


async def test_the_minutes_look_notices_where_nobody_seals(
    database: Database, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_guard, "EVERY_SECONDS", 0.02)
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        watching = asyncio.create_task(house.guard.watch())
        await asyncio.sleep(0.2)
        assert house.guard.refusal is None
        copies.put_in_place(before)
        assert (await until_refused(house)).fault is Fault.BEHIND
        watching.cancel()


async def test_a_refused_house_decides_nothing_says_so_once_and_is_not_ready(
    database: Database, copies: Copies, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, database) as house:
        client, _ = await a_client(house)
        await house.sealer.request()
        before = copies.take()
        async with asyncio.timeout(20):
            while not await _grown(house):
                pass
        copies.put_in_place(before)
        await until_refused(house)
        with pytest.raises(LogUnfitError, match="Follow your local downtime procedure") as error:
            await submit(house, client, submission(house.clock.now()), "late", b"body")
        assert str(tmp_path) not in str(error.value)
        await asyncio.sleep(1.2)
        readiness = await ready(house)
        assert not readiness.ok
        assert ("signed log", False, "refused: behind; operators were told") in readiness.checks
        assert {f.metric: f.value for f in await gauges(house)}[LOG_REFUSED] == 1
        loud = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert len(loud) == 1
        assert "THE LOG IS REFUSED (behind)" in loud[0].getMessage()


async def _grown(house: House) -> bool:
    """Have one entry sealed by a running house whose connections were just cut off."""
    try:
        await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"})
        async with asyncio.timeout(5):
            await house.sealer.request()
    except UnavailableError:
        return False
    return True


async def test_what_was_decided_is_not_released_on_a_refused_log(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        (tmp_path / "checkpoint").unlink()
        await refused(house)
        assert (await view_case(house, client, case)).phase is Phase.DECIDED


async def test_a_healthy_house_says_so(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2, 3)
        await house.guard.check()
        assert ("signed log", True, "extends what was signed") in (await ready(house)).checks
        assert {f.metric: f.value for f in await gauges(house)}[LOG_REFUSED] == 0


async def test_a_database_that_is_away_is_not_one_that_went_back(
    server: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        with an_outage(server, database), pytest.raises(UnavailableError):
            await house.guard.check()
        assert house.guard.refusal is None
        await house.guard.check()


# --- what an insider does to the database ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE checkpoint SET note = replace(note, 'hospital', 'hostile') WHERE size = 4", Fault.FOREIGN),
        ("UPDATE checkpoint SET root = sha256('x') WHERE size = 4", Fault.DAMAGED),
        ("UPDATE sealed_run SET hashes = sha256('x') || sha256('y') WHERE start = 0", Fault.DAMAGED),
        ("DELETE FROM sealed_run WHERE start = 0", Fault.DAMAGED),
        ("DELETE FROM checkpoint WHERE size = 4", Fault.BEHIND),
        ("DELETE FROM checkpoint", Fault.BEHIND),
        (
            "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 2) WHERE size = 4",
            Fault.DAMAGED,
        ),
    ],
)
async def test_what_an_insider_changes_where_the_guard_looks_is_refused(
    server: EmbeddedPostgres, database: Database, copies: Copies, tmp_path: Path, statement: str, fault: Fault
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2, 2)
        with copies.superuser() as insider:
            for table in ("checkpoint", "sealed_run"):
                insider.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
            assert insider.execute(statement.encode()).rowcount > 0
        with pytest.raises(LogUnfitError):
            await house.guard.check()
        assert house.guard.refusal is not None
        assert house.guard.refusal.fault is fault
    await not_opened(tmp_path, database)


@pytest.mark.parametrize("origin", [None, "log.elsewhere.example"])
async def test_a_checkpoint_that_an_insider_adds_is_not_signed_a_second_time(
    database: Database, copies: Copies, tmp_path: Path, origin: str | None
) -> None:
    """The application's own role may add rows there: what is published is signed by whoever holds the log's key."""
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        forged = Checkpoint(origin or house.signer.name, 9, b"f" * 32)
        note = sign_checkpoint(forged, [Ed25519NoteSigner(forged.origin, b"s" * 32)])
        with copies.superuser() as insider:
            insider.execute(
                "INSERT INTO checkpoint (size, root, note, sealed_at) VALUES (%s, %s, %s, now())",
                (forged.size, forged.root, note.decode()),
            )
        with pytest.raises(VerificationError, match="none of the note's 1 signatures"):
            await publishing.checkpoint(house)
        with pytest.raises(LogUnfitError):
            await house.guard.check()
        assert len(parse_note((await publishing.checkpoint(house)).encode()).signatures) == 1, (
            "nor when refused"
        )


def test_the_minute_is_a_minute() -> None:
    assert timedelta(seconds=log_guard.EVERY_SECONDS) == timedelta(minutes=1)
