"""Cases in the database: one statement writes a step whole, and a head moves only by compare-and-set.

Every function works on a connection whose transaction its caller owns. The statements on a case's hot path are
single ones (data-modifying CTEs over arrays): round trips, not rows, are what a step costs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.errors import NotFoundError
from arbiter.lifecycle import CaseState, Phase
from arbiter.model import ActorId, CaseId, RiskClass
from arbiter.store.case_state import state_document, state_from
from arbiter.store.tables import case_file, case_key, entry, leaf, sealed_document


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case's head: where it stands, where its chain ends, and its wrapped key."""

    id: CaseId
    site: str
    client: ActorId
    subject: str
    protocol_id: str
    protocol_hash: str
    state: CaseState
    version: int
    seq: int
    prev: bytes
    decided_seq: int | None
    job: int | None
    created_at: datetime
    changed_at: datetime
    kek_id: str
    wrapped_key: bytes


@dataclass(frozen=True, slots=True)
class StepWrite:
    """What one step writes: the new head, its entries as (seq, bytes), its documents as (seq, name, ciphertext)."""

    case: CaseId
    from_version: int
    state: CaseState
    seq: int
    prev: bytes
    entries: tuple[tuple[int, bytes], ...]
    documents: tuple[tuple[int, str, bytes], ...]
    decided_seq: int | None
    job: int | None


@dataclass(frozen=True, slots=True)
class NewCase:
    """What intake writes beside the first step."""

    step: StepWrite
    site: str
    client: ActorId
    subject: str
    subject_mac: bytes
    encounter_mac: bytes | None
    protocol_id: str
    protocol_hash: str
    kek_id: str
    wrapped_key: bytes
    idempotency_mac: bytes
    body_mac: bytes


_NEW_CASE = """
WITH who AS (
    INSERT INTO subject (id, index_mac, created_at) VALUES (%(subject)s, %(subject_mac)s, %(now)s)
    ON CONFLICT DO NOTHING
), head AS (
    INSERT INTO case_file (id, site_id, client_id, subject_id, encounter_mac, protocol_id, protocol_hash,
        risk_class, phase, state, version, seq, prev, wake_at, job_id, created_at, changed_at)
    VALUES (%(id)s, %(site)s, %(client)s, %(subject)s, %(encounter_mac)s, %(protocol_id)s,
        %(protocol_hash)s, %(risk_class)s, %(phase)s, %(state)s::jsonb, 1, %(seq)s, %(prev)s, %(wake_at)s, %(job)s,
        %(now)s, %(now)s)
), key AS (
    INSERT INTO case_key (case_id, kek_id, wrapped) VALUES (%(id)s, %(kek_id)s, %(wrapped)s)
), once AS (
    INSERT INTO idempotency (client_id, key_mac, body_mac, case_id, created_at)
    VALUES (%(client)s, %(key_mac)s, %(body_mac)s, %(id)s, %(now)s)
), documents AS (
    INSERT INTO sealed_document (case_id, seq, name, ciphertext)
    SELECT %(id)s, * FROM unnest(%(doc_seqs)s::int[], %(doc_names)s::text[], %(doc_bytes)s::bytea[])
), written AS (
    INSERT INTO entry (case_id, seq, body)
    SELECT %(id)s, seq, body FROM unnest(%(entry_seqs)s::int[], %(entry_bodies)s::bytea[]) AS e(seq, body) ORDER BY seq
    RETURNING id
)
INSERT INTO pending (entry_id) SELECT id FROM written
"""

_SAVE_STEPS = """
WITH asked AS (
    SELECT * FROM unnest(%(ids)s::text[], %(versions)s::int[], %(phases)s::text[], %(states)s::text[], %(seqs)s::int[],
        %(prevs)s::bytea[], %(wakes)s::timestamptz[], %(decided)s::int[], %(jobs)s::bigint[], %(reviewers)s::text[])
        AS a(id, version, phase, state, seq, prev, wake_at, decided_seq, job_id, reviewer_id)
), moved AS (
    UPDATE case_file AS c
    SET phase = a.phase, state = a.state::jsonb, version = c.version + 1, seq = a.seq, prev = a.prev,
        wake_at = a.wake_at, decided_seq = coalesce(a.decided_seq, c.decided_seq), job_id = a.job_id,
        reviewer_id = a.reviewer_id, changed_at = %(now)s
    FROM asked AS a WHERE c.id = a.id AND c.version = a.version
    RETURNING c.id
), documents AS (
    INSERT INTO sealed_document (case_id, seq, name, ciphertext)
    SELECT d.* FROM unnest(%(doc_cases)s::text[], %(doc_seqs)s::int[], %(doc_names)s::text[], %(doc_bytes)s::bytea[])
        AS d(case_id, seq, name, ciphertext) JOIN moved ON moved.id = d.case_id
), written AS (
    INSERT INTO entry (case_id, seq, body)
    SELECT e.case_id, e.seq, e.body
    FROM unnest(%(entry_cases)s::text[], %(entry_seqs)s::int[], %(entry_bodies)s::bytea[]) AS e(case_id, seq, body)
    JOIN moved ON moved.id = e.case_id ORDER BY e.case_id, e.seq
    RETURNING id
), queued AS (
    INSERT INTO pending (entry_id) SELECT id FROM written
)
SELECT id FROM moved
"""


