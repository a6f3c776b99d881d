"""Protocol bundles as used: kept by content hash for as long as the cases decided under them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.errors import NotFoundError
from arbiter.store.tables import protocol_bundle
from arbiter.store.transaction import Where, run


async def keep_bundle(
    connection: AsyncConnection,
    content_hash: str,
    protocol: str,
    version: str,
    files: Mapping[str, bytes],
    now: datetime,
) -> None:
    """Keep a bundle's files unless they are kept already."""
    encoded = {name: base64.b64encode(content).decode("ascii") for name, content in files.items()}
    await connection.execute(
        insert(protocol_bundle)
        .values(
            content_hash=content_hash, protocol_id=protocol, version=version, files=encoded, first_used_at=now
        )
        .on_conflict_do_nothing()
    )


async def load_bundle_files(where: Where, content_hash: str) -> dict[str, bytes]:
    """Return a kept bundle's files by name.

    Raises:
        NotFoundError: when no bundle of that hash is kept.
    """
    rows = await run(
        where, "SELECT files FROM protocol_bundle WHERE content_hash = %(hash)s", {"hash": content_hash}
    )
    if not rows:
        raise NotFoundError(f"no protocol bundle {content_hash}")
    return {name: base64.b64decode(content) for name, content in rows[0][0].items()}
