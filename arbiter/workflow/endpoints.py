"""Webhook endpoints as an operator handles them: registered, listed, tried, disabled; and the letters given up."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from arbiter.channels.attempt import Attempt
from arbiter.channels.notice import TESTED, Notice, body_of
from arbiter.channels.signing import SECRET_BYTES, secret_text
from arbiter.channels.webhook import check_url, open_http, post
from arbiter.errors import ConflictError, NotFoundError, Problem, RefusedError
from arbiter.store.endpoints import EndpointRow, add_endpoint, disable_endpoint, load_endpoint
from arbiter.store.endpoints import list_endpoints as list_rows
from arbiter.store.outbox import DeadLetter, list_dead
from arbiter.store.outbox import redrive as redrive_rows
from arbiter.workflow.house import House

LISTED = 1000


@dataclass(frozen=True, slots=True)
class Registered:
    """A new endpoint and its secret in words, shown this once; `beside` are its owner's enabled ones of the same address."""

    id: str
    secret: str
    beside: tuple[str, ...] = ()


async def register_endpoint(
    house: House, url: str, *, client: str | None = None, duty_group: str | None = None
) -> Registered:
    """Register where a client's or a duty group's notices go.

    Raises:
        RefusedError: for an address that notices must not be sent to, or not exactly one owner, or an unknown one.
    """
    check_url(url)
    if (client is None) == (duty_group is None):
        raise RefusedError("an endpoint belongs to a client or to a duty group")
    if client is not None:
        known = {row.id for row in await house.identities.clients() if row.disabled_at is None}
        if client not in known:
            raise RefusedError(
                "there is no such client", (Problem("/client", "unknown", "expected a client's id"),)
            )
    elif duty_group not in duty_groups(house):
        expected = f"expected one of {', '.join(sorted(duty_groups(house)))}"
        if house.duty is None:
            expected += "; a group of your own is known once ARBITER_DUTY names the file it stands in"
        raise RefusedError("there is no such duty group", (Problem("/group", "unknown", expected),))
    endpoint = "we_" + base64.b32encode(house.chance.token(10)).decode("ascii").lower()
    secret = house.chance.token(SECRET_BYTES)
    kek_id, sealed = house.vault.seal_secret(endpoint, secret)
    row = EndpointRow(endpoint, client, duty_group, url, kek_id, sealed, house.clock.now(), None)
    async with house.store.begin() as transaction:
        beside = tuple(
            there.id
            for there in await list_rows(transaction, enabled=True)
            if (there.url, there.client, there.duty_group) == (url, client, duty_group)
        )
        await add_endpoint(transaction, row)
    return Registered(endpoint, secret_text(secret), beside)


def duty_groups(house: House) -> frozenset[str]:
    """Return the groups that can be called: those of the duty file, or of the protocols in force without one."""
    if house.duty is not None:
        return frozenset(house.duty.groups)
    return frozenset(shelved.protocol.duty_group for shelved in house.shelf.current.values())


async def list_endpoints(house: House) -> tuple[EndpointRow, ...]:
    """Return every endpoint ever registered, oldest first."""
    async with house.store.read() as transaction:
        return await list_rows(transaction)


async def disable(house: House, endpoint: str) -> None:
    """Send nothing there any more; raise NotFoundError when there is no such enabled endpoint."""
    async with house.store.begin() as transaction:
        if not await disable_endpoint(transaction, endpoint, house.clock.now()):
            raise NotFoundError(f"no enabled webhook endpoint {endpoint}")


async def try_endpoint(house: House, endpoint: str) -> Attempt:
    """Send a signed notice of type `webhook.tested` about no case at once, and return what became of it."""
    async with house.store.read() as transaction:
        row = await load_endpoint(transaction, endpoint)
    if row.disabled_at is not None:
        raise ConflictError(f"endpoint {endpoint} is disabled")
    now = house.clock.now()
    token = base64.b32encode(house.chance.token(15)).decode("ascii").lower()
    notice = Notice(f"msg_{token}", TESTED, now, "", "", "", "", "routine", "", None)
    secret = house.vault.open_secret(row.id, row.kek_id, row.sealed_secret)
    async with open_http(most_connections=1) as http:
        return await post(http, house.clock, row.url, secret, notice.id, body_of(notice))


async def dead_letters(house: House) -> tuple[DeadLetter, ...]:
    """Return the deliveries that were given up, oldest first, `LISTED` at most."""
    return await list_dead(house.store, LISTED)


async def redrive(house: House, ids: Sequence[int] | None) -> int:
    """Send these dead letters, or all, anew with all their attempts and time; return how many."""
    count = await redrive_rows(house.store, ids, house.clock.now())
    house.postbox.fill()
    return count
