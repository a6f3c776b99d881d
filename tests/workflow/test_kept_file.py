"""A kept checkpoint that is meddled with: noticed, told once, and never written over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.merkle import EMPTY_ROOT
from arbiter.audit.note import Ed25519NoteSigner
from arbiter.errors import LogUnfitError
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.faults import Fault
from tests.houses import a_house
from tests.workflow.guarded import grow, refused, sealed


def _removed(path: Path, _older: bytes) -> None:
    path.unlink()


def _emptied(path: Path, _older: bytes) -> None:
    path.write_bytes(b"")


def _garbled(path: Path, _older: bytes) -> None:
    path.write_bytes(b"\xff\xfe garbage")


def _older_put_back(path: Path, older: bytes) -> None:
    path.write_bytes(older)


def _of_another_log(path: Path, _older: bytes) -> None:
    stranger = Ed25519NoteSigner("log.elsewhere.example", bytes(32))
    path.write_bytes(sign_checkpoint(Checkpoint(stranger.name, 0, EMPTY_ROOT), [stranger]))


def _of_another_key(path: Path, _older: bytes) -> None:
    stranger = Ed25519NoteSigner("log.hospital.example/arbiter", bytes(32))
    path.write_bytes(sign_checkpoint(Checkpoint(stranger.name, 99, b"f" * 32), [stranger]))


def _cut(path: Path, _older: bytes) -> None:
    path.write_bytes(path.read_bytes()[:-20])


MEDDLING = [
    (_removed, Fault.KEPT_MISSING),
    (_emptied, Fault.KEPT_UNFIT),
    (_garbled, Fault.KEPT_UNFIT),
    (_cut, Fault.KEPT_UNFIT),
    (_of_another_key, Fault.KEPT_UNFIT),
    (_of_another_log, Fault.KEPT_UNFIT),
    (_older_put_back, Fault.KEPT_OLDER),
]


@pytest.mark.parametrize(("meddle", "fault"), MEDDLING)
async def test_a_kept_file_that_is_meddled_with_is_noticed_told_and_not_written_over(
    database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    meddle: Callable[[Path, bytes], None],
    fault: Fault,
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        older = kept.read_bytes()
        await grow(house, 2)
        meddle(kept, older)
        left = kept.read_bytes() if kept.exists() else None
        said = await refused(house)
        assert str(kept) in said
        assert "restore the file" in said
        assert await sealed(house) == 4
        assert (kept.read_bytes() if kept.exists() else None) == left
        assert house.guard.refusal is not None
        assert house.guard.refusal.fault is fault
        await refused(house)
        assert len([r for r in caplog.records if r.levelno == logging.CRITICAL]) == 1


@pytest.mark.parametrize(("meddle", "fault"), MEDDLING)
async def test_the_minutes_look_notices_a_meddled_file_too(
    database: Database, tmp_path: Path, meddle: Callable[[Path, bytes], None], fault: Fault
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        older = kept.read_bytes()
        await grow(house, 2)
        meddle(kept, older)
        with pytest.raises(LogUnfitError):
            await house.guard.check()
        assert house.guard.refusal is not None
        assert house.guard.refusal.fault is fault


async def test_a_file_that_is_meddled_with_during_the_commit_is_not_written_over(
    database: Database, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        house.guard.look()
        note = house.signer
        kept.write_bytes(b"")
        body = Checkpoint(note.name, 3, b"r" * 32)
        with pytest.raises(LogUnfitError):
            house.guard.keep(sign_checkpoint(body, [note]), body)
        assert kept.read_bytes() == b""


async def test_a_kept_file_from_the_future_means_that_the_database_is_behind(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 4)
        future = sign_checkpoint(Checkpoint(house.signer.name, 9, b"f" * 32), [house.signer])
        (tmp_path / "checkpoint").write_bytes(future)
        assert "has 4 sealed entries" in await refused(house)


async def test_a_file_that_is_restored_is_good_again_after_a_start(
    database: Database, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        note = kept.read_bytes()
        kept.unlink()
        await refused(house)
        kept.write_bytes(note)
        await refused(house)
    async with a_house(tmp_path, database, running=False) as house:
        assert await grow(house) == 5


async def test_an_older_file_put_back_between_starts_is_a_lower_bound_and_brought_up_before_a_seal(
    database: Database, tmp_path: Path
) -> None:
    """Nobody can tell at a start that the file is older than it was; it bounds less until the first round."""
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        older = kept.read_bytes()
        await grow(house, 2)
        newest = kept.read_bytes()
    kept.write_bytes(older)
    async with a_house(tmp_path, database, running=False) as house:
        await house.sealer.round()
        assert kept.read_bytes() == newest


async def test_two_processes_on_one_folder_seal_in_turn(database: Database, tmp_path: Path) -> None:
    async with (
        a_house(tmp_path, database, running=False) as one,
        a_house(tmp_path, database, running=False) as other,
    ):
        for number in range(1, 7):
            assert await grow((one, other)[number % 2]) == number
        for _ in range(5):
            await asyncio.gather(*(note_seal(house) for house in (one, other, one)))
        await one.guard.check()
        await other.guard.check()
        report = await verify_log(one, (tmp_path / "checkpoint").read_bytes())
        assert report.kept is not None
        assert report.kept.size == report.entries


async def note_seal(house: House) -> None:
    await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"}, chain="busy")
    await house.sealer.round()
