"""The entries of one chain (a case's, a subject's, the house's), each with its place in the log once it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from arbiter.audit.entry import FIRST_PREV
from arbiter.store.transaction import Where, run

# An entry `e` of the chain named by an SQL expression, and the leaf index of an entry `e` in its run `r`.
OF_CHAIN = (
    "e.chain = arbiter_chain({0}) AND position(decode('\"case\":\"' || {0} || '\"', 'escape') IN e.body) > 0"
)
INDEX_IN_RUN = """
r.start + (SELECT coalesce(sum(upper(s) - lower(s)), 0) FROM unnest(r.ids * int8multirange(int8range(NULL, e.id))) AS s)
"""
_CHAIN = f"""
SELECT e.seq, e.body, {INDEX_IN_RUN}
FROM entry AS e LEFT JOIN sealed_run AS r ON r.ids @> e.id
WHERE {OF_CHAIN.format("%(chain)s::text")} AND e.seq > %(after)s ORDER BY e.seq, e.id
"""  # noqa: S608 - the pieces stand above
_CHAIN_PAGE = _CHAIN + "LIMIT %(limit)s"

Placed: TypeAlias = tuple[int, bytes, int | None]
"""An entry of a chain: its number, its bytes, and its leaf's index or None while it is pending."""


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """Where a chain ends: the number and leaf hash (hex) of its last entry; -1 and zeros before the first."""

    seq: int
    prev: str


def chain_end_from(rows: Sequence[Any]) -> ChainEnd:
    """Return the end that a chain's head, (seq, prev), tells; without a row nothing was appended yet."""
    return ChainEnd(rows[0][0], bytes(rows[0][1]).hex()) if rows else ChainEnd(-1, FIRST_PREV)


async def load_entries(where: Where, chain: str, after: int = -1) -> tuple[Placed, ...]:
    """Return a chain's entries after `after`, oldest first."""
    return await _load(where, _CHAIN, {"chain": chain, "after": after})


async def load_chain_page(where: Where, chain: str, after: int, limit: int) -> tuple[Placed, ...]:
    """Return at most `limit` of a chain's entries after `after`, oldest first."""
    return await _load(where, _CHAIN_PAGE, {"chain": chain, "after": after, "limit": limit})


async def load_chain_entry(where: Where, chain: str, seq: int) -> tuple[bytes, int | None] | None:
    """Return one entry of a chain as (bytes, leaf index or None while pending), None where there is none."""
    rows = await load_chain_page(where, chain, seq - 1, 1)
    return (rows[0][1], rows[0][2]) if rows and rows[0][0] == seq else None


async def _load(where: Where, statement: str, parameters: dict[str, str | int]) -> tuple[Placed, ...]:
    chain = str(parameters["chain"])
    if not chain.isascii() or "\\" in chain:
        return ()  # No entry can spell it, and PostgreSQL's `decode` would stumble over it.
    rows = await run(where, statement, parameters)
    return tuple((seq, bytes(body), None if place is None else int(place)) for seq, body, place in rows)
