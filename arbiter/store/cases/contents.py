"""Reading a case's sealed documents."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.model import CaseId
from arbiter.store.tables import sealed_document
from arbiter.store.transaction import Where, run
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement

_NAMED = """
SELECT seq, name, ciphertext FROM sealed_document
WHERE case_id = %(case)s AND seq <= %(until)s AND name = ANY(%(names)s::text[]) ORDER BY seq, name
"""


@as_statement(Statement.READ_DOCUMENTS)
async def load_documents(connection: AsyncConnection, case: CaseId) -> tuple[tuple[int, str, bytes], ...]:
    """Return a case's sealed documents as (seq, name, ciphertext), oldest first."""
    rows = await connection.execute(
        select(sealed_document.c.seq, sealed_document.c.name, sealed_document.c.ciphertext)
        .where(sealed_document.c.case_id == case)
        .order_by(sealed_document.c.seq, sealed_document.c.name)
    )
    return tuple((row.seq, row.name, row.ciphertext) for row in rows)


@as_statement(Statement.READ_DOCUMENTS)
async def load_documents_named(
    where: Where, case: CaseId, names: Sequence[str], until: int
) -> tuple[tuple[int, str, bytes], ...]:
    """Return those of these names up to entry `until`, that entry's included; as `load_documents`."""
    rows = await run(where, _NAMED, {"case": case, "names": list(names), "until": until})
    return tuple((seq, name, bytes(ciphertext)) for seq, name, ciphertext in rows)
