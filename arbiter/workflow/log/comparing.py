"""Two checkpoints of this installation's log compared by its own database, and what came between them."""

from __future__ import annotations

from collections.abc import Iterable

from arbiter.audit.additions import AddedEntries, Additions
from arbiter.audit.checkpoint import MAX_SIZE, Checkpoint, open_checkpoint
from arbiter.audit.comparison import compare_under, parts_under
from arbiter.audit.merkle import Frontier
from arbiter.errors import NotFoundError, VerificationError
from arbiter.store.log.checkpoints import StoredCheckpoint, load_checkpoint_from, load_newest_checkpoint
from arbiter.store.log.leaves import load_leaves_from
from arbiter.store.log.nodes import load_nodes
from arbiter.store.transaction import Transaction
from arbiter.workflow.house import House

BATCH = 2_000


async def stored_checkpoint(house: House, size: int) -> bytes:
    """Return the note of the checkpoint of exactly that size; raise NotFoundError naming the next one."""
    async with house.store.read() as transaction:
        found = await load_checkpoint_from(transaction, min(size, MAX_SIZE))
    if found is None or found.size != size:
        nearest = "the log is not that long" if found is None else f"the next one has size {found.size}"
        raise NotFoundError(f"no checkpoint has size {size}: {nearest}")
    return found.note.encode("utf-8")


async def compare_in_house(
    house: House, old: Checkpoint, new: Checkpoint, followed: Iterable[str] = ()
) -> Additions:
    """Check that `new` extends `old`, by the database's tree, and return what was added between them.

    Both are held against the database's newest checkpoint too: the tree at hand is worth what that signs.

    Raises:
        ContradictionError: with proof of a fork; VerificationError: when the database does not reach so far, or holds
            other entries than were signed.
    """
    async with house.store.read() as transaction:
        head = await _head(house, transaction)
        nodes = await load_nodes(transaction, parts_under(old, new, head))
        compare_under(old, new, head, nodes)
        added = AddedEntries(old, Frontier.load(old.size, nodes), followed)
        place = old.size
        while place < new.size:
            rows = await load_leaves_from(transaction, place, min(BATCH, new.size - place))
            if not rows or any(body is None for _, body in rows):
                raise VerificationError(f"entries after {place} are gone from the database")
            added.feed([body for _, body in rows if body is not None])
            place = rows[-1][0] + 1
    return added.finish(new)


async def _head(house: House, transaction: Transaction) -> Checkpoint:
    newest: StoredCheckpoint | None = await load_newest_checkpoint(transaction)
    if newest is None:
        raise NotFoundError("nothing has been sealed yet: the database holds no checkpoint to compare with")
    return open_checkpoint(newest.note.encode("utf-8"), house.verifiers).checkpoint
