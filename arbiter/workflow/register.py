"""The register of who may do what, changed in one place: the change and the log's entry about it are one transaction.

Making, disabling and unlocking an account, another password, other roles or sites; registering, disabling and rotating a
client; adding a site; adding or removing a passkey: nothing else in the house calls what `arbiter.identity` does for these.
An account that wrong passwords lock is entered where that happens (`note_lock`). An entry is of the chain `house` and commits to one document, which names the
account, client or site and its roles and sites before and after; never a password, a token or a hash of either.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from arbiter.audit.entry import Entry, commit
from arbiter.documents.canonical import decode, encode
from arbiter.errors import ArbiterError, VerificationError
from arbiter.identity import accounts, clients, sites
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission, Role
from arbiter.model import ActorId
from arbiter.store import passkeys as store
from arbiter.store.house_chain import HOUSE_CHAIN, load_documents_of_entry
from arbiter.store.identities import AccountRow, ClientRow, Identities
from arbiter.store.passkeys import PasskeyRow, insert_passkey
from arbiter.store.transaction import DATABASE_ERRORS, Transaction
from arbiter.verifying import passkeys
from arbiter.workflow.docket import ARBITER
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.guard import empty_log

ACCOUNT_MADE = "account.made"
ACCOUNT_CHANGED = "account.changed"
ACCOUNT_DISABLED = "account.disabled"
ACCOUNT_LOCKED = "account.locked"
ACCOUNT_UNLOCKED = "account.unlocked"
PASSWORD_SET = "account.password-set"  # noqa: S105  (the entry says that, and never what)
CLIENT_REGISTERED = "client.registered"
CLIENT_DISABLED = "client.disabled"
CLIENT_ROTATED = "client.rotated"
SITE_ADDED = "site.added"
PASSKEY_ADDED = passkeys.ADDED
PASSKEY_REMOVED = "passkey.removed"

KINDS = frozenset(
    {
        *(ACCOUNT_MADE, ACCOUNT_CHANGED, ACCOUNT_DISABLED, ACCOUNT_LOCKED, ACCOUNT_UNLOCKED, PASSWORD_SET),
        *(CLIENT_REGISTERED, CLIENT_DISABLED, CLIENT_ROTATED, SITE_ADDED),
        *(PASSKEY_ADDED, PASSKEY_REMOVED),
    }
)
DOCUMENT = passkeys.REGISTER

OPERATOR = ActorId("operator")
"""Whoever is at the machine and gave no login: the first account of an installation is made by nobody's account."""


@dataclass(frozen=True, slots=True)
class By:
    """Who changes the register: an account that was proven, or the operator, of whom the machine's user is known."""

    id: ActorId
    machine_user: int | None = None

    def told(self) -> dict[str, Any]:
        """Return what the document says beside the entry's actor."""
        return {} if self.machine_user is None else {"machine_user": self.machine_user}


def operator() -> By:
    """Return the operator at the machine, as the machine's user that runs this process."""
    return By(OPERATOR, os.getuid())


def administrator(principal: Principal, permission: Permission) -> By:
    """Return a proven account that may do that; raise ForbiddenError when it may not."""
    principal.require(permission)
    return By(principal.id)


BY_ITSELF = By(ARBITER)


# --- accounts -----------------------------------------------------------------------------------------------------------


async def make_account(
    house: House,
    by: By,
    login: str,
    display_name: str,
    password: str,
    roles: Iterable[Role],
    site_ids: Iterable[str],
) -> Principal:
    """Create an account; raises as `arbiter.identity.accounts.create_account`."""
    async with _changing(house) as (identities, note):
        made = await accounts.create_account(
            identities, house.clock, house.chance, login, display_name, password, roles, site_ids
        )
        told = {"account": made.id, "login": login.strip().lower(), "name": made.name}
        await note(ACCOUNT_MADE, by, told | _given(made))
    return made


async def change_account(
    house: House, by: By, account_id: str, roles: Iterable[Role] | None, site_ids: Iterable[str] | None
) -> AccountRow:
    """Give an account other roles or sites (None: as they are) and return it as it was before.

    Raises:
        RefusedError: for roles or sites that are unfit; NotFoundError: when there is no such active account.
    """
    async with _changing(house) as (identities, note):
        before = await identities.hold_account(account_id)
        new_roles = [Role(role) for role in before.roles] if roles is None else sorted(set(roles))
        new_sites = before.sites if site_ids is None else sorted(set(site_ids))
        await accounts.change_account(identities, before, new_roles, new_sites)
        differences = _differences(before.roles, new_roles, before.sites, new_sites)
        await note(ACCOUNT_CHANGED, by, {"account": before.id} | differences)
    return before


