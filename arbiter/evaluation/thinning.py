"""Makes a sample of cases that were chosen with unlike probabilities into one of all cases, each as likely as the others.

A case that was chosen with probability p is kept when a number that nobody chose, the SHA-256 of its id and the root hash of a
checkpoint, lies below least / p: then each is there with probability `least`. Fewer cases are left; what is certified on them is an
exact binomial that anybody computes again from two counts, which weights would not give.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from fractions import Fraction
from typing import Final

_WHOLE: Final = 2**256


def is_kept(case: str, root: bytes, probability: Decimal, least: Decimal) -> bool:
    """Return whether a case that was chosen with `probability` is among those kept; `least` is the least of all.

    The number is SHA-256 over `id|root`, the root in hex, as a share of 2^256.

    Raises:
        ValueError: unless 0 < least <= probability <= 1.
    """
    if not 0 < least <= probability <= 1:
        raise ValueError(f"expected 0 < least <= probability <= 1, came {least} and {probability}")
    number = int.from_bytes(hashlib.sha256(f"{case}|{root.hex()}".encode()).digest())
    return Fraction(number, _WHOLE) < Fraction(least) / Fraction(probability)
