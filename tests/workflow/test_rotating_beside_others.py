"""The log's key is rotated beside other processes and hosts: who lacks the new one is waited for, told, and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError, ConflictError, LogUnfitError, VerificationError
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import load_checkpoints
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.log import rotating_log_key
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from arbiter.workflow.publishing import checkpoint
from tests.houses import a_house, another_host
from tests.workflow.log_keys import WHO, begin, finish, newest_note, signers_of, statements, write_something


async def test_it_is_not_finished_while_a_process_that_runs_has_the_old_key_alone(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path, database) as stale:
        async with a_house(tmp_path, database, running=False) as house:
            await begin_rotation(house, WHO)
            with pytest.raises(ConflictError, match="restart every process"):
                await finish_rotation(house, WHO)
            assert len(await statements(house)) == 1
        await write_something(stale)
        assert signers_of(await newest_note(stale)) == 1
        await verify_log(stale, (tmp_path / "checkpoint").read_bytes())
    # It is restarted, and there is nothing in the way any more.
    async with (
        a_house(tmp_path, database) as restarted,
        a_house(tmp_path, database, running=False) as house,
    ):
        await finish_rotation(house, WHO)
        assert len(await statements(restarted)) == 2
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


async def test_a_process_that_was_restarted_seals_what_the_end_needs(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an idle house nothing was sealed since; whoever finishes need not, as long as the other does."""
    async with a_house(tmp_path, database, running=False) as house:
        await begin_rotation(house, WHO)
    monkeypatch.setattr(rotating_log_key, "OTHERS_SECONDS", 60.0)
    async with (
        a_house(tmp_path, database) as restarted,
        a_house(tmp_path, database, running=False) as house,
    ):
        assert signers_of(await newest_note(restarted)) == 1
        done = await finish_rotation(house, WHO)
        async with restarted.store.read() as transaction:
            notes = {stored.size: stored.note for stored in await load_checkpoints(transaction)}
        assert signers_of(notes[done.size].encode()) == 2


async def test_a_rotation_that_another_host_ended_makes_no_entry_here(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating_log_key, "OTHERS_SECONDS", 0.2)
    async with a_house(tmp_path, database, running=False) as house:
        await begin_rotation(house, WHO)
    other = another_host(tmp_path)
    async with (
        a_house(other, database, running=False) as late,
        a_house(tmp_path, database, running=False) as house,
    ):
        await finish_rotation(house, WHO)
        async with house.store.read() as transaction:
            before = len(await load_entries(transaction, HOUSE_CHAIN))
        with pytest.raises(ConflictError, match="another host has rotated"):
            await finish_rotation(late, WHO)
        async with house.store.read() as transaction:
            assert len(await load_entries(transaction, HOUSE_CHAIN)) == before


async def test_a_process_left_with_the_retired_key_seals_nothing(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as stale:
        await write_something(stale)
        await begin(tmp_path, database)
        await write_something(stale)
        assert signers_of(await newest_note(stale)) == 1, "during the overlap it may go on"
        await finish(tmp_path, database)
        await note_in_house(stale, stale.store, "house.tried", WHO, {})
        with pytest.raises(LogUnfitError, match="key was rotated meanwhile, start this process again"):
            await stale.sealer.round()
    async with a_house(tmp_path, database, running=False) as house:
        await house.sealer.round()
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


async def test_a_retired_key_alone_seals_nothing_although_another_process_still_signs_with_both(
    tmp_path: Path, database: Database
) -> None:
    """It would pass for present under a checkpoint that its own key signed too; and what it seals, no one believes."""
    async with a_house(tmp_path, database, running=False) as stale:
        await begin(tmp_path, database)
        async with a_house(tmp_path, database, running=False) as both:
            await write_something(both)
            await write_something(stale)
            assert signers_of(await newest_note(stale)) == 1, "during the overlap it may go on"
            await finish(tmp_path, database)
            await write_something(both)
            assert signers_of(await newest_note(both)) == 2
            await note_in_house(stale, stale.store, "house.tried", WHO, {})
            with pytest.raises(VerificationError, match="must be restarted with the new one"):
                await stale.sealer.round()
            await write_something(both)
    async with a_house(tmp_path, database, running=False) as house:
        await house.sealer.round()
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


async def test_two_hosts_that_rotate_at_once_leave_one_history(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as one:
        await write_something(one)
        other = another_host(tmp_path)
        async with a_house(other, database, running=False) as two:
            await begin_rotation(one, WHO)
            with pytest.raises(ConflictError, match="another host"):
                await begin_rotation(two, WHO)
        assert len(await statements(one)) == 1


async def test_a_host_without_the_new_key_is_told_during_the_overlap_and_stopped_after(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
    other = another_host(tmp_path)
    await begin(tmp_path, database)
    async with a_house(other, database, running=False) as house:
        assert "lacks the new one" in caplog.text
        assert signers_of((await checkpoint(house)).encode()) == 2
    await finish(tmp_path, database)
    with pytest.raises(ConfigurationError, match=r"log-2\.key is missing"):
        async with a_house(other, database, running=False):
            pass
