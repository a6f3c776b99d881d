"""Holds labelled cases as fitting reads them, and lets none in whose numbers do not fit together.

A case is what each member of the panel said of it, and the option that was the truth. Where a label comes from, and whether it
may be used, is settled before: here is arithmetic alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from arbiter.adjudication.posterior import Shares

Row: TypeAlias = Sequence[Shares | None]
"""What each of J members said of one case; None where it gave no valid answer."""

SLACK: Final = 1e-9
"""How far from 1 a member's shares may sum: what rounding leaves, and no more."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """N cases of one question: J members' shares of K options each, and which option was the truth.

    Attributes:
        rows: N rows of J entries.
        truths: N indices of options.
        option_count: K, at least two; told and not counted, so that an option which nobody said is still one.

    Raises:
        ValueError: when there is no case or no member, lengths differ, a truth is not an option, or shares are not finite,
            below zero, or do not sum to 1.
    """

    rows: tuple[Row, ...]
    truths: tuple[int, ...]
    option_count: int

    def __post_init__(self) -> None:
        if self.option_count < 2:
            raise ValueError(f"expected at least two options, got {self.option_count}")
        if not self.rows:
            raise ValueError("expected at least one labelled case, got none")
        if len(self.truths) != len(self.rows):
            raise ValueError(f"expected {len(self.rows)} truths, one for each case, got {len(self.truths)}")
        if not self.members:
            raise ValueError("expected at least one member, got none")
        for at, (row, truth) in enumerate(zip(self.rows, self.truths, strict=True)):
            self._check(at, row, truth)

    @property
    def members(self) -> int:
        """J, how many members the panel has."""
        return len(self.rows[0])

    @property
    def options(self) -> int:
        """K, how many options the question has."""
        return self.option_count

    def _check(self, at: int, row: Row, truth: int) -> None:
        if not 0 <= truth < self.option_count:
            raise ValueError(f"case {at}: expected a truth from 0 to {self.option_count - 1}, got {truth}")
        if len(row) != self.members:
            raise ValueError(f"case {at}: expected {self.members} members, got {len(row)}")
        for member, shares in enumerate(row):
            if shares is not None:
                try:
                    check_shares(shares, self.option_count)
                except ValueError as error:
                    raise ValueError(f"case {at}, member {member}: {error}") from error


def check_shares(shares: Shares, options: int) -> None:
    """Refuse what is no distribution over so many options.

    Raises:
        ValueError: when their number differs, one is below zero or not finite, or they do not sum to 1.
    """
    if len(shares) != options:
        raise ValueError(f"expected {options} shares, got {len(shares)}")
    whole = math.fsum(shares)
    # Written so that NaN, of which nothing is true, is refused.
    if not (min(shares) >= 0.0 and abs(whole - 1.0) <= SLACK):
        raise ValueError(f"expected shares from 0 that sum to 1, got {list(shares)}")
