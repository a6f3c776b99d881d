"""Divides labelled cases by the SHA-256 of their ids: no seed, no order of the file, the same part for a case for ever.

The first eight bytes of the hash, as a share of 2^64: below 0.4 a case is for fitting, below 0.5 for the temperature, else it
is held out, for the guarantee and for every figure that is reported. Adding cases moves none from one part to another.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Final

FITTING_SHARE: Final = 0.4
TEMPERING_SHARE: Final = 0.1
_WHOLE: Final = 2.0**64


class Part(IntEnum):
    """What a case is for."""

    FITTING = 0
    TEMPERING = 1
    HELD_OUT = 2


def part_of(case: str) -> Part:
    """Return the part that a case of this id belongs to."""
    at = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8]) / _WHOLE
    if at < FITTING_SHARE:
        return Part.FITTING
    return Part.TEMPERING if at < FITTING_SHARE + TEMPERING_SHARE else Part.HELD_OUT
