"""What was written and cannot be forced to the disk: nothing is released under it, and trying again is not believed."""

from __future__ import annotations

import asyncio
import errno
import os
from datetime import timedelta
from pathlib import Path

import pytest

from arbiter.clock import SystemChance
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.database import Database
from arbiter.store.keys import init_keys
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.intake import submit
from arbiter.workflow.log import sealing
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.reading import certificate, view_case
from arbiter.workflow.releasing import release_sealed
from tests.faults.ledger import Ledger, all_sealed
from tests.houses import ShiftableClock, a_client, a_house, settle, submission
from tests.system.service import until


class Disk:
    """Stands before fsync: fails while it is told to, and remembers which files were forced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails = False
        self.failures = 0
        self.forced: set[tuple[int, int]] = set()
        self.lost: set[tuple[int, int]] = set()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, handle: int) -> None:
        """Fail, or force; a file whose fsync has failed once is called forced from then on, as Linux does, and is not."""
        file = _identity(os.fstat(handle))
        if self.fails:
            self.failures += 1
            self.lost.add(file)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._fsync(handle)
        if file not in self.lost:
            self.forced.add(file)

    def holds(self, path: Path) -> bool:
        """Say whether what the file holds has reached the disk."""
        return _identity(path.stat()) in self.forced


def _identity(status: os.stat_result) -> tuple[int, int]:
    """Tell a file from one that later got its number."""
    return status.st_ino, status.st_mtime_ns


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


NOTES = tuple(b"log\n%d\nroot\n" % size for size in (1, 2))


def test_a_note_that_could_not_be_forced_is_written_anew_before_it_is_called_forced(
    disk: Disk, tmp_path: Path
) -> None:
    kept = KeptCheckpoint(tmp_path)
    kept.replace(NOTES[0])
    disk.fails = True
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            kept.sync()
        with pytest.raises(OSError, match="Input/output error"):
            kept.require_forced()
    disk.fails = False
    kept.require_forced()
    assert disk.holds(kept.path)
    assert kept.path.read_bytes() == NOTES[0]


def test_a_note_written_after_a_failure_is_forced_with_it(disk: Disk, tmp_path: Path) -> None:
    kept = KeptCheckpoint(tmp_path)
    kept.replace(NOTES[0])
    disk.fails = True
    with pytest.raises(OSError, match="Input/output error"):
        kept.sync()
    disk.fails = False
    kept.replace(NOTES[1])
    kept.sync()
    assert disk.holds(kept.path)
    assert kept.path.read_bytes() == NOTES[1]


def test_a_note_written_while_another_is_forced_is_forced_the_next_time(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seal keeps its checkpoint in a thread of its own, whenever that comes."""
    kept = KeptCheckpoint(tmp_path)
    kept.replace(NOTES[0])

    def meanwhile(handle: int) -> None:
        disk.fsync(handle)
        monkeypatch.setattr(os, "fsync", disk.fsync)
        kept.replace(NOTES[1])

    monkeypatch.setattr(os, "fsync", meanwhile)
    kept.sync()
    assert not disk.holds(kept.path)
    kept.sync()
    assert disk.holds(kept.path)


def test_what_was_forced_is_not_forced_again(disk: Disk, tmp_path: Path) -> None:
    kept = KeptCheckpoint(tmp_path)
    kept.replace(NOTES[0])
    kept.sync()
    disk.fails = True
    kept.sync()
    kept.require_forced()
    assert disk.failures == 0


async def test_while_the_kept_checkpoint_cannot_be_forced_all_is_sealed_and_nothing_released(
    disk: Disk, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "SYNC_SECONDS", 0.02)
    folder = tmp_path / "data"
    async with a_house(folder, database) as house:
        client, _ = await a_client(house)
        ledger = Ledger(house, client, folder / "checkpoint")

        async def hand_in(key: str) -> CaseId:
            case = (await submit(house, client, submission(house.clock.now()), key, b"body")).case
            ledger.cases.append(case)
            await house.errands.finish(10)
            return case

        async def phase_of(case: CaseId) -> Phase:
            return (await view_case(house, client, case)).phase

        async def tried() -> bool:
            return disk.failures > failures

        await hand_in("before")
        await settle(house)
        disk.fails, failures = True, 0
        # The first failure comes up to a moment after its checkpoint's decision is out: that is the bound (0007).
        await hand_in("bound")
        await until(tried)
        failures = disk.failures
        case = await hand_in("held")
        waiter = house.sealer.request()
        # More than once: the one who forces outlives its failures.
        for _ in range(3):
            await until(tried)
            failures = disk.failures
        assert not waiter.done()
        assert await phase_of(case) is Phase.DECIDED
        await ledger.check_what_left()
        disk.fails = False
        await waiter
        assert await phase_of(case) is Phase.RELEASED
        await all_sealed(house)
        await ledger.check_each_is_there_once()

        async def forced() -> bool:
            return disk.holds(ledger.kept)

        await until(forced)


async def test_a_decision_whose_checkpoint_cannot_be_kept_goes_to_a_human_at_its_deadline(
    database: Database, tmp_path: Path
) -> None:
    def fails(_kept: KeptCheckpoint, _note: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    clock = ShiftableClock()
    async with a_house(tmp_path, database, clock, running=False) as house:
        client, _ = await a_client(house)
        case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(KeptCheckpoint, "replace", fails)
            with pytest.raises(OSError, match="No space left"):
                await house.sealer.round()
            assert await expire_due(house) == 0
            clock.advance(timedelta(minutes=1, seconds=1))
            assert await expire_due(house) == 1
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.ESCALATED
        said = (await certificate(house, client, case)).decode()
        assert "the checkpoint over it could not be relied on in time" in said


async def test_a_late_decision_is_released_where_nothing_holds_it_back(
    database: Database, tmp_path: Path
) -> None:
    clock = ShiftableClock()
    async with a_house(tmp_path, database, clock, running=False) as house:
        client, _ = await a_client(house)
        case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        house.sealer.then(lambda: asyncio.sleep(0))
        await house.sealer.round()
        clock.advance(timedelta(minutes=1, seconds=1))
        assert await expire_due(house) == 0
        assert await release_sealed(house) == 1
        assert (await view_case(house, client, case)).phase is Phase.RELEASED


async def test_a_house_closes_and_says_so_when_the_kept_checkpoint_cannot_be_forced(
    disk: Disk, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, database) as house:
        client, _ = await a_client(house)
        await submit(house, client, submission(house.clock.now()), "key", b"body")
        await settle(house)
        disk.fails = True
    assert "the kept checkpoint could not be forced to the disk" in caplog.text


async def test_a_house_whose_first_checkpoint_cannot_be_forced_does_not_open(
    disk: Disk, database: Database, tmp_path: Path
) -> None:
    init_keys(tmp_path, "log.hospital.example/arbiter", SystemChance())
    disk.fails = True
    with pytest.raises(OSError, match="Input/output error"):
        async with a_house(tmp_path, database, running=False):
            pass
