"""Subjects: found by a keyed HMAC, joined when two numbers are one patient, each with a chain of its own in the log.

A subject that was absorbed keeps its row and its cases; `merged_into` leads to the one it was joined to, however many
steps that takes. All subjects that lead to the same one are a family, and their cases are one patient's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from arbiter.errors import StaleStateError
from arbiter.store.house_chain import ChainEnd
from arbiter.store.transaction import Transaction, Where, run

_LOCK_MERGERS = "SELECT pg_advisory_xact_lock(7165069802)"

_FIND = "SELECT id FROM subject WHERE index_mac = %(mac)s"
_KEEP = """
INSERT INTO subject (id, index_mac, created_at) VALUES (%(id)s, %(mac)s, %(now)s) ON CONFLICT DO NOTHING RETURNING id
"""
_ROOT = """
WITH RECURSIVE up AS (
    SELECT id, merged_into FROM subject WHERE id = %(id)s
    UNION SELECT s.id, s.merged_into FROM subject AS s JOIN up ON s.id = up.merged_into
)
SELECT id FROM up WHERE merged_into IS NULL
"""
_FAMILY = """
WITH RECURSIVE down AS (
    SELECT %(root)s::text AS id UNION SELECT s.id FROM subject AS s JOIN down ON s.merged_into = down.id
)
SELECT id FROM down ORDER BY id
"""
_SITES = "SELECT DISTINCT site_id FROM case_file WHERE subject_id = ANY(%(subjects)s)"
_JOIN = "UPDATE subject SET merged_into = %(into)s WHERE id = %(id)s RETURNING id"
_CHAIN = "SELECT seq, prev FROM subject_chain WHERE subject_id = %(id)s"
_MERGER = "SELECT salt, content FROM subject_merger WHERE subject_id = %(id)s AND seq = %(seq)s"
_APPEND = """
WITH moved AS (
    INSERT INTO subject_chain (subject_id, seq, prev) VALUES (%(id)s, %(seq)s, %(prev)s)
    ON CONFLICT (subject_id) DO UPDATE SET seq = excluded.seq, prev = excluded.prev
    WHERE subject_chain.seq = excluded.seq - 1
    RETURNING subject_id
), merger AS (
    INSERT INTO subject_merger (subject_id, seq, salt, content)
    SELECT subject_id, %(seq)s, %(salt)s, %(content)s FROM moved WHERE %(content)s::bytea IS NOT NULL
), written AS (
    INSERT INTO entry (chain, seq, body) SELECT arbiter_chain(subject_id), %(seq)s, %(body)s FROM moved RETURNING id
), queued AS (
    INSERT INTO pending (entry_id) SELECT id FROM written
)
SELECT subject_id FROM moved
"""


async def hold_mergers(transaction: Transaction) -> None:
    """Let no other merger or separation run until the transaction ends: two at once could close a circle."""
    await run(transaction, _LOCK_MERGERS, {})


async def find_subject(where: Where, index_mac: bytes) -> str | None:
    """Return the subject of that fingerprint, or None."""
    rows = await run(where, _FIND, {"mac": index_mac})
    return rows[0][0] if rows else None


async def keep_subject(transaction: Transaction, subject: str, index_mac: bytes, now: datetime) -> None:
    """Keep a subject that may be there already."""
    await run(transaction, _KEEP, {"id": subject, "mac": index_mac, "now": now})


async def root_of(where: Where, subject: str) -> str:
    """Return the subject that this one was joined to in the end: itself, if to none."""
    return str((await run(where, _ROOT, {"id": subject}))[0][0])


async def family_of(where: Where, root: str) -> frozenset[str]:
    """Return a subject with all that lead to it."""
    return frozenset(row[0] for row in await run(where, _FAMILY, {"root": root}))


async def sites_of(where: Where, subjects: Iterable[str]) -> frozenset[str]:
    """Return the sites at which these subjects have cases."""
    return frozenset(row[0] for row in await run(where, _SITES, {"subjects": sorted(subjects)}))


async def set_merged_into(transaction: Transaction, subject: str, into: str | None) -> None:
    """Join a subject to another, or part it again."""
    await run(transaction, _JOIN, {"id": subject, "into": into})


async def chain_end(where: Where, subject: str) -> ChainEnd:
    """Return where a subject's chain ends."""
    rows = await run(where, _CHAIN, {"id": subject})
    return ChainEnd.of(rows)


async def load_merger(where: Where, subject: str, seq: int) -> tuple[bytes, bytes] | None:
    """Return the (salt, content) that an entry of a subject's chain commits to, None when it commits to nothing."""
    rows = await run(where, _MERGER, {"id": subject, "seq": seq})
    return (bytes(rows[0][0]), bytes(rows[0][1])) if rows else None


async def append_entry(
    where: Where, subject: str, seq: int, prev: bytes, body: bytes, merger: tuple[bytes, bytes] | None
) -> None:
    """Append an entry (`prev` is its own leaf hash) to a subject's chain, with the (salt, content) it commits to.

    Raises:
        StaleStateError: when somebody else appended first; nothing was written.
    """
    salt, content = merger if merger is not None else (None, None)
    parameters = {"id": subject, "seq": seq, "prev": prev, "body": body, "salt": salt, "content": content}
    if not await run(where, _APPEND, parameters):
        raise StaleStateError(f"another entry of subject {subject} came first")
