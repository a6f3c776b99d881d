"""No room for the kept checkpoint, for the tables, for the server's own log: nothing is released, then all of it is, once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import make_url

from arbiter.errors import UnavailableError
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.intake import submit
from arbiter.workflow.reading import view_case
from tests.faults.conftest import TinyDisk
from tests.faults.ledger import Ledger, all_sealed
from tests.houses import a_client, a_house, settle, submission
from tests.system.service import until

TABLESPACE = "tiny"


async def hand_in(ledger: Ledger, key: str) -> CaseId:
    made = submission(ledger.house.clock.now())
    case = (await submit(ledger.house, ledger.client, made, key, key.encode())).case
    ledger.cases.append(case)
    return case


async def phase_of(ledger: Ledger, case: CaseId) -> Phase:
    return (await view_case(ledger.house, ledger.client, case)).phase


async def test_while_the_kept_checkpoint_finds_no_room_nothing_is_released(
    tiny_disk: TinyDisk, database: Database
) -> None:
    folder = tiny_disk.folder / "data"
    async with a_house(folder, database, running=False) as house:
        client, _ = await a_client(house)
        ledger = Ledger(house, client, folder / "checkpoint")
        before = await hand_in(ledger, "before")
        await house.errands.finish(10)
        await house.sealer.round()
        assert await phase_of(ledger, before) is Phase.RELEASED

        tiny_disk.fill()
        kept = ledger.kept.read_bytes()
        meanwhile = await hand_in(ledger, "meanwhile")
        await house.errands.finish(10)
        for _ in range(3):
            with pytest.raises(OSError, match="No space left"):
                await house.sealer.round()
            assert await phase_of(ledger, meanwhile) is Phase.DECIDED
            assert ledger.kept.read_bytes() == kept
            await ledger.check_what_left()
        assert (await ledger.stored())[-1].size > ledger.kept_checkpoint().size

        tiny_disk.free()
        await house.sealer.round()
        assert await phase_of(ledger, meanwhile) is Phase.RELEASED
        await house.sealer.round()
        await ledger.check_each_is_there_once()


async def test_who_waits_for_a_seal_goes_on_waiting_until_the_kept_checkpoint_finds_room(
    tiny_disk: TinyDisk, database: Database
) -> None:
    folder = tiny_disk.folder / "data"
    async with a_house(folder, database) as house:
        client, _ = await a_client(house)
        ledger = Ledger(house, client, folder / "checkpoint")
        await hand_in(ledger, "before")
        await settle(house)
        tiny_disk.fill()
        case = await hand_in(ledger, "meanwhile")
        await house.errands.finish(10)
        waiter = house.sealer.request()

        async def sealed_and_not_kept() -> bool:
            return (await ledger.stored())[-1].size > ledger.kept_checkpoint().size

        await until(sealed_and_not_kept)
        assert not waiter.done()
        assert await phase_of(ledger, case) is Phase.DECIDED
        tiny_disk.free()
        await waiter
        assert await phase_of(ledger, case) is Phase.RELEASED
        await all_sealed(house)
        await ledger.check_each_is_there_once()


@pytest.fixture
def tablespace(tiny_disk: TinyDisk, server: EmbeddedPostgres) -> Iterator[str]:
    """A place for tables on the tiny disk. A test's database goes before it does, so ask for this one first."""
    folder = tiny_disk.folder / "tables"
    folder.mkdir(mode=0o700)
    owner = server.folder.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as administrator:
        make = SQL("CREATE TABLESPACE {} LOCATION {}")
        administrator.execute(make.format(Identifier(TABLESPACE), Literal(str(folder))))
        yield TABLESPACE
        administrator.execute(SQL("DROP TABLESPACE {}").format(Identifier(TABLESPACE)))


async def test_while_the_tables_find_no_room_cases_are_refused_and_none_that_was_taken_is_lost(
    tiny_disk: TinyDisk, tablespace: str, database: Database, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    name = make_url(database.app_url).database
    assert name is not None
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as administrator:
        move = SQL("ALTER DATABASE {} SET TABLESPACE {}")
        administrator.execute(move.format(Identifier(name), Identifier(tablespace)))
    async with a_house(tmp_path, database, workers=True) as house:
        client, _ = await a_client(house)
        ledger = Ledger(house, client, tmp_path / "checkpoint")
        await hand_in(ledger, "before")
        await settle(house)
        tiny_disk.fill(but_bytes=400_000)
        refused: list[str] = []
        while len(refused) < 8:
            key = f"meanwhile-{len(ledger.cases) + len(refused)}"
            try:
                await hand_in(ledger, key)
            except UnavailableError:
                refused.append(key)
            assert len(ledger.cases) < 2_000, "the disk is not full"
        await house.errands.finish(10)
        await ledger.check_what_left(len(ledger.cases))
        print(f"{len(ledger.cases)} cases were taken")
        tiny_disk.free()
        for key in refused:
            await hand_in(ledger, key)
        for case in ledger.cases:
            await until(lambda case=case: released(ledger, case))
        await all_sealed(house)
        with psycopg.connect(conninfo(database.app_url)) as connection:
            row = connection.execute("SELECT count(*) FROM case_file").fetchone()
        assert row == (len(set(ledger.cases)),) == (len(ledger.cases),)
        await ledger.check_each_is_there_once()


async def released(ledger: Ledger, case: CaseId) -> bool:
    return await phase_of(ledger, case) is Phase.RELEASED
