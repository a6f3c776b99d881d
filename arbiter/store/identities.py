"""Rows of clients, accounts and sites. What they mean is decided in `arbiter.identity`.

What changes an account also ends its sessions where it must, in the same transaction; all else about sessions is in
`arbiter.store.sessions`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import Insert, Row, bindparam, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from arbiter.errors import ConflictError, NotFoundError
from arbiter.store.tables import account, client, session, site
from arbiter.store.transaction import Transaction, Where, each_alone, run

CLIENT_MEMORY = timedelta(seconds=2)
"""How long a client's row is believed without asking again: a disabled client is refused everywhere after this."""

_MOST_REMEMBERED = 1024

_SITES = "SELECT id, name FROM site ORDER BY id"
_ROLES = "SELECT login, roles FROM account WHERE disabled_at IS NULL ORDER BY login"

LockListener: TypeAlias = Callable[[Transaction, str, datetime | None], Awaitable[None]]
"""Hears in the transaction that an account is locked until then, or, for None, that its right password unlocked it."""


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A registered hospital system; `secret_hash` is SHA-256 of its secret."""

    id: str
    name: str
    secret_hash: bytes = field(repr=False)
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    sites: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A person's account; `password_hash` is an argon2id string."""

    id: str
    login: str
    display_name: str
    password_hash: str = field(repr=False)
    roles: tuple[str, ...]
    sites: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """An account as an administrator looks at it: wrong passwords in a row, the end of its lock, its sessions."""

    account: AccountRow
    failed_logins: int
    locked_until: datetime | None
    sessions: int


ACCOUNT_COLUMNS = tuple(
    column for column in account.c if column.name not in {"failed_logins", "locked_until"}
)
"""What an `AccountRow` is made of."""

_CLIENT_BY_ID = select(client).where(client.c.id == bindparam("id"))


