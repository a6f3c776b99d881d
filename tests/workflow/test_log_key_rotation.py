"""The log's key is rotated in a real house: every crash in between leaves the old state or the new, and one history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.note import VerifierKey, parse_note
from arbiter.audit.rotation import STATEMENT, Act, current_keys, follow_rotations, next_rotation
from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError, ConflictError, LogUnfitError, VerificationError
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_contents
from arbiter.store.keys import KeyFolder, init_keys, read_keys
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import load_checkpoints, load_newest_checkpoint
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.log import rotating_log_key
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from arbiter.workflow.publishing import checkpoint, verifier_keys
from tests.houses import a_house, another_host

WHO = ActorId("operator:carla")


async def write_something(house: House) -> None:
    await note_in_house(house, house.store, "house.tried", WHO, {})
    await house.sealer.round()


async def newest_note(house: House) -> bytes:
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
    assert newest is not None
    return newest.note.encode()


async def statements(house: House) -> tuple[bytes, ...]:
    return await load_house_contents(house.store, HOUSE_CHAIN, STATEMENT)


def signers_of(note: bytes) -> int:
    return len(parse_note(note).signatures)


async def begin(folder: Path, database: Database) -> None:
    async with a_house(folder, database, running=False) as house:
        await write_something(house)
        await begin_rotation(house, WHO)


async def finish(folder: Path, database: Database) -> None:
    async with a_house(folder, database, running=False) as house:
        await write_something(house)
        await finish_rotation(house, WHO)


async def test_the_log_goes_on_under_a_new_key_and_every_checkpoint_verifies(
    tmp_path: Path, database: Database
) -> None:
    folder = tmp_path / "data"
    init_keys(tmp_path / "data", "log.hospital.example/arbiter", SystemChance())
    first = read_keys(folder).verifiers
    auditor = tuple(VerifierKey.parse(key.encode()) for key in first[:1])
    await begin(folder, database)
    async with a_house(folder, database, running=False) as house:
        await write_something(house)
        both = await newest_note(house)
        assert signers_of(both) == 2
        assert open_checkpoint(both, auditor).checkpoint.size > 0, (
            "who has the old key alone still believes it"
        )
        assert signers_of((await checkpoint(house)).encode()) == 4, "each with its second signature"
        done = await finish_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        await write_something(house)
        alone = await newest_note(house)
        assert signers_of(alone) == 1
        with pytest.raises(VerificationError):
            open_checkpoint(alone, auditor)
        followed = follow_rotations(auditor, await statements(house))
        assert open_checkpoint(alone, followed).checkpoint.size > done.size
        async with house.store.read() as transaction:
            checkpoints = await load_checkpoints(transaction)
        for stored in checkpoints:
            assert open_checkpoint(stored.note.encode(), followed).checkpoint.size == stored.size
        report = await verify_log(house, (folder / "checkpoint").read_bytes())
        assert report.checkpoints == len(checkpoints)
        assert len(verifier_keys(house)) == 4
        assert signers_of((await checkpoint(house)).encode()) == 2
    names = {path.name for path in (folder / "keys").iterdir()}
    assert names == {"index.key", "kek-1.key", "log-2.key", "log.pub", "rotations"}, (
        "the old private key is gone"
    )


async def test_the_checkpoint_that_covers_the_end_is_signed_by_the_new_key_alone(
    tmp_path: Path, database: Database
) -> None:
    await begin(tmp_path, database)
    await finish(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        retired = follow_rotations(house.keyring.first, await statements(house))[0]
        async with house.store.read() as transaction:
            checkpoints = await load_checkpoints(transaction)
    for stored in checkpoints:
        ids = {line.key_id for line in parse_note(stored.note.encode()).signatures}
        assert retired.last_size is not None
        assert (retired.key_id in ids) == (stored.size <= retired.last_size)


async def test_the_keys_rotate_again(tmp_path: Path, database: Database) -> None:
    for _ in range(2):
        await begin(tmp_path, database)
        await finish(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        assert len(await statements(house)) == 4
        assert [pair.number for pair in house.keyring.pairs] == [3]
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


async def test_a_folder_of_0_2_0_gains_its_second_key(tmp_path: Path, database: Database) -> None:
    init_keys(tmp_path, "log.hospital.example/arbiter", SystemChance())
    folder = tmp_path / "keys"
    (folder / "log.pub").unlink()
    (folder / "log.key").write_text((folder / "log.key").read_text().splitlines()[1] + "\n")
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        assert signers_of((await checkpoint(house)).encode()) == 1
    await begin(tmp_path, database)
    await finish(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        note = (await checkpoint(house)).encode()
        assert open_checkpoint(note, house.verifiers).second is not None


async def test_a_rotation_in_a_rotation_is_refused(tmp_path: Path, database: Database) -> None:
    await begin(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        with pytest.raises(ConflictError, match="--finish"):
            await begin_rotation(house, WHO)


async def test_there_is_nothing_to_finish_where_nothing_began(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        with pytest.raises(ConflictError, match="no rotation"):
            await finish_rotation(house, WHO)


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


async def test_a_house_that_rests_seals_what_the_end_needs_itself(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating_log_key, "OTHERS_SECONDS", 0.2)
    async with a_house(tmp_path, database, running=False) as house:
        await begin_rotation(house, WHO)
    async with a_house(tmp_path, database, running=False) as house:
        assert signers_of(await newest_note(house)) == 1
        done = await finish_rotation(house, WHO)
        async with house.store.read() as transaction:
            checkpoints = await load_checkpoints(transaction)
            rows = await load_entries(transaction, HOUSE_CHAIN)
    signed = [(stored.size, signers_of(stored.note.encode())) for stored in checkpoints]
    assert signed[-3:] == [(done.size - 1, 1), (done.size, 2), (done.size + 1, 1)]
    assert [Entry.from_bytes(body).type for _, body, _ in rows][-3:] == [
        "keys.rotated",
        "keys.overlap",
        "keys.retired",
    ]
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


async def test_what_was_signed_by_both_already_is_not_sealed_again(
    tmp_path: Path, database: Database
) -> None:
    await begin(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        before = await newest_note(house)
        done = await finish_rotation(house, WHO)
        assert open_checkpoint(before, house.verifiers).checkpoint.size == done.size


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


class Killed(BaseException):
    """The process's end: nothing cleans up after it."""


