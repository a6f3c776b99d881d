"""The parts of the split: by the hash of an id, whatever stands around it."""

from __future__ import annotations

from collections import Counter

import pytest

from arbiter.evaluation.splitting import Part, part_of


@pytest.mark.parametrize(
    ("case", "part"),
    # What `printf %s ID | sha256sum` begins with; of the whole range 0.4 is 6666..., 0.5 is 8000...
    [
        ("synthetic-1-3", Part.FITTING),  # 651edf91
        ("synthetic-1-6", Part.FITTING),  # 0acf2de8
        ("synthetic-1-5", Part.TEMPERING),  # 7e6e78d8
        ("synthetic-1-2", Part.HELD_OUT),  # 9979ea90
        ("synthetic-1-10", Part.HELD_OUT),  # f01aa9d5
    ],
)
def test_a_case_is_where_the_hash_of_its_id_puts_it(case: str, part: Part) -> None:
    assert part_of(case) is part


def test_of_many_cases_two_fifths_are_for_fitting_and_a_tenth_for_the_temperature() -> None:
    counts = Counter(part_of(f"synthetic-1-{number}") for number in range(1, 10_001))
    # What the reports of ten thousand cases say; within three standard deviations of 4,000 and 1,000.
    assert counts == {Part.FITTING: 4013, Part.TEMPERING: 989, Part.HELD_OUT: 4998}
