"""Webhook endpoints as rows. A secret is stored sealed; whose it is and what it means is `arbiter.workflow.endpoints`'."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.errors import NotFoundError
from arbiter.store.tables import client, webhook_endpoint


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """Where notices go: to a client's system, or to people on duty in a group; exactly one of the two is set."""

    id: str
    client: str | None
    duty_group: str | None
    url: str = field(repr=False)
    kek_id: str
    sealed_secret: bytes = field(repr=False)
    created_at: datetime
    disabled_at: datetime | None


_COLUMNS = webhook_endpoint.c


async def add_endpoint(connection: AsyncConnection, row: EndpointRow) -> None:
    """Add an endpoint."""
    values = {
        "id": row.id,
        "client_id": row.client,
        "duty_group": row.duty_group,
        "url": row.url,
        "kek_id": row.kek_id,
        "sealed_secret": row.sealed_secret,
        "created_at": row.created_at,
    }
    await connection.execute(insert(webhook_endpoint).values(values))


async def load_endpoint(connection: AsyncConnection, endpoint: str) -> EndpointRow:
    """Return an endpoint; raise NotFoundError when there is none."""
    rows = await connection.execute(select(webhook_endpoint).where(_COLUMNS.id == endpoint))
    found = rows.one_or_none()
    if found is None:
        raise NotFoundError(f"no webhook endpoint {endpoint}")
    return _row(found)


async def list_endpoints(connection: AsyncConnection, *, enabled: bool = False) -> tuple[EndpointRow, ...]:
    """Return every endpoint, oldest first; with `enabled` only those to which something may go.

    A disabled client's endpoints are not among those: it must not go on learning about cases.
    """
    query = select(webhook_endpoint).order_by(_COLUMNS.created_at, _COLUMNS.id)
    if enabled:
        query = (
            query.outerjoin(client, client.c.id == _COLUMNS.client_id)
            .where(_COLUMNS.disabled_at.is_(None))
            .where(client.c.disabled_at.is_(None))
        )
    return tuple(_row(row) for row in await connection.execute(query))


async def disable_endpoint(connection: AsyncConnection, endpoint: str, now: datetime) -> bool:
    """Send nothing there from now on; return whether it was enabled."""
    changed = await connection.execute(
        update(webhook_endpoint)
        .where(_COLUMNS.id == endpoint, _COLUMNS.disabled_at.is_(None))
        .values(disabled_at=now)
    )
    return changed.rowcount == 1


def _row(row: Row[tuple[object, ...]]) -> EndpointRow:
    return EndpointRow(
        id=row.id,
        client=row.client_id,
        duty_group=row.duty_group,
        url=row.url,
        kek_id=row.kek_id,
        sealed_secret=bytes(row.sealed_secret),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
