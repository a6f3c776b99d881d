"""Rows about shifts: who handed what to whom, and who signed what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from arbiter.model import ActorId, CaseId
from arbiter.store.transaction import Where, run

_HELD = (
    "SELECT id FROM case_file WHERE reviewer_id = %(reviewer)s ORDER BY changed_at DESC, id LIMIT %(limit)s"
)
_HAND_OVER = """
INSERT INTO handed_over (case_id, seq, by_account, to_account, at)
VALUES (%(case)s, %(seq)s, %(by)s, %(to)s, %(at)s) RETURNING id
"""
# The newest word about a case counts: who was named before is not meant any more.
_HANDED_TO = """
SELECT DISTINCT ON (h.case_id) h.case_id, h.seq, h.by_account, h.to_account, h.at FROM handed_over AS h
WHERE h.case_id IN (SELECT case_id FROM handed_over WHERE to_account = %(to)s AND at >= %(since)s)
ORDER BY h.case_id, h.id DESC
"""

_SIGNED = """
INSERT INTO signed_case (case_id, seq, account_id, at) VALUES (%(case)s, %(seq)s, %(account)s, %(at)s) RETURNING id
"""
_SIGNED_BY = """
SELECT s.id, s.case_id, s.seq, s.at FROM signed_case AS s JOIN case_file AS c ON c.id = s.case_id
WHERE s.account_id = %(account)s AND c.site_id = ANY(%(sites)s) AND s.id < %(before)s ORDER BY s.id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature: the row's id, by which lists go on, and the entry `seq` of the case that it is."""

    id: int
    case: CaseId
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A case that its holder gave back for a colleague, by the entry `seq` of its chain."""

    case: CaseId
    seq: int
    by: ActorId
    to: ActorId
    at: datetime


async def load_held(where: Where, reviewer: ActorId, limit: int) -> tuple[CaseId, ...]:
    """Return the cases on which this reviewer has a claim, run out or not, at whatever site; the last touched first."""
    rows = await run(where, _HELD, {"reviewer": reviewer, "limit": limit})
    return tuple(CaseId(row[0]) for row in rows)


async def add_handed_over(where: Where, row: HandedOver) -> None:
    """Keep for whom a case was given back."""
    parameters = {"case": row.case, "seq": row.seq, "by": row.by, "to": row.to, "at": row.at}
    await run(where, _HAND_OVER, parameters)


async def load_handed_to(where: Where, account: ActorId, since: datetime) -> Sequence[HandedOver]:
    """Return what was handed to this account since then, and to nobody else after that."""
    rows = await run(where, _HANDED_TO, {"to": account, "since": since})
    found = [HandedOver(CaseId(case), seq, ActorId(by), ActorId(to), at) for case, seq, by, to, at in rows]
    return [row for row in found if row.to == account]


async def add_signed(where: Where, case: CaseId, seq: int, account: ActorId, at: datetime) -> None:
    """Keep who signed a case, by its entry."""
    await run(where, _SIGNED, {"case": case, "seq": seq, "account": account, "at": at})


async def load_signed(
    where: Where, account: ActorId, sites: frozenset[str], before: int, limit: int
) -> tuple[Signed, ...]:
    """Return what this account signed at these sites, newest first, below the row `before`."""
    parameters = {"account": account, "sites": sorted(sites), "before": before, "limit": limit}
    rows = await run(where, _SIGNED_BY, parameters)
    return tuple(Signed(row, CaseId(case), seq, at) for row, case, seq, at in rows)