async def disable_account(house: House, by: By, account_id: str) -> None:
    """End an account and its sessions; raise NotFoundError when there is no such active account."""
    async with _changing(house) as (identities, note):
        before = await identities.hold_account(account_id)
        await accounts.disable_account(identities, house.clock, account_id)
        await note(ACCOUNT_DISABLED, by, {"account": before.id} | _taken(before))


async def unlock_account(house: House, by: By, account_id: str) -> None:
    """End the lock that wrong passwords brought; raise NotFoundError when there is no such active account."""
    async with _changing(house) as (identities, note):
        before = await identities.hold_account(account_id)
        await accounts.unlock_account(identities, account_id)
        await note(ACCOUNT_UNLOCKED, by, {"account": account_id} | _as_before(before))


async def set_password(house: House, by: By, account: AccountRow, password: str) -> None:
    """Replace an account's password; raises as `arbiter.identity.accounts.set_password`."""
    async with _changing(house) as (identities, note):
        await accounts.set_password(identities, house.chance, account, password)
        before = await identities.hold_account(account.id)
        await note(PASSWORD_SET, by, {"account": account.id} | _as_before(before))


async def note_lock(house: House, transaction: Transaction, account_id: str, until: datetime | None) -> None:
    """Enter that wrong passwords locked an account, or, for None, that its owner's right one ended the lock."""
    if until is None:
        await _note(house, transaction, ACCOUNT_UNLOCKED, By(ActorId(account_id)), {"account": account_id})
    else:
        told = {"account": account_id, "until": until.isoformat()}
        await _note(house, transaction, ACCOUNT_LOCKED, BY_ITSELF, told)


# --- passkeys -----------------------------------------------------------------------------------------------------------


async def add_passkey(house: House, by: By, row: PasskeyRow) -> None:
    """Keep a passkey of an account (`row` without its entry's number); the entry ties its public key to the account.

    Raises:
        NotFoundError: when there is no such active account; ConflictError: when the credential is known already.
    """
    async with house.store.begin() as transaction:
        held = await house.identities.within(transaction).hold_account(row.account_id)
        told = _passkey(held.id, row.credential_id) | {
            "public_key": passkeys.spelt(row.public_key),
            "rp_id": row.rp_id,
            "name": row.name,
        }
        seq = await _note(house, transaction, PASSKEY_ADDED, by, told)
        await insert_passkey(transaction, replace(row, entry_seq=seq))
    await _seal(house)


async def remove_passkey(house: House, by: By, account_id: str, credential_id: bytes) -> None:
    """End a passkey; what it signed stays signed. Raises NotFoundError when the account has no such active one."""
    async with house.store.begin() as transaction:
        name = await store.remove_passkey(transaction, account_id, credential_id, house.clock.now())
        told = _passkey(account_id, credential_id) | {"name": name}
        await _note(house, transaction, PASSKEY_REMOVED, by, told)
    await _seal(house)


async def registered(house: House, row: PasskeyRow) -> passkeys.Registered:
    """Return what the register says of a passkey, to be kept with what it signs.

    Raises:
        VerificationError: when it says nothing.
    """
    for document in await load_documents_of_entry(house.store, HOUSE_CHAIN, row.entry_seq):
        if document.name == DOCUMENT:
            return passkeys.Registered(document.seq, document.salt, document.content)
    raise VerificationError("the register's document about a passkey is not kept")


def _passkey(account_id: str, credential_id: bytes) -> dict[str, Any]:
    return {"account": account_id, "credential": passkeys.credential_hash(credential_id)}


# --- clients and sites --------------------------------------------------------------------------------------------------


