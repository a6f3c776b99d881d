"""Appending many entries at once, for whoever has them by the thousand: a few statements whatever their number.

A step of a case writes its handful of entries in the statement that moves its head. Here entries travel by COPY, and
all of a transaction's wait in one row of `pending`, with the leaf hashes that their writer made for its chains. What the
sealer then reads back it hashes itself and compares with these: it signs nothing where they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from struct import Struct

from arbiter.audit.merkle import HASH_SIZE
from arbiter.store.transaction import DirectConnection

APPENDED_AT_MOST = 10_000
"""Entries of one row of `pending` at most: rounds take such rows whole."""

# Drawn before the rows are written, so that they need not be told back; in runs, since others draw meanwhile.
_DRAW_IDS = """
SELECT min(id), max(id) + 1 FROM (
    SELECT id, id - row_number() OVER (ORDER BY id) AS run
    FROM (SELECT nextval('entry_id_seq') AS id FROM generate_series(1, %(count)s)) AS drawn
) AS numbered GROUP BY run ORDER BY 1
"""
_COPY = "COPY entry (id, chain, seq, body) FROM STDIN (FORMAT BINARY)"
_QUEUE = """
INSERT INTO pending (entry_id, ids, hashes)
SELECT min(first), range_agg(int8range(first, last)), %(hashes)b
FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS drawn(first, last)
"""

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# Four fields; id, chain and seq each behind its length, and the length of the body, which follows.
_ROW = Struct("!hiqiqiii")


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to append: its chain's name, its number there, its bytes, and the leaf hash of these."""

    chain: str
    seq: int
    body: bytes
    hash: bytes


async def append_entries(connection: DirectConnection, entries: Sequence[NewEntry]) -> None:
    """Append entries, each chain's in order, within the caller's transaction, which is not pipelined.

    Nobody's head moves: that no other writer appends to these chains is the caller's to know.

    Raises:
        ValueError: for none or too many entries, for a hash that cannot be one, for a name that no chain can have.
    """
    if not 0 < len(entries) <= APPENDED_AT_MOST:
        raise ValueError(f"expected 1 to {APPENDED_AT_MOST} entries, came {len(entries)}")
    if any(len(entry.hash) != HASH_SIZE for entry in entries):
        raise ValueError(f"expected hashes of {HASH_SIZE} bytes")
    numbers = {name: chain_number(name) for name in {entry.chain for entry in entries}}
    drawn = await (await connection.execute(_DRAW_IDS, {"count": len(entries)})).fetchall()
    ids = chain.from_iterable(range(first, last) for first, last in drawn)
    async with connection.cursor().copy(_COPY) as copy:
        await copy.write(b"".join(_rows(ids, entries, numbers)))
    await connection.execute(
        _QUEUE,
        {
            "firsts": [first for first, _ in drawn],
            "lasts": [last for _, last in drawn],
            "hashes": b"".join([entry.hash for entry in entries]),
        },
    )


def chain_number(name: str) -> int:
    """Return a chain's number as `arbiter_chain` does: the first eight bytes of the SHA-256 of its name.

    Raises:
        ValueError: for what is no chain's name.
    """
    if not name.isascii() or "\\" in name:
        raise ValueError("expected the name of a chain: ASCII without a backslash")
    return int.from_bytes(sha256(name.encode("ascii")).digest()[:8], "big", signed=True)


def _rows(ids: Iterable[int], entries: Sequence[NewEntry], numbers: dict[str, int]) -> Iterator[bytes]:
    """Yield the pieces of a COPY in PostgreSQL's binary format, as its documentation of COPY states it."""
    pack = _ROW.pack
    yield _HEADER
    for id_, entry in zip(ids, entries, strict=True):
        yield pack(4, 8, id_, 8, numbers[entry.chain], 4, entry.seq, len(entry.body))
        yield entry.body
    yield _TRAILER
