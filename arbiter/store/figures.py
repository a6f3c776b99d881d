"""The figures an operator watches, read in one bounded statement: open cases, due jobs, the log's pending end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbiter.lifecycle.states import ENDS, Phase
from arbiter.store.transaction import Store

COUNTED_AT_MOST = 10_000
TIMEOUT_MS = 2_000

_FIGURES = """
SELECT
    (SELECT coalesce(jsonb_object_agg(phase, n), '{}') FROM (
        SELECT phase, count(*) AS n
        FROM (SELECT phase FROM case_file WHERE phase = ANY(%(open)s) LIMIT %(limit)s) AS counted GROUP BY phase) AS phases),
    jobs.n, jobs.since, waiting.n, waiting.since, newest.size, newest.sealed_at
FROM (SELECT count(*) AS n, min(at) AS since FROM (
        SELECT coalesce(scheduled_at, %(now)s) AS at FROM procrastinate_jobs
        WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= %(now)s) LIMIT %(limit)s) AS due) AS jobs
CROSS JOIN (SELECT count(*) AS n, min(queued_at) AS since FROM (
        SELECT queued_at FROM pending LIMIT %(limit)s) AS counted) AS waiting
LEFT JOIN (SELECT size, sealed_at FROM checkpoint ORDER BY size DESC LIMIT 1) AS newest ON true
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts stop at `COUNTED_AT_MOST`; instants are those of the oldest counted, None where there is none."""

    open_cases: tuple[tuple[Phase, int], ...]
    due_jobs: int
    due_since: datetime | None
    pending: int
    pending_since: datetime | None
    checkpoint_size: int
    sealed_at: datetime | None


async def load_figures(store: Store, now: datetime) -> Figures:
    """Read the figures, or fail after two seconds: they must never cost what they count."""
    parameters = {
        "open": sorted(phase.value for phase in frozenset(Phase) - ENDS),
        "limit": COUNTED_AT_MOST,
        "now": now,
    }
    async with store.read() as transaction:
        await transaction.exec_driver_sql(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
        row = (await transaction.exec_driver_sql(_FIGURES, parameters)).one()
    phases, due, due_since, pending, pending_since, size, sealed_at = tuple[Any, ...](row)
    return Figures(
        open_cases=tuple((phase, phases.get(phase.value, 0)) for phase in Phase if phase not in ENDS),
        due_jobs=due,
        due_since=due_since,
        pending=pending,
        pending_since=pending_since,
        checkpoint_size=size or 0,
        sealed_at=sealed_at,
    )
