"""A second implementation of the tree, straight from the recursive definitions of RFC 9162 sections 2.1.1 to 2.1.4.

It shares no line with `arbiter.audit` and is written to be compared with the RFC by eye, not to be fast.
"""

import hashlib
from collections.abc import Sequence


def leaf(entry: bytes) -> bytes:
    """HASH(0x00 || d[0])."""
    return hashlib.sha256(b"\x00" + entry).digest()


def mth(d: Sequence[bytes]) -> bytes:
    """MTH(D[n]), where the members of `d` are leaf hashes."""
    n = len(d)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return d[0]
    k = split(n)
    return hashlib.sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    n = len(d)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]) = SUBPROOF(m, D[n], true)."""
    return subproof(m, d, known=True)


def subproof(m: int, d: Sequence[bytes], *, known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    n = len(d)
    if m == n:
        return [] if known else [mth(d)]
    k = split(n)
    if m <= k:
        return [*subproof(m, d[:k], known=known), mth(d[k:])]
    return [*subproof(m - k, d[k:], known=False), mth(d[:k])]


def split(n: int) -> int:
    """Return the largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k
