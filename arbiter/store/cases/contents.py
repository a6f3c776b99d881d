"""Reading what a case holds: its sealed documents and its log entries."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.model import CaseId
from arbiter.store.tables import entry, leaf, sealed_document
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement


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
    connection: AsyncConnection, chain: str, after: int = -1
) -> tuple[tuple[int, bytes, int | None], ...]:
    """Return a chain's (a case's) entries after `after` as (seq, bytes, leaf index or None while pending), oldest first."""
    rows = await connection.execute(
        select(entry.c.seq, entry.c.body, leaf.c.index.label("place"))
        .outerjoin(leaf, leaf.c.entry_id == entry.c.id)
        .where(entry.c.case_id == chain, entry.c.seq > after)
        .order_by(entry.c.seq)
    )
    return tuple((row.seq, row.body, row.place) for row in rows)
