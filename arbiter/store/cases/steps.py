"""Writing steps: one statement writes steps whole, and a head moves only by compare-and-set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbiter.lifecycle.states import CaseState
from arbiter.model import CaseId
from arbiter.store.arrays import Blobs, Instants, Integers, Texts
from arbiter.store.cases.state import state_document
from arbiter.store.transaction import Where, run
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement


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
    """What one step writes `at` a time: the new head, its entries as (seq, bytes), its documents as (seq, name, ciphertext).

    `job` is the safety net that stays with the case, `dropped_job` one that this step makes needless.
    """

    case: CaseId
    at: datetime
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


# Both settings last as long as the transaction, which is this statement: relaxed, the commit waits for no disk; and who
# is given a patience waits for a head that somebody else holds no longer than that.
_SAVE_STEPS = """
WITH asked AS MATERIALIZED (
    SELECT a.* FROM jsonb_to_recordset(%(heads)s::jsonb) AS a(id text, version int, phase text, state jsonb, seq int,
        prev text, wake_at timestamptz, decided_seq int, job_id bigint, dropped_job bigint, reviewer_id text,
        at timestamptz)
    WHERE (%(durable)s OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
        AND (%(patience)s::text IS NULL OR set_config('lock_timeout', %(patience)s::text, true) IS NOT NULL)
), moved AS (
    UPDATE case_file AS c
    SET phase = a.phase, state = a.state, version = c.version + 1, seq = a.seq, prev = decode(a.prev, 'hex'),
        wake_at = a.wake_at, decided_seq = coalesce(a.decided_seq, c.decided_seq), job_id = a.job_id,
        reviewer_id = a.reviewer_id, changed_at = a.at
    FROM asked AS a WHERE c.id = ANY(%(cases)s::text[]) AND c.id = a.id AND c.version = a.version
    RETURNING c.id, a.dropped_job, a.at
), documents AS (
    INSERT INTO sealed_document (case_id, seq, name, ciphertext)
    SELECT d.* FROM unnest(%(doc_cases)s::text[], %(doc_seqs)s::int[], %(doc_names)s::text[], %(doc_bytes)b::bytea[])
        AS d(case_id, seq, name, ciphertext) JOIN moved ON moved.id = d.case_id
), written AS (
    INSERT INTO entry (chain, seq, body)
    SELECT arbiter_chain(e.case_id), e.seq, e.body
    FROM unnest(%(entry_cases)s::text[], %(entry_seqs)s::int[], %(entry_bodies)b::bytea[]) AS e(case_id, seq, body)
    JOIN moved ON moved.id = e.case_id ORDER BY e.case_id, e.seq
    RETURNING id
), queued AS (
    INSERT INTO pending (entry_id) SELECT id FROM written
), told AS (
    INSERT INTO message (case_id, seq, audience, topic, rung, phase, due_at, acknowledge_by, at)
    SELECT m.*, moved.at FROM unnest(%(message_cases)s::text[], %(message_seqs)s::int[], %(message_audiences)s::text[],
        %(message_topics)s::text[], %(message_rungs)s::int[], %(message_phases)s::text[],
        %(message_dues)s::timestamptz[], %(message_answers)s::timestamptz[])
        AS m(case_id, seq, audience, topic, rung, phase, due_at, acknowledge_by)
    JOIN moved ON moved.id = m.case_id
)
SELECT id, CASE WHEN dropped_job IS NOT NULL THEN procrastinate_cancel_job_v1(dropped_job, false, true) END FROM moved
"""


@as_statement(Statement.STEP)
async def save_steps(
    where: Where, steps: Sequence[StepWrite], *, durable: bool = True, patience_ms: int | None = None
) -> frozenset[CaseId]:
    """Move the heads that still stand where their step began and write what those steps say: all of it, or nothing at all.

    Returns the cases moved; one that is absent was moved by somebody else first, and nothing of its step was kept.
    Without `durable` a crash may lose the steps, whole, though never their order: for steps that are then made again.
    With `patience_ms` the statement fails when a head is held by somebody else for longer.

    Raises:
        ValueError: for two steps of one case: the second would be written where the first one stands.
    """
    if len({step.case for step in steps}) != len(steps):
        raise ValueError("a statement moves a case once")
    parameters = {
        "durable": durable,
        "patience": None if patience_ms is None else f"{patience_ms}ms",
        "cases": Texts([step.case for step in steps]),
        "heads": json.dumps([_head(step) for step in steps]),
        **columns_of(steps),
    }
    return frozenset(CaseId(moved[0]) for moved in await run(where, _SAVE_STEPS, parameters))


def columns_of(steps: Sequence[StepWrite]) -> dict[str, Any]:
    """Return what steps write beside their heads as the parameters that the statements unnest, an array a column."""
    documents = [(step.case, *document) for step in steps for document in step.documents]
    entries = [(step.case, *written) for step in steps for written in step.entries]
    messages = [(step.case, message) for step in steps for message in step.messages]
    return {
        "doc_cases": Texts([case for case, _, _, _ in documents]),
        "doc_seqs": Integers([seq for _, seq, _, _ in documents]),
        "doc_names": Texts([name for _, _, name, _ in documents]),
        "doc_bytes": Blobs([ciphertext for _, _, _, ciphertext in documents]),
        "entry_cases": Texts([case for case, _, _ in entries]),
        "entry_seqs": Integers([seq for _, seq, _ in entries]),
        "entry_bodies": Blobs([body for _, _, body in entries]),
        "message_cases": Texts([case for case, _ in messages]),
        "message_seqs": Integers([message.seq for _, message in messages]),
        "message_audiences": Texts([message.audience for _, message in messages]),
        "message_topics": Texts([message.topic for _, message in messages]),
        "message_rungs": Integers([message.rung for _, message in messages]),
        "message_phases": Texts([message.phase for _, message in messages]),
        "message_dues": Instants([message.due_at for _, message in messages]),
        "message_answers": Instants([message.acknowledge_by for _, message in messages]),
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
        "at": step.at.isoformat(),
    }
