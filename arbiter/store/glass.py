"""Who broke the glass of which case, and until when it stays broken."""

from __future__ import annotations

from datetime import datetime

from arbiter.model import ActorId, CaseId
from arbiter.store.transaction import Transaction, Where, run

_BREAK = """
INSERT INTO broken_glass (principal_id, case_id, opened_at, until) VALUES (%(principal)s, %(case)s, %(now)s, %(until)s)
ON CONFLICT (principal_id, case_id) DO UPDATE SET opened_at = excluded.opened_at, until = excluded.until
RETURNING case_id
"""
_IS_BROKEN = (
    "SELECT 1 FROM broken_glass WHERE principal_id = %(principal)s AND case_id = %(case)s AND until > %(at)s"
)


async def keep_broken_glass(
    transaction: Transaction, principal: ActorId, case: CaseId, now: datetime, until: datetime
) -> None:
    """Note that a principal may look at a foreign site's case until then."""
    await run(transaction, _BREAK, {"principal": principal, "case": case, "now": now, "until": until})


async def is_glass_broken(where: Where, principal: ActorId, case: CaseId, at: datetime) -> bool:
    """Return whether this principal may look at the case at that instant although it is a foreign site's."""
    return bool(await run(where, _IS_BROKEN, {"principal": principal, "case": case, "at": at}))
