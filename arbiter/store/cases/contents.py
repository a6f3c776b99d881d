"""Reading what a case holds: its sealed documents and its log entries."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.model import CaseId
from arbiter.store.log import INDEX_IN_RUN, OF_CHAIN
from arbiter.store.tables import sealed_document
from arbiter.store.transaction import Where, run
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement

_ENTRIES = f"""
SELECT e.seq, e.body, {INDEX_IN_RUN}
FROM entry AS e LEFT JOIN sealed_run AS r ON r.ids @> e.id
WHERE {OF_CHAIN.format("%(chain)s::text")} AND e.seq > %(after)s ORDER BY e.seq, e.id
"""  # noqa: S608 - the pieces stand in the log's module


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
    where: Where, chain: str, after: int = -1
) -> tuple[tuple[int, bytes, int | None], ...]:
    """Return a chain's (a case's) entries after `after` as (seq, bytes, leaf index or None while pending), oldest first."""
    rows = await run(where, _ENTRIES, {"chain": chain, "after": after})
    return tuple((seq, bytes(body), None if place is None else int(place)) for seq, body, place in rows)
