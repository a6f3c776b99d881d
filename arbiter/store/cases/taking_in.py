"""Taking a case in: one statement writes everything of a new case, or finds the earlier request or the case alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from arbiter.model import ActorId, CaseId
from arbiter.store.cases.state import state_document
from arbiter.store.cases.steps import StepWrite, columns_of
from arbiter.store.transaction import Where, run
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement


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
    INSERT INTO entry (chain, seq, body)
    SELECT arbiter_chain(%(id)s), e.seq, e.body
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

_KEEP_DUPLICATE = """
INSERT INTO idempotency (client_id, key_mac, body_mac, case_id, created_at)
SELECT %(client)s, %(key_mac)s, %(body_mac)s, case_id, %(now)s FROM recent_case WHERE likeness_mac = %(likeness)s
RETURNING case_id
"""


@as_statement(Statement.INTAKE)
async def insert_case(where: Where, new: NewCase) -> TakenIn | Duplicate | Repeat | None:
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
        "now": step.at,
        "likeness": new.likeness_mac,
        "like_since": new.like_since,
        "kek_id": new.kek_id,
        "wrapped": new.wrapped_key,
        "key_mac": new.idempotency_mac,
        "body_mac": new.body_mac,
        "training": step.state.training,
        **columns_of([step]),
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
