"""The work that never ends comes back, whatever ended it: errors, a vanished database, a damaged case."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from arbiter.errors import UnavailableError
from arbiter.lifecycle import Phase
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.workflow import standing_work
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.intake import submit
from arbiter.workflow.kept import KeptCheckpoint
from arbiter.workflow.publishing import ready
from arbiter.workflow.reading import decision, view_case, wait_until_settled
from arbiter.workflow.standing_work import keep_up
from tests.houses import ShiftableClock, a_client, a_house, settle, submission
from tests.system.service import until


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing_work, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(standing_work, "LONGEST_PAUSE_SECONDS", 0.02)


async def times_begun(work: Callable[[], Awaitable[None]], wanted: int) -> int:
    begun, enough = 0, asyncio.Event()

    async def counted() -> None:
        nonlocal begun
        begun += 1
        if begun == wanted:
            enough.set()
        await work()

    keeping = asyncio.create_task(keep_up("counting", counted))
    try:
        await asyncio.wait_for(enough.wait(), 5)
        await asyncio.sleep(0)
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
    return begun


async def fail() -> None:
    raise KeyError("whatever it was")


async def end() -> None:
    pass


@pytest.mark.parametrize("work", [fail, end])
async def test_work_that_fails_or_ends_is_begun_again_and_told(
    impatient: None, work: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    assert await times_begun(work, 4) >= 4
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) >= 3


async def test_cancelled_work_is_not_begun_again(impatient: None) -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await waiting

    assert await times_begun(wait, 1) == 1
    assert waiting.cancelled()


# --- on a real house ---------------------------------------------------------------------------------------------


class Outage:
    """Takes one database away from everybody, as long as wanted, without stopping the server of the other tests."""

    def __init__(self, server: EmbeddedPostgres, database: Database) -> None:
        self._name = database.app_url.rsplit("/", 1)[1].split("?")[0]
        self._server = server
        self.inside = conninfo(server.url(SUPERUSER, self._name))

    def __enter__(self) -> None:
        self._run("ALTER DATABASE {} ALLOW_CONNECTIONS false")
        with psycopg.connect(conninfo(self._server.superuser_url), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (self._name,)
            )

    def __exit__(self, *_: object) -> None:
        self._run("ALTER DATABASE {} ALLOW_CONNECTIONS true")

    def _run(self, statement: str) -> None:
        with psycopg.connect(conninfo(self._server.superuser_url), autocommit=True) as connection:
            connection.execute(SQL(statement).format(Identifier(self._name)))


async def test_a_house_outlives_an_outage_of_its_database(
    server: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, workers=True) as house:
        client, _ = await a_client(house)
        made = submission(house.clock.now())
        before = (await submit(house, client, made, "before", b"body")).case
        assert (await wait_until_settled(house, client, before, 10)).phase is Phase.RELEASED
        with Outage(server, database):
            readiness = await ready(house)
            assert not readiness.ok
            assert ("database", False) in {(name, ok) for name, ok, _ in readiness.checks}
            with pytest.raises(UnavailableError):
                await view_case(house, client, before)
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(UnavailableError):
                    after = (await submit(house, client, made, "after", b"body")).case
                    break
        assert (await wait_until_settled(house, client, after, 15)).phase is Phase.RELEASED
        await settle(house)
        assert (await ready(house)).ok
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).cases == 2


async def test_the_safety_net_is_spread_again_after_its_queue_was_broken(
    server: EmbeddedPostgres, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    function = "procrastinate_fetch_job_v2"
    inside = Outage(server, database).inside
    async with a_house(tmp_path, database, workers=True) as house:
        client, _ = await a_client(house)
        with psycopg.connect(inside, autocommit=True) as connection:
            oids = connection.execute(
                "SELECT oid::regprocedure::text FROM pg_proc WHERE proname = %s", (function,)
            )
            (signature,) = oids.fetchone() or ("",)
            connection.execute(f"ALTER FUNCTION {signature} RENAME TO hidden".encode())
            await until(lambda: asyncio.sleep(0, "the safety net has failed" in caplog.text), seconds=10)
            hidden = signature.replace(function, "hidden")
            connection.execute(f"ALTER FUNCTION {hidden} RENAME TO {function}".encode())
            # A case that this process never worked on: only the net can catch it.
            clock = ShiftableClock()
            clock.advance(timedelta(seconds=-20))
        async with a_house(tmp_path, database, clock, running=False) as dying:
            case = (await submit(dying, client, submission(clock.now()), "left", b"body")).case
            await dying.errands.finish(0)
        assert (await wait_until_settled(house, client, case, 20)).phase is Phase.RELEASED


async def test_a_damaged_case_keeps_no_other_from_its_release_or_its_deadline(
    server: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    clock = ShiftableClock()
    async with a_house(tmp_path, database, clock, running=False) as house:
        client, _ = await a_client(house)
        cases = []
        for number in range(4):
            made = submission(clock.now(), pregnant=(number >= 2, None))
            cases.append((await submit(house, client, made, f"key-{number}", b"body")).case)
        await house.errands.finish(10)
        with psycopg.connect(Outage(server, database).inside, autocommit=True) as connection:
            for damaged in (cases[0], cases[2]):
                connection.execute("UPDATE case_file SET state = '{}' WHERE id = %s", (damaged,))
        await house.sealer.round()
        assert (await decision(house, client, cases[1])).option == "continue-monitoring"
        clock.advance(timedelta(hours=5))
        assert await expire_due(house) == 1
        assert (await view_case(house, client, cases[3])).overdue


async def test_a_decision_that_was_sealed_in_time_is_released_however_late(
    database: Database, tmp_path: Path
) -> None:
    clock = ShiftableClock()
    async with a_house(tmp_path, database, clock, running=False) as house:
        client, _ = await a_client(house)
        case = (await submit(house, client, submission(clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        house.sealer.then(lambda: asyncio.sleep(0))
        await house.sealer.round()
    # The process died between sealing and releasing, and nobody was there for a day.
    clock.advance(timedelta(days=1))
    async with a_house(tmp_path, database, clock, running=False) as house:
        await expire_due(house)
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.RELEASED


# --- the kept checkpoint -------------------------------------------------------------------------------------------


async def test_a_process_that_dies_before_it_keeps_its_first_checkpoint_can_be_started_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        await submit(house, client, submission(house.clock.now()), "key", b"body")
        await house.errands.finish(10)

        def die(*_: object) -> None:
            raise SystemExit

        with monkeypatch.context() as patched:
            patched.setattr(KeptCheckpoint, "write", die)
            with pytest.raises(SystemExit):
                await house.sealer.round()
    async with a_house(tmp_path, database, running=False) as house:
        await house.sealer.round()
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).cases == 1


def test_the_kept_checkpoint_never_goes_back(tmp_path: Path) -> None:
    one, other = KeptCheckpoint(tmp_path), KeptCheckpoint(tmp_path)
    one.write("log\n10\nroot\n")
    other.write("log\n20\nroot\n")
    one.write("log\n15\nroot\n")
    assert one.path.read_text() == "log\n20\nroot\n"
    one.write("log\n21\nroot\n")
    assert other.path.read_text() == "log\n21\nroot\n"
