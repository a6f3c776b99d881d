"""Exports that clients ask for over REST and people on the pages: made one at a time in each process, kept a day, gone with their key.

A job whose process died is begun again by whoever finds it, once; the second time it is failed and says so. What a
client may take is judged when it asks, when the export is made, and when the file is fetched.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from arbiter.audit.export.manifest import Selection
from arbiter.errors import ArbiterError, BusyError, ConflictError, NotFoundError, VerificationError
from arbiter.identity.accounts import account_by_id
from arbiter.identity.clients import client_by_id
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.store.exports import (
    ExportJob,
    JobState,
    add_job,
    claim_job,
    end_job,
    fail_job,
    finish_job,
    hold_job,
    jobs_older_than,
    keep_job_key,
    load_job,
    load_jobs,
    open_jobs,
)
from arbiter.telemetry import Safe
from arbiter.workflow.exports.files import (
    FOLDER,
    EncryptedFile,
    file_name,
    jobs_in,
    read_range,
    remove,
    remove_file,
)
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.exports.selecting import narrowed
from arbiter.workflow.house import House

log = logging.getLogger(__name__)

MOST_UNFINISHED = 8
MOST_OF_CLIENT = 3
"""Jobs of one client that are unfinished or have a file: what it no longer needs it deletes."""

MOST_LISTED = 20
KEPT_FOR = timedelta(hours=24)
MOST_ATTEMPTS = 2
POLL_SECONDS = 1.0
SWEEP_SECONDS = 60.0
HOLD_FOR = timedelta(seconds=30)
HOLD_SECONDS = 2.0
RETRY_AFTER_SECONDS = 60
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ExportStanding:
    """How far an export is, for whoever asked for it. `expires_at` is set once there is a file."""

    id: str
    state: JobState
    done: int
    total: int
    payloads: bool
    size: int | None
    sha256: str | None
    fault: str | None
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None

    @property
    def is_pending(self) -> bool:
        """True while the export is being made."""
        return self.state in {JobState.WAITING, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A finished export, to be read in ranges."""

    size: int
    sha256: str
    _path: Path
    _key: bytes

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield its bytes from `start` up to `end`."""
        return read_range(self._path.parent, self._path.name, self._key, start, end)


async def ask_for_export(house: House, principal: Principal, asked: Selection) -> ExportStanding:
    """Leave a job that makes an export, and return it.

    Raises:
        ForbiddenError, NotFoundError: for what this client may not take; BusyError: for one job too many.
    """
    selection = await narrowed(house, house.store, principal, asked)
    job = "e_" + base64.b32encode(house.chance.token(15)).decode("ascii").rstrip("=").lower()
    async with house.store.begin() as transaction:
        added = await add_job(
            transaction,
            job,
            principal.id,
            selection.document(),
            house.clock.now(),
            most=MOST_UNFINISHED,
            most_of_client=MOST_OF_CLIENT,
        )
    if not added:
        raise BusyError("too many exports are under way or not yet deleted", RETRY_AFTER_SECONDS)
    return await view_export(house, principal, job)


async def view_export(house: House, principal: Principal, job: str) -> ExportStanding:
    """Return how far an export is. Raises NotFoundError for another client's too."""
    return _standing(await _of(house, principal, job))


async def list_exports(house: House, principal: Principal) -> tuple[ExportStanding, ...]:
    """Return what this client or person asked for and has not deleted, newest first."""
    principal.require(Permission.AUDIT_READ)
    return tuple(_standing(job) for job in await load_jobs(house.store, principal.id, MOST_LISTED))


def _standing(found: ExportJob) -> ExportStanding:
    finished = found.finished_at if found.state is JobState.DONE else None
    return ExportStanding(
        id=found.id,
        state=found.state,
        done=found.done,
        total=found.total,
        payloads=Selection.from_document(found.selection).payloads,
        size=found.size,
        sha256=found.sha256,
        fault=found.fault,
        created_at=found.created_at,
        finished_at=found.finished_at,
        expires_at=None if finished is None else finished + KEPT_FOR,
    )


async def _of(house: House, principal: Principal, job: str) -> ExportJob:
    principal.require(Permission.AUDIT_READ)
    found = await load_job(house.store, job)
    if found is None or found.client != principal.id or found.state is JobState.GONE:
        raise NotFoundError(f"no export {job}")
    return found


