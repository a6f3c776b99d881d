"""Taking a backup: the database in one snapshot, the kept checkpoint from just before, the list of erasures from just after.

So the checkpoint is never newer than the database beside it, and an erasure made meanwhile is in the list. The keys are in
none: they have their own escrow, and whoever finds a backup and its passphrase still cannot read a case. What was written
is read back, decrypted and compared with its manifest before the catalogue calls it whole.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from arbiter import __version__
from arbiter.documents.canonical import encode
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.store.age import AgeReader, AgeWriter, Identity, Recipient
from arbiter.store.dumping import Snapshot, dump, owner_url_of, snapshot_of
from arbiter.store.keys.files import sync_folder
from arbiter.store.parcel import ParcelReader, ParcelWriter, text_of
from arbiter.workflow.backups.catalogue import Backup, Catalogue
from arbiter.workflow.docket import ARBITER
from arbiter.workflow.erasure.erasure_list import NAME as ERASURES
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.kept import NAME as CHECKPOINT

ABOUT, DATABASE = "about", "database"
BEGUN = "backup.begun"
"""The house's entry that says a backup is being taken. It is sealed before the snapshot, so that it is in the backup: an
entry behind it would leave every backup behind the kept checkpoint by itself."""

Progress = Callable[[str, int], None]
"""Hears what is being done, and how many bytes of it."""


async def take_backup(house: House, path: Path, recipient: Recipient, progress: Progress) -> Backup:
    """Take a backup: catalogued, an entry of the house, written, read back, catalogued as whole.

    Raises as `begin_backup` and `write_backup`.
    """
    begun = await asyncio.to_thread(begin_backup, house, path)
    said = {
        "id": begun.id,
        "began_at": begun.began_at.isoformat(),
        "expires_at": begun.expires_at.isoformat(),
    }
    await note_in_house(house, house.store, BEGUN, ARBITER, {"backup": encode(said)})
    await house.sealer.round()
    taken = await asyncio.to_thread(write_backup, house, begun, recipient, progress)
    await asyncio.to_thread(Catalogue(house.settings.data).complete, taken)
    return taken


def begin_backup(house: House, path: Path) -> Backup:
    """Note a backup in the catalogue; raise ConfigurationError when there is such a file already."""
    if path.exists():
        raise ConfigurationError(f"{path} exists already, and no backup is written over another")
    now = house.clock.now()
    backup = Backup(
        id=house.chance.token(8).hex(),
        path=str(path.absolute()),
        began_at=now,
        expires_at=now + timedelta(days=house.settings.backup_days),
    )
    Catalogue(house.settings.data).begin(backup)
    return backup


def write_backup(house: House, backup: Backup, recipient: Recipient, progress: Progress) -> Backup:
    """Write the file that was begun and read it back; return what the catalogue is to say of it. Blocks.

    Raises:
        ConfigurationError: when the database cannot be dumped; VerificationError: when what is read back is not what
        was written. Nothing is left at the path then.
    """
    path = Path(backup.path)
    partial = Path(backup.partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            sink = _Hashing(file, progress)
            snapshot, own_key = _write(house, backup, sink, recipient)
            file.flush()
            os.fsync(file.fileno())
        verify_backup(partial, own_key, progress)
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return replace(
        backup,
        taken_at=house.clock.now(),
        size=sink.size,
        log_size=snapshot.log_size,
        sha256=sink.hashed.hexdigest(),
    )


def verify_backup(path: Path, identity: Identity, progress: Progress) -> dict[str, Any]:
    """Read a backup to its end, every part against the manifest, and return what it says about itself. Blocks.

    Raises:
        VerificationError: when the passphrase or key is not its own, or the file is not as it was written.
    """
    about: dict[str, Any] | None = None
    with path.open("rb") as file:
        parcel = ParcelReader(AgeReader(file, identity))
        for name, blocks in parcel.parts():
            if name == ABOUT:
                about = json.loads(text_of(blocks))
            else:
                for _ in blocks:
                    progress("reading back", file.tell())
    if about is None:
        raise VerificationError("the backup says nothing about itself")
    return about


def _write(house: House, backup: Backup, sink: _Hashing, recipient: Recipient) -> tuple[Snapshot, Identity]:
    kept = (house.settings.data / CHECKPOINT).read_bytes()
    owner_url = owner_url_of(house.database)
    sealed = AgeWriter(sink, recipient, house.chance)
    parcel = ParcelWriter(sealed)
    with snapshot_of(owner_url) as snapshot:
        about = {
            "origin": house.signer.name,
            "release": __version__,
            "began_at": backup.began_at.isoformat(),
            "schema": snapshot.schema,
            "log_size": snapshot.log_size,
            "log_root": snapshot.log_root,
        }
        parcel.add(ABOUT, [json.dumps(about, sort_keys=True).encode()])
        parcel.add(CHECKPOINT, [kept])
        parcel.add(DATABASE, dump(owner_url, snapshot))
    erasures = house.settings.data / ERASURES
    parcel.add(ERASURES, [erasures.read_bytes()] if erasures.exists() else [])
    parcel.finish()
    sealed.finish()
    return snapshot, sealed.own_key


class _Hashing:
    """A file that is hashed as it is written."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self.hashed = sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        self.hashed.update(content)
        self.size += len(content)
        self._progress("writing", self.size)
        return self._file.write(content)