async def insert_case(connection: AsyncConnection, new: NewCase, now: datetime) -> None:
    """Write a case that did not exist: head, key, subject, idempotency record, documents, entries."""
    step = new.step
    await connection.exec_driver_sql(
        _NEW_CASE,
        {
            "id": step.case,
            "site": new.site,
            "client": new.client,
            "subject": new.subject,
            "subject_mac": new.subject_mac,
            "encounter_mac": new.encounter_mac,
            "protocol_id": new.protocol_id,
            "protocol_hash": new.protocol_hash,
            "risk_class": step.state.risk_class.value,
            "phase": step.state.phase.value,
            "state": json.dumps(state_document(step.state)),
            "seq": step.seq,
            "prev": step.prev,
            "wake_at": step.state.wake_at,
            "job": step.job,
            "now": now,
            "kek_id": new.kek_id,
            "wrapped": new.wrapped_key,
            "key_mac": new.idempotency_mac,
            "body_mac": new.body_mac,
            "doc_seqs": [seq for seq, _, _ in step.documents],
            "doc_names": [name for _, name, _ in step.documents],
            "doc_bytes": [ciphertext for _, _, ciphertext in step.documents],
            "entry_seqs": [seq for seq, _ in step.entries],
            "entry_bodies": [body for _, body in step.entries],
        },
    )


async def save_steps(
    connection: AsyncConnection, steps: Sequence[StepWrite], now: datetime
) -> frozenset[CaseId]:
    """Move the heads that still stand where their step began and write what those steps say.

    Returns the cases moved; one that is absent was moved by somebody else first, and nothing of its step was kept.
    """
    documents = [(step.case, *document) for step in steps for document in step.documents]
    entries = [(step.case, *written) for step in steps for written in step.entries]
    moved = await connection.exec_driver_sql(
        _SAVE_STEPS,
        {
            "now": now,
            "ids": [step.case for step in steps],
            "versions": [step.from_version for step in steps],
            "phases": [step.state.phase.value for step in steps],
            "states": [json.dumps(state_document(step.state)) for step in steps],
            "seqs": [step.seq for step in steps],
            "prevs": [step.prev for step in steps],
            "wakes": [step.state.wake_at for step in steps],
            "decided": [step.decided_seq for step in steps],
            "jobs": [step.job for step in steps],
            "reviewers": [None if step.state.claim is None else step.state.claim.reviewer for step in steps],
            "doc_cases": [document[0] for document in documents],
            "doc_seqs": [document[1] for document in documents],
            "doc_names": [document[2] for document in documents],
            "doc_bytes": [document[3] for document in documents],
            "entry_cases": [written[0] for written in entries],
            "entry_seqs": [written[1] for written in entries],
            "entry_bodies": [written[2] for written in entries],
        },
    )
    return frozenset(CaseId(row[0]) for row in moved)


_HEADS = select(case_file, case_key.c.kek_id, case_key.c.wrapped).join(case_key)


async def load_case(connection: AsyncConnection, case: CaseId) -> CaseRow:
    """Return a case's head.

    Raises:
        NotFoundError: when there is none.
    """
    row = (await connection.execute(_HEADS.where(case_file.c.id == case))).one_or_none()
    if row is None:
        raise NotFoundError(f"no case {case}")
    return _row(row)


async def load_sealed_decisions(connection: AsyncConnection, limit: int) -> tuple[CaseRow, ...]:
    """Return decided cases whose decision a committed checkpoint covers: those that may be released."""
    sealed = (
        _HEADS.join(entry, and_(entry.c.case_id == case_file.c.id, entry.c.seq == case_file.c.decided_seq))
        .join(leaf, leaf.c.entry_id == entry.c.id)
        .where(case_file.c.phase == Phase.DECIDED.value)
        .limit(limit)
    )
    return tuple(_row(row) for row in await connection.execute(sealed))


