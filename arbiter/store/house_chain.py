"""The house's own chains in the log: where each ends, and one statement that appends an entry with its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arbiter.errors import StaleStateError
from arbiter.store.log.chains import ChainEnd, chain_end_from
from arbiter.store.transaction import Where, run

HOUSE_CHAIN = "house"
"""The name of the chain of what concerns the installation as a whole."""

_END = "SELECT seq, prev FROM house_chain WHERE id = %(chain)s"
_APPEND = """
WITH moved AS (
    INSERT INTO house_chain (id, seq, prev) VALUES (%(chain)s, %(seq)s, %(prev)s)
    ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, prev = excluded.prev WHERE house_chain.seq = excluded.seq - 1
    RETURNING id
), documents AS (
    INSERT INTO house_document (chain, seq, name, salt, content)
    SELECT moved.id, %(seq)s, d.* FROM moved,
        unnest(%(names)s::text[], %(salts)b::bytea[], %(contents)b::bytea[]) AS d(name, salt, content)
), written AS (
    INSERT INTO entry (chain, seq, body) SELECT arbiter_chain(id), %(seq)s, %(body)s FROM moved RETURNING id
), queued AS (
    INSERT INTO pending (entry_id) SELECT id FROM written
)
SELECT id FROM moved
"""
_DOCUMENTS = """
SELECT seq, name, salt, content FROM house_document WHERE chain = %(chain)s ORDER BY seq, name
"""
_NAMED = """
SELECT seq, name, salt, content FROM house_document WHERE chain = %(chain)s AND name = %(name)s ORDER BY seq
"""
_CONTENTS = "SELECT content FROM house_document WHERE chain = %(chain)s AND name = %(name)s ORDER BY seq"

_OF_ENTRY = """
SELECT seq, name, salt, content FROM house_document WHERE chain = %(chain)s AND seq = %(seq)s ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class HouseDocument:
    """What an entry of the house commits to under `name`, with the salt; nothing of a patient's."""

    seq: int
    name: str
    salt: bytes
    content: bytes


async def house_chain_end(where: Where, chain: str) -> ChainEnd:
    """Return where a chain of the house ends."""
    rows = await run(where, _END, {"chain": chain})
    return chain_end_from(rows)


async def append_house_entry(
    where: Where, chain: str, seq: int, prev: bytes, body: bytes, documents: Sequence[HouseDocument]
) -> None:
    """Append an entry (`prev` is its own leaf hash) to a chain of the house, with the documents it commits to.

    Raises:
        StaleStateError: when somebody else appended first; nothing was written.
    """
    parameters = {
        "chain": chain,
        "seq": seq,
        "prev": prev,
        "body": body,
        "names": [document.name for document in documents],
        "salts": [document.salt for document in documents],
        "contents": [document.content for document in documents],
    }
    if not await run(where, _APPEND, parameters):
        raise StaleStateError(f"another entry of chain {chain} came first")


async def load_house_documents(where: Where, chain: str) -> tuple[HouseDocument, ...]:
    """Return everything a chain's entries commit to, in order."""
    return _documents(await run(where, _DOCUMENTS, {"chain": chain}))


async def load_documents_of_entry(where: Where, chain: str, seq: int) -> tuple[HouseDocument, ...]:
    """Return what one entry of a chain commits to, by name."""
    return _documents(await run(where, _OF_ENTRY, {"chain": chain, "seq": seq}))


async def load_house_documents_named(where: Where, chain: str, name: str) -> tuple[HouseDocument, ...]:
    """Return what a chain's entries commit to under one name, in order."""
    return tuple(
        HouseDocument(seq, found, bytes(salt), bytes(content))
        for seq, found, salt, content in await run(where, _NAMED, {"chain": chain, "name": name})
    )


async def load_house_contents(where: Where, chain: str, name: str) -> tuple[bytes, ...]:
    """Return what a chain's entries commit to under one name, oldest first."""
    rows = await run(where, _CONTENTS, {"chain": chain, "name": name})
    return tuple(bytes(row[0]) for row in rows)


def _documents(rows: Sequence[Sequence[Any]]) -> tuple[HouseDocument, ...]:
    return tuple(HouseDocument(seq, name, bytes(salt), bytes(content)) for seq, name, salt, content in rows)
