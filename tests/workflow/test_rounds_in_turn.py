"""One round numbers while the one before it is kept and released: what that must never let through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from arbiter.audit.checkpoint import Checkpoint
from arbiter.errors import UnavailableError
from arbiter.lifecycle.states import Phase
from arbiter.settings import Mode, Settings
from arbiter.store.cases.heads import load_case
from arbiter.store.database import LOCK_TIMEOUT_SECONDS, Database
from arbiter.store.log import sealing as store_sealing
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.houses import a_client, a_house, submission
from tests.workflow.circles import NOWHERE, write_file
from tests.workflow.guarded import grow


@asynccontextmanager
async def sealing(house: House) -> AsyncIterator[None]:
    task = asyncio.create_task(house.sealer.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def sizes(house: House) -> list[int]:
    return [size for (size,) in await house.store.run("SELECT size FROM checkpoint ORDER BY size", {})]


async def test_while_a_checkpoint_is_being_kept_nothing_more_is_signed_or_released_and_nobody_is_told(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        await house.sealer.round()
        go_on, entered, keep = threading.Event(), threading.Event(), house.guard.keep

        def slow(note: bytes, checkpoint: Checkpoint) -> None:
            entered.set()
            assert go_on.wait(30)
            keep(note, checkpoint)

        monkeypatch.setattr(house.guard, "keep", slow)
        cases, waiters, committed = [], [], list[int]()
        try:
            async with sealing(house):
                for number in range(2):
                    key = f"key-{number}"
                    filed = await submit(house, client, submission(house.clock.now()), key, key.encode())
                    cases.append(filed.case)
                    await house.errands.finish(10)
                    waiters.append(house.sealer.request())
                    assert await asyncio.to_thread(entered.wait, 30)
                    if not number:
                        committed = await sizes(house)
                    # Long enough for many rounds.
                    await asyncio.sleep(0.5)
                    assert await sizes(house) == committed
                    assert not any(waiter.done() for waiter in waiters)
                    phases = {(await load_case(house.store, case)).state.phase for case in cases}
                    assert phases == {Phase.DECIDED}
                go_on.set()
                await asyncio.wait_for(asyncio.gather(*waiters), 30)
                assert len(await sizes(house)) > len(committed)
                phases = {(await load_case(house.store, case)).state.phase for case in cases}
                assert phases == {Phase.RELEASED}
        finally:
            go_on.set()


async def test_a_round_waits_for_no_writers_turn_at_a_connection(database: Database, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, mode=Mode.DEMONSTRATION, secure_cookies=False, database_pool_size=3)
    async with a_house(tmp_path, database, running=False, settings=settings) as house:
        slow = [
            asyncio.create_task(house.store.run("SELECT pg_sleep(3)", {}))
            for _ in range(2 * settings.database_pool_size)
        ]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(2):
            await house.sealer.round()
        assert not any(task.done() for task in slow)
        statements, _ = house.store.connections()
        assert (statements.waiting or 0) >= settings.database_pool_size
        await asyncio.gather(*slow)


async def test_rounds_that_wait_leave_a_connection_to_what_they_wait_for(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, mode=Mode.DEMONSTRATION, secure_cookies=False, database_pool_size=2)
    async with a_house(tmp_path, database, running=False, settings=settings) as house:
        releasing, go_on = asyncio.Event(), asyncio.Event()

        async def release() -> None:
            releasing.set()
            await go_on.wait()
            await house.store.ahead.run("SELECT", {})

        house.sealer.then(release)
        rounds = [asyncio.create_task(house.sealer.round())]
        await releasing.wait()
        rounds += [asyncio.create_task(house.sealer.round()) for _ in range(3)]
        # Long enough for them to come as far as they can.
        await asyncio.sleep(0.5)
        go_on.set()
        async with asyncio.timeout(LOCK_TIMEOUT_SECONDS - 1):
            await asyncio.gather(*rounds)


async def test_a_release_that_asks_for_cosignatures_waits_for_no_writers_turn_either(
    database: Database, tmp_path: Path
) -> None:
    witnesses = write_file(tmp_path / "witnesses.yaml", [NOWHERE], {"urgent": 1})
    settings = Settings(
        data=tmp_path,
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        database_pool_size=3,
        witnesses=witnesses,
    )
    async with a_house(tmp_path, database, running=False, settings=settings) as house:
        slow = [asyncio.create_task(house.store.run("SELECT pg_sleep(3)", {})) for _ in range(6)]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(2):
            await house.sealer.round()
        assert not any(task.done() for task in slow)
        await asyncio.gather(*slow)


async def test_a_release_that_fails_does_not_say_that_the_checkpoint_is_not_kept(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:

        async def fail() -> None:
            raise TimeoutError

        house.sealer.then(fail)
        with pytest.raises(TimeoutError):
            await house.sealer.round()
        assert not house.sealer.holds_back


async def test_a_pipeline_whose_failure_was_overlooked_is_not_called_committed(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:

        async def overlook() -> None:
            async with house.store.pipeline() as connection:
                with suppress(psycopg.errors.DivisionByZero):
                    await (await connection.execute("SELECT 1 / 0")).fetchone()

        with pytest.raises(UnavailableError):
            await overlook()
        # The connection is good for the next one.
        for _ in range(house.settings.database_pool_size):
            async with house.store.pipeline() as connection:
                await connection.execute("SELECT 1")


async def test_a_process_of_the_release_before_seals_nothing_that_would_leave_holes_in_the_stored_tree(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        with pytest.MonkeyPatch.context() as patch:
            # What release 0.3.0 stores.
            patch.setattr(store_sealing, "STORED_LEVELS", (0, 8, 12, 16))
            assert await grow(house, 15) == 15
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="the present release"):
                await grow(house)
            assert await sizes(house) == [15]
        await house.sealer.round()
        assert await sizes(house) == [15, 16]
        await house.guard.check()
        assert (await verify_log(house, None)).entries == 16


async def test_a_plan_that_must_read_a_table_whole_is_not_compiled(
    database: Database, tmp_path: Path
) -> None:
    """Before release 18 a plan that does what is switched off costs ten thousand million, and is compiled for its price."""
    async with a_house(tmp_path, database, running=False) as house:
        ((seqscan, jit),) = await house.store.run(
            "SELECT current_setting('enable_seqscan'), current_setting('jit')", {}
        )
        assert (seqscan, jit) == ("off", "off")
