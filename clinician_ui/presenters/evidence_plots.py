"""The geometry of evidence against a stated error rate: numbers in, coordinates out. Pure; a template draws it.

One line a plot and the alarm's level as a broken line with its name: nothing is told by colour alone, and all of it prints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clinician_ui.presenters.plots import path_of
from clinician_ui.texts import _

WIDTH: Final = 340
HEIGHT: Final = 132
_LEFT, _RIGHT = 58.0, 332.0
_TOP, _BOTTOM = 14.0, 102.0
_MOST_POINTS: Final = 200
_FEWEST_DECADES, _MOST_DECADES = 2, 4


@dataclass(frozen=True, slots=True)
class Level:
    """A height with its label: what part of the alarm's evidence it is."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class EvidencePlot:
    """Evidence after each audit as an SVG path, with the level of the alarm first among `levels`."""

    line: str
    levels: tuple[Level, ...]
    last_x: float
    last_y: float


def evidence_plot(path: Sequence[float], start: float) -> EvidencePlot:
    """Return the plot of evidence over audits, on a logarithmic scale of what part of the alarm's it is.

    Args:
        path: log(E delta) after each audit, 0 at the alarm (E = 1/delta).
        start: the same before any, below 0.

    Raises:
        ValueError: for a value that is no number, or a start that is at the alarm.
    """
    if not all(math.isfinite(value) for value in (start, *path)) or start >= 0.0:
        raise ValueError("expected finite evidence that starts below the alarm")
    decades = _decades((start, *path))
    points = [(0, start), *_thinned(path)]
    whole = max(len(path), 1)
    drawn = [(_x(at / whole), _y(value, decades)) for at, value in points]
    return EvidencePlot(
        line=path_of(drawn),
        levels=tuple(Level(_y(-at * math.log(10.0), decades), _label(at)) for at in range(decades + 1)),
        last_x=drawn[-1][0],
        last_y=drawn[-1][1],
    )


def _decades(values: Sequence[float]) -> int:
    """Return how many powers of ten below the alarm are drawn; what lies lower stays at the edge."""
    needed = math.ceil(-min(values) / math.log(10.0))
    return min(max(needed, _FEWEST_DECADES), _MOST_DECADES)


def _thinned(path: Sequence[float]) -> list[tuple[int, float]]:
    """Return at most `_MOST_POINTS` points and the last: of those that share a place the nearest to the alarm."""
    stride = math.ceil(len(path) / _MOST_POINTS) or 1
    points = [
        (min(at + stride, len(path)), max(path[at : at + stride])) for at in range(0, len(path), stride)
    ]
    return [*points, (len(path), path[-1])] if path and points[-1][1] != path[-1] else points


def _x(part: float) -> float:
    return round(_LEFT + part * (_RIGHT - _LEFT), 1)


def _y(value: float, decades: int) -> float:
    part = min(max(-value / (decades * math.log(10.0)), 0.0), 1.0)
    return round(_TOP + part * (_BOTTOM - _TOP), 1)


def _label(power: int) -> str:
    return _("alarm") if power == 0 else f"1/{10**power:,}"
