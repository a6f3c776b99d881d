"""A reason that a person gives for what only a person may do; it is kept in the clear, and for good."""

from __future__ import annotations

from typing import Final

from arbiter.errors import RefusedError

LONGEST_REASON: Final = 1000


def reason_in(text: str) -> str:
    """Return the reason without blanks at either end.

    Raises:
        RefusedError: for one that is empty, too long, or of more than printable characters on one line.
    """
    words = text.strip()
    if not words or len(words) > LONGEST_REASON or not words.isprintable():
        came = f"{len(words)} characters" if words.isprintable() else "some that do not print"
        raise RefusedError(f"expected a reason of 1 to {LONGEST_REASON} printable characters; {came} came")
    return words
