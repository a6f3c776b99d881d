"""Whether what the log keeps beside its entries, to be quick, is what the entries make of it.

Proofs and tiles are read from stored nodes, and the next seal stands on them; checkpoints are found by their row's size and
root. None of that is in a signed note, so a log can verify entry by entry while a single flipped bit there makes every
proof fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.merkle import Frontier, frontier_parts
from arbiter.audit.note import parse_note
from arbiter.audit.verify import Finding
from arbiter.errors import VerificationError
from arbiter.store.log.checkpoints import StoredCheckpoint
from arbiter.store.log.nodes import CHECKED_LEVELS, load_nodes
from arbiter.store.transaction import Where


async def load_frontier(where: Where, size: int) -> Frontier:
    """Return the frontier of the stored tree's first `size` leaves; raise VerificationError when the tree has holes."""
    try:
        return Frontier.load(size, await load_nodes(where, frontier_parts(size), CHECKED_LEVELS))
    except KeyError:
        raise VerificationError(f"the stored tree of {size} entries has holes") from None


async def frontier_under(where: Where, newest: StoredCheckpoint | None) -> Frontier:
    """Return the frontier to go on from after the newest checkpoint.

    Raises:
        VerificationError: when the stored tree has holes, or not the checkpoint's root.
    """
    if newest is None:
        return Frontier()
    frontier = await load_frontier(where, newest.size)
    if frontier.root() != newest.root:
        raise VerificationError(
            f"the stored tree of {newest.size} leaves does not have the root of its checkpoint"
        )
    return frontier


def unfit_nodes(
    made: Mapping[tuple[int, int], bytes], stored: Mapping[tuple[int, int], bytes]
) -> Iterator[Finding]:
    """Yield what is wrong with stored nodes, (level, index) -> hash: lost, changed, or of leaves that are not there.

    `made` are the nodes that the verifier made of the entries.
    """
    for level, index in sorted(made.keys() | stored.keys()):
        found, expected = stored.get((level, index)), made.get((level, index))
        if found != expected:
            fault = "is missing" if found is None else "is not what its leaves make"
            place = f"stored node {index} of level {level}, over entries {index << level} to {((index + 1) << level) - 1},"
            yield Finding(index << level, f"{place} {fault if expected is not None else 'has no leaves'}")


def misfiled(checkpoints: Iterable[StoredCheckpoint]) -> Iterator[Finding]:
    """Yield the checkpoints whose row says another size or root than their note; the notes themselves were verified."""
    for stored in checkpoints:
        signed = Checkpoint.parse(parse_note(stored.note.encode("utf-8")).text)
        if (signed.size, signed.root) != (stored.size, stored.root):
            yield Finding(
                None,
                f"the checkpoint of size {signed.size} is filed under another size or root than it signs",
            )
