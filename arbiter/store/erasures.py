"""Destroying case keys: the row, what else leads to content, and the bytes that PostgreSQL leaves in its files.

A deleted row stays in its page until the page is used again, and plain VACUUM frees the room without overwriting it. So the
table of keys is rewritten (VACUUM FULL), a part after the other: the new file holds the rows that live, and the old one is
cut to nothing at commit. A row that an older snapshot could still see would be copied along; then the rewriting says so and counts for
nothing. What the journal (WAL) holds goes when its segments are written over.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.sql import SQL, Identifier

from arbiter.errors import NotFoundError
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.store.transaction import Transaction, Where, run

REWRITE_LOCK_MS = 500
"""How long the rewriting waits for a part at a time: whoever takes in or opens a case queues behind it."""

REWRITE_TRIES = 4
_REWRITE_PAUSE_SECONDS = 0.25

_BLANK = bytes(32)
_JOURNAL_ROUNDS = 200
_A_SECOND = 1.1

_HOLD = "SELECT 1 FROM case_file WHERE id = %(case)s FOR UPDATE"
# An erasure holds its case FOR UPDATE, which waits for this and this for it; what only moves a case does not.
_SHARE = "SELECT id FROM case_file WHERE id = ANY(%(cases)s::text[]) ORDER BY id FOR KEY SHARE"
_DESTROY = """
WITH gone AS (
    DELETE FROM case_key WHERE case_id = %(case)s
), likeness AS (
    DELETE FROM recent_case WHERE case_id = %(case)s
), typed AS (
    DELETE FROM draft WHERE case_id = %(case)s
), asked AS (
    UPDATE idempotency SET body_mac = %(blank)s WHERE case_id = %(case)s
)
INSERT INTO erasure (case_id, seq, destroyed_at) VALUES (%(case)s, %(seq)s, %(now)s) RETURNING case_id
"""
_DROP_STRAY = """
WITH gone AS (
    DELETE FROM case_key WHERE case_id = %(case)s
)
UPDATE erasure SET cleared_at = NULL WHERE case_id = %(case)s AND completed_at IS NULL RETURNING case_id
"""
_FORGET_ENCOUNTER = "UPDATE case_file SET encounter_mac = NULL WHERE id = %(case)s RETURNING id"
_WITH_KEYS = "SELECT case_id FROM case_key WHERE case_id = ANY(%(cases)s::text[])"
_ERASURES = """
SELECT case_id, seq, destroyed_at, cleared_at, completed_at FROM erasure
WHERE %(cases)s::text[] IS NULL OR case_id = ANY(%(cases)s::text[]) ORDER BY destroyed_at, case_id
"""
_UNCLEARED = "SELECT case_id FROM erasure WHERE cleared_at IS NULL"
_CLEARED = """
UPDATE erasure SET cleared_at = %(now)s WHERE cleared_at IS NULL AND case_id = ANY(%(cases)s::text[]) RETURNING case_id
"""
_COMPLETED = "UPDATE erasure SET completed_at = %(now)s WHERE case_id = %(case)s RETURNING case_id"
_PARTS = """
WITH part AS (
    SELECT c.relname, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'modulus (\\d+), remainder (\\d+)', 'i'))::int[] AS at
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'case_key'::regclass
)
SELECT relname FROM part WHERE %(cases)s::text[] IS NULL OR EXISTS (
    SELECT FROM unnest(%(cases)s::text[]) AS d(case_id)
    WHERE satisfies_hash_partition('case_key'::regclass, at[1], at[2], d.case_id)
) ORDER BY at[2]
"""
_LIST = "SELECT lines, head FROM erasure_list WHERE id = %(id)s"
_KEEP_LIST = """
INSERT INTO erasure_list AS l (id, lines, head) VALUES (%(id)s, %(lines)s, %(head)s)
ON CONFLICT (id) DO UPDATE SET lines = excluded.lines, head = excluded.head WHERE l.lines < excluded.lines RETURNING id
"""


@dataclass(frozen=True, slots=True)
class StoredErasure:
    """An erasure: its entry's number, when the key went, when no live file held it any more, when no backup did."""

    case: CaseId
    seq: int
    destroyed_at: datetime
    cleared_at: datetime | None
    completed_at: datetime | None


async def hold_case(transaction: Transaction, case: CaseId) -> None:
    """Let nobody move the case until the transaction ends; raise NotFoundError when there is none."""
    if not await run(transaction, _HOLD, {"case": case}):
        raise NotFoundError(f"no case {case}")


async def erased_among(transaction: Transaction, cases: Iterable[str]) -> tuple[CaseId, ...]:
    """Return those of the cases that are erased, and let none of the others be erased until the transaction ends."""
    wanted = sorted(cases)
    # Two statements: the second sees what was committed while the first waited.
    await run(transaction, _SHARE, {"cases": wanted})
    return tuple(row[0] for row in await run(transaction, _ERASURES, {"cases": wanted}))


async def destroy_key(transaction: Transaction, case: CaseId, seq: int, now: datetime) -> None:
    """Delete a case's wrapped key with every fingerprint of its content and every draft about it, and record that.

    Kept are the subject it is about, as an opaque id, and the idempotency key, under which no body fits any more: a
    repeated request is refused and makes no second case.
    """
    await run(transaction, _DESTROY, {"case": case, "seq": seq, "now": now, "blank": _BLANK})
    await run(transaction, _FORGET_ENCOUNTER, {"case": case})


async def drop_stray_key(where: Where, case: CaseId) -> None:
    """Delete a wrapped key that somebody put back beside an erased case."""
    await run(where, _DROP_STRAY, {"case": case})