async def register_client(
    house: House,
    by: By,
    name: str,
    roles: Iterable[Role],
    site_ids: Iterable[str],
    *,
    expires_after: timedelta | None = None,
) -> tuple[Principal, str]:
    """Register a client and return it with its token; raises as `arbiter.identity.clients.register_client`."""
    expires_at = None if expires_after is None else house.clock.now() + expires_after
    async with _changing(house) as (identities, note):
        made, token = await clients.register_client(
            identities, house.clock, house.chance, name, roles, site_ids, expires_at=expires_at
        )
        told = {"client": made.id, "name": made.name, **_expiry(expires_at)}
        await note(CLIENT_REGISTERED, by, told | _given(made))
    return made, token


async def disable_client(house: House, by: By, client_id: str) -> None:
    """Refuse a client's token from now on; raise NotFoundError when there is no such active client."""
    async with _changing(house) as (identities, note):
        before = await identities.hold_client(client_id)
        await clients.disable_client(identities, house.clock, client_id)
        await note(CLIENT_DISABLED, by, {"client": before.id} | _taken(before))


async def rotate_client(house: House, by: By, client_id: str) -> str:
    """Give a client another token in the place of its own; raise NotFoundError when there is no such active client."""
    async with _changing(house) as (identities, note):
        before = await identities.hold_client(client_id)
        token = await clients.rotate_client(identities, house.chance, client_id)
        told = {"client": before.id, **_expiry(before.expires_at)}
        await note(CLIENT_ROTATED, by, told | _as_before(before))
    return token


async def add_site(house: House, by: By, site_id: str, name: str) -> None:
    """Add a site; raises as `arbiter.identity.sites.add_site`."""
    async with _changing(house) as (identities, note):
        await sites.add_site(identities, site_id, name)
        await note(SITE_ADDED, by, {"site": site_id, "name": name.strip()})


# --- entries ------------------------------------------------------------------------------------------------------------


async def entered(house: House, entry: Entry) -> dict[str, Any] | None:
    """Return the document of an entry about the register, or None where it is no such entry.

    Raises:
        VerificationError: when the document is gone, or is not what the entry commits to.
    """
    if entry.case != HOUSE_CHAIN or entry.type not in KINDS:
        return None
    for document in await load_documents_of_entry(house.store, entry.case, entry.seq):
        if (DOCUMENT, commit(DOCUMENT, document.salt, document.content)) in entry.commits:
            return decode(document.content)
    raise VerificationError("the document it commits to is not kept")


_Note = Callable[[str, By, Mapping[str, Any]], Awaitable[None]]


@asynccontextmanager
async def _changing(house: House) -> AsyncIterator[tuple[Identities, _Note]]:
    """Yield identities and a pen that are of one transaction; seal what was written, where this log may be sealed."""
    async with house.store.begin() as transaction:

        async def note(what: str, by: By, told: Mapping[str, Any]) -> None:
            await _note(house, transaction, what, by, told)

        yield house.identities.within(transaction), note
    await _seal(house)


async def _note(house: House, transaction: Transaction, what: str, by: By, told: Mapping[str, Any]) -> int:
    return await note_in_house(house, transaction, what, by.id, {DOCUMENT: encode({**told, **by.told()})})


async def _seal(house: House) -> None:
    """Seal what was entered; on a refused log it stays pending, and is part of what putting that right deals with."""
    try:
        # A command for people opens no guard; on a new installation it keeps the empty log's checkpoint first.
        await house.guard.open(empty_log(house.log_keys.signers))
        await house.sealer.round()
    except (ArbiterError, *DATABASE_ERRORS, OSError):
        # The change and its entry are committed, and a token that was made is to be shown: the running service, or its next
        # start, seals them or says why not.
        return


def _differences(
    roles_before: Iterable[str], roles: Iterable[str], sites_before: Iterable[str], site_ids: Iterable[str]
) -> dict[str, Any]:
    return {
        "roles": {"before": [str(role) for role in roles_before], "after": [str(role) for role in roles]},
        "sites": {"before": list(sites_before), "after": list(site_ids)},
    }


def _given(made: Principal) -> dict[str, Any]:
    return _differences([], sorted(made.roles), [], sorted(made.sites))


def _taken(row: AccountRow | ClientRow) -> dict[str, Any]:
    return _differences(row.roles, [], row.sites, [])


def _as_before(row: AccountRow | ClientRow) -> dict[str, Any]:
    return _differences(row.roles, row.roles, row.sites, row.sites)


def _expiry(at: datetime | None) -> dict[str, str]:
    return {} if at is None else {"expires": at.isoformat()}
