"""Exports in the database: which cases a site has, and the jobs that make exports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from arbiter.store.transaction import Where, run

_OF_SITES = "SELECT id FROM case_file WHERE id = ANY(%(cases)s) AND site_id = ANY(%(sites)s)"
_COLUMNS = (
    "id, client_id, selection, state, done, total, attempts, kek_id, sealed_key, size, sha256, fault, created_at, "
    "finished_at"
)
_ADD = """
INSERT INTO export_job (id, client_id, selection, state, created_at)
SELECT %(id)s, %(client)s, %(selection)s::jsonb, 'waiting', %(now)s
WHERE (SELECT count(*) FROM export_job WHERE state IN ('waiting', 'running')) < %(most)s
    AND (SELECT count(*) FROM export_job WHERE state IN ('waiting', 'running', 'done') AND client_id = %(client)s)
        < %(most_of_client)s
RETURNING id
"""
# One adds at a time, or several would each see room for one more.
_ADD_IN_TURN = "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(7165069809)) SELECT 1 FROM turn"
_LOAD = f"SELECT {_COLUMNS} FROM export_job WHERE id = %(id)s"  # noqa: S608 - names of columns
_OF_CLIENT = f"""
SELECT {_COLUMNS} FROM export_job WHERE client_id = %(client)s AND state <> 'gone' ORDER BY created_at DESC LIMIT %(limit)s
"""  # noqa: S608 - names of columns
_CLAIM = f"""
UPDATE export_job SET state = 'running', attempts = attempts + 1, owner = %(owner)s, held_until = %(until)s,
    done = 0, total = 0, kek_id = NULL, sealed_key = NULL
WHERE id = (
    SELECT id FROM export_job WHERE state = 'waiting' OR (state = 'running' AND held_until < %(now)s)
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}
"""  # noqa: S608 - names of columns
_KEY = "UPDATE export_job SET kek_id = %(kek_id)s, sealed_key = %(sealed_key)b WHERE id = %(id)s AND owner = %(owner)s RETURNING id"
_HOLD = """
UPDATE export_job SET done = %(done)s, total = %(total)s, held_until = %(until)s
WHERE id = %(id)s AND owner = %(owner)s AND state = 'running' RETURNING id
"""
_FINISH = """
UPDATE export_job SET state = 'done', done = total, size = %(size)s, sha256 = %(sha256)s, finished_at = %(now)s,
    owner = NULL, held_until = NULL
WHERE id = %(id)s AND owner = %(owner)s AND state = 'running' RETURNING id
"""
_FAIL = """
UPDATE export_job SET state = 'failed', fault = %(fault)s, finished_at = %(now)s, owner = NULL, held_until = NULL,
    kek_id = NULL, sealed_key = NULL
WHERE id = %(id)s AND owner = %(owner)s AND state = 'running' RETURNING id
"""
_END = """
UPDATE export_job SET state = 'gone', finished_at = coalesce(finished_at, %(now)s), owner = NULL, held_until = NULL,
    kek_id = NULL, sealed_key = NULL
WHERE id = %(id)s AND state <> 'gone' RETURNING id
"""
_END_WITH_DOCUMENTS_OF = """
UPDATE export_job SET state = 'gone', finished_at = coalesce(finished_at, %(now)s), owner = NULL, held_until = NULL,
    kek_id = NULL, sealed_key = NULL
WHERE state IN ('running', 'done') AND (selection->>'payloads')::boolean
    AND (selection->'cases' = '[]'::jsonb OR jsonb_exists(selection->'cases', %(case)s))
RETURNING id
"""
_OLD = "SELECT id FROM export_job WHERE state = 'done' AND finished_at < %(before)s"
_OPEN = "SELECT id FROM export_job WHERE state IN ('waiting', 'running', 'done')"


class JobState(StrEnum):
    """How far an export is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ExportJob:
    """An export that a client asked for. `selection` is its manifest's form; `fault` says in words why it failed."""

    id: str
    client: str
    selection: Mapping[str, Any]
    state: JobState
    done: int
    total: int
    attempts: int
    kek_id: str | None
    sealed_key: bytes | None
    size: int | None
    sha256: str | None
    fault: str | None
    created_at: datetime
    finished_at: datetime | None


