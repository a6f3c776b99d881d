"""A rotation of the log's key killed at any step leaves the old state or the new, and is finished afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import ConflictError
from arbiter.store.database import Database
from arbiter.store.keys import KeyFolder
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.log import rotating_log_key
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from tests.houses import a_house
from tests.workflow.log_keys import WHO, begin, finish, newest_note, signers_of, statements, write_something


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
