"""A ward that hands in cases and writes entries, and other processes that seal what it wrote."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from arbiter.identity.principals import Principal
from arbiter.model import ActorId
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.log.sealing import count_pending
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log.chronicle import note_in_house
from tests.faults.ledger import Ledger
from tests.faults.sealers import Sealers
from tests.faults.sealing_process import CUT
from tests.houses import a_house, submission
from tests.system.service import until

CHAINS = tuple(f"ward-{number}" for number in range(8))
SEALER = "sealer"
"""The log-in of those other processes, by which the server tells what is left of them from what this house has opened."""
A_TILE = 256
"""As many entries as complete a tile: a round with so many never lacks the statement that stores the tree's nodes."""


@dataclass
class Ward:
    """A house that hands in cases and writes entries, and seals only when it is told to."""

    house: House
    client: Principal
    ledger: Ledger
    folder: Path
    database: Database
    server: EmbeddedPostgres
    entries: int = A_TILE
    rounds: int = 0

    async def write(self) -> None:
        """Have a case decided and other entries written; nothing of it is sealed yet."""
        self.rounds += 1
        key = f"key-{self.rounds}"
        case = (await submit(self.house, self.client, submission(self.house.clock.now()), key, b"body")).case
        await self.house.errands.finish(10)
        self.ledger.cases.append(case)
        await asyncio.gather(*(self._note(chain) for chain in CHAINS))
        self.ledger.chains |= set(CHAINS)

    async def _note(self, chain: str) -> None:
        for _ in range(self.entries // len(CHAINS)):
            await note_in_house(self.house, self.house.store, "round.made", ActorId("night"), {}, chain=chain)

    async def sealed_by(
        self, sealers: Sealers, kinds: tuple[str, ...], fatal: int, *, cuts: bool = False
    ) -> int:
        """Write, have a process seal that until the tripwire, wait until it is quite gone; return its exit status."""
        await self.write()
        status = await asyncio.to_thread(
            sealers.carry_out,
            database=make_url(self.database.app_url)
            .set(username=SEALER)
            .render_as_string(hide_password=False),
            folder=str(self.folder),
            socket=str(self.server.socket_folder),
            kinds=kinds,
            fatal=fatal,
            cuts=cuts,
        )
        await self._nobody_else()
        assert status in {0, CUT, -signal.SIGKILL}, sealers.trace()
        return status

    async def check_in_a_fresh_house(self) -> None:
        """Seal what is left in a house that is opened anew; nothing waits then, and all is there once."""
        async with a_house(self.folder, self.database, running=False) as fresh:
            await fresh.sealer.round()
            await fresh.sealer.round()
            async with fresh.store.read() as transaction:
                assert await count_pending(transaction) == (0, None)
            await self.ledger.check_each_is_there_once()

    async def _nobody_else(self) -> None:
        """Wait until the server has noticed that the killed process is gone: it may still be at its last statement."""

        async def gone() -> bool:
            return not self._backends()

        await until(gone, every=0.01)

    def _backends(self) -> set[int]:
        with psycopg.connect(conninfo(self.server.superuser_url), autocommit=True) as administrator:
            rows = administrator.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = %s", (SEALER,)
            ).fetchall()
        return {pid for (pid,) in rows}