class Identities:
    """Reads and writes who may speak; every method is one transaction, or what it writes a part of one (`within`)."""

    def __init__(self, engine: AsyncEngine, transaction: Transaction | None = None) -> None:
        self._engine = engine
        self._transaction = transaction
        self._hears_locks: LockListener | None = None
        self._remembered: dict[str, tuple[ClientRow, datetime]] = {}

    def within(self, transaction: Transaction) -> Identities:
        """Return the same identities, whose changes are a part of that transaction; what they read beside it is not.

        They forget nothing that others remember: within `CLIENT_MEMORY` a changed client is refused everywhere.
        """
        return Identities(self._engine, transaction)

    def when_locked(self, listener: LockListener) -> None:
        """Have `listener` write down, in the same transaction, that wrong passwords lock an account or a right one ends that."""
        self._hears_locks = listener

    async def add_site(self, site_id: str, name: str) -> None:
        """Add a site; raise ConflictError when the id is taken."""
        await self._insert(insert(site).values(id=site_id, name=name), f"site {site_id} exists already")

    async def sites(self) -> tuple[tuple[str, str], ...]:
        """Return every site as (id, name), by id."""
        async with each_alone(self._engine) as connection:
            rows = await connection.exec_driver_sql(_SITES)
            return tuple((row.id, row.name) for row in rows)

    async def unknown_sites(self, site_ids: Iterable[str]) -> tuple[str, ...]:
        """Return those of the ids that name no site."""
        known = {site_id for site_id, _ in await self.sites()}
        return tuple(sorted(set(site_ids) - known))

    async def add_client(self, row: ClientRow) -> None:
        """Add a client; raise ConflictError when the id is taken."""
        values = {
            "id": row.id,
            "name": row.name,
            "secret_hash": row.secret_hash,
            "roles": list(row.roles),
            "scopes": list(row.scopes),
            "sites": list(row.sites),
            "created_at": row.created_at,
            "expires_at": row.expires_at,
        }
        await self._insert(insert(client).values(values), f"client {row.id} exists already")

    async def client(self, client_id: str, now: datetime) -> ClientRow | None:
        """Return the client, from memory when it was read less than `CLIENT_MEMORY` ago."""
        remembered = self._remembered.get(client_id)
        if remembered is not None and timedelta(0) <= now - remembered[1] < CLIENT_MEMORY:
            return remembered[0]
        async with each_alone(self._engine) as connection:
            found = (await connection.execute(_CLIENT_BY_ID, {"id": client_id})).one_or_none()
        # Absence is not remembered: strangers would otherwise fill the memory with invented ids.
        self._remembered.pop(client_id, None)
        if found is None:
            return None
        row = _client_row(found)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[client_id] = (row, now)
        return row

    async def clients(self) -> tuple[ClientRow, ...]:
        """Return every client, oldest first."""
        async with each_alone(self._engine) as connection:
            rows = await connection.execute(select(client).order_by(client.c.created_at, client.c.id))
            return tuple(_client_row(row) for row in rows)

    async def disable_client(self, client_id: str, now: datetime) -> None:
        """Refuse the client from now on; raise NotFoundError when there is none or it is disabled already."""
        await self._change_client(client_id, {"disabled_at": now})

    async def set_secret(self, client_id: str, secret_hash: bytes) -> None:
        """Replace the hash of the client's secret; raise NotFoundError when there is no such active client."""
        await self._change_client(client_id, {"secret_hash": secret_hash})

    async def hold_client(self, client_id: str) -> ClientRow:
        """Return an active client, kept as it is until the transaction ends; raise NotFoundError when there is none."""
        statement = select(client).where(client.c.id == client_id, client.c.disabled_at.is_(None))
        async with self._begin() as connection:
            found = (await connection.execute(statement.with_for_update())).one_or_none()
        if found is None:
            raise NotFoundError(f"no active client {client_id}")
        return _client_row(found)

    async def add_account(self, row: AccountRow) -> None:
        """Add an account; raise ConflictError when the login is taken."""
        values = {
            "id": row.id,
            "login": row.login,
            "display_name": row.display_name,
            "password_hash": row.password_hash,
            "roles": list(row.roles),
            "sites": list(row.sites),
            "created_at": row.created_at,
        }
        await self._insert(insert(account).values(values), f"login {row.login} exists already")

    async def begin_login(
        self, login: str, now: datetime, most_failures: int, lock_for: timedelta
    ) -> AccountRow | None:
        """Count an attempt as failed before it is checked, and return the account if it may be tried at all.

        None for an unknown login, a disabled or a locked account. Counting first means that parallel guesses cannot
        outrun the lock. `end_login` clears the count; the attempt that fills it locks the account.
        """
        fills = account.c.failed_logins + 1 >= most_failures
        statement = (
            update(account)
            .where(account.c.login == login, account.c.disabled_at.is_(None))
            .where(account.c.locked_until.is_(None) | (account.c.locked_until <= now))
            .values(
                failed_logins=case((fills, 0), else_=account.c.failed_logins + 1),
                locked_until=case((fills, now + lock_for), else_=None),
            )
            .returning(*ACCOUNT_COLUMNS, account.c.locked_until)
        )
        async with self._begin() as connection:
            found = (await connection.execute(statement)).one_or_none()
            if found is not None and found.locked_until is not None and self._hears_locks is not None:
                await self._hears_locks(connection, found.id, found.locked_until)
        return None if found is None else _account_row(found)

    async def end_login(self, account_id: str, proven_hash: str, new_hash: str | None) -> bool:
        """Clear the failures of a proven account, and keep its password under newer parameters if given.

        False, and nothing changed, when the password was replaced or the account disabled since it was read.
        """
        values: dict[str, object] = {"failed_logins": 0, "locked_until": None}
        if new_hash is not None:
            values["password_hash"] = new_hash
        statement = update(account).where(
            account.c.id == account_id,
            account.c.password_hash == proven_hash,
            account.c.disabled_at.is_(None),
        )
        locked = select(account.c.locked_until).where(account.c.id == account_id).with_for_update()
        async with self._begin() as connection:
            was_locked = (await connection.execute(locked)).scalar_one_or_none() is not None
            cleared = (await connection.execute(statement.values(values))).rowcount == 1
            if cleared and was_locked and self._hears_locks is not None:
                await self._hears_locks(connection, account_id, None)
        return cleared

    async def account_standing(self, id_or_login: str) -> AccountStanding:
        """Return an account by its id or login; raise NotFoundError when there is none."""
        open_sessions = (
            select(func.count())
            .where(session.c.account_id == account.c.id)
            .scalar_subquery()
            .label("sessions")
        )
        statement = (
            select(account, open_sessions)
            .where((account.c.id == id_or_login) | (account.c.login == id_or_login))
            # A login may read like somebody's id; the id, which nobody chooses, comes first.
            .order_by((account.c.id == id_or_login).desc())
            .limit(1)
        )
        async with each_alone(self._engine) as connection:
            found = (await connection.execute(statement)).one_or_none()
        if found is None:
            raise NotFoundError(f"no account {id_or_login}")
        return AccountStanding(_account_row(found), found.failed_logins, found.locked_until, found.sessions)

    async def hold_account(self, account_id: str) -> AccountRow:
        """Return an active account, kept as it is until the transaction ends; raise NotFoundError when there is none."""
        statement = select(*ACCOUNT_COLUMNS).where(
            account.c.id == account_id, account.c.disabled_at.is_(None)
        )
        async with self._begin() as connection:
            found = (await connection.execute(statement.with_for_update())).one_or_none()
        if found is None:
            raise NotFoundError(f"no active account {account_id}")
        return _account_row(found)

    async def change_account(self, account_id: str, roles: Iterable[str], sites: Iterable[str]) -> None:
        """Replace the account's roles and sites; raise NotFoundError when there is no such active one."""
        await self._change_active(account_id, {"roles": list(roles), "sites": list(sites)})

    async def unlock_account(self, account_id: str) -> None:
        """Forget the account's wrong passwords and end its lock; raise NotFoundError when there is no such active one."""
        await self._change_active(account_id, {"failed_logins": 0, "locked_until": None})

    async def set_password(self, account_id: str, password_hash: str) -> None:
        """Replace the password, unlock the account and end its sessions; raise NotFoundError when there is no such active one."""
        await self._change_active(
            account_id,
            {"password_hash": password_hash, "failed_logins": 0, "locked_until": None},
            end_sessions=True,
        )

    async def names(self, ids: Iterable[str]) -> dict[str, str]:
        """Return what people call these accounts and clients, by id; ids of nobody are left out."""
        wanted = list(ids)
        if not wanted:
            return {}
        of_accounts = select(account.c.id, account.c.display_name.label("name")).where(
            account.c.id.in_(wanted)
        )
        of_clients = select(client.c.id, client.c.name).where(client.c.id.in_(wanted))
        async with each_alone(self._engine) as connection:
            rows = await connection.execute(of_accounts.union_all(of_clients))
            return {row.id: row.name for row in rows}

    async def accounts(self) -> tuple[AccountRow, ...]:
        """Return every account, by login."""
        async with each_alone(self._engine) as connection:
            rows = await connection.execute(select(*ACCOUNT_COLUMNS).order_by(account.c.login))
            return tuple(_account_row(row) for row in rows)

    async def disable_account(self, account_id: str, now: datetime) -> None:
        """End the account and all its sessions; raise NotFoundError when there is none or it is disabled already."""
        await self._change_active(account_id, {"disabled_at": now}, end_sessions=True)

    async def _change_active(
        self, account_id: str, values: dict[str, object], *, end_sessions: bool = False
    ) -> None:
        statement = update(account).where(account.c.id == account_id, account.c.disabled_at.is_(None))
        async with self._begin() as connection:
            changed = await connection.execute(statement.values(values))
            if end_sessions:
                await connection.execute(delete(session).where(session.c.account_id == account_id))
        if changed.rowcount != 1:
            raise NotFoundError(f"no active account {account_id}")

    async def _change_client(self, client_id: str, values: dict[str, object]) -> None:
        statement = update(client).where(client.c.id == client_id, client.c.disabled_at.is_(None))
        async with self._begin() as connection:
            changed = await connection.execute(statement.values(values))
        self._remembered.pop(client_id, None)
        if changed.rowcount != 1:
            raise NotFoundError(f"no active client {client_id}")

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        if self._transaction is not None:
            yield self._transaction
            return
        async with self._engine.begin() as connection:
            yield connection

    async def _insert(self, statement: Insert, taken: str) -> None:
        try:
            async with self._begin() as connection:
                await connection.execute(statement)
        except IntegrityError:
            raise ConflictError(taken) from None


def _client_row(row: Row[tuple[object, ...]]) -> ClientRow:
    return ClientRow(
        id=row.id,
        name=row.name,
        secret_hash=bytes(row.secret_hash),
        roles=tuple(row.roles),
        scopes=tuple(row.scopes),
        sites=tuple(row.sites),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        expires_at=row.expires_at,
    )


def _account_row(row: Row[tuple[object, ...]]) -> AccountRow:
    return AccountRow(
        id=row.id,
        login=row.login,
        display_name=row.display_name,
        password_hash=row.password_hash,
        roles=tuple(row.roles),
        sites=tuple(row.sites),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


async def load_roles(where: Where) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the roles of each account that is not disabled, by login."""
    return tuple((login, tuple(roles)) for login, roles in await run(where, _ROLES, {}))
