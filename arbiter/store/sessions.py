"""Rows of browser sessions. What they mean is decided in `arbiter.identity.sessions`.

What is done to one session is a transaction of its own. All sessions of an account end in the transaction that disables it or
replaces its password, which is in `arbiter.store.identities`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from arbiter.store.identities import ACCOUNT_COLUMNS, AccountRow
from arbiter.store.tables import account, session
from arbiter.store.transaction import each_alone


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser's session; `token_hash` is SHA-256 of the cookie's token."""

    token_hash: bytes = field(repr=False)
    account_id: str
    csrf_token: str = field(repr=False)
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


_WITH_ACCOUNT = (
    select(
        session,
        *(column.label(f"account_{column.name}") for column in ACCOUNT_COLUMNS if column.name != "id"),
    )
    .join_from(session, account)
    .where(session.c.token_hash == bindparam("token_hash"))
)


class Sessions:
    """Reads and writes who is logged in; every method is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

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
        async with each_alone(self._engine) as connection:
            found = (await connection.execute(_WITH_ACCOUNT, {"token_hash": token_hash})).one_or_none()
        return None if found is None else (_session_row(found), _account_of(found))

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


def _session_row(row: Row[tuple[object, ...]]) -> SessionRow:
    return SessionRow(
        token_hash=bytes(row.token_hash),
        account_id=row.account_id,
        csrf_token=row.csrf_token,
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
    )


def _account_of(row: Row[tuple[object, ...]]) -> AccountRow:
    return AccountRow(
        id=row.account_id,
        login=row.account_login,
        display_name=row.account_display_name,
        password_hash=row.account_password_hash,
        roles=tuple(row.account_roles),
        sites=tuple(row.account_sites),
        created_at=row.account_created_at,
        disabled_at=row.account_disabled_at,
    )
