"""The work that never ends comes back, whatever ended it: errors, a vanished database, a damaged case."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.errors import ConfigurationError, UnavailableError
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.log.chains import load_entries
from arbiter.workflow import deliberation, queue, standing_work
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.errands import Errands
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.postbox import Postbox
from arbiter.workflow.publishing import ready
from arbiter.workflow.reading import certificate, decision, view_case
from arbiter.workflow.standing_work import every_minute, keep_up
from tests.houses import ShiftableClock, a_client, a_house, settle, settled, submission
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


async def test_looking_goes_on_while_the_database_is_away_and_ends_at_anything_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(standing_work, "LOOK_SECONDS", 0.0)
    errors = [UnavailableError("away"), ConfigurationError("no key"), KeyError("damaged")]

    def looking(*waited_out: type[Exception]) -> Coroutine[Any, Any, None]:
        failing = iter(errors)

        async def look() -> None:
            raise next(failing)

        return asyncio.wait_for(every_minute("looking", look, *waited_out), 5)

    with pytest.raises(ConfigurationError, match="no key"):
        await looking()
    with pytest.raises(KeyError, match="damaged"):
        await looking(ConfigurationError)
    assert [record.args for record in caplog.records] == [
        ("looking", "UnavailableError"),
        ("looking", "UnavailableError"),
        ("looking", "ConfigurationError"),
    ]


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
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                (self._name,),
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
        assert (await settled(house, client, before)).phase is Phase.RELEASED
        with Outage(server, database):
            readiness = await ready(house)
            assert not readiness.ok
            assert ("database", False) in {(name, ok) for name, ok, _ in readiness.checks}
            with pytest.raises(UnavailableError):
                await view_case(house, client, before)
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(UnavailableError):
                    again = submission(house.clock.now())
                    after = (await submit(house, client, again, "after", b"body")).case
                    break
        assert (await settled(house, client, after)).phase is Phase.RELEASED
        await settle(house)
        assert (await ready(house)).ok
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).chains == 2


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
        async with a_house(tmp_path, database, long_ago(), running=False) as dying:
            case = await left_behind(dying)
        assert (await settled(house, client, case)).phase is Phase.RELEASED


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
            patched.setattr(KeptCheckpoint, "replace", die)
            with pytest.raises(SystemExit):
                await house.sealer.round()
    async with a_house(tmp_path, database, running=False) as house:
        await house.sealer.round()
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).chains == 1


# --- the safety net ------------------------------------------------------------------------------------------------


class DiesAtOnce(Errands):
    """A process that is killed as soon as a case is committed."""

    def start(self, case: CaseId, work: Coroutine[Any, Any, None]) -> None:
        work.close()


async def left_behind(house: House) -> CaseId:
    """Hand in a case whose process dies before its panel is asked; the queue has waited long enough for it."""
    client, _ = await a_client(house)
    dying = replace(house, errands=DiesAtOnce())
    return (await submit(dying, client, submission(house.clock.now()), "key", b"body")).case


def long_ago() -> ShiftableClock:
    clock = ShiftableClock()
    clock.advance(timedelta(seconds=-20))
    return clock


async def test_a_job_in_the_hands_of_a_killed_worker_is_handed_on(
    server: EmbeddedPostgres, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "SWEEP_SECONDS", 0.2)
    async with a_house(tmp_path, database, long_ago(), running=False) as house:
        case = await left_behind(house)
        with psycopg.connect(Outage(server, database).inside, autocommit=True) as connection:
            # What a worker leaves that fetched the job and was killed nine seconds ago.
            row = connection.execute(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '9 s') RETURNING id"
            ).fetchone()
            held = connection.execute(
                "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, attempts = 1", row
            )
            assert held.rowcount == 1
    async with a_house(tmp_path, database, workers=True) as house:
        onlooker, _ = await a_client(house, "another system")
        assert (await settled(house, onlooker, case)).phase is Phase.RELEASED
        await settle(house)
        async with house.store.read() as transaction:
            types = [Entry.from_bytes(body).type for _, body, _ in await load_entries(transaction, case)]
        assert types.count("case.decided") == types.count("case.released") == 1


async def test_a_case_that_cannot_be_worked_on_ends_with_a_human_and_says_so(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        case = await left_behind(house)

        def break_down(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(deliberation, "adjudicate", break_down)
            for _ in range(queue.ATTEMPTS - 1):
                with pytest.raises(ZeroDivisionError):
                    await deliberation.take_up(house, case, last_attempt=False)
            await deliberation.take_up(house, case, last_attempt=True)
        await house.sealer.round()
        client, _ = await a_client(house, "another system")
        assert (await view_case(house, client, case)).phase is Phase.ESCALATED
        told = decode(await certificate(house, client, case))
        assert [reason["code"] for reason in told["verdict"]["reasons"]] == ["fault"]
        assert "ZeroDivisionError" not in str(told)
        assert all(step.same for step in await replay_case(house, case))


async def test_a_cancellation_that_comes_together_with_the_post_is_not_lost() -> None:
    postbox = Postbox()
    waiting = asyncio.create_task(postbox.wait(60))
    await asyncio.sleep(0)
    postbox.fill()
    waiting.cancel()
    await asyncio.wait([waiting], timeout=5)
    assert waiting.cancelled()
