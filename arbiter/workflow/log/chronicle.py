"""The house's own entries in the log: what concerns the installation and no case.

Keys that change, a log that was recovered, an export that was taken, a backup that was restored: each is an entry of
the chain `house`, which the log's readers verify as they verify a case's. What an entry commits to is kept in the clear,
so none of it may be a patient's.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from arbiter import __version__
from arbiter.audit.entry import SALT_BYTES, Entry, commit
from arbiter.audit.merkle import leaf_hash
from arbiter.errors import StaleStateError
from arbiter.model import ActorId
from arbiter.store.house_chain import HOUSE_CHAIN, HouseDocument, append_house_entry, house_chain_end
from arbiter.store.transaction import Where
from arbiter.workflow.acting import TRIES
from arbiter.workflow.house import House


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
        StaleStateError: when others kept appending first (in a transaction: on the first time).
    """
    for _ in range(TRIES - 1):
        with suppress(StaleStateError):
            return await _append(house, where, what, actor, contents, chain)
    return await _append(house, where, what, actor, contents, chain)


async def _append(
    house: House, where: Where, what: str, actor: ActorId, contents: Mapping[str, bytes], chain: str
) -> int:
    end = await house_chain_end(where, chain)
    seq = end.seq + 1
    documents = [
        HouseDocument(seq, name, house.chance.token(SALT_BYTES), contents[name]) for name in sorted(contents)
    ]
    body = Entry(
        type=what,
        case=chain,
        seq=seq,
        prev=end.prev,
        at=house.clock.now(),
        actor=actor,
        trace=house.trace_id(),
        versions=(("code", __version__),),
        commits=tuple((d.name, commit(d.name, d.salt, d.content)) for d in documents),
    ).to_bytes()
    await append_house_entry(where, chain, seq, leaf_hash(body), body, documents)
    return seq
