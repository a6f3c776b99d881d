"""Rows of browser sessions. What they mean is decided in `arbiter.identity.sessions`.

What is done to one session is a transaction of its own. All sessions of an account end in the transaction that disables it or
replaces its password, which is in `arbiter.store.identities`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, insert, update

from arbiter.store.identities import ACCOUNT_COLUMNS, AccountRow, account_row
from arbiter.store.tables import session
from arbiter.store.transaction import Store


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser's session; `token_hash` is SHA-256 of the cookie's token."""

    token_hash: bytes = field(repr=False)
    account_id: str
    csrf_token: str = field(repr=False)
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


# What every request asks, straight through the driver.
_WITH_ACCOUNT = f"""
SELECT s.token_hash, s.account_id, s.csrf_token, s.created_at, s.seen_at, s.expires_at,
    {", ".join(f"a.{column.name}" for column in ACCOUNT_COLUMNS)}
FROM session AS s JOIN account AS a ON a.id = s.account_id WHERE s.token_hash = %(token_hash)s
"""  # noqa: S608 - constants of these modules alone


class Sessions:
    """Reads and writes who is logged in; every method is one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._engine = store.engine

    async def add(self, row: SessionRow, idle_since: datetime) -> None:
        """Add a session, and forget those that ended by themselves before or were idle since `idle_since`."""
        values = {
            "token_hash": row.token_hash,
            "account_id": row.account_id,
            "csrf_token": row.csrf_token,
            "created_at": row.created_at,
            "seen_at": row.seen_at,
            "expires_at": row.expires_at,
        }
        over = (session.c.expires_at <= row.created_at) | (session.c.seen_at <= idle_since)
        async with self._engine.begin() as connection:
            await connection.execute(delete(session).where(over))
            await connection.execute(insert(session).values(values))

    async def find(self, token_hash: bytes) -> tuple[SessionRow, AccountRow] | None:
        """Return the session and its account, or None."""
        for found in await self._store.run(_WITH_ACCOUNT, {"token_hash": token_hash}):
            kept_hash, account_id, csrf_token, created_at, seen_at, expires_at, *of_account = found
            row = SessionRow(bytes(kept_hash), account_id, csrf_token, created_at, seen_at, expires_at)
            return row, account_row(of_account)
        return None

    async def touch(self, token_hash: bytes, now: datetime) -> None:
        """Note that the session was used."""
        async with self._engine.begin() as connection:
            await connection.execute(
                update(session).where(session.c.token_hash == token_hash).values(seen_at=now)
            )

    async def remove(self, token_hash: bytes) -> None:
        """Forget the session; nothing happens when there is none."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(session).where(session.c.token_hash == token_hash))
