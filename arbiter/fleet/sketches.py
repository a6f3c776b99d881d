"""Sketches of latency put together: what several processes measured of one replica, as one. Pure.

A quantile of several sketches cannot be had from their quantiles: it is read from the joined buckets, and is the upper
bound of the bucket it falls in. One sketch alone keeps its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from arbiter.fleet.state import Latency

NOTHING: Final = Latency(0, 0, 0, 0, ())


def joined(sketches: Sequence[Latency]) -> Latency:
    """Return the sketch of everything that these were made of."""
    filled = [sketch for sketch in sketches if sketch.count]
    if len(filled) < 2:
        return filled[0] if filled else NOTHING
    counts: dict[int, int] = {}
    for sketch in filled:
        for bound, number in sketch.buckets:
            counts[bound] = counts.get(bound, 0) + number
    buckets = tuple(sorted(counts.items()))
    return Latency(
        count=sum(sketch.count for sketch in filled),
        p50_us=_quantile(buckets, 0.50),
        p95_us=_quantile(buckets, 0.95),
        p99_us=_quantile(buckets, 0.99),
        buckets=buckets,
    )


def _quantile(buckets: Sequence[tuple[int, int]], share: float) -> int:
    """Return the least upper bound below which at least that share lies; 0 where nothing was counted."""
    wanted = math.ceil(share * sum(number for _, number in buckets))
    below = 0
    for bound, number in buckets:
        below += number
        if number and below >= wanted:
            return bound
    return 0


def time_words(us: int) -> str:
    """Return a time in the unit that suits it, with two or three figures."""
    if us < 1_000:
        return f"{us} µs"
    if us < 1_000_000:
        return f"{_figures(us / 1_000)} ms"
    return f"{_figures(us / 1_000_000)} s"


def _figures(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:.0f}"
