"""Every phase and every kind of entry has words, and those of a newer server are shown as they came."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from arbiter.api.headers import WAIT_LIMIT_SECONDS
from arbiter.cli.cases import submitting, words
from arbiter.cli.protocols import duration
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase
from tests.cli.stub import moved


def test_every_phase_and_every_entry_type_has_words() -> None:
    assert set(words.STANDING) == set(Phase)
    assert set(EntryType) <= set(words.STEPS)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (moved(), "decided by the panel"),
        (moved(decided_by="reviewer"), "decided by the reviewer"),
        (
            moved("escalated", overdue=True),
            "waits on the work list for a clinician, OVERDUE: follow the local procedure",
        ),
        (moved("superseded", successor="c_next"), "superseded by another case: c_next"),
        (moved("reconsidered"), "reconsidered"),
    ],
)
def test_where_a_case_stands(case: dict[str, Any], said: str) -> None:
    assert words.standing(case) == said


def test_a_step_of_a_newer_server_is_shown_as_it_is() -> None:
    assert words.step("case.reconsidered") == "case.reconsidered"


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (None, ""),
        (timedelta(hours=4), "4 h"),
        (timedelta(days=7), "7 d"),
        (timedelta(hours=36), "36 h"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(seconds=45), "45 s"),
        (timedelta(0), "0 s"),
    ],
)
def test_a_duration_is_told_in_the_largest_unit_that_holds_it_whole(
    age: timedelta | None, words: str
) -> None:
    assert duration(age) == words


def test_the_longest_wait_is_the_doors_own() -> None:
    assert submitting.MOST_WAIT_SECONDS == WAIT_LIMIT_SECONDS
