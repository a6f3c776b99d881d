"""Numbers and instants as strings: each value has one spelling."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from arbiter.documents.canonical import refusal

GREATEST_DIGITS = 40


def decimal_text(value: Decimal) -> str:
    """Return a finite number as a normalised plain string: no exponent, no trailing zeros, no negative zero.

    Raises:
        RefusedError: when it is not finite or has more than 40 digits before or after the point.
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > GREATEST_DIGITS or value.adjusted() > GREATEST_DIGITS:
        raise refusal("", "not-a-number", "expected a finite number of at most 40 digits")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").removesuffix(".")
    return "0" if text == "-0" else text


def instant_text(instant: datetime) -> str:
    """Return an aware instant in UTC with microseconds, `2026-11-22T03:00:00.000000Z`.

    Raises:
        RefusedError: when it is naive.
    """
    if instant.utcoffset() is None:
        raise refusal("", "naive-instant", "expected an aware instant")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
