"""A reason a person gives: one line of words."""

from __future__ import annotations

import pytest

from arbiter.errors import RefusedError
from arbiter.workflow.reasons import LONGEST_REASON, reason_in


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("", "0 characters came"),
        (" \t\n ", "0 characters came"),
        ("x" * (LONGEST_REASON + 1), "1001 characters came"),
        ("two\nlines", "some that do not print came"),
        ("bell\a", "some that do not print came"),
        ("turned \u202eround", "some that do not print came"),
    ],
)
def test_what_is_no_reason_is_refused(text: str, came: str) -> None:
    with pytest.raises(RefusedError, match=f"^expected a reason of 1 to 1000 printable characters; {came}$"):
        reason_in(text)


def test_blanks_around_a_reason_are_not_part_of_it() -> None:
    assert reason_in("  new monitors\n") == "new monitors"
    assert reason_in(" " + "x" * LONGEST_REASON) == "x" * LONGEST_REASON
