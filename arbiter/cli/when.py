"""Instants as people type them, a time on the hospital's wall or how long ago; and as findings tell them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from arbiter.cli.failing import UsageError

_AGO = re.compile(r"([1-9][0-9]{0,5})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def instant(option: str, text: str | None, now: datetime, zone: tzinfo | None) -> datetime | None:
    """Return the instant that `text` names: ISO 8601, in `zone` unless it says another, or so long before `now` (`90m`).

    None for an option that was not given.

    Raises:
        UsageError: naming the option, for anything else.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return at.astimezone() if at.tzinfo is None and zone is None else at.replace(tzinfo=at.tzinfo or zone)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option}: expected a time such as 2026-03-01, 2026-03-01T14:30 or 90m, 12h, 7d ago; came {text[:40]!r}"
        ) from None


def to_the_minute(at: datetime) -> str:
    """Return an instant as a sentence tells it: in the zone that it comes in."""
    return at.isoformat(sep=" ", timespec="minutes")