async def load_due(connection: AsyncConnection, now: datetime, limit: int) -> tuple[CaseRow, ...]:
    """Return the cases whose present wait is over, longest overdue first."""
    due = _HEADS.where(case_file.c.wake_at <= now).order_by(case_file.c.wake_at).limit(limit)
    return tuple(_row(row) for row in await connection.execute(due))


async def load_documents(connection: AsyncConnection, case: CaseId) -> tuple[tuple[int, str, bytes], ...]:
    """Return a case's sealed documents as (seq, name, ciphertext), oldest first."""
    rows = await connection.execute(
        select(sealed_document.c.seq, sealed_document.c.name, sealed_document.c.ciphertext)
        .where(sealed_document.c.case_id == case)
        .order_by(sealed_document.c.seq, sealed_document.c.name)
    )
    return tuple((row.seq, row.name, row.ciphertext) for row in rows)


async def load_entries(
    connection: AsyncConnection, case: CaseId, after: int = -1
) -> tuple[tuple[int, bytes, int | None], ...]:
    """Return a case's entries after `after` as (seq, bytes, leaf index or None while pending), oldest first."""
    rows = await connection.execute(
        select(entry.c.seq, entry.c.body, leaf.c.index.label("place"))
        .outerjoin(leaf, leaf.c.entry_id == entry.c.id)
        .where(entry.c.case_id == case, entry.c.seq > after)
        .order_by(entry.c.seq)
    )
    return tuple((row.seq, row.body, row.place) for row in rows)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter over cases; None means any."""

    sites: frozenset[str]
    phases: tuple[Phase, ...] | None = None
    protocol: str | None = None
    risk_class: RiskClass | None = None
    before: tuple[datetime, CaseId] | None = None


async def list_cases(connection: AsyncConnection, wanted: Wanted, limit: int) -> tuple[CaseRow, ...]:
    """Return the newest cases that fit, newest first; `before` continues after the last one seen."""
    query = _HEADS.where(case_file.c.site_id.in_(sorted(wanted.sites)))
    if wanted.phases is not None:
        query = query.where(case_file.c.phase.in_([phase.value for phase in wanted.phases]))
    if wanted.protocol is not None:
        query = query.where(case_file.c.protocol_id == wanted.protocol)
    if wanted.risk_class is not None:
        query = query.where(case_file.c.risk_class == wanted.risk_class.value)
    if wanted.before is not None:
        at, case = wanted.before
        query = query.where(
            or_(case_file.c.created_at < at, and_(case_file.c.created_at == at, case_file.c.id < case))
        )
    query = query.order_by(case_file.c.created_at.desc(), case_file.c.id.desc()).limit(limit)
    return tuple(_row(row) for row in await connection.execute(query))


async def count_by_phase(connection: AsyncConnection) -> dict[Phase, int]:
    """Return how many cases stand in each phase."""
    rows = await connection.execute(select(case_file.c.phase, func.count()).group_by(case_file.c.phase))
    return {Phase(phase): count for phase, count in rows}


@dataclass(frozen=True, slots=True)
class Repeat:
    """An earlier request with the same idempotency key."""

    case: CaseId
    body_mac: bytes


_CLAIM_KEY = text(
    "SELECT pg_try_advisory_xact_lock(:lock), i.case_id, i.body_mac FROM (VALUES (1)) AS one"
    " LEFT JOIN idempotency AS i ON i.client_id = :client AND i.key_mac = :key_mac"
)


async def claim_idempotency_key(
    connection: AsyncConnection, client: ActorId, key_mac: bytes
) -> tuple[bool, Repeat | None]:
    """Hold the key until the transaction ends.

    Returns whether nobody else holds it, and the request that used it before, if one has.
    """
    lock = int.from_bytes(key_mac[:8], "big", signed=True)
    row = (await connection.execute(_CLAIM_KEY, {"lock": lock, "client": client, "key_mac": key_mac})).one()
    repeat = None if row.case_id is None else Repeat(CaseId(row.case_id), row.body_mac)
    return bool(row[0]), repeat


def _row(row: Row[Any]) -> CaseRow:
    return CaseRow(
        id=CaseId(row.id),
        site=row.site_id,
        client=ActorId(row.client_id),
        subject=row.subject_id,
        protocol_id=row.protocol_id,
        protocol_hash=row.protocol_hash,
        state=state_from(row.state),
        version=row.version,
        seq=row.seq,
        prev=row.prev,
        decided_seq=row.decided_seq,
        job=row.job_id,
        created_at=row.created_at,
        changed_at=row.changed_at,
        kek_id=row.kek_id,
        wrapped_key=row.wrapped,
    )
