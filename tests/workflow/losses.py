"""Logs that lost entries for good: a database behind its kept checkpoint, and what was got of it before and after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arbiter.audit.note import VerifierKey
from arbiter.clock import SystemChance, SystemClock
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.keys import read_keys
from arbiter.wiring import Ports, open_house_on
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log import recovering
from arbiter.workflow.log.recoveries import load_statements
from arbiter.workflow.log.recovering import recover, two_persons
from arbiter.workflow.reading import receipt
from tests.databases import Copies
from tests.houses import PASSWORD, SITE, a_client, a_house, a_reviewer, submission
from tests.workflow.guarded import grow, not_opened

ORIGIN = "log.hospital.example/arbiter"
REASON = "the disk is gone, and the newest backup is of Monday"
BOTH = (("anna", PASSWORD), ("ben", PASSWORD))


async def an_administrator(house: House, login: str) -> Principal:
    return await create_account(
        house.identities, house.clock, house.chance, login, login.capitalize(), PASSWORD,
        [Role.ADMINISTRATOR], [SITE],
    )  # fmt: skip


def unchecked(folder: Path, database: Database) -> Any:
    """A house as the command opens it: on a log that may be refused."""
    settings = Settings(data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=False)
    ports = Ports(SystemClock(), SystemChance())
    return open_house_on(settings, database, read_keys(folder), ports, check_log=False)


@dataclass
class Lost:
    """A database that is behind its kept checkpoint, with what was got before and after what was lost."""

    folder: Path
    database: Database
    left: int
    size: int
    old_receipt: bytes
    old_key: VerifierKey

    async def recover(self, reason: str = REASON, new_origin: str | None = None) -> recovering.Recovered:
        async with unchecked(self.folder, self.database) as house:
            return await recover(house, await two_persons(house, BOTH), reason, new_origin)

    @property
    def kept(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()

    @property
    def keys(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "keys").iterdir())}

    async def still_refused(self) -> str:
        return await not_opened(self.folder, self.database)


async def check_recovered(lost: Lost, new: str = f"{ORIGIN}.2") -> None:
    """Open, seal and verify: the log goes on under its new origin, and says what it lost."""
    async with a_house(lost.folder, lost.database, running=False) as house:
        assert house.signer.name == new
        assert house.verifiers[0].name == new
        assert lost.old_key in house.verifiers
        await grow(house, 2)
        report = await verify_log(house, lost.kept)
        assert report.newest is not None
        assert report.newest.origin == new
        recovery = report.recoveries[-1]
        assert recovery.statement.lost == (lost.left, lost.size)
        assert recovery.signed_by_old
        async with house.store.read() as transaction:
            statements = await load_statements(transaction)
        assert set(statements) == set(range(len(report.recoveries)))


@asynccontextmanager
async def lose(
    server: EmbeddedPostgres, database: Database, folder: Path
) -> AsyncIterator[tuple[Copies, str, str, Lost]]:
    """The loss, made once: the copies of the database as it was left and as it had been, and what a test gets of it."""
    copies = Copies(server, database)
    async with a_house(folder, database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
        await a_reviewer(house, "rita")
        client, _ = await a_client(house)
        left = await grow(house, 3, 2)
    behind = copies.take()
    async with a_house(folder, database, running=False) as house:
        case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        await house.sealer.round()
        held = await receipt(house, client, case)
        size = await grow(house, 2)
        key = house.verifiers[0]
    yield copies, behind, copies.take(), Lost(folder, database, left, size, held, key)
    copies.drop()
