"""Cases to erase, the people who may, and whether anybody can still read them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database, conninfo
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from tests.houses import PASSWORD, SITE, ShiftableClock, a_client, a_house
from tests.workflow.post import a_released_case


async def an_officer(house: House, login: str = "olga", site: str = SITE) -> Principal:
    return await create_account(
        house.identities,
        house.clock,
        house.chance,
        login,
        login.title(),
        PASSWORD,
        [Role.RECORDS_OFFICER],
        [site],
    )


@dataclass(frozen=True)
class Records:
    """A house with a released case that need not be kept any longer, its requester and two records officers."""

    house: House
    clock: ShiftableClock
    database: Database
    client: Principal
    olga: Principal
    piet: Principal
    case: CaseId

    def wrapped(self, case: CaseId | None = None) -> bytes:
        """The wrapped key as it stands in the database."""
        with psycopg.connect(conninfo(self.database.app_url)) as connection:
            row = connection.execute(
                "SELECT wrapped FROM case_key WHERE case_id = %s", (case or self.case,)
            ).fetchone()
        assert row is not None, "the key is gone"
        return bytes(row[0])


def settings_in(folder: Path, retention_days: int = 0) -> Settings:
    return Settings(
        data=folder,
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        retention_days=retention_days,
    )


@asynccontextmanager
async def records(folder: Path, database: Database, retention_days: int = 0) -> AsyncIterator[Records]:
    clock = ShiftableClock()
    settings = settings_in(folder, retention_days)
    async with a_house(folder, database, clock, running=False, settings=settings) as house:
        client, _ = await a_client(house)
        yield Records(
            house, clock, database, client, await an_officer(house), await an_officer(house, "piet"),
            await a_released_case(house, client),
        )  # fmt: skip


def live_files_with(folder: Path, needle: bytes, *, journal: bool = False) -> list[str]:
    """The files of a database folder that hold these bytes, the journal's left out unless asked for."""
    found = []
    for base, folders, names in os.walk(folder):
        if not journal and "pg_wal" in folders:
            folders.remove("pg_wal")
        for name in names:
            path = Path(base) / name
            if path.is_file() and needle in path.read_bytes():
                found.append(str(path.relative_to(folder)))
    return sorted(found)


def checkpoint_database(url: str) -> None:
    """Have everything that the server holds in memory written to its files."""
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


async def verify(house: House) -> int:
    """Seal what is pending, verify the whole log, and return how many entries it has."""
    await house.sealer.round()
    return (await verify_log(house, house.settings.data.joinpath("checkpoint").read_bytes())).entries
