"""Reading heads: one case, those that are due, those whose decision is sealed, and lists of them, newest first."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from arbiter.errors import NotFoundError, VerificationError
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import ActorId, CaseId, RiskClass
from arbiter.store.cases.state import state_from
from arbiter.store.log.chains import INDEX_IN_RUN, OF_CHAIN
from arbiter.store.transaction import Where, run
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement

log = logging.getLogger(__name__)


CosignedSizes: TypeAlias = Mapping[RiskClass, int]
"""For each risk class the size of the tree that enough witnesses have cosigned: a leaf below it is witnessed."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case's head: where it stands, where its chain ends, and its wrapped key, empty when it is erased."""

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


# The keys lie in parts (migration 0013). Joined plainly, a part could be told from the case's id when the statement is
# planned, and so it would be planned each time, for twice what it costs to run; `OFFSET 0` leaves that to the running plan.
HEADS = """
SELECT c.id, c.site_id, c.client_id, c.subject_id, c.protocol_id, c.protocol_hash, c.state, c.version, c.seq, c.prev,
    c.decided_seq, c.job_id, c.created_at, c.changed_at,
    coalesce(k.kek_id, ''), coalesce(k.wrapped, ''::bytea)
FROM case_file AS c LEFT JOIN LATERAL (SELECT kek_id, wrapped FROM case_key WHERE case_id = c.id OFFSET 0) AS k ON true
"""
_SITES = "SELECT id, site_id FROM case_file WHERE id = ANY(%(cases)s)"
_SITES_OF_PROTOCOL = "SELECT DISTINCT site_id FROM case_file WHERE protocol_id = %(protocol)s"
_IDS = "SELECT id FROM case_file WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"
_COUNT = "SELECT count(*) FROM case_file"
_ONE_HEAD = HEADS + "WHERE c.id = %(case)s"
_THESE_HEADS = HEADS + "WHERE c.id = ANY(%(cases)s::text[])"
_IS_SEALED = f"""
EXISTS (
    SELECT FROM entry AS e JOIN sealed_run AS r ON r.ids @> e.id
    WHERE {OF_CHAIN.format("c.id")} AND e.seq = c.decided_seq
)
"""
_IS_COSIGNED = f"""
EXISTS (
    SELECT FROM entry AS e JOIN sealed_run AS r ON r.ids @> e.id
    WHERE {OF_CHAIN.format("c.id")} AND e.seq = c.decided_seq AND {INDEX_IN_RUN} < CASE c.risk_class
        WHEN 'routine' THEN %(routine)s::bigint WHEN 'urgent' THEN %(urgent)s::bigint
        WHEN 'emergency' THEN %(emergency)s::bigint END
)
"""
_SEALED_DECISIONS = HEADS + f"WHERE c.phase = 'decided' AND {_IS_SEALED} LIMIT %(limit)s"
# A reviewer's decision is released under the log's own checkpoint; a panel's waits for the witnesses it needs.
_WITNESSED_DECISIONS = (
    HEADS
    + f"""
WHERE c.phase = 'decided' AND ((c.state ->> 'decided_by' = 'reviewer' AND {_IS_SEALED}) OR {_IS_COSIGNED})
LIMIT %(limit)s
"""
)
_CAUGHT_UP = (
    HEADS
    + f"""
WHERE c.phase = 'released' AND c.state ->> 'unwitnessed' = 'true' AND c.state ->> 'erasure' IS NULL
    AND {_IS_COSIGNED} LIMIT %(limit)s
"""
)
# A decision that a checkpoint covers is about to be released, however late: it is not for withdrawing.
_DUE = (
    HEADS
    + f"""
WHERE c.wake_at <= %(now)s AND NOT (c.phase = 'decided' AND {_IS_SEALED}) ORDER BY c.wake_at LIMIT %(limit)s
"""
)
_DUE_WITNESSED = (
    HEADS
    + f"""
WHERE c.wake_at <= %(now)s AND NOT (c.phase = 'decided' AND {_IS_COSIGNED}) ORDER BY c.wake_at LIMIT %(limit)s
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
    return head_from(rows[0])


@as_statement(Statement.READ_CASE)
async def load_cases(where: Where, cases: Sequence[CaseId]) -> tuple[CaseRow, ...]:
    """Return the heads of these cases, in the order they are named; one that is not there is left out."""
    rows = [head_from(row) for row in await run(where, _THESE_HEADS, {"cases": list(cases)})] if cases else []
    return tuple(sorted(rows, key=lambda row: cases.index(row.id)))


@as_statement(Statement.READ_SEALED)
async def load_sealed_decisions(
    where: Where, limit: int, cosigned: CosignedSizes | None = None
) -> tuple[CaseRow, ...]:
    """Return decided cases whose decision a committed checkpoint covers: those that may be released.

    With `cosigned`, a panel's decision is among them only where enough witnesses have cosigned. A case whose stored
    state is damaged is told in the log and left out, so that it stops no other.
    """
    if cosigned is None:
        return _whole(await run(where, _SEALED_DECISIONS, {"limit": limit}))
    return _whole(await run(where, _WITNESSED_DECISIONS, {"limit": limit, **_bounds(cosigned)}))


@as_statement(Statement.READ_SEALED)
async def load_caught_up(where: Where, limit: int, cosigned: CosignedSizes) -> tuple[CaseRow, ...]:
    """Return released cases that are marked as unwitnessed and whose decision enough witnesses now cover."""
    return _whole(await run(where, _CAUGHT_UP, {"limit": limit, **_bounds(cosigned)}))


def _bounds(cosigned: CosignedSizes) -> dict[str, int]:
    return {risk_class.value: cosigned[risk_class] for risk_class in RiskClass}


def _whole(rows: Sequence[Sequence[Any]]) -> tuple[CaseRow, ...]:
    whole = []
    for row in rows:
        try:
            whole.append(head_from(row))
        except VerificationError:
            log.exception("case %s is decided and cannot be moved on", row[0])
    return tuple(whole)


@as_statement(Statement.READ_DUE)
async def load_due(
    where: Where, now: datetime, limit: int, cosigned: CosignedSizes | None = None
) -> tuple[CaseId, ...]:
    """Return the ids of the cases whose present wait is over, longest overdue first.

    A decision that `load_sealed_decisions` returns, given the same `cosigned`, is not among them.
    """
    parameters = {"now": now, "limit": limit}
    if cosigned is None:
        return tuple(CaseId(row[0]) for row in await run(where, _DUE, parameters))
    rows = await run(where, _DUE_WITNESSED, {**parameters, **_bounds(cosigned)})
    return tuple(CaseId(row[0]) for row in rows)


async def sites_of_cases(where: Where, cases: Iterable[str]) -> dict[str, str]:
    """Return the site of each of these cases; chains that are no case's are left out."""
    rows = await run(where, _SITES, {"cases": sorted(set(cases))})
    return {row[0]: row[1] for row in rows}


async def sites_of_protocol(where: Where, protocol: str) -> frozenset[str]:
    """Return the sites at which a protocol, whatever its version, has cases."""
    return frozenset(row[0] for row in await run(where, _SITES_OF_PROTOCOL, {"protocol": protocol}))


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
    HEADS
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
    return tuple(head_from(row) for row in await run(where, _LISTED, parameters))


@as_statement(Statement.LIST)
async def load_case_ids(where: Where, after: str, limit: int) -> tuple[CaseId, ...]:
    """Return the ids of cases of every site, in their order, from the first one behind `after`."""
    rows = await run(where, _IDS, {"after": after, "limit": limit})
    return tuple(CaseId(row[0]) for row in rows)


@as_statement(Statement.LIST)
async def count_cases(where: Where) -> int:
    """Return how many cases there are at every site."""
    return int((await run(where, _COUNT, {}))[0][0])


def head_from(row: Sequence[Any]) -> CaseRow:
    """Return a row of `HEADS` as a head; raise VerificationError for a state that was never written."""
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
