"""The house's own entries in the log: what concerns the installation and no case.

Keys that change, a log that was recovered, an export that was taken, a backup that was restored: each is an entry of
the chain `house`, which the log's readers verify as they verify a case's. What an entry commits to is kept in the clear,
so none of it may be a patient's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

from arbiter import __version__
from arbiter.audit.entry import SALT_BYTES, Entry, commit
from arbiter.audit.merkle import leaf_hash
from arbiter.errors import ArbiterError, StaleStateError
from arbiter.model import ActorId
from arbiter.store.house_chain import (
    HOUSE_CHAIN,
    HouseDocument,
    append_house_entry,
    house_chain_end,
)
from arbiter.store.log.chains import ChainEnd
from arbiter.store.transaction import DATABASE_ERRORS, Where
from arbiter.workflow.acting import TRIES
from arbiter.workflow.house import House

_T = TypeVar("_T")


async def note_in_house(
    house: House,
    where: Where,
    what: str,
    actor: ActorId,
    contents: Mapping[str, bytes],
    *,
    chain: str = HOUSE_CHAIN,
) -> int:
    """Append the entry `what` by `actor`, committing to `contents` by name, and return its number in the chain.

    In a transaction, it is durable when that commits; on the store, on return. `contents` are kept as given.

    Raises:
        StaleStateError: when others kept appending first.
    """
    return await keep_trying(lambda: _append(house, where, what, actor, contents, chain))


async def seal_if_allowed(house: House) -> None:
    """Seal what was entered. It is committed already: where this process may not seal it, the running service does."""
    with suppress(ArbiterError, *DATABASE_ERRORS, OSError):
        await house.sealer.round()


async def keep_trying(append: Callable[[], Awaitable[_T]]) -> _T:
    """Append to a chain's end, and again while others were first; raise StaleStateError when they kept being."""
    for _ in range(TRIES - 1):
        with suppress(StaleStateError):
            return await append()
    return await append()


def next_entry(
    house: House,
    chain: str,
    end: ChainEnd,
    what: str,
    actor: ActorId,
    documents: Iterable[tuple[str, bytes, bytes]],
) -> bytes:
    """Return the entry that follows the end of a chain of no case, committing to (name, salt, content)."""
    return Entry(
        type=what,
        case=chain,
        seq=end.seq + 1,
        prev=end.prev,
        at=house.clock.now(),
        actor=actor,
        trace=house.trace_id(),
        versions=(("code", __version__),),
        commits=tuple((name, commit(name, salt, content)) for name, salt, content in documents),
    ).to_bytes()


async def _append(
    house: House, where: Where, what: str, actor: ActorId, contents: Mapping[str, bytes], chain: str
) -> int:
    end = await house_chain_end(where, chain)
    seq = end.seq + 1
    documents = [
        HouseDocument(seq, name, house.chance.token(SALT_BYTES), contents[name]) for name in sorted(contents)
    ]
    body = next_entry(house, chain, end, what, actor, [(d.name, d.salt, d.content) for d in documents])
    await append_house_entry(where, chain, seq, leaf_hash(body), body, documents)
    return seq
