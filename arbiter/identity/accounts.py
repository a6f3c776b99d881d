"""People: an account each, proven by a password kept as argon2id.

Every failed log-in costs one hashing, whether the login exists, is locked or disabled, and says the same: neither
the time nor the answer tells which logins exist. Ten failures lock an account for fifteen minutes; the one that locks takes
the milliseconds of the log's entry more.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import re
import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from arbiter.errors import ConflictError, NotFoundError, RefusedError, UnauthenticatedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import ACCOUNT_ROLES, Role, check_roles, permissions_of
from arbiter.identity.sites import check_name, check_sites
from arbiter.model import ActorId
from arbiter.ports import Chance, Clock
from arbiter.store.identities import AccountRow, AccountStanding, Identities

MOST_FAILURES = 10
LOCK_FOR = timedelta(minutes=15)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256

_T = TypeVar("_T")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_HASHER = PasswordHasher()
# Two at a time, 64 MiB each: a flood of log-ins must not take the machine's memory or its other threads.
_HASHING = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


async def create_account(
    identities: Identities,
    clock: Clock,
    chance: Chance,
    login: str,
    display_name: str,
    password: str,
    roles: Iterable[Role],
    sites: Iterable[str],
) -> Principal:
    """Create an account; raise RefusedError for an unfit login, password, role or site, ConflictError for a taken login.

    A password has 12 to 256 characters and is not the login; anything more leads to weaker ones (NIST SP 800-63B).
    """
    login = login.strip().lower()
    text = _fit_password(login, password)
    role_set, site_set = frozenset(roles), frozenset(sites)
    await check_account(identities, login, display_name, role_set, site_set)
    row = AccountRow(
        id="a" + base64.b32encode(chance.token(10)).decode().lower(),
        login=login,
        display_name=check_name(display_name, "person"),
        password_hash=await _in_thread(functools.partial(_HASHER.hash, text, salt=chance.token(16))),
        roles=tuple(sorted(role_set)),
        sites=tuple(sorted(site_set)),
        created_at=clock.now(),
        disabled_at=None,
    )
    await identities.add_account(row)
    return account_principal(row)


async def check_account(
    identities: Identities, login: str, display_name: str, roles: Iterable[Role], sites: Iterable[str]
) -> None:
    """Raise what `create_account` would about anything but the password, so that nobody types one in vain."""
    login = login.strip().lower()
    if not _LOGIN.fullmatch(login):
        raise RefusedError(
            "a login is 1 to 64 characters of a-z, 0-9, dot, underscore, at and hyphen, the first a letter or digit; came "
            f"{login[:64]!r}"
        )
    check_name(display_name, "person")
    check_roles(frozenset(roles), ACCOUNT_ROLES)
    await check_sites(identities, sites)
    if any(row.login == login for row in await identities.accounts()):
        raise ConflictError(f"login {login} exists already")


async def authenticate(identities: Identities, clock: Clock, login: str, password: str) -> Principal:
    """Return the account that login and password prove; raise UnauthenticatedError otherwise, after the same time."""
    # Cut rather than refused, so that this takes no less time either; no stored password is that long.
    text = _password(password[: LONGEST_PASSWORD + 1])
    login = login.strip().lower()
    row = None
    if _LOGIN.fullmatch(login):
        row = await identities.begin_login(login, clock.now(), MOST_FAILURES, LOCK_FOR)
    proven = await _in_thread(functools.partial(_verify, row.password_hash if row else None, text))
    if row is None or not proven:
        raise UnauthenticatedError(_REFUSAL)
    renewed = None
    if _HASHER.check_needs_rehash(row.password_hash):
        renewed = await _in_thread(functools.partial(_HASHER.hash, text))
    if not await identities.end_login(row.id, row.password_hash, renewed):
        # Replaced while it was being checked: what was proven is the old password.
        raise UnauthenticatedError(_REFUSAL)
    return account_principal(row)


async def list_accounts(identities: Identities) -> tuple[AccountRow, ...]:
    """Return every account, by login."""
    return await identities.accounts()


async def disable_account(identities: Identities, clock: Clock, account_id: str) -> None:
    """End the account and its sessions at once; raise NotFoundError when there is no such active account."""
    await identities.disable_account(account_id, clock.now())


async def find_account(identities: Identities, id_or_login: str) -> AccountStanding:
    """Return an account by its id or login; raise NotFoundError when there is none."""
    return await identities.account_standing(id_or_login.strip().lower())


async def account_by_id(identities: Identities, account_id: str) -> Principal:
    """Return an account as it stands now, for work that goes on after its request was answered.

    Raises:
        UnauthenticatedError: when there is no such account, or it is disabled.
    """
    try:
        row = (await identities.account_standing(account_id)).account
    except NotFoundError:
        row = None
    # A login may read like somebody's id.
    if row is None or row.id != account_id or row.disabled_at is not None:
        raise UnauthenticatedError(f"account {account_id} is no longer valid")
    return account_principal(row)


async def unlock_account(identities: Identities, account_id: str) -> None:
    """End the lock that wrong passwords brought; raise NotFoundError when there is no such active account."""
    await identities.unlock_account(account_id)


async def change_account(
    identities: Identities, account: AccountRow, roles: Iterable[Role], sites: Iterable[str]
) -> None:
    """Replace an account's roles and sites, from its next request on.

    Raises:
        RefusedError: for an unfit role, duties that must be apart or an unknown site; NotFoundError: when it is not active.
    """
    role_set, site_set = frozenset(roles), frozenset(sites)
    check_roles(role_set, ACCOUNT_ROLES)
    await check_sites(identities, site_set)
    await identities.change_account(account.id, sorted(role_set), sorted(site_set))


async def set_password(identities: Identities, chance: Chance, account: AccountRow, password: str) -> None:
    """Replace an account's password: its lock and all its sessions end.

    Raises:
        RefusedError: for a password unfit for this login; NotFoundError: when the account is not active.
    """
    text = _fit_password(account.login, password)
    fresh = await _in_thread(functools.partial(_HASHER.hash, text, salt=chance.token(16)))
    await identities.set_password(account.id, fresh)


def account_principal(row: AccountRow) -> Principal:
    """Return what an account may do."""
    roles = frozenset(Role(role) for role in row.roles)
    return Principal(
        id=ActorId(row.id),
        kind="account",
        name=row.display_name,
        roles=roles,
        scopes=frozenset(),
        permissions=permissions_of(roles),
        sites=frozenset(row.sites),
        login=row.login,
    )


_REFUSAL = "login or password is wrong, or the account is locked"


def _fit_password(login: str, password: str) -> bytes:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise RefusedError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, came {len(password)}"
        )
    if password.strip().lower() == login:
        raise RefusedError("the password is the login")
    return _password(password)


def _password(password: str) -> bytes:
    # The same password typed on another keyboard may arrive composed otherwise (NIST SP 800-63B 5.1.1.2).
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _verify(stored: str | None, text: bytes) -> bool:
    try:
        return _HASHER.verify(stored or _nobody(), text)
    except VerifyMismatchError:
        return False


@functools.cache
def _nobody() -> str:
    return _HASHER.hash("the password of nobody")


async def _in_thread(work: functools.partial[_T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(_HASHING, work)
