"""What a condition states: what its statuses say, as of when it was recorded; one that is not there is not false."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.protocols.fhir_resources import (
    BY_CONDITION,
    BY_HISTORY,
    NOW,
    ago,
    condition,
    problems,
    pulse,
    refusal,
    take,
    value,
)


@pytest.mark.parametrize(
    ("clinical", "verified", "taken", "with_history"),
    [
        ("active", "confirmed", True, True),
        ("recurrence", "confirmed", True, True),
        ("relapse", "confirmed", True, True),
        ("inactive", "confirmed", None, True),
        ("remission", "confirmed", None, True),
        ("resolved", "confirmed", None, True),
        (None, "confirmed", None, None),
        ("active", None, None, None),
        ("active", "provisional", None, None),
        ("active", "differential", None, None),
        ("active", "unconfirmed", None, None),
        ("active", "entered-in-error", None, None),
        (None, "refuted", False, False),
        ("unheard-of", "confirmed", None, None),
    ],
)
def test_a_condition_says_what_its_statuses_say(
    clinical: str | None, verified: str | None, taken: bool | None, with_history: bool | None
) -> None:
    made = condition(clinical=clinical, verified=verified)
    assert value(BY_CONDITION, "fasting", made) is taken
    assert value(BY_HISTORY, "fasting", made) is with_history


def test_a_condition_that_is_not_there_is_not_false() -> None:
    assert value(BY_CONDITION, "fasting") is None
    assert value(BY_CONDITION, "fasting", condition("E11.9")) is None


def test_a_condition_is_known_as_of_when_it_was_recorded() -> None:
    day = take(BY_CONDITION, condition(recordedDate="2019-05-03")).facts["fasting"]
    # The earliest instant that was 3 May 2019 anywhere: midnight at UTC+14.
    assert day.observed_at == datetime(2019, 5, 2, 10, 0, tzinfo=UTC)
    year = take(BY_CONDITION, condition(recordedDate="2019")).facts["fasting"]
    assert year.observed_at == datetime(2018, 12, 31, 10, 0, tzinfo=UTC)
    bare = condition(meta={"lastUpdated": ago(days=2)})
    del bare["recordedDate"]
    assert take(BY_CONDITION, bare).facts["fasting"].observed_at == NOW - timedelta(days=2)


def test_a_condition_of_no_known_time_says_nothing() -> None:
    for text in (None, "long ago", "2026-13"):
        made = condition(recordedDate=text)
        assert value(BY_CONDITION, "fasting", made) is None
        # And it stands in the way of a list that would say that there is none.
        assert value(BY_CONDITION, "fasting", made, problems()) is None


def test_a_newer_refutation_wins_over_an_older_diagnosis() -> None:
    refuted = condition(clinical=None, verified="refuted", recordedDate=ago(days=1))
    assert value(BY_CONDITION, "fasting", condition(), refuted) is False
    assert value(BY_CONDITION, "fasting", condition(recordedDate=ago(hours=1)), refuted) is True


def test_a_diagnosis_refuted_at_its_own_instant_refuses_the_bundle() -> None:
    refuted = condition(clinical=None, verified="refuted")
    assert {one.code for one in refusal(BY_CONDITION, condition(), refuted)} == {"contradiction"}


def test_a_modifier_extension_on_a_condition_that_matters_refuses() -> None:
    told = refusal(BY_CONDITION, pulse(), condition(modifierExtension=[{"url": "urn:x"}]))
    assert [(one.pointer, one.code) for one in told] == [
        ("/entry/2/resource/modifierExtension", "modifier-extension")
    ]
    assert value(BY_CONDITION, "fasting", condition("E11.9", modifierExtension=[{"url": "urn:x"}])) is None