def dies(*_: Any, **__: Any) -> Any:
    raise Killed


async def dies_awaited(*_: Any, **__: Any) -> Any:
    raise Killed


def before_the_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyFolder, "add", dies)


def before_the_entry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rotating_log_key, "note_in_house", dies_awaited)


def before_the_entrys_commit(patch: pytest.MonkeyPatch) -> None:
    async def noted_and_dead(*arguments: Any, **named: Any) -> Any:
        await note_in_house(*arguments, **named)
        raise Killed

    patch.setattr(rotating_log_key, "note_in_house", noted_and_dead)


def before_the_file_is_in_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyFolder, "promote", dies)


def before_the_public_record(patch: pytest.MonkeyPatch) -> None:
    real, calls = KeyFolder.put_public, []

    def second_time(self: KeyFolder, *arguments: Any) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise Killed
        real(self, *arguments)

    patch.setattr(KeyFolder, "put_public", second_time)


CRASHES = (
    before_the_file,
    before_the_entry,
    before_the_entrys_commit,
    before_the_file_is_in_place,
    before_the_public_record,
)
NEW_STATE = {before_the_file_is_in_place, before_the_public_record}


@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.__name__)
async def test_a_beginning_killed_anywhere_leaves_the_old_state_or_the_new(
    tmp_path: Path, database: Database, crash: Callable[[pytest.MonkeyPatch], None]
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        with pytest.MonkeyPatch.context() as patch:
            crash(patch)
            with pytest.raises(Killed):
                await begin_rotation(house, WHO)
        await write_something(house)
    async with a_house(tmp_path, database, running=False) as house:
        begun = len(await statements(house)) == 1
        assert begun == (crash in NEW_STATE)
        await write_something(house)
        assert signers_of(await newest_note(house)) == (2 if begun else 1)
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())
        if not begun:
            await begin_rotation(house, WHO)
    await finish(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        assert len(await statements(house)) == 2
        assert [pair.number for pair in house.keyring.pairs] == [2], "the key that was made is the one in use"
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


def before_the_old_file_is_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyFolder, "remove", dies)


