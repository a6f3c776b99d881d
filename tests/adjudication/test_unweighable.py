"""What must not be weighed is refused: strange opinions, and settings with which every comparison would be false."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from arbiter.adjudication import decide
from arbiter.errors import UndecidableError
from arbiter.model import MemberStatus, Opinion
from tests.adjudication.small import PERMITS, always, bench, opinion, opinions, seat


@pytest.mark.parametrize(
    "stranger",
    [
        opinion("c", "urgent", facts_hash="0" * 64),
        opinion("c", status=MemberStatus.DOWN, facts_hash="0" * 64),
        opinion("z", "urgent"),
        opinion("a", "urgent"),
        opinion("a", "watch"),
        opinion("c", "urgent", asks="sepsis-risk"),
        opinion("c", "surgery"),
        opinion("c", "high"),
        opinion("c", status=MemberStatus.VALID),
        opinion("c", {"urgent": 0, "watch": 1}),
        opinion("c", {"urgent": -1, "watch": 3}),
        replace(opinion("c", {"urgent": 2}), samples=1),
        replace(opinion("c"), votes=(("urgent", 1), ("urgent", 1)), samples=2),
    ],
)
def test_an_opinion_that_must_not_be_weighed_with_the_others_is_refused(stranger: Opinion) -> None:
    with pytest.raises(UndecidableError):
        decide(bench(), [*opinions("urgent", "urgent"), stranger], always(PERMITS))


@pytest.mark.parametrize(
    "numbers",
    [
        {"threshold": Decimal("NaN")},
        {"threshold": Decimal("1.1")},
        {"greatest_between": Decimal("NaN")},
        {"greatest_between": Decimal("Infinity")},
        {"greatest_within": Decimal(-1)},
        {"family_correlation": Decimal("NaN")},
        {"family_correlation": Decimal(2)},
        {"least_effective": Decimal("NaN")},
        {"least_effective": Decimal("-Infinity")},
    ],
)
def test_settings_with_which_every_comparison_would_be_false_are_refused(
    numbers: Mapping[str, Any],
) -> None:
    with pytest.raises(UndecidableError):
        bench(**numbers)


@pytest.mark.parametrize("weight", ["0", "-1", "NaN", "Infinity", "1e-300", "1e300"])
def test_a_seat_whose_weight_weighs_nothing_or_everything_is_refused(weight: str) -> None:
    with pytest.raises(UndecidableError):
        bench(seat("a"), seat("b", weight=weight))


def test_a_question_with_one_option_is_refused() -> None:
    with pytest.raises(UndecidableError):
        bench(options=("urgent",))