async def cases_of_sites(where: Where, cases: Sequence[str], sites: Iterable[str]) -> frozenset[str]:
    """Return those of the cases that belong to one of the sites."""
    rows = await run(where, _OF_SITES, {"cases": list(cases), "sites": sorted(sites)})
    return frozenset(row[0] for row in rows)


async def add_job(
    where: Where,
    job: str,
    client: str,
    selection: Mapping[str, Any],
    now: datetime,
    *,
    most: int,
    most_of_client: int,
) -> bool:
    """Add a job; return False when `most` are unfinished, or the client has `most_of_client` that are or have a file.

    In a transaction: whoever adds next waits for its end.
    """
    await run(where, _ADD_IN_TURN, {})
    parameters = {
        "id": job,
        "client": client,
        "selection": json.dumps(selection),
        "now": now,
        "most": most,
        "most_of_client": most_of_client,
    }
    return bool(await run(where, _ADD, parameters))


async def load_job(where: Where, job: str) -> ExportJob | None:
    """Return a job, or None."""
    rows = await run(where, _LOAD, {"id": job})
    return _job(rows[0]) if rows else None


async def load_jobs(where: Where, client: str, limit: int) -> tuple[ExportJob, ...]:
    """Return what a client or a person asked for and has not deleted, newest first."""
    return tuple(_job(row) for row in await run(where, _OF_CLIENT, {"client": client, "limit": limit}))


async def claim_job(where: Where, owner: str, now: datetime, until: datetime) -> ExportJob | None:
    """Take the oldest job that nobody makes, or None; a process that ended has left its own once their time is up."""
    rows = await run(where, _CLAIM, {"owner": owner, "now": now, "until": until})
    return _job(rows[0]) if rows else None


async def keep_job_key(where: Where, job: str, owner: str, kek_id: str, sealed_key: bytes) -> bool:
    """Keep the sealed key of the file that `owner` is about to write; return whether the job is still theirs."""
    parameters = {"id": job, "owner": owner, "kek_id": kek_id, "sealed_key": sealed_key}
    return bool(await run(where, _KEY, parameters))


async def hold_job(where: Where, job: str, owner: str, done: int, total: int, until: datetime) -> bool:
    """Tell how far a job is and hold it longer; return whether it is still the owner's."""
    parameters = {"id": job, "owner": owner, "done": done, "total": total, "until": until}
    return bool(await run(where, _HOLD, parameters))


async def finish_job(where: Where, job: str, owner: str, size: int, sha256: str, now: datetime) -> bool:
    """Say that the file is there; return whether the job was still the owner's."""
    parameters = {"id": job, "owner": owner, "size": size, "sha256": sha256, "now": now}
    return bool(await run(where, _FINISH, parameters))


async def fail_job(where: Where, job: str, owner: str, fault: str, now: datetime) -> None:
    """Say that there will be no file, and why."""
    await run(where, _FAIL, {"id": job, "owner": owner, "fault": fault, "now": now})


async def end_job(where: Where, job: str, now: datetime) -> None:
    """Forget the file's key and the job; whoever makes it will notice."""
    await run(where, _END, {"id": job, "now": now})


async def end_jobs_with_documents_of(where: Where, case: str, now: datetime) -> None:
    """End every export that may hold a case's documents in the clear: nobody can read its file any more."""
    await run(where, _END_WITH_DOCUMENTS_OF, {"case": case, "now": now})


async def jobs_older_than(where: Where, before: datetime) -> tuple[str, ...]:
    """Return the jobs whose file was there before that instant."""
    return tuple(row[0] for row in await run(where, _OLD, {"before": before}))


async def open_jobs(where: Where) -> frozenset[str]:
    """Return the jobs that may have a file."""
    return frozenset(row[0] for row in await run(where, _OPEN, {}))


def _job(row: Sequence[Any]) -> ExportJob:
    (job, client, selection, state, done, total, attempts, kek_id, sealed_key, size, sha256, fault, created_at,
     finished_at) = row  # fmt: skip
    return ExportJob(
        id=job,
        client=client,
        selection=selection,
        state=JobState(state),
        done=done,
        total=total,
        attempts=attempts,
        kek_id=kek_id,
        sealed_key=None if sealed_key is None else bytes(sealed_key),
        size=size,
        sha256=sha256,
        fault=fault,
        created_at=created_at,
        finished_at=finished_at,
    )
