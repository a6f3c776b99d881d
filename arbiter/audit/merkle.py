"""The Merkle tree of RFC 6962 section 2 and RFC 9162 section 2.1: roots, growth, proofs and their verification.

A perfect subtree is named `(level, index)`: it covers the leaves `index * 2**level` up to `(index + 1) * 2**level`.
Provers read such nodes through a callable, wherever they are kept, and `*_parts` say beforehand which; verifiers read
nothing but their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from arbiter.errors import VerificationError

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Part: TypeAlias = tuple[int, int]
NodeLookup: TypeAlias = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 || entry) (RFC 9162 2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right) (RFC 9162 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """A perfect subtree's hash with its place."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the perfect subtrees that make up a tree of `size` leaves, largest (leftmost) first.

    INVARIANT: one hash for each bit set in `size`.
    """

    size: int = 0
    stack: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.stack) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves does not stand on {len(self.stack)} subtrees")

    @classmethod
    def load(cls, size: int, node: NodeLookup) -> Frontier:
        """Return the frontier of the tree of `size` leaves whose nodes `node` tells."""
        return cls(size, tuple(node(level, index) for level, index in frontier_parts(size)))

    def root(self) -> bytes:
        """Return the tree's root hash; of the empty tree SHA-256("")."""
        return _fold(self.stack) if self.stack else EMPTY_ROOT

    def extend(self, leaves: Sequence[bytes]) -> Extension:
        """Return the tree grown by `leaves` (leaf hashes, in order), with the nodes of levels 4, 8, 9, 10… it completed.

        Works a level at a time, so the cost is little more than one SHA-256 a leaf.
        """
        pending = dict(zip(_levels(self.size), self.stack, strict=True))
        size = self.size + len(leaves)
        kept: list[Node] = []
        row = list(leaves)
        level = 0
        while row:
            if level == 4 or level >= 8:
                first = self.size >> level
                kept.extend(Node(level, first + i, hash_) for i, hash_ in enumerate(row))
            if level in pending:
                row.insert(0, pending.pop(level))
            if len(row) % 2:
                pending[level] = row.pop()
            pairs = iter(row)
            row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            level += 1
        stack = tuple(pending[level] for level in _levels(size))
        return Extension(Frontier(size, stack), tuple(kept))


@dataclass(frozen=True, slots=True)
class Extension:
    """A grown tree and the nodes of levels 4, 8, 9, 10… that the growth completed, lower levels first."""

    frontier: Frontier
    nodes: tuple[Node, ...]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root hash over leaf hashes in order (RFC 9162 2.1.1)."""
    return Frontier().extend(leaves).frontier.root()


def perfect_root(nodes: Sequence[bytes]) -> bytes:
    """Return the hash of a perfect subtree from all its nodes of some level below: a power of two of them, in order."""
    row = nodes
    while len(row) > 1:
        pairs = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return row[0]


def split_hashes(hashes: bytes) -> list[bytes]:
    """Return hashes that stand one after another; the last is short where the bytes are."""
    return [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]


def frontier_parts(size: int) -> tuple[Part, ...]:
    """Return the perfect subtrees whose hashes make up `Frontier.stack`, largest first."""
    return tuple(_perfect_parts(0, size))


def inclusion_parts(index: int, size: int) -> tuple[tuple[Part, ...], ...]:
    """Return, for each hash of the audit path of leaf `index`, the perfect subtrees it is folded from.

    Raises `ValueError` when there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of size {size}")
    return tuple(_path(0, index, size))


def consistency_parts(old_size: int, new_size: int) -> tuple[tuple[Part, ...], ...]:
    """Return, for each hash of the consistency proof, the perfect subtrees it is folded from.

    Raises `ValueError` unless 0 < old_size <= new_size; equal sizes have the empty proof.
    """
    if not 0 < old_size <= new_size:
        raise ValueError(f"no consistency proof from size {old_size} to {new_size}")
    if old_size == new_size:
        return ()
    level = (old_size & -old_size).bit_length() - 1
    index = (old_size >> level) - 1
    # A verifier already holds the old root, so it is left out when it is itself this perfect subtree.
    seed = () if index == 0 else (((level, index),),)
    return (*seed, *_path(level, index, new_size))


