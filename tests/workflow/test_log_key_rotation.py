"""The log's key is rotated in a real house: one history, which whoever has the first key alone can follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.note import VerifierKey, parse_note
from arbiter.audit.rotation import STATEMENT, Act, current_keys, follow_rotations, next_rotation
from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError, ConflictError, VerificationError
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.keys import init_keys, read_keys
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import load_checkpoints
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.log import rotating_log_key
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from arbiter.workflow.publishing import checkpoint, verifier_keys
from tests.houses import a_house
from tests.workflow.log_keys import WHO, begin, finish, newest_note, signers_of, statements, write_something


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