def before_any_public_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyFolder, "put_public", dies)


@pytest.mark.parametrize(
    ("crash", "finished"),
    [
        (before_the_entry, False),
        (before_the_entrys_commit, False),
        (before_any_public_record, True),
        (before_the_old_file_is_gone, True),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_an_end_killed_anywhere_leaves_the_old_state_or_the_new(
    tmp_path: Path, database: Database, crash: Callable[[pytest.MonkeyPatch], None], finished: bool
) -> None:
    await begin(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        await write_something(house)
        with pytest.MonkeyPatch.context() as patch:
            crash(patch)
            with pytest.raises(Killed):
                await finish_rotation(house, WHO)
        await write_something(house)
    async with a_house(tmp_path, database, running=False) as house:
        assert (len(await statements(house)) == 2) == finished
        await write_something(house)
        assert signers_of(await newest_note(house)) == (1 if finished else 2)
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())
        if finished:
            assert len(house.keyring.pairs) == 2, "the retired private key is still there"
            with pytest.raises(ConflictError, match="no rotation"):
                await finish_rotation(house, WHO)
        else:
            await finish_rotation(house, WHO)
        assert not (tmp_path / "keys" / "log.key").exists()


async def test_a_database_that_lost_a_rotation_is_refused(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        folder = house.keyring.folder
        assert folder is not None
        keyring = house.keyring
        fresh = init_keys(tmp_path / "fresh", keyring.origin, SystemChance()).pairs[0]
        rotation = next_rotation([], Act.OVERLAP, 0, keyring.first, fresh.verifiers)
        folder.put_public(keyring.first, [rotation.sign(keyring.signer, fresh.first)])
    with pytest.raises(ConfigurationError, match="rolled back"):
        async with a_house(tmp_path, database, running=False):
            pass


async def test_a_forged_statement_in_the_database_stops_the_start(tmp_path: Path, database: Database) -> None:
    stranger = init_keys(tmp_path / "stranger", "log.hospital.example/arbiter", SystemChance()).pairs[0]
    async with a_house(tmp_path, database, running=False) as house:
        rotation = next_rotation([], Act.OVERLAP, 0, house.keyring.first, stranger.verifiers)
        forged = rotation.sign(stranger.first, stranger.first)
        await note_in_house(house, house.store, "keys.rotated", WHO, {STATEMENT: forged})
    with pytest.raises(ConfigurationError, match=r"key rotation 1: .* did not sign"):
        async with a_house(tmp_path, database, running=False):
            pass


async def test_the_acts_are_entries_that_name_who_did_them(tmp_path: Path, database: Database) -> None:
    await begin(tmp_path, database)
    await finish(tmp_path, database)
    async with a_house(tmp_path, database, running=False) as house:
        async with house.store.read() as transaction:
            rows = await load_entries(transaction, HOUSE_CHAIN)
        bodies = [bytes(body).decode() for _, body, _ in rows]
        kinds = [kind for body in bodies for kind in ("keys.rotated", "keys.retired") if f'"{kind}"' in body]
        assert kinds == ["keys.rotated", "keys.retired"]
        assert all('"actor":"operator:carla"' in body for body in bodies if '"keys.' in body)
        assert len(current_keys(house.keyring.verifiers)) == 2
