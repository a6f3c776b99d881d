"""A fact's values over time: the geometry of a small plot, its words, and the table behind it. Pure; a template draws it.

One line, the range in which an adult's value is usual as a band, the last value marked: what the plot tells, its words tell too
(WCAG 2.2, 1.1.1), and every value stands in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from arbiter.documents.scalars import decimal_text
from arbiter.question import Reference
from arbiter.workflow.blinding import Standing
from clinician_ui.presenters.plots import path_of
from clinician_ui.presenters.times import NO_BREAK, Moment, Tag, duration_words
from clinician_ui.texts import _, ngettext

WIDTH: Final = 132
HEIGHT: Final = 36
_LEFT, _RIGHT = 4.0, 126.0
_TOP, _BOTTOM = 5.0, 31.0


@dataclass(frozen=True, slots=True)
class Band:
    """The usual range as a rectangle: its upper edge and its height; an open end reaches the plot's."""

    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Values drawn: the line as an SVG path, the band if the protocol states a range, the last value, and all of it in words."""

    line: str
    band: Band | None
    last_x: float
    last_y: float
    words: str


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value in the table behind a plot, newest first; `standing` marks one outside the usual range."""

    at: Moment
    value: str
    standing: Tag | None
    status: str
    source: str


def trend(points: Sequence[tuple[datetime, Decimal]], unit: str, reference: Reference | None) -> Trend | None:
    """Return the plot of values, oldest first, in `unit` (words); None where fewer than two instants are known."""
    ordered = sorted(points)
    first, last = (ordered[0][0], ordered[-1][0]) if ordered else (None, None)
    if first is None or last is None or first == last:
        return None
    low, high = _domain([value for _at, value in ordered], reference)
    drawn = [(_x(at, first, last), _y(value, low, high)) for at, value in ordered]
    return Trend(
        line=path_of(drawn),
        band=_band(reference, low, high),
        last_x=drawn[-1][0],
        last_y=drawn[-1][1],
        words=_words([value for _at, value in ordered], last - first, unit, reference),
    )


def standing_tag(standing: Standing | None) -> Tag | None:
    """Return the mark of a value outside the usual range, in words; None for any other."""
    match standing:
        case Standing.ABOVE:
            return Tag(_("Above range"), "orange")
        case Standing.BELOW:
            return Tag(_("Below range"), "orange")
        case _:
            return None


def range_words(reference: Reference | None) -> str:
    """Return a range such as `12 to 20`, `96 or more`, `2 or less`; nothing where the protocol states none."""
    if reference is None:
        return ""
    if reference.high is None:
        return _("{low} or more").format(low=_number(reference.low))
    if reference.low is None:
        return _("{high} or less").format(high=_number(reference.high))
    return _("{low} to {high}").format(low=_number(reference.low), high=_number(reference.high))


def _number(value: Decimal | None) -> str:
    return "" if value is None else decimal_text(value)


# --- geometry ----------------------------------------------------------------------------------------------------


def _domain(values: Sequence[Decimal], reference: Reference | None) -> tuple[Decimal, Decimal]:
    """Return what the plot's height spans: every value and the range's ends, and one at least."""
    ends = [] if reference is None else [end for end in (reference.low, reference.high) if end is not None]
    low, high = min((*values, *ends)), max((*values, *ends))
    return (low, high) if low < high else (low - 1, high + 1)


def _x(at: datetime, first: datetime, last: datetime) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * ((at - first) / (last - first)), 1)


def _y(value: Decimal, low: Decimal, high: Decimal) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * float((value - low) / (high - low)), 1)


def _band(reference: Reference | None, low: Decimal, high: Decimal) -> Band | None:
    if reference is None:
        return None
    top = 0.0 if reference.high is None else _y(reference.high, low, high)
    bottom = float(HEIGHT) if reference.low is None else _y(reference.low, low, high)
    return Band(top, round(bottom - top, 1))


# --- words -------------------------------------------------------------------------------------------------------


def _words(values: Sequence[Decimal], span: timedelta, unit: str, reference: Reference | None) -> str:
    first, last, least, most = values[0], values[-1], min(values), max(values)
    counted = ngettext("{number} value", "{number} values", len(values)).format(number=len(values))
    if first < last:
        course = _("rising from {first} to {last}")
    elif first > last:
        course = _("falling from {first} to {last}")
    else:
        course = _("{last} at both ends")
    course = course.format(first=_number(first), last=_number(last))
    sentence = _("{values} over {time}, {course}{unit}").format(
        values=counted,
        time=duration_words(span),
        course=course,
        unit=f"{NO_BREAK}{unit}" if unit else "",
    )
    if {least, most} - {first, last}:
        sentence += _("; between {least} and {most}").format(least=_number(least), most=_number(most))
    if reference is not None:
        sentence += _("; usual: {range}").format(range=range_words(reference))
    return sentence
