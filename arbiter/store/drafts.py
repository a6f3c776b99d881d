"""Rows of drafts: what reviewers have typed and not yet sent, sealed. What they mean is decided in `arbiter.workflow.review.drafts`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from arbiter.model import ActorId, CaseId
from arbiter.store.transaction import Where, run

_KEEP = """
WITH over AS (
    DELETE FROM draft WHERE expires_at <= %(saved_at)s
    AND NOT (case_id = %(case)s AND reviewer_id = %(reviewer)s AND step = %(step)s)
)
INSERT INTO draft (case_id, reviewer_id, step, sealed, saved_at, expires_at)
VALUES (%(case)s, %(reviewer)s, %(step)s, %(sealed)s, %(saved_at)s, %(expires_at)s)
ON CONFLICT (case_id, reviewer_id, step)
DO UPDATE SET sealed = excluded.sealed, saved_at = excluded.saved_at, expires_at = excluded.expires_at
RETURNING case_id
"""
_FIND = """
SELECT sealed, saved_at FROM draft
WHERE case_id = %(case)s AND reviewer_id = %(reviewer)s AND step = %(step)s AND expires_at > %(at)s
"""
_FORGET = "DELETE FROM draft WHERE case_id = %(case)s AND reviewer_id = %(reviewer)s RETURNING case_id"


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """A sealed draft and when it was saved."""

    sealed: bytes = field(repr=False)
    saved_at: datetime


async def keep_draft(
    where: Where,
    case: CaseId,
    reviewer: ActorId,
    step: str,
    sealed: bytes,
    saved_at: datetime,
    expires_at: datetime,
) -> None:
    """Keep a draft in the place of the one before, and forget every draft whose time is over."""
    await run(
        where,
        _KEEP,
        {
            "case": case,
            "reviewer": reviewer,
            "step": step,
            "sealed": sealed,
            "saved_at": saved_at,
            "expires_at": expires_at,
        },
    )


async def find_draft(
    where: Where, case: CaseId, reviewer: ActorId, step: str, at: datetime
) -> StoredDraft | None:
    """Return a reviewer's own draft, or None when there is none whose time is not over."""
    rows = await run(where, _FIND, {"case": case, "reviewer": reviewer, "step": step, "at": at})
    return StoredDraft(bytes(rows[0][0]), rows[0][1]) if rows else None


async def forget_drafts(where: Where, case: CaseId, reviewer: ActorId) -> None:
    """Forget a reviewer's drafts about a case; nothing happens when there are none."""
    await run(where, _FORGET, {"case": case, "reviewer": reviewer})
