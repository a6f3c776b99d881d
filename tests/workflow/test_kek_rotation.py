"""The key-encryption key is rotated while the service runs, killed half way, and the old one retired."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from arbiter.errors import ConfigurationError, ConflictError, NotFoundError
from arbiter.model import ActorId
from arbiter.store.database import Database, conninfo
from arbiter.store.endpoints import EndpointRow, add_endpoint, list_endpoints
from arbiter.store.exports import add_job, claim_job, keep_job_key, load_job
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.store.wrapping import (
    Kind,
    count_all_wrapped,
    count_wrapped,
    move_wrapped,
    next_wrapped,
)
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.exports.jobs import owner_of
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log import rotating_kek
from arbiter.workflow.log.rotating_kek import retire_kek, rotate_kek
from arbiter.workflow.reading import certificate
from tests.houses import a_client, a_house, settle, settled, submission
from tests.workflow import rewrapping

WHO = ActorId("operator:carla")
SECRETS = 60


def quiet(*_: object) -> None:
    pass


async def fill(house: House, secrets: int = SECRETS) -> None:
    """Webhooks' secrets in number, each owner's its own: rows to wrap anew at no cost."""
    async with house.store.begin() as transaction:
        for number in range(secrets):
            owner = f"we_{number:04}"
            kek_id, sealed = house.vault.seal_secret(owner, owner.encode())
            row = EndpointRow(
                owner, None, "ward", "https://example.org/", kek_id, sealed, house.clock.now(), None
            )
            await add_endpoint(transaction, row)


async def assert_all_open(house: House) -> None:
    async with house.store.read() as transaction:
        rows = await list_endpoints(transaction)
    assert [house.vault.open_secret(row.id, row.kek_id, row.sealed_secret) for row in rows] == [
        row.id.encode() for row in rows
    ]


async def a_case(house: House, key: str) -> str:
    client, _ = await a_client(house, key)
    submitted = await submit(house, client, submission(house.clock.now()), key, key.encode())
    await settled(house, client, submitted.case)
    await settle(house)
    assert await certificate(house, client, submitted.case)
    return submitted.case


async def assert_replays(house: House, case: str) -> None:
    steps = await replay_case(house, case)  # type: ignore[arg-type]
    assert steps
    assert all(step.same for step in steps)


async def test_cases_from_before_during_and_after_open_while_the_service_runs(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path, database) as running:
        before = await a_case(running, "before")
        await fill(running)
        async with a_house(tmp_path, database, running=False) as command:
            done = await rotate_kek(command, WHO, quiet, batch=9)
        assert (done.kek_id, done.made, done.moved) == ("kek-2", True, SECRETS + 1)
        assert await count_all_wrapped(running.store) == {"kek-2": SECRETS + 1}
        assert running.vault.current_kek == "kek-1", "it has not met the new key yet"
        await assert_replays(running, before)
        await assert_all_open(running)
        assert running.vault.current_kek == "kek-2", "and wraps under it since it met it"
        during = await a_case(running, "during")
    async with a_house(tmp_path, database) as later:
        for case in (before, during, await a_case(later, "after")):
            await assert_replays(later, case)
        assert await count_all_wrapped(later.store) == {"kek-2": SECRETS + 3}
        await verify_log(later, (tmp_path / "checkpoint").read_bytes())


async def rows_left(database: Database) -> dict[str, int]:
    async with await psycopg.AsyncConnection.connect(conninfo(database.app_url)) as connection:
        rows = await connection.execute("SELECT kek_id, count(*) FROM webhook_endpoint GROUP BY kek_id")
        return {row[0]: row[1] async for row in rows}


async def test_a_rotation_killed_half_way_is_gone_on_with(tmp_path: Path, database: Database) -> None:
    """A real process and SIGKILL: what was moved stays moved, what was not opens as before, nothing is between."""
    async with a_house(tmp_path, database, running=False) as house:
        await fill(house)
    command = (sys.executable, "-m", rewrapping.__name__, str(tmp_path), database.app_url)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b"WEBHOOK_SECRET") and int(line.split()[1]) >= 2 * rewrapping.BATCH:
            os.kill(process.pid, signal.SIGKILL)
            break
    assert await process.wait() == -signal.SIGKILL
    left = await rows_left(database)
    assert sum(left.values()) == SECRETS
    assert 0 < left["kek-1"] <= SECRETS - 2 * rewrapping.BATCH
    async with a_house(tmp_path, database, running=False) as house:
        await assert_all_open(house)
        with pytest.raises(ConflictError, match="still wrapped under kek-1"):
            await retire_kek(house, WHO, "kek-1")
        done = await rotate_kek(house, WHO, quiet)
        assert (done.kek_id, done.made, done.moved) == ("kek-2", False, left["kek-1"])
        await assert_all_open(house)
        assert await rows_left(database) == {"kek-2": SECRETS}
        report = await verify_log(house, (tmp_path / "checkpoint").read_bytes())
        assert report.entries == 1, "one rotation, entered once"


async def test_a_key_made_first_is_copied_and_then_used(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await fill(house, 3)
        made = await rotate_kek(house, WHO, quiet, key_only=True)
        assert (made.kek_id, made.moved) == ("kek-2", 0)
        assert await count_all_wrapped(house.store) == {"kek-1": 3}
        assert (await rotate_kek(house, WHO, quiet)).moved == 3
        assert sorted(path.name for path in (tmp_path / "keys").glob("kek-*")) == ["kek-1.key", "kek-2.key"]


async def test_nothing_is_lost_when_it_is_killed_between_the_file_and_the_entry(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def dies(*_: object) -> int:
        raise Killed

    async with a_house(tmp_path, database, running=False) as house:
        await fill(house, 3)
        with monkeypatch.context() as patch:
            patch.setattr(rotating_kek, "note_in_house", dies)
            with pytest.raises(Killed):
                await rotate_kek(house, WHO, quiet)
    async with a_house(tmp_path, database, running=False) as house:
        await assert_all_open(house)
        assert (await rotate_kek(house, WHO, quiet)).kek_id == "kek-2"
        await house.sealer.round()
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).entries == 1


async def test_a_key_that_wraps_nothing_is_retired_for_good(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as stale:
        await fill(stale, 3)
        async with a_house(tmp_path, database, running=False) as house:
            await rotate_kek(house, WHO, quiet)
            await retire_kek(house, WHO, "kek-1")
        assert not (tmp_path / "keys" / "kek-1.key").exists()
        # A process that holds the old key still must not lock anything away under it.
        kek_id, sealed = stale.vault.seal_secret("we_late", b"late")
        assert kek_id == "kek-1"
        row = EndpointRow(
            "we_late", None, "ward", "https://example.org/", kek_id, sealed, stale.clock.now(), None
        )
        with pytest.raises(DBAPIError, match="key-encryption key kek-1 is retired"):
            async with stale.store.begin() as transaction:
                await add_endpoint(transaction, row)
    async with a_house(tmp_path, database, running=False) as house:
        assert [tuple(row) for row in await house.store.run("SELECT id FROM retired_kek", {})] == [("kek-1",)]
        await assert_all_open(house)
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).entries == 2


async def test_what_was_wrapped_while_a_key_was_being_retired_is_moved_too(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path, database, running=False) as stale:
        await fill(stale, 3)
        async with a_house(tmp_path, database, running=False) as house:
            await rotate_kek(house, WHO, quiet)
            async with stale.store.begin() as transaction:
                kek_id, sealed = stale.vault.seal_secret("we_late", b"we_late")
                late = EndpointRow(
                    "we_late", None, "ward", "https://example.org/", kek_id, sealed, stale.clock.now(), None
                )
                await add_endpoint(transaction, late)
                retiring = asyncio.create_task(retire_kek(house, WHO, "kek-1"))
                done, _ = await asyncio.wait({retiring}, timeout=1.0)
                assert not done, "it waits for whoever began before"
            await retiring
            assert await count_all_wrapped(house.store) == {"kek-2": 4}
            await assert_all_open(house)


@pytest.mark.parametrize(("kek_id", "error"), [("kek-2", ConflictError), ("kek-7", NotFoundError)])
async def test_neither_the_present_key_nor_an_unknown_one_is_retired(
    tmp_path: Path, database: Database, kek_id: str, error: type[Exception]
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await rotate_kek(house, WHO, quiet)
        with pytest.raises(error):
            await retire_kek(house, WHO, kek_id)


async def test_a_key_that_was_erased_meanwhile_does_not_come_back(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database) as house:
        await a_case(house, "erased")
        (row,) = await next_wrapped(house.store, Kind.CASE_KEY, "kek-2", "", 10)
        await house.store.run("DELETE FROM case_key RETURNING case_id", {})
        assert await move_wrapped(house.store, Kind.CASE_KEY, "kek-2", [(row, b"fresh")]) == 0
        assert await count_wrapped(house.store, Kind.CASE_KEY) == {}


async def test_a_host_without_the_new_key_says_which_it_needs(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await fill(house, 1)
        await rotate_kek(house, WHO, quiet)
    (tmp_path / "keys" / "kek-2.key").unlink()
    async with a_house(tmp_path, database, running=False) as house:
        with pytest.raises(ConfigurationError, match="needs kek-2"):
            await assert_all_open(house)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE case_key SET case_id = case_id",
        "UPDATE webhook_endpoint SET url = url",
        "UPDATE webhook_endpoint SET client_id = client_id",
        "DELETE FROM retired_kek",
        "UPDATE retired_kek SET id = id",
    ],
)
async def test_the_applications_role_changes_nothing_else(database: Database, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo(database.app_url)) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)


async def test_a_finished_exports_key_moves_too_and_its_file_opens(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        async with house.store.begin() as transaction:
            await add_job(transaction, "e_one", "c", {}, house.clock.now(), most=8, most_of_client=3)
        await claim_job(house.store, "maker", house.clock.now(), house.clock.now())
        await keep_job_key(
            house.store, "e_one", "maker", *house.vault.seal_secret(owner_of("e_one"), bytes(32))
        )
        assert (await rotate_kek(house, WHO, quiet)).moved == 1
        await retire_kek(house, WHO, "kek-1")
    async with a_house(tmp_path, database, running=False) as house:
        job = await load_job(house.store, "e_one")
        assert job is not None
        assert job.kek_id == "kek-2"
        assert job.sealed_key is not None
        assert house.vault.open_secret(owner_of("e_one"), job.kek_id, job.sealed_key) == bytes(32)


async def test_no_exports_key_is_sealed_under_a_retired_key(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as stale:
        async with stale.store.begin() as transaction:
            await add_job(transaction, "e_one", "c", {}, stale.clock.now(), most=8, most_of_client=3)
        await claim_job(stale.store, "maker", stale.clock.now(), stale.clock.now())
        async with a_house(tmp_path, database, running=False) as house:
            await rotate_kek(house, WHO, quiet)
            await retire_kek(house, WHO, "kek-1")
        with pytest.raises(DATABASE_ERRORS, match="key-encryption key kek-1 is retired"):
            await keep_job_key(
                stale.store, "e_one", "maker", *stale.vault.seal_secret(owner_of("e_one"), bytes(32))
            )


FILES = "SELECT pg_relation_filenode(inhrelid) FROM pg_inherits WHERE inhparent = 'case_key'::regclass"


async def test_the_old_wrapping_does_not_stay_in_the_tables_pages(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database) as house:
        await a_case(house, "rotated")
        (row,) = await next_wrapped(house.store, Kind.CASE_KEY, "kek-2", "", 10)
        places = await house.store.run(FILES, {})
        done = await rotate_kek(house, WHO, quiet)
        assert (done.moved, done.left) == (1, None)
        assert len(places) == 8
        assert not set(places) & set(await house.store.run(FILES, {}))
        assert await next_wrapped(house.store, Kind.CASE_KEY, row.kek_id, "", 10) != (row,)


async def test_two_hosts_that_made_one_key_each_do_not_both_wrap_under_its_name(
    tmp_path: Path, database: Database
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    async with a_house(one, database, running=False) as house:
        await fill(house, 3)
    shutil.copytree(one, other)
    async with a_house(other, database, running=False) as house:
        await rotate_kek(house, WHO, quiet, key_only=True)
    async with a_house(one, database, running=False) as house:
        await rotate_kek(house, WHO, quiet)
    shutil.copy(one / "checkpoint", other / "checkpoint")
    async with a_house(other, database, running=False) as house:
        with pytest.raises(ConflictError, match="another host has made another kek-2"):
            await rotate_kek(house, WHO, quiet)
    async with a_house(one, database, running=False) as house:
        await assert_all_open(house)
