"""A sealing process is killed, or cut off, at everything it does: what left it is committed, and the next finds no gap."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import make_url

from arbiter.identity.principals import Principal
from arbiter.model import ActorId
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.log import count_pending
from arbiter.workflow.chronicle import note_in_house
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.faults import sealing_process
from tests.faults.ledger import Ledger, a_fresh_sealer
from tests.faults.sealing_process import CUT
from tests.houses import a_client, a_house, submission
from tests.system.service import ROOT, environment, until

WARDS = 8
A_TILE = 256
"""As many entries as complete a tile: a round with so many never lacks the statement that stores the tree's nodes."""


class Sealers:
    """Processes that seal one round each and die where they are told to."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self._trace = folder / "trace"
        self._process = process

    def seal(self, ward: Ward, kinds: tuple[str, ...], fatal: int, *, cuts: bool = False) -> int:
        """Have a fresh process seal and die, or be cut off, at point number `fatal` of these kinds; return its status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "database": ward.database.app_url,
            "folder": str(ward.folder),
            "socket": str(ward.server.socket_folder),
            "kinds": kinds,
            "fatal": fatal,
            "cuts": cuts,
            "trace": str(self._trace),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def passed(self) -> list[str]:
        """Return the points that the last process passed, in order; the fatal one is the last."""
        return self._trace.read_text().splitlines()


@pytest.fixture(scope="module")
def sealers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealers]:
    folder = tmp_path_factory.mktemp("sealers")
    command = [sys.executable, "-m", sealing_process.__name__]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Sealers(folder, process)


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
    strangers: set[int] = field(default_factory=set)

    async def write(self) -> None:
        """Have a case decided and other entries written; nothing of it is sealed yet."""
        self.rounds += 1
        key = f"key-{self.rounds}"
        case = (await submit(self.house, self.client, submission(self.house.clock.now()), key, b"body")).case
        await self.house.errands.finish(10)
        self.ledger.cases.append(case)
        chains = [f"ward-{number}" for number in range(WARDS)]
        await asyncio.gather(*(self._note(chain) for chain in chains))
        self.ledger.chains |= set(chains)

    async def _note(self, chain: str) -> None:
        for _ in range(self.entries // WARDS):
            await note_in_house(self.house, self.house.store, "round.made", ActorId("night"), {}, chain=chain)

    async def sealed_by(
        self, sealers: Sealers, kinds: tuple[str, ...], fatal: int, *, cuts: bool = False
    ) -> int:
        """Write, have a process seal that until the tripwire, wait until it is quite gone; return its exit status."""
        await self.write()
        self.strangers = self._backends()
        status = await asyncio.to_thread(sealers.seal, self, kinds, fatal, cuts=cuts)
        await self.nobody_else()
        assert status in {0, CUT, -signal.SIGKILL}, sealers.passed()
        return status

    async def check_in_a_fresh_house(self) -> None:
        """Seal what is left in a house that is opened anew; nothing waits then, and all is there once."""
        async with a_house(self.folder, self.database, running=False) as fresh:
            await fresh.sealer.round()
            await fresh.sealer.round()
            async with fresh.store.read() as transaction:
                assert await count_pending(transaction) == (0, None)
            await self.ledger.check_each_is_there_once()

    async def nobody_else(self) -> None:
        """Wait until the server has noticed that the killed process is gone: it may still be at its last statement."""

        async def gone() -> bool:
            return self._backends() <= self.strangers

        await until(gone, every=0.01)

    def _backends(self) -> set[int]:
        name = make_url(self.database.app_url).database
        with psycopg.connect(conninfo(self.server.superuser_url), autocommit=True) as administrator:
            rows = administrator.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s", (name,)
            ).fetchall()
        return {pid for (pid,) in rows}


@pytest_asyncio.fixture
async def ward(database: Database, server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Ward]:
    folder = tmp_path / "data"
    async with a_house(folder, database, running=False) as house:
        client, _ = await a_client(house)
        ledger = Ledger(house, client, folder / "checkpoint")
        yield Ward(house, client, ledger, folder, database, server)


@pytest.mark.parametrize(
    ("kinds", "seen"),
    [
        (("before",), ("pg_advisory_xact_lock", "FROM pending", "INTO checkpoint", "COMMIT", "sync")),
        (("answered", "file"), ("sync", "os.rename checkpoint")),
    ],
    ids=["before each statement", "before each answer and file"],
)
async def test_a_sealer_killed_at_anything_it_does_leaves_nothing_that_is_not_committed(
    sealers: Sealers, ward: Ward, kinds: tuple[str, ...], seen: tuple[str, ...]
) -> None:
    points: list[str] = []
    while await ward.sealed_by(sealers, kinds, len(points)) == -signal.SIGKILL:
        points.append(sealers.passed()[-1])
        await ward.ledger.check_what_left(of_all=False)
        await a_fresh_sealer(ward.house, ward.folder).round()
        await ward.ledger.check_what_left()
    # Counting went on until a process survived; that it counted what matters:
    for name in seen:
        assert any(name in point for point in points), (name, points)
    await ward.check_in_a_fresh_house()


async def test_a_sealer_cut_off_before_any_answer_goes_on_from_what_is_committed(
    sealers: Sealers, ward: Ward
) -> None:
    """Whether the server committed is then unknown to it, and what it remembers of the tree may be of the past."""
    ward.entries = WARDS
    points: list[str] = []
    while await ward.sealed_by(sealers, ("answered",), len(points), cuts=True) == CUT:
        points.append(sealers.passed()[-1])
        await ward.ledger.check_what_left()
    assert points.count("answered sync") > 2
    await ward.check_in_a_fresh_house()
