"""The geometry of figures' plots: numbers in, coordinates out. Pure; `plots.jinja` draws them, with classes for colours.

Two kinds are enough: rows that share one axis, each with a mark and how sure it is, and a share over time with its band. What is
drawn stands in words beside its row, and all of it in the table behind the plot: nothing is told by colour or place alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from clinician_ui.texts import _

WIDTH: Final = 340
LEFT, RIGHT = 8.0, 332.0
_ROW: Final = 42
_FOOT: Final = 24
_COURSE_LEFT, _TOP, _BOTTOM = 46.0, 10.0, 104.0
COURSE_HEIGHT: Final = 128
_LABEL_LENGTH: Final = 46
_LABEL_EDGE: Final = 14.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on an axis with what stands there; `label_x` is where that is written, inside the plot."""

    x: float
    label_x: float
    label: str


@dataclass(frozen=True, slots=True)
class Entered:
    """What a row shows: its label, its value in words, and on the axis its value with a lower and an upper end, 0 to 1.

    All three are None where there is too little to tell.
    """

    label: str
    words: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row drawn: where its label and its line lie, and on the line the mark and the ends of what surrounds it."""

    label: str
    words: str
    label_y: int
    line_y: int
    x: float | None
    low_x: float | None
    high_x: float | None


@dataclass(frozen=True, slots=True)
class RowsPlot:
    """Rows over one axis; `foot_y` is where the axis's labels stand."""

    rows: tuple[Row, ...]
    marks: tuple[Mark, ...]
    height: int
    foot_y: int
    axis_y: int


@dataclass(frozen=True, slots=True)
class Point:
    """A share at a place in a row of spans, with its interval, 0 to 1; all None where there is too little to tell."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class CoursePlot:
    """A share over time: a path for its line, one for its band, a dot a point, levels at the left, the first and last label below."""

    line: str
    band: str
    dots: tuple[tuple[float, float], ...]
    levels: tuple[tuple[float, str], ...]
    first: str
    last: str


def share_rows(entered: Sequence[Entered]) -> RowsPlot:
    """Return rows of shares, on an axis from nothing to all."""
    marks = tuple(_mark(part, f"{100 * part:.0f}%") for part in (0.0, 0.25, 0.5, 0.75, 1.0))
    return _rows(entered, marks)


def time_rows(
    entered: Sequence[tuple[str, str, tuple[timedelta, timedelta, timedelta] | None]],
) -> RowsPlot:
    """Return rows of lengths of time, on one axis with equal room for each tenfold.

    Args:
        entered: label, words and the marked length with a lower and an upper end, None where there is too little to tell.
    """
    lengths = [each.total_seconds() for _label, _words, three in entered if three for each in three]
    least = min((value for value in lengths if value > 0), default=60.0)
    axis = _TimeAxis(min(max(least, 1.0), 60.0), max(max(lengths, default=60.0), 3600.0))
    rows = [
        Entered(label, words, None)
        if three is None
        else Entered(label, words, *(axis.part(each.total_seconds()) for each in three))
        for label, words, three in entered
    ]
    marks = tuple(_mark(axis.part(seconds), _(name)) for seconds, name in _TIMES if axis.holds(seconds))
    return _rows(rows, marks)


def course(points: Sequence[Point], first: str, last: str) -> CoursePlot:
    """Return a share over time; where there is too little to tell, line and band have a gap.

    Raises:
        ValueError: for no point.
    """
    if not points:
        raise ValueError("expected at least one point")
    most = max((point.high for point in points if point.high is not None), default=1.0)
    top = next(level for level in _TOPS if most <= level + 1e-12)
    places = [(_course_x(at, len(points)), point) for at, point in enumerate(points)]
    runs = _runs(places)
    return CoursePlot(
        line="".join(path_of([(x, _y(point.value, top)) for x, point in run]) for run in runs),
        band="".join(_band(run, top) for run in runs),
        dots=tuple((x, _y(point.value, top)) for x, point in places if point.value is not None),
        levels=tuple((_y(part * top, top), f"{100 * part * top:g}%") for part in (0.0, 0.5, 1.0)),
        first=first,
        last=last,
    )


_TOPS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
# Marks that do not crowd each other on any axis of two decades and more.
_TIMES: Final = (
    (1.0, "1 s"),
    (60.0, "1 min"),
    (900.0, "15 min"),
    (7_200.0, "2 h"),
    (86_400.0, "1 day"),
    (604_800.0, "7 days"),
    (5_184_000.0, "60 days"),
)


@dataclass(frozen=True, slots=True)
class _TimeAxis:
    low: float
    high: float

    def part(self, seconds: float) -> float:
        held = min(max(seconds, self.low), self.high)
        return math.log(held / self.low) / math.log(self.high / self.low)

    def holds(self, seconds: float) -> bool:
        return self.low <= seconds <= self.high


def _rows(entered: Sequence[Entered], marks: tuple[Mark, ...]) -> RowsPlot:
    rows = tuple(_row(at, each) for at, each in enumerate(entered))
    foot = _ROW * len(rows)
    return RowsPlot(rows, marks, height=foot + _FOOT, foot_y=foot + _FOOT - 7, axis_y=foot)


def _row(at: int, entered: Entered) -> Row:
    return Row(
        label=_shortened(entered.label),
        words=entered.words,
        label_y=_ROW * at + 14,
        line_y=_ROW * at + 28,
        x=None if entered.value is None else _x(entered.value),
        low_x=None if entered.low is None else _x(entered.low),
        high_x=None if entered.high is None else _x(entered.high),
    )


def _mark(part: float, label: str) -> Mark:
    x = _x(part)
    return Mark(x, min(max(x, LEFT + _LABEL_EDGE), RIGHT - _LABEL_EDGE), label)


def _x(part: float) -> float:
    return round(LEFT + min(max(part, 0.0), 1.0) * (RIGHT - LEFT), 1)


def _shortened(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else label[: _LABEL_LENGTH - 1].rstrip() + "…"


def _course_x(at: int, number: int) -> float:
    part = 0.5 if number == 1 else at / (number - 1)
    return round(_COURSE_LEFT + part * (RIGHT - _COURSE_LEFT), 1)


def _y(value: float | None, top: float) -> float:
    assert value is not None
    return round(_BOTTOM - min(value / top, 1.0) * (_BOTTOM - _TOP), 1)


def _runs(places: Sequence[tuple[float, Point]]) -> list[list[tuple[float, Point]]]:
    """Return the places without gaps between them."""
    runs: list[list[tuple[float, Point]]] = [[]]
    for x, point in places:
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append((x, point))
    return [run for run in runs if run]


def path_of(drawn: Sequence[tuple[float, float]]) -> str:
    """Return an SVG path through these places; at least one."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in drawn)


def _band(run: Sequence[tuple[float, Point]], top: float) -> str:
    if any(point.low is None or point.high is None for _x_at, point in run):
        return ""
    upper = [(x, _y(point.high, top)) for x, point in run]
    lower = [(x, _y(point.low, top)) for x, point in reversed(run)]
    if len(run) == 1:
        # A point's interval has a height and no width of its own.
        ((x, high),), ((_same, low),) = upper, lower
        upper, lower = [(x - 3, high), (x + 3, high)], [(x + 3, low), (x - 3, low)]
    return path_of([*upper, *lower]) + "Z"
