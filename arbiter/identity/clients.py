"""Hospital systems: registered once, then proven at every request by the token they hold.

A token is `arb_<client id>_<secret>`; the secret is 32 random bytes in base64url. Only its SHA-256 is stored. A fast
hash is right here: nobody can guess 256 random bits, so there is nothing for a slow hash to slow down, and every
request pays for the check.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime

from arbiter.errors import NotFoundError, RefusedError, UnauthenticatedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import CLIENT_ROLES, Permission, Role, check_roles, permissions_of
from arbiter.identity.sites import check_name, check_sites
from arbiter.model import ActorId
from arbiter.ports import Chance, Clock
from arbiter.store.identities import ClientRow, Identities

_SECRET_BYTES = 32
_TOKEN = re.compile(r"arb_(c[a-z2-7]{16})_([A-Za-z0-9_-]{43})")


async def register_client(
    identities: Identities,
    clock: Clock,
    chance: Chance,
    name: str,
    roles: Iterable[Role],
    sites: Iterable[str],
    scopes: Iterable[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Principal, str]:
    """Register a client and return it with its token, which is shown this once and never stored.

    `scopes` are permissions to which its roles are narrowed; from `expires_at` on its token is refused. Raises RefusedError for roles a machine may not hold,
    duties that must be apart, unknown sites, or a scope its roles do not allow.
    """
    role_set = frozenset(roles)
    permissions = check_roles(role_set, CLIENT_ROLES)
    scope_set = frozenset(scopes or ())
    if excess := sorted(scope_set - permissions):
        raise RefusedError(
            f"expected scopes that the client's roles allow ({', '.join(sorted(permissions))}); came {', '.join(excess)}"
        )
    site_set = await check_sites(identities, sites)
    client_id = "c" + base64.b32encode(chance.token(10)).decode().lower()
    secret = _new_secret(chance)
    row = ClientRow(
        id=client_id,
        name=check_name(name, "client"),
        secret_hash=_hash(secret),
        roles=tuple(sorted(role_set)),
        scopes=tuple(sorted(scope_set)),
        sites=tuple(sorted(site_set)),
        created_at=clock.now(),
        disabled_at=None,
        expires_at=expires_at,
    )
    await identities.add_client(row)
    return _principal(row), f"arb_{client_id}_{secret}"


async def authenticate_client(identities: Identities, clock: Clock, token: str) -> Principal:
    """Return the client that holds this token; raise UnauthenticatedError for any other.

    One query by primary key, or none when the same client was read within `CLIENT_MEMORY` (2 seconds): that long a
    client disabled in another process may still be let in.
    """
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        raise UnauthenticatedError("the token is not one of ours")
    now = clock.now()
    row = await identities.client(parts[1], now)
    # Compared even when there is no such client, so that the time taken tells nothing about ids.
    expected = row.secret_hash if row is not None else bytes(hashlib.sha256().digest_size)
    proven = hmac.compare_digest(_hash(parts[2]), expected)
    expired = row is not None and row.expires_at is not None and row.expires_at <= now
    if row is None or not proven or expired or row.disabled_at is not None:
        raise UnauthenticatedError("the token is unknown or no longer valid")
    return _principal(row)


async def client_by_id(identities: Identities, clock: Clock, client_id: str) -> Principal:
    """Return a client as it stands now, for work that goes on after its request was answered.

    Raises:
        UnauthenticatedError: when there is no such client, or its token would be refused.
    """
    now = clock.now()
    row = await identities.client(client_id, now)
    if row is None or row.disabled_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise UnauthenticatedError(f"client {client_id} is no longer valid")
    return _principal(row)


async def list_clients(identities: Identities) -> tuple[ClientRow, ...]:
    """Return every client ever registered, oldest first."""
    return await identities.clients()


async def find_client(identities: Identities, client_id: str) -> ClientRow:
    """Return a client by its id; raise NotFoundError when there is none."""
    found = next((row for row in await identities.clients() if row.id == client_id), None)
    if found is None:
        raise NotFoundError(f"no client {client_id}")
    return found


async def disable_client(identities: Identities, clock: Clock, client_id: str) -> None:
    """Refuse the client's token from now on; raise NotFoundError when there is no such active client."""
    await identities.disable_client(client_id, clock.now())


async def rotate_client(identities: Identities, chance: Chance, client_id: str) -> str:
    """Give a client another token and return it, shown this once; the old one is refused from now on.

    Raises:
        NotFoundError: when there is no such active client.
    """
    secret = _new_secret(chance)
    await identities.set_secret(client_id, _hash(secret))
    return f"arb_{client_id}_{secret}"


def _new_secret(chance: Chance) -> str:
    return base64.urlsafe_b64encode(chance.token(_SECRET_BYTES)).decode().rstrip("=")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _principal(row: ClientRow) -> Principal:
    roles = frozenset(Role(role) for role in row.roles)
    permissions = permissions_of(roles)
    if row.scopes:
        permissions &= frozenset(Permission(scope) for scope in row.scopes)
    return Principal(
        id=ActorId(row.id),
        kind="client",
        name=row.name,
        roles=roles,
        scopes=frozenset(row.scopes),
        permissions=permissions,
        sites=frozenset(row.sites),
    )
