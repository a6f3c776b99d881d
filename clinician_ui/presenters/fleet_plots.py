"""The geometry of the fleet's plots: numbers in, coordinates out. Pure; the templates draw them, with classes for colours.

The replicas of a server share one axis of time, so that a slow one is seen by looking, not by reading.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.fleet.sketches import time_words
from arbiter.fleet.state import Latency
from clinician_ui.presenters.times import NO_BREAK

WIDTH: Final = 300
HEIGHT: Final = 84
_TOP, _BOTTOM = 6, 62
_LEFT, _RIGHT = 4, 296
_LABEL_EDGE: Final = 22
"""So near to an edge a label is moved inwards."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of time with equal room for each doubling, from one bound to another in microseconds."""

    low_us: float
    high_us: float

    def x(self, us: float) -> float:
        """Return where a time stands, within the plot whatever it is."""
        held = min(max(us, self.low_us), self.high_us)
        share = math.log(held / self.low_us) / math.log(self.high_us / self.low_us)
        return round(_LEFT + share * (_RIGHT - _LEFT), 1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis: where it is, where its label goes, and what that says."""

    x: float
    label_x: float
    label: str


@dataclass(frozen=True, slots=True)
class LatencyPlot:
    """A sketch drawn: the outline of its buckets as an SVG path, its quantiles, and the axis below."""

    outline: str
    p50: float
    p95: float
    p99: float
    ticks: tuple[Tick, ...]


def shared_axis(sketches: Iterable[Latency]) -> Axis:
    """Return an axis that holds everything these sketches measured, and whole powers of ten around it."""
    bounds = [bound for sketch in sketches for bound, number in sketch.buckets if number]
    quantiles = [us for sketch in sketches for us in (sketch.p50_us, sketch.p99_us) if us]
    every = [us for us in (*bounds, *quantiles) if us > 0] or [1_000, 1_000_000]
    low = 10.0 ** math.floor(math.log10(min(every)) - 0.3)
    high = 10.0 ** math.ceil(math.log10(max(every)))
    return Axis(low, max(high, 10 * low))


def latency_plot(sketch: Latency, axis: Axis) -> LatencyPlot | None:
    """Return the plot of a sketch; None where nothing was measured."""
    if not sketch.count:
        return None
    return LatencyPlot(
        outline=_outline(sketch.buckets, axis),
        p50=axis.x(sketch.p50_us),
        p95=axis.x(sketch.p95_us),
        p99=axis.x(sketch.p99_us),
        ticks=_ticks(axis),
    )


def _outline(buckets: Sequence[tuple[int, int]], axis: Axis) -> str:
    """Return steps from the base line over each bucket and back to it.

    A bucket begins where the one before ends; where that lies far off, nothing was measured between, and the step is no
    wider than the narrowest.
    """
    most = max((number for _, number in buckets), default=0)
    if not most:
        return ""
    ratios = [after / before for (before, _), (after, _) in itertools.pairwise(buckets) if before]
    width = min((ratio for ratio in ratios if ratio > 1), default=1.25)
    steps = []
    for bound, number in buckets:
        if number:
            left, right = axis.x(bound / width), axis.x(bound)
            top = round(_BOTTOM - (_BOTTOM - _TOP) * number / most, 1)
            steps.append(f"M{left:g} {_BOTTOM}V{top:g}H{right:g}V{_BOTTOM}Z")
    return "".join(steps)


def _ticks(axis: Axis) -> tuple[Tick, ...]:
    first, last = round(math.log10(axis.low_us)), round(math.log10(axis.high_us))
    stride = max(1, math.ceil((last - first) / 4))
    marks = []
    for power in range(first, last + 1, stride):
        x = axis.x(10.0**power)
        marks.append(
            Tick(x, min(max(x, _LEFT + _LABEL_EDGE), _RIGHT - _LABEL_EDGE), spaced(time_words(10**power)))
        )
    return tuple(marks)


@dataclass(frozen=True, slots=True)
class Meter:
    """A part of a whole as a bar: how far it is filled in per cent of its room, and whether that is a lot."""

    part: int
    whole: int
    filled: float
    high: bool


def meter(part: int, whole: int, *, high_from: float) -> Meter:
    """Return a meter; one without room is full as soon as anything is in it."""
    share = part / whole if whole else float(part > 0)
    return Meter(part, whole, round(100 * min(share, 1.0), 1), share >= high_from)


def spaced(words: str) -> str:
    """Return a number and its unit so that no line breaks between them."""
    return words.replace(" ", NO_BREAK)
