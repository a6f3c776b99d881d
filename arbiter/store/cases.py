"""Cases in the database: one statement writes a step whole, and a head moves only by compare-and-set.

Every function works on a connection whose transaction its caller owns. The statements on a case's hot path are
single ones (data-modifying CTEs over arrays): round trips, not rows, are what a step costs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.errors import NotFoundError, VerificationError
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import ActorId, CaseId, RiskClass
from arbiter.store.case_state import state_document, state_from
from arbiter.store.tables import entry, leaf, sealed_document
from arbiter.store.transaction import Where, run
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement

log = logging.getLogger(__name__)


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
class NewMessage:
    """Something to be told about a case's entry `seq`: to whom (`requester` or `duty`), what, and on which rung.

    `phase`, `due_at` and `acknowledge_by` (when the rung's time ends) are the case's as its step left them.
    """

    seq: int
    audience: str
    topic: str
    rung: int | None
    phase: str
    due_at: datetime | None
    acknowledge_by: datetime | None


@dataclass(frozen=True, slots=True)
class StepWrite:
    """What one step writes: the new head, its entries as (seq, bytes), its documents as (seq, name, ciphertext).

    `job` is the safety net that stays with the case, `dropped_job` one that this step makes needless.
    """

    case: CaseId
    from_version: int
    state: CaseState
    seq: int
    prev: bytes
    entries: tuple[tuple[int, bytes], ...]
    documents: tuple[tuple[int, str, bytes], ...]
    decided_seq: int | None
    job: int | None
    dropped_job: int | None
    messages: tuple[NewMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class NewJob:
    """The safety net left with a new case: procrastinate's queue and task, when it may begin, and the span that left it."""

    queue: str
    task: str
    priority: int
    not_before: datetime
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class NewCase:
    """What intake writes beside the first step.

    A case of the same `likeness_mac` taken in after `like_since` stands in this one's way; None asks for no such look.
    """

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
    job: NewJob | None
    likeness_mac: bytes | None
    like_since: datetime


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of an intake: the case is there (`job` is its safety net), or an earlier request had the key."""

    job: int | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A case that asks the same about the same facts was there first; nothing but the request's key was kept."""

    case: CaseId


@dataclass(frozen=True, slots=True)
class Repeat:
    """An earlier request with the same idempotency key."""

    case: CaseId
    body_mac: bytes


_EARLIER = "SELECT case_id, body_mac FROM idempotency WHERE client_id = %(client)s AND key_mac = %(key_mac)s"

# Inserting into `recent_case` waits for whoever inserts the same likeness and then sees what they wrote, so that two
# alike that come at once are one case.
# `gate` holds the key until the transaction ends; whoever finds it held is told so at once instead of waiting.
_NEW_CASE = """
WITH gate AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(%(lock)s) AS free
), earlier AS MATERIALIZED (
    SELECT case_id, body_mac FROM idempotency WHERE client_id = %(client)s AND key_mac = %(key_mac)s
), fresh AS MATERIALIZED (
    SELECT 1 FROM gate WHERE free AND NOT EXISTS (SELECT FROM earlier)
), first AS (
    INSERT INTO recent_case AS r (likeness_mac, case_id, taken_at)
    SELECT %(likeness)s, %(id)s, %(now)s FROM fresh WHERE %(likeness)s::bytea IS NOT NULL
    ON CONFLICT (likeness_mac) DO UPDATE SET case_id = excluded.case_id, taken_at = excluded.taken_at
    WHERE r.taken_at < %(like_since)s OR EXISTS (
        SELECT FROM case_file AS c WHERE c.id = r.case_id
            AND c.phase IN ('cancelled', 'superseded', 'entered-in-error')
    )
    RETURNING case_id
), open AS MATERIALIZED (
    SELECT 1 FROM fresh WHERE %(likeness)s::bytea IS NULL OR EXISTS (SELECT FROM first)
), who AS (
    INSERT INTO subject (id, index_mac, created_at) SELECT %(subject)s, %(subject_mac)s, %(now)s FROM open
    ON CONFLICT DO NOTHING
), net AS MATERIALIZED (
    SELECT (procrastinate_defer_jobs_v1(ARRAY[ROW(%(queue)s, %(task)s, %(priority)s, NULL, NULL,
        jsonb_build_object('case', %(id)s::text, 'trace', %(trace)s::text), %(not_before)s)::procrastinate_job_to_defer_v1]))[1] AS job
    FROM open WHERE %(queue)s::text IS NOT NULL
), head AS (
    INSERT INTO case_file (id, site_id, client_id, subject_id, encounter_mac, protocol_id, protocol_hash,
        risk_class, phase, state, version, seq, prev, wake_at, job_id, training, created_at, changed_at)
    SELECT %(id)s, %(site)s, %(client)s, %(subject)s, %(encounter_mac)s, %(protocol_id)s, %(protocol_hash)s,
        %(risk_class)s, %(phase)s, %(state)s::jsonb, 1, %(seq)s, %(prev)s, %(wake_at)s, (SELECT job FROM net),
        %(training)s, %(now)s, %(now)s
    FROM open
), key AS (
    INSERT INTO case_key (case_id, kek_id, wrapped) SELECT %(id)s, %(kek_id)s, %(wrapped)s FROM open
), once AS (
    INSERT INTO idempotency (client_id, key_mac, body_mac, case_id, created_at)
    SELECT %(client)s, %(key_mac)s, %(body_mac)s, %(id)s, %(now)s FROM open
), documents AS (
    INSERT INTO sealed_document (case_id, seq, name, ciphertext)
    SELECT %(id)s, d.* FROM open, unnest(%(doc_seqs)s::int[], %(doc_names)s::text[], %(doc_bytes)b::bytea[]) AS d
), written AS (
    INSERT INTO entry (case_id, seq, body)
    SELECT %(id)s, e.seq, e.body
    FROM open, unnest(%(entry_seqs)s::int[], %(entry_bodies)b::bytea[]) AS e(seq, body) ORDER BY e.seq
    RETURNING id
), queued AS (
    INSERT INTO pending (entry_id) SELECT id FROM written
), told AS (
    INSERT INTO message (case_id, seq, audience, topic, rung, phase, due_at, acknowledge_by, at)
    SELECT %(id)s, m.*, %(now)s FROM open, unnest(%(message_seqs)s::int[], %(message_audiences)s::text[],
        %(message_topics)s::text[], %(message_rungs)s::int[], %(message_phases)s::text[],
        %(message_dues)s::timestamptz[], %(message_answers)s::timestamptz[]) AS m
)
SELECT gate.free, earlier.case_id, earlier.body_mac, net.job, EXISTS (SELECT FROM open)
FROM gate LEFT JOIN earlier ON true LEFT JOIN net ON true
"""

# Relaxed, the commit waits for no disk; the setting lasts as long as the transaction, which is this statement.
_SAVE_STEPS = """
WITH asked AS MATERIALIZED (
    SELECT a.* FROM jsonb_to_recordset(%(heads)s::jsonb) AS a(id text, version int, phase text, state jsonb, seq int,
        prev text, wake_at timestamptz, decided_seq int, job_id bigint, dropped_job bigint, reviewer_id text)
    WHERE %(durable)s OR set_config('synchronous_commit', 'off', true) IS NOT NULL
), moved AS (
    UPDATE case_file AS c
    SET phase = a.phase, state = a.state, version = c.version + 1, seq = a.seq, prev = decode(a.prev, 'hex'),
        wake_at = a.wake_at, decided_seq = coalesce(a.decided_seq, c.decided_seq), job_id = a.job_id,
        reviewer_id = a.reviewer_id, changed_at = %(now)s
    FROM asked AS a WHERE c.id = a.id AND c.version = a.version
    RETURNING c.id, a.dropped_job
), documents AS (
    INSERT INTO sealed_document (case_id, seq, name, ciphertext)
    SELECT d.* FROM unnest(%(doc_cases)s::text[], %(doc_seqs)s::int[], %(doc_names)s::text[], %(doc_bytes)b::bytea[])
        AS d(case_id, seq, name, ciphertext) JOIN moved ON moved.id = d.case_id
), written AS (
    INSERT INTO entry (case_id, seq, body)
    SELECT e.case_id, e.seq, e.body
    FROM unnest(%(entry_cases)s::text[], %(entry_seqs)s::int[], %(entry_bodies)b::bytea[]) AS e(case_id, seq, body)
    JOIN moved ON moved.id = e.case_id ORDER BY e.case_id, e.seq
    RETURNING id
), queued AS (
    INSERT INTO pending (entry_id) SELECT id FROM written
), told AS (
    INSERT INTO message (case_id, seq, audience, topic, rung, phase, due_at, acknowledge_by, at)
    SELECT m.*, %(now)s FROM unnest(%(message_cases)s::text[], %(message_seqs)s::int[], %(message_audiences)s::text[],
        %(message_topics)s::text[], %(message_rungs)s::int[], %(message_phases)s::text[],
        %(message_dues)s::timestamptz[], %(message_answers)s::timestamptz[])
        AS m(case_id, seq, audience, topic, rung, phase, due_at, acknowledge_by)
    JOIN moved ON moved.id = m.case_id
)
SELECT id, CASE WHEN dropped_job IS NOT NULL THEN procrastinate_cancel_job_v1(dropped_job, false, true) END FROM moved
"""


_KEEP_DUPLICATE = """
INSERT INTO idempotency (client_id, key_mac, body_mac, case_id, created_at)
SELECT %(client)s, %(key_mac)s, %(body_mac)s, case_id, %(now)s FROM recent_case WHERE likeness_mac = %(likeness)s
RETURNING case_id
"""


@as_statement(Statement.INTAKE)
async def insert_case(where: Where, new: NewCase, now: datetime) -> TakenIn | Duplicate | Repeat | None:
    """Write a case that did not exist: head, key, subject, idempotency record, documents, entries, safety net.

    Returns what was taken in; or the case that is like it and was there first; or the earlier request that used the
    idempotency key; or None while another request with that key is under way. But for the first, no case is written.
    """
    step, job = new.step, new.job
    parameters = {
        "lock": int.from_bytes(new.idempotency_mac[:8], "big", signed=True),
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
        "queue": None if job is None else job.queue,
        "task": None if job is None else job.task,
        "priority": 0 if job is None else job.priority,
        "not_before": None if job is None else job.not_before,
        "trace": "" if job is None else job.traceparent,
        "now": now,
        "likeness": new.likeness_mac,
        "like_since": new.like_since,
        "kek_id": new.kek_id,
        "wrapped": new.wrapped_key,
        "key_mac": new.idempotency_mac,
        "body_mac": new.body_mac,
        "doc_seqs": [seq for seq, _, _ in step.documents],
        "doc_names": [name for _, name, _ in step.documents],
        "doc_bytes": [ciphertext for _, _, ciphertext in step.documents],
        "entry_seqs": [seq for seq, _ in step.entries],
        "entry_bodies": [body for _, body in step.entries],
        "training": step.state.training,
        **_columns_of(step.messages),
    }
    ((free, earlier, body_mac, left, opened),) = await run(where, _NEW_CASE, parameters)
    if earlier is not None:
        return Repeat(CaseId(earlier), body_mac)
    if not free:
        return None
    if opened:
        return TakenIn(left)
    return Duplicate(CaseId((await run(where, _KEEP_DUPLICATE, parameters))[0][0]))


async def find_repeat(where: Where, client: ActorId, key_mac: bytes) -> Repeat | None:
    """Return the request that used a client's idempotency key, if one did."""
    rows = await run(where, _EARLIER, {"client": client, "key_mac": key_mac})
    return Repeat(CaseId(rows[0][0]), rows[0][1]) if rows else None


@as_statement(Statement.STEP)
async def save_steps(
    where: Where, steps: Sequence[StepWrite], now: datetime, *, durable: bool = True
) -> frozenset[CaseId]:
    """Move the heads that still stand where their step began and write what those steps say.

    Returns the cases moved; one that is absent was moved by somebody else first, and nothing of its step was kept.
    Without `durable` a crash may lose the steps, whole, though never their order: for steps that are then made again.
    """
    documents = [(step.case, *document) for step in steps for document in step.documents]
    entries = [(step.case, *written) for step in steps for written in step.entries]
    messages = [(step.case, message) for step in steps for message in step.messages]
    parameters = {
        "now": now,
        "durable": durable,
        "heads": json.dumps([_head(step) for step in steps]),
        "doc_cases": [document[0] for document in documents],
        "doc_seqs": [document[1] for document in documents],
        "doc_names": [document[2] for document in documents],
        "doc_bytes": [document[3] for document in documents],
        "entry_cases": [written[0] for written in entries],
        "entry_seqs": [written[1] for written in entries],
        "entry_bodies": [written[2] for written in entries],
        "message_cases": [case for case, _ in messages],
        **_columns_of([message for _, message in messages]),
    }
    return frozenset(CaseId(moved[0]) for moved in await run(where, _SAVE_STEPS, parameters))


def _columns_of(messages: Sequence[NewMessage]) -> dict[str, list[Any]]:
    return {
        "message_seqs": [message.seq for message in messages],
        "message_audiences": [message.audience for message in messages],
        "message_topics": [message.topic for message in messages],
        "message_rungs": [message.rung for message in messages],
        "message_phases": [message.phase for message in messages],
        "message_dues": [message.due_at for message in messages],
        "message_answers": [message.acknowledge_by for message in messages],
    }


def _head(step: StepWrite) -> dict[str, Any]:
    state = step.state
    return {
        "id": step.case,
        "version": step.from_version,
        "phase": state.phase.value,
        "state": state_document(state),
        "seq": step.seq,
        "prev": step.prev.hex(),
        "wake_at": None if state.wake_at is None else state.wake_at.isoformat(),
        "decided_seq": step.decided_seq,
        "job_id": step.job,
        "dropped_job": step.dropped_job,
        "reviewer_id": None if state.claim is None else state.claim.reviewer,
    }


_HEADS = """
SELECT c.id, c.site_id, c.client_id, c.subject_id, c.protocol_id, c.protocol_hash, c.state, c.version, c.seq, c.prev,
    c.decided_seq, c.job_id, c.created_at, c.changed_at, k.kek_id, k.wrapped
FROM case_file AS c JOIN case_key AS k ON k.case_id = c.id
"""
_ONE_HEAD = _HEADS + "WHERE c.id = %(case)s"
_SEALED_DECISIONS = (
    _HEADS
    + """
JOIN entry AS e ON e.case_id = c.id AND e.seq = c.decided_seq
JOIN leaf AS l ON l.entry_id = e.id
WHERE c.phase = 'decided' LIMIT %(limit)s
"""
)
# A decision that a checkpoint covers is about to be released, however late: it is not for withdrawing.
_DUE = (
    _HEADS
    + """
WHERE c.wake_at <= %(now)s AND NOT (c.phase = 'decided' AND EXISTS (
    SELECT FROM entry AS e JOIN leaf AS l ON l.entry_id = e.id WHERE e.case_id = c.id AND e.seq = c.decided_seq
)) ORDER BY c.wake_at LIMIT %(limit)s
"""
)


@as_statement(Statement.READ_CASE)
async def load_case(where: Where, case: CaseId) -> CaseRow:
    """Return a case's head.

    Raises:
        NotFoundError: when there is none.
    """
    rows = await run(where, _ONE_HEAD, {"case": case})
    if not rows:
        raise NotFoundError(f"no case {case}")
    return _row(rows[0])


@as_statement(Statement.READ_SEALED)
async def load_sealed_decisions(where: Where, limit: int) -> tuple[CaseRow, ...]:
    """Return decided cases whose decision a committed checkpoint covers: those that may be released.

    A case whose stored state is damaged is told in the log and left out, so that it stops no other.
    """
    whole = []
    for row in await run(where, _SEALED_DECISIONS, {"limit": limit}):
        try:
            whole.append(_row(row))
        except VerificationError:
            log.exception("case %s is decided and cannot be released", row[0])
    return tuple(whole)


@as_statement(Statement.READ_DUE)
async def load_due(where: Where, now: datetime, limit: int) -> tuple[CaseId, ...]:
    """Return the ids of the cases whose present wait is over, longest overdue first."""
    return tuple(CaseId(row[0]) for row in await run(where, _DUE, {"now": now, "limit": limit}))


@as_statement(Statement.READ_DOCUMENTS)
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
    subjects: frozenset[str] | None = None


_LISTED = (
    _HEADS
    + """
WHERE c.site_id = ANY(%(sites)s)
    AND (%(phases)s::text[] IS NULL OR c.phase = ANY(%(phases)s::text[]))
    AND (%(protocol)s::text IS NULL OR c.protocol_id = %(protocol)s::text)
    AND (%(risk_class)s::text IS NULL OR c.risk_class = %(risk_class)s::text)
    AND (%(subjects)s::text[] IS NULL OR c.subject_id = ANY(%(subjects)s::text[]))
    AND (%(at)s::timestamptz IS NULL OR (c.created_at, c.id) < (%(at)s::timestamptz, %(before)s::text))
ORDER BY c.created_at DESC, c.id DESC LIMIT %(limit)s
"""
)


@as_statement(Statement.LIST)
async def list_cases(where: Where, wanted: Wanted, limit: int) -> tuple[CaseRow, ...]:
    """Return the newest cases that fit, newest first; `before` continues after the last one seen."""
    at, before = (None, None) if wanted.before is None else wanted.before
    parameters = {
        "sites": sorted(wanted.sites),
        "phases": None if wanted.phases is None else [phase.value for phase in wanted.phases],
        "protocol": wanted.protocol,
        "risk_class": None if wanted.risk_class is None else wanted.risk_class.value,
        "subjects": None if wanted.subjects is None else sorted(wanted.subjects),
        "at": at,
        "before": before,
        "limit": limit,
    }
    return tuple(_row(row) for row in await run(where, _LISTED, parameters))


def _row(row: Sequence[Any]) -> CaseRow:
    (case, site, client, subject, protocol_id, protocol_hash, state, version, seq, prev, decided_seq, job, created_at,
     changed_at, kek_id, wrapped) = row  # fmt: skip
    return CaseRow(
        id=CaseId(case),
        site=site,
        client=ActorId(client),
        subject=subject,
        protocol_id=protocol_id,
        protocol_hash=protocol_hash,
        state=_state(case, state),
        version=version,
        seq=seq,
        prev=prev,
        decided_seq=decided_seq,
        job=job,
        created_at=created_at,
        changed_at=changed_at,
        kek_id=kek_id,
        wrapped_key=wrapped,
    )


def _state(case: str, stored: Mapping[str, Any]) -> CaseState:
    try:
        return state_from(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError(
            f"the stored state of case {case} is not one that was ever written"
        ) from error
