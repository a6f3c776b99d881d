"""Reading a case's sealed documents."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.model import CaseId
from arbiter.store.tables import sealed_document
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
