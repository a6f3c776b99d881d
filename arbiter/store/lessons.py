"""Which signed reviews differ from something: rows of relations and instants alone, no content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from arbiter.model import CaseId
from arbiter.store.transaction import Transaction, run

TIMEOUT_MS = 2_000

# By the index over `signed_at`, at most `limit` rows of its span; a case's newest signature alone speaks for it. What happened to the
# patient counts before what another reader thought.
_DIFFERING = """
SELECT f.case_id, coalesce(o.own_right, o.final_right), o.leading_right
FROM review_figure AS f LEFT JOIN LATERAL (
    SELECT * FROM review_outcome WHERE figure_id = f.id ORDER BY source = 'independent reader', id DESC LIMIT 1
) AS o ON true
WHERE f.signed_at >= %(since)s AND f.signed_at < %(until)s AND f.site_id = ANY(%(sites)s) AND NOT f.planted
    AND (f.own_is_leading IS FALSE OR f.leading_is_final IS FALSE OR o.own_right IS FALSE OR o.leading_right IS FALSE
        OR o.final_right IS FALSE OR jsonb_path_exists(f.families, '$.*.* ? (@ > 0)'))
    AND NOT EXISTS (SELECT FROM review_figure AS n WHERE n.case_id = f.case_id AND n.id > f.id)
ORDER BY f.signed_at DESC, f.id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Differing:
    """A case whose newest signed review differs from something, and who turned out right; None where that is not known."""

    case: CaseId
    clinician_right: bool | None
    panel_right: bool | None


async def load_differing(
    transaction: Transaction, sites: frozenset[str], since: datetime, until: datetime, limit: int
) -> tuple[Differing, ...]:
    """Return the newest such cases of these sites signed within the span, or fail after some seconds."""
    await transaction.exec_driver_sql(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
    parameters = {"sites": sorted(sites), "since": since, "until": until, "limit": limit}
    rows = await run(transaction, _DIFFERING, parameters)
    return tuple(Differing(CaseId(case), clinician, panel) for case, clinician, panel in rows)