async def export_file(house: House, principal: Principal, job: str) -> ExportFile:
    """Return a finished export's file.

    Raises:
        ForbiddenError, NotFoundError: when this client may not take it any more, or the file lies on another host;
        ConflictError: while it is not finished, or when it failed.
    """
    found = await _of(house, principal, job)
    selection = Selection.from_document(found.selection)
    if await narrowed(house, house.store, principal, selection) != selection:
        raise NotFoundError(f"export {job} shows more than this client may take by now; ask for another")
    if found.state is not JobState.DONE or found.size is None or found.sha256 is None:
        raise ConflictError(f"export {job} is {found.state}; it has no file")
    path = _folder(house) / file_name(job, found.attempts)
    if found.kek_id is None or found.sealed_key is None or not path.is_file():
        raise NotFoundError(f"the file of export {job} does not lie on this host")
    key = house.vault.open_secret(owner_of(job), found.kek_id, found.sealed_key)
    return ExportFile(found.size, found.sha256, path, key)


async def delete_export(house: House, principal: Principal, job: str) -> None:
    """End an export, finished or not: its key and its file are gone."""
    await _of(house, principal, job)
    await _end(house, job)


async def make_exports(house: House) -> None:
    """Make what was asked for, and remove what is old, until cancelled."""
    swept = -SWEEP_SECONDS
    loop = asyncio.get_running_loop()
    while True:
        if loop.time() - swept >= SWEEP_SECONDS:
            await sweep_exports(house)
            swept = loop.time()
        if not await make_next(house):
            await asyncio.sleep(POLL_SECONDS)


async def make_next(house: House) -> bool:
    """Make the export that has waited longest; return False when none waits."""
    owner = house.chance.token(16).hex()
    now = house.clock.now()
    job = await claim_job(house.store, owner, now, now + HOLD_FOR)
    if job is None:
        return False
    if job.attempts > MOST_ATTEMPTS:
        fault = "the process that made it ended before it was whole, more than once"
        await fail_job(house.store, job.id, owner, fault, now)
        remove(_folder(house), job.id)
        return True
    try:
        await _make(house, job, owner)
    except ArbiterError as error:
        log.warning("an export failed: %s", Safe(type(error).__name__))
        await fail_job(house.store, job.id, owner, _fault(error), house.clock.now())
    except OSError as error:
        # A full disk for one: to try again at once would fill it again.
        log.warning("an export's file could not be written: %s", Safe(error.strerror or type(error).__name__))
        fault = f"its file could not be written: {error.strerror}"
        await fail_job(house.store, job.id, owner, fault, house.clock.now())
    return True


async def sweep_exports(house: House) -> None:
    """End exports whose day is over, and remove files that belong to no job that is open."""
    for job in await jobs_older_than(house.store, house.clock.now() - KEPT_FOR):
        await _end(house, job)
    folder = _folder(house)
    found = set(jobs_in(folder))
    if found:
        for job in found - await open_jobs(house.store):
            remove(folder, job)


async def _make(house: House, job: ExportJob, owner: str) -> None:
    principal = await _asker(house, job.client)
    key = house.chance.token(_KEY_BYTES)
    kek_id, sealed = house.vault.seal_secret(owner_of(job.id), key)
    if not await keep_job_key(house.store, job.id, owner, kek_id, sealed):
        return
    # What earlier attempts left behind; should one still be at work, its job is no longer its own.
    remove(_folder(house), job.id)
    name = file_name(job.id, job.attempts)
    file = EncryptedFile(_folder(house), name, key)
    told = [0, 0]

    def tell(done: int, total: int) -> None:
        told[:] = done, total

    making = asyncio.create_task(
        make_export(house, principal, Selection.from_document(job.selection), file, tell)
    )
    try:
        if not await _held(house, job.id, owner, making, told):
            return
        made = making.result()
        await asyncio.to_thread(file.keep)
        if not await finish_job(house.store, job.id, owner, made.size, made.sha256, house.clock.now()):
            remove_file(_folder(house), name)
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        file.drop()


async def _asker(house: House, asker: str) -> Principal:
    """Return whoever asked for an export as they stand now; raises UnauthenticatedError for who may speak no more."""
    if await house.identities.client(asker, house.clock.now()) is None:
        return await account_by_id(house.identities, asker)
    return await client_by_id(house.identities, house.clock, asker)


async def _held(house: House, job: str, owner: str, making: asyncio.Task[object], told: list[int]) -> bool:
    """Wait for the export, telling how far it is; return False once the job was deleted or taken by another."""
    while not making.done():
        await asyncio.wait([making], timeout=HOLD_SECONDS)
        until = house.clock.now() + HOLD_FOR
        if not await hold_job(house.store, job, owner, told[0], told[1], until):
            return False
    return True


async def _end(house: House, job: str) -> None:
    # The key first: what is left on a disk after a crash between the two is noise, and the next sweep removes it.
    await end_job(house.store, job, house.clock.now())
    remove(_folder(house), job)


def _fault(error: ArbiterError) -> str:
    if isinstance(error, VerificationError):
        return "the log does not check out: verify it before it is exported"
    return str(error)


def _folder(house: House) -> Path:
    return house.settings.data / FOLDER


def owner_of(job: str) -> str:
    """Return the owner that a job's key is sealed for."""
    return f"export:{job}"