async def with_keys(where: Where, cases: Iterable[str]) -> frozenset[CaseId]:
    """Return those of the cases whose wrapped key is there."""
    return frozenset(CaseId(row[0]) for row in await run(where, _WITH_KEYS, {"cases": sorted(cases)}))


async def load_erasures(where: Where, cases: Sequence[CaseId] | None = None) -> tuple[StoredErasure, ...]:
    """Return the erasures of these cases, or all, oldest first."""
    rows = await run(where, _ERASURES, {"cases": None if cases is None else list(cases)})
    return tuple(StoredErasure(CaseId(row[0]), *row[1:]) for row in rows)


async def uncleared(where: Where) -> tuple[CaseId, ...]:
    """Return the erased cases whose wrapped key may still stand in a live file."""
    return tuple(CaseId(row[0]) for row in await run(where, _UNCLEARED, {}))


async def note_cleared(where: Where, cases: Sequence[CaseId], now: datetime) -> None:
    """Note that no live file holds these cases' keys."""
    await run(where, _CLEARED, {"cases": list(cases), "now": now})


async def note_completed(where: Where, case: CaseId, now: datetime) -> None:
    """Note that an erasure is complete."""
    await run(where, _COMPLETED, {"case": case, "now": now})


async def least_list(where: Where, list_id: str) -> tuple[int, bytes] | None:
    """Return how many lines a list of erasures has at least, and the hash of the last of them."""
    rows = await run(where, _LIST, {"id": list_id})
    return (rows[0][0], bytes(rows[0][1])) if rows else None


async def keep_least_list(where: Where, list_id: str, lines: int, head: bytes) -> None:
    """Note a list's length, unless a greater one is noted."""
    await run(where, _KEEP_LIST, {"id": list_id, "lines": lines, "head": head})


def rewrite_keys(database: Database, cases: Sequence[CaseId] | None = None) -> str | None:
    """Rewrite the parts of the table of keys that hold these cases', or all, so that their files hold living rows alone.

    Returns why that failed, or None. Blocks, at most for some seconds; run it in a thread. Each part is a transaction of
    its own: whoever takes in or opens a case waits for one part at most, and what was rewritten stays so.
    """
    told: list[str] = []
    url = database.owner_url or database.app_url
    try:
        with psycopg.connect(conninfo(url), autocommit=True) as connection:
            connection.add_notice_handler(lambda notice: told.append(notice.message_detail or ""))
            connection.execute(f"SET lock_timeout = {REWRITE_LOCK_MS}".encode())
            connection.execute("SET statement_timeout = 0")
            for part in _parts(connection, cases):
                before = _file_of(connection, part)
                _rewrite(connection, part)
                if _file_of(connection, part) == before:
                    return "this role may not rewrite the table of keys: set ARBITER_DATABASE_OWNER_URL"
    except psycopg.Error as error:
        return f"the table of keys is in use or away: {type(error).__name__}"
    # Its detail begins with the number of dead rows that were copied along, in whatever language the server speaks.
    counts = [re.search(r"\d+", detail.splitlines()[0]) for detail in told if detail]
    if (cases is None or cases) and not counts:
        return "the database does not say what it rewrote"
    if any(count is None or int(count[0]) for count in counts):
        return "an older transaction could still see a destroyed key; try again when it has ended"
    return None


def _rewrite(connection: psycopg.Connection, part: str) -> None:
    for left in reversed(range(REWRITE_TRIES)):
        try:
            connection.execute(SQL("VACUUM (FULL, VERBOSE) {}").format(Identifier(part)))
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise
            time.sleep(_REWRITE_PAUSE_SECONDS)
        else:
            return


def _parts(connection: psycopg.Connection, cases: Sequence[CaseId] | None) -> tuple[str, ...]:
    """Return the names of the parts that these cases' keys lie or lay in, or of all."""
    rows = connection.execute(_PARTS, {"cases": None if cases is None else list(cases)}).fetchall()
    return tuple(row[0] for row in rows)


def _file_of(connection: psycopg.Connection, part: str) -> int:
    row = connection.execute("SELECT pg_relation_filenode(%s::regclass)", (part,)).fetchone()
    return 0 if row is None else int(row[0])


def turn_over_journal(database: Database) -> bool:
    """Have the embedded server write over all that its journal (WAL) held until now; return whether that is done.

    A switch ends a segment and fills it with zeros, and a checkpoint lets old segments be taken anew under later names, so
    some rounds reach them all. A segment counts once its file was begun after the first switch; the one being written
    may still end in an older one's bytes, which the last switch fills. False for a server, whose journal is its
    administrator's. Blocks; run it in a thread.
    """
    if database.embedded is None:
        return False
    with psycopg.connect(conninfo(database.embedded.superuser_url), autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        _switch(connection)
        begun = connection.execute("SELECT date_trunc('second', clock_timestamp())").fetchone()
        assert begun is not None
        # Files tell when they were written by the second.
        time.sleep(_A_SECOND)
        for _ in range(_JOURNAL_ROUNDS):
            _switch(connection)
            connection.execute("CHECKPOINT")
            old = connection.execute(
                "SELECT count(*) FROM pg_ls_waldir() WHERE modification <= %s", begun
            ).fetchone()
            if old is not None and old[0] == 0:
                _switch(connection)
                return True
    return False


def _switch(connection: psycopg.Connection) -> None:
    # Without a record in it, a segment is not ended.
    connection.execute("SELECT pg_logical_emit_message(false, 'arbiter', 'turn over')")
    connection.execute("SELECT pg_switch_wal()")