def prove_inclusion(index: int, size: int, node: NodeLookup) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, leaf's sibling first (RFC 9162 2.1.3.1).

    Raises `ValueError` as `inclusion_parts`.
    """
    return fold_parts(inclusion_parts(index, size), node)


def prove_consistency(old_size: int, new_size: int, node: NodeLookup) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new_size` leaves extends that of `old_size` (RFC 9162 2.1.4.1).

    Raises `ValueError` as `consistency_parts`.
    """
    return fold_parts(consistency_parts(old_size, new_size), node)


def fold_parts(proof: Iterable[Sequence[Part]], node: NodeLookup) -> tuple[bytes, ...]:
    """Return a proof's hashes from the perfect subtrees that each is folded from, as `inclusion_parts` says them."""
    return tuple(
        [node(*parts[0]) if len(parts) == 1 else _fold([node(*part) for part in parts]) for parts in proof]
    )


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the hash `leaf` is leaf `index` of the tree of `size` leaves with `root` (RFC 9162 2.1.3.2).

    Raises `VerificationError`.
    """
    place = f"inclusion proof of leaf {index} in size {size}"
    if not 0 <= index < size:
        raise VerificationError(f"{place}: expected an index below the tree size")
    _require_hashes((leaf, root, *proof), place)
    r = leaf
    for p, is_left in _climb(index, size - 1, proof, place):
        r = node_hash(p, r) if is_left else node_hash(r, p)
    if r != root:
        raise VerificationError(f"{place} does not lead to the root")


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves extends the one of `old_size` (RFC 9162 2.1.4.2).

    Raises `VerificationError`, also from size 0, about which a proof can say nothing.
    """
    place = f"consistency proof from size {old_size} to {new_size}"
    if not 0 < old_size <= new_size:
        raise VerificationError(f"{place}: expected 0 < old size <= new size")
    _require_hashes((old_root, new_root, *proof), place)
    if old_size == new_size:
        if proof or old_root != new_root:
            raise VerificationError(f"{place}: one size has one root and an empty proof")
        return
    if not proof:
        raise VerificationError(f"{place} is too short")
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first, *rest = proof if old_size & (old_size - 1) else (old_root, *proof)
    fr = sr = first
    for p, is_left in _climb(fn, sn, rest, place):
        fr = node_hash(p, fr) if is_left else fr
        sr = node_hash(p, sr) if is_left else node_hash(sr, p)
    if fr != old_root or sr != new_root:
        raise VerificationError(f"{place} does not lead to the {'old' if fr != old_root else 'new'} root")


def _climb(fn: int, sn: int, proof: Sequence[bytes], place: str) -> Iterator[tuple[bytes, bool]]:
    """Yield each proof hash and whether it is a left sibling; refuse a proof that ends above or below the root.

    `fn` and `sn` are RFC 9162's: the node's and the last node's index at the level the walk has reached.
    """
    for p in proof:
        if sn == 0:
            raise VerificationError(f"{place} is too long")
        is_left = bool(fn & 1) or fn == sn
        yield p, is_left
        if is_left:
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise VerificationError(f"{place} is too short")


def _path(level: int, index: int, size: int) -> Iterator[tuple[Part, ...]]:
    """Yield the siblings from the perfect subtree `(level, index)` up to the root of `size` leaves, each as its parts.

    Only a sibling on the ragged right edge has more than one part.
    """
    while 1 << level < size:
        sibling = index ^ 1
        start, end = sibling << level, (sibling + 1) << level
        if end <= size:
            yield ((level, sibling),)
        elif start < size:
            yield tuple(_perfect_parts(start, size))
        level, index = level + 1, index >> 1


def _perfect_parts(start: int, end: int) -> Iterator[Part]:
    """Yield the perfect subtrees that cover leaves `start` to `end`, largest first; `start` must be aligned."""
    for level in _levels(end - start):
        yield level, start >> level
        start += 1 << level


def _levels(size: int) -> Iterator[int]:
    """Yield the positions of the bits set in `size`, highest first."""
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            yield level


def _fold(parts: Sequence[bytes]) -> bytes:
    """Return the root over perfect subtrees, largest first."""
    root = parts[-1]
    for left in reversed(parts[:-1]):
        root = node_hash(left, root)
    return root


def _require_hashes(hashes: Sequence[bytes], place: str) -> None:
    for hash_ in hashes:
        if len(hash_) != HASH_SIZE:
            raise VerificationError(
                f"{place}: expected hashes of {HASH_SIZE} bytes, came one of {len(hash_)}"
            )
