"""FHIR's dates and instants (R4 datatypes, "date", "dateTime", "instant"), read without guessing."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

_PARTIAL = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?P<fraction>\.[0-9]{1,9})?(?P<offset>Z|[+-][0-9]{2}:[0-9]{2})"
)
_EASTERNMOST: Final = timezone(timedelta(hours=14))
_WESTERNMOST: Final = timezone(timedelta(hours=-12))
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def instant_of(text: str) -> datetime | None:
    """Return an instant given to the second with its offset, in UTC; None for anything less."""
    exact = _exact(text)
    try:
        return None if exact is None else exact.astimezone(UTC)
    except OverflowError:
        return None


def _exact(text: str) -> datetime | None:
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    fraction = match["fraction"] or ""
    whole = text[: match.start("fraction")] if fraction else text[: match.start("offset")]
    try:
        return datetime.fromisoformat(f"{whole}{fraction[:7]}{match['offset']}")
    except ValueError:
        return None


def earliest_of(text: str) -> datetime | None:
    """Return the earliest instant that a dateTime may mean anywhere on Earth, in UTC; None when it is none.

    For statements that hold for days or years; it makes them older rather than fresher than they are.
    """
    exact = instant_of(text)
    if exact is not None:
        return exact
    match = _PARTIAL.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part or 1) for part in match.groups())
    try:
        return datetime(year, month, day, tzinfo=_EASTERNMOST).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def latest_of(text: str) -> datetime | None:
    """Return the latest instant that a dateTime may mean anywhere on Earth, in UTC; None when it is none.

    For ends, which FHIR includes: what ends on a day is over once that day is over everywhere.
    """
    end = _exact(text)
    if end is None:
        match = _PARTIAL.fullmatch(text)
        if match is None:
            return None
        try:
            year, month = int(match[1]), int(match[2] or 12)
            day = int(match[3] or calendar.monthrange(year, month)[1])
            end = datetime(year, month, day, 23, 59, 59, 999_999, tzinfo=_WESTERNMOST)
        except ValueError:
            return None
    try:
        return end.astimezone(UTC)
    except OverflowError:
        # The last days of the year 9999 are how records write "never"; nobody means the first days of the year 1.
        return _LAST if end.year > 1 else None


def day_of(text: str) -> date | None:
    """Return a date given to the day; None for anything else."""
    match = _PARTIAL.fullmatch(text)
    if match is None or match[3] is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def completed_years(born: date, on: date) -> int:
    """Return an age in completed years; who was born on 29 February turns older on 1 March."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
