"""Restoring a backup: into an empty database, verified against the kept checkpoint, every erasure made again before anybody reads.

The file is read to its end first, so nothing of a damaged one is ever put in. A mark in the data folder keeps Arbiter from
starting until the restored log has been verified and the erasures are done; whatever fails empties the database again.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.note import parse_note
from arbiter.documents.canonical import encode
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.store.age import AgeReader, Identity
from arbiter.store.database import Database
from arbiter.store.dumping import bring_up_to_date, empty_again, owner_url_of, restore
from arbiter.store.keys.files import sync_folder
from arbiter.store.parcel import ParcelReader, text_of
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.backups.backing_up import ABOUT, DATABASE, Progress
from arbiter.workflow.docket import ARBITER
from arbiter.workflow.erasure.clearing import settle_erasures
from arbiter.workflow.erasure.erasure_list import NAME as ERASURES
from arbiter.workflow.erasure.erasure_list import What
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.kept import NAME as CHECKPOINT
from arbiter.workflow.log.kept import KeptCheckpoint

MARK = "restoring"
"""The file in the data folder that says a restore has not ended."""

RESTORED = "backup.restored"
"""The house's entry that says the database was restored."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a backup carries beside the database."""

    about: dict[str, Any]
    checkpoint: bytes
    erasures: bytes


def check_not_restoring(data: Path) -> None:
    """Raise ConfigurationError while a restore has not ended: its database was not verified, and erased cases may be in it."""
    if (data / MARK).exists():
        raise ConfigurationError(
            f"a restore has not ended ({data / MARK}): run `arbiter restore` again, into an empty database"
        )


def check_fits(data: Path, about: dict[str, Any], *, behind: bool) -> bool:
    """Return whether a backup holds all that this host's kept checkpoint says was sealed.

    Raises:
        ConfigurationError: when it does not, unless whoever restores knows that it is `behind`.
    """
    file = KeptCheckpoint(data)
    note = file.note()
    if note is None:
        return True
    try:
        # The keys are not open yet; who signed it is looked at when the log is.
        kept = Checkpoint.parse(parse_note(note).text).size
    except VerificationError:
        raise ConfigurationError(
            f"the kept checkpoint {file.path} is damaged; restore it from a copy"
        ) from None
    if about["log_size"] >= kept:
        return True
    if not behind:
        raise ConfigurationError(
            f"the backup's log has {about['log_size']} sealed entries, the kept checkpoint {file.path} has {kept}: restore a newer "
            "backup. If what lies between is lost for good, restore with --behind; nothing starts then until "
            "`arbiter audit recover` has begun a new log that quotes the lost range"
        )
    return False


class Mark:
    """The file that says a restore has not ended; `lift` says that it has, or has left nothing."""

    def __init__(self, data: Path, *, is_new: bool) -> None:
        self.is_new = is_new
        self._data = data

    def lift(self) -> None:
        """Let others open the database again: it was verified, or is empty."""
        (self._data / MARK).unlink(missing_ok=True)
        sync_folder(self._data)


@contextmanager
def marked(data: Path) -> Iterator[Mark]:
    """Let nobody else open the database, nor restore, while the block runs; nor after it until the mark is lifted.

    Raises:
        ConfigurationError: while another restore is under way, whose failure would take out what this one puts in.
    """
    path = data / MARK
    is_new = not path.exists()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError("another restore is under way on this host") from None
        if not os.fstat(descriptor).st_nlink:
            raise ConfigurationError("another restore has ended at this moment on this host")
        sync_folder(data)
        yield Mark(data, is_new=is_new)
    finally:
        os.close(descriptor)


@contextmanager
def lent_checkpoint(data: Path, note: bytes) -> Iterator[None]:
    """Keep the backup's own checkpoint on a host that has none; take it away again when the block fails."""
    path = data / CHECKPOINT
    if path.exists():
        yield
        return
    path.write_bytes(note)
    sync_folder(data)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def fill(database: Database, path: Path, identity: Identity, progress: Progress) -> Carried:
    """Put a backup's database into an empty one and bring it up to date; return what else it carries. Blocks.

    Raises:
        VerificationError, ConfigurationError: when it cannot be; the database is empty then.
    """
    owner_url = owner_url_of(database)
    texts = {ABOUT: b"", CHECKPOINT: b"", ERASURES: b""}
    try:
        with path.open("rb") as file:
            for name, blocks in ParcelReader(AgeReader(file, identity)).parts():
                if name == DATABASE:
                    restore(owner_url, _heard(blocks, progress, file.tell))
                elif name in texts:
                    texts[name] = text_of(blocks)
        bring_up_to_date(owner_url)
    except BaseException:
        empty_again(owner_url)
        raise
    return Carried(json.loads(texts[ABOUT]), texts[CHECKPOINT], texts[ERASURES])


async def finish_restore(house: House, carried: Carried) -> int:
    """Make every listed erasure again, verify the whole log and say so in it; return how many entries it has.

    Raises:
        LogRefusedError, ConfigurationError: when log or list do not check out.
    """
    await take_over_list(house, carried.erasures)
    await settle_erasures(house)
    kept = await asyncio.to_thread((house.settings.data / CHECKPOINT).read_bytes)
    report = await verify_log(house, kept)
    document = encode(
        {
            "began_at": carried.about["began_at"],
            "log_size": carried.about["log_size"],
            "log_root": carried.about["log_root"],
        }
    )
    await note_in_house(house, house.store, RESTORED, ARBITER, {"backup": document})
    await house.sealer.round()
    return report.entries


async def take_over_list(house: House, carried: bytes) -> None:
    """Add to this host's list what the backup's list says and this one does not."""
    if not carried:
        return
    theirs = await asyncio.to_thread(house.erasures.check, carried)
    ours = await asyncio.to_thread(house.erasures.read)
    if ours is None:
        await asyncio.to_thread(house.erasures.adopt, carried)
        return
    now = house.clock.now()
    for case in sorted(theirs.done - ours.done):
        await asyncio.to_thread(house.erasures.add, What.DONE, case, ARBITER, now)
    for case, by in sorted(theirs.intended.items()):
        if case not in ours.done and case not in ours.intended:
            await asyncio.to_thread(house.erasures.add, What.INTENDED, case, by, now)


def _heard(blocks: Iterator[bytes], progress: Progress, place: Callable[[], int]) -> Iterator[bytes]:
    for block in blocks:
        yield block
        progress("restoring", place())
