"""Two signed checkpoints of one log compared: whether the newer one contains the older, or they contradict each other.

The nodes come from wherever the tree is kept and are believed in nothing. An agreement rests on a consistency proof
(RFC 9162 2.1.4). A contradiction is pronounced only where it is proved: where the nodes lead to the newer root and show
that its first leaves have another root than the older checkpoint signs. Nodes that lead nowhere prove nothing.
"""

from __future__ import annotations

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.merkle import (
    Frontier,
    NodeLookup,
    Part,
    consistency_parts,
    frontier_parts,
    prove_consistency,
    verify_consistency,
)
from arbiter.errors import VerificationError


class ContradictionError(VerificationError):
    """Two checkpoints are signed and cannot both be of one append-only log: together they are the evidence of a fork."""


def comparison_parts(old: Checkpoint, new: Checkpoint) -> frozenset[Part]:
    """Return the perfect subtrees that `compare_checkpoints` will ask for."""
    if not 0 < old.size < new.size:
        return frozenset()
    return frozenset(
        (
            *frontier_parts(old.size),
            *(part for parts in consistency_parts(old.size, new.size) for part in parts),
        )
    )


def compare_checkpoints(old: Checkpoint, new: Checkpoint, node: NodeLookup) -> None:
    """Check that the tree of `new` extends that of `old`, which is not larger; both have been opened before.

    `node` tells nodes of the tree of `new`. Raises `ContradictionError` with proof of a fork, `VerificationError` when
    the origins differ or the nodes are not of the tree of `new`, `ValueError` for the wrong order.
    """
    if old.origin != new.origin:
        raise VerificationError(
            f"two logs: one checkpoint is of origin {old.origin}, the other of {new.origin}; "
            "after a recovery a log goes on under another origin, and its entry `log.recovered` joins the two"
        )
    if old.size > new.size:
        raise ValueError(f"the older checkpoint has size {old.size}, the newer {new.size}")
    if old.size == new.size:
        if old.root != new.root:
            raise ContradictionError(
                f"two signed checkpoints of size {old.size} have different roots: {old.root.hex()} and {new.root.hex()}"
            )
        return
    if old.size == 0:
        return
    proof = prove_consistency(old.size, new.size, node)
    found = Frontier.load(old.size, node).root()
    try:
        verify_consistency(old.size, found, new.size, new.root, proof)
    except VerificationError as error:
        raise VerificationError(
            f"the tree at hand is not the one that the checkpoint of size {new.size} signs, so it proves nothing "
            f"about the one of size {old.size}"
        ) from error
    if found != old.root:
        raise ContradictionError(
            f"the checkpoint of size {new.size} signs other first {old.size} entries than the checkpoint of that size: "
            f"their root is {found.hex()}, the older one signs {old.root.hex()}"
        )


def compare_under(old: Checkpoint, new: Checkpoint, head: Checkpoint, node: NodeLookup) -> None:
    """Check `old` against `new`, and each against `head`, the signed checkpoint of the tree that `node` tells.

    Raises as `compare_checkpoints`; `VerificationError` also where that tree does not reach to one of them.
    """
    for checkpoint in (old, new):
        if checkpoint.origin == head.origin and checkpoint.size > head.size:
            raise VerificationError(
                f"the log at hand ends at size {head.size}, and a checkpoint of size {checkpoint.size} is signed: "
                "it is behind what was sealed"
            )
        compare_checkpoints(checkpoint, head, node)
    compare_checkpoints(old, new, node)


def parts_under(old: Checkpoint, new: Checkpoint, head: Checkpoint) -> frozenset[Part]:
    """Return the perfect subtrees that `compare_under` will ask for, and those that make up the tree of `old`."""
    return frozenset(frontier_parts(old.size)).union(
        *(comparison_parts(*pair) for pair in ((old, head), (new, head), (old, new)))
    )
