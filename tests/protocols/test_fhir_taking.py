"""What observations state: the newest wins whatever the order, absence is filled by nothing older, what contradicts itself refuses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from arbiter.errors import InvalidCaseError
from tests.protocols.fhir_resources import (
    BY_CONCEPT,
    BY_LIMIT,
    FHIR,
    LOINC,
    NOW,
    ago,
    coded,
    codes,
    observation,
    pulse,
    refusal,
    take,
    value,
)

# --- the newest wins --------------------------------------------------------------------------------------------------


def test_the_newest_value_wins_whatever_the_order() -> None:
    older, newer = pulse(70, minutes=30), pulse(80, minutes=10)
    for resources in ((older, newer), (newer, older)):
        fact = take(FHIR, *resources).facts["pulse"]
        assert (fact.value, fact.observed_at) == (Decimal(80), NOW - timedelta(minutes=10))


def test_offsets_are_counted_when_the_newest_is_sought() -> None:
    there = pulse(80, effectiveDateTime="2026-03-01T14:50:00+03:00")
    here = pulse(70, effectiveDateTime="2026-03-01T11:45:00Z")
    assert take(FHIR, here, there).facts["pulse"].value == 80


def test_numbers_keep_their_decimals() -> None:
    fact = take(FHIR, pulse(Decimal("70.10"))).facts["pulse"]
    assert str(fact.value) == "70.10"


def test_twins_that_agree_are_one() -> None:
    assert take(FHIR, pulse(70), pulse(70)).facts["pulse"].value == 70


def test_twins_that_contradict_each_other_refuse_the_bundle_by_both_places() -> None:
    told = refusal(FHIR, pulse(70), pulse(71))
    assert [(one.pointer, one.code) for one in told] == [
        ("/entry/1/resource/valueQuantity/value", "contradiction"),
        ("/entry/2/resource/valueQuantity/value", "contradiction"),
    ]


def test_older_twins_that_contradict_each_other_do_not_matter() -> None:
    assert take(FHIR, pulse(70, minutes=30), pulse(71, minutes=30), pulse(72)).facts["pulse"].value == 72


def test_a_component_of_a_panel_is_a_value() -> None:
    parts = [
        {"code": coded((LOINC, "other")), "valueQuantity": {"value": 1}},
        {"code": coded((LOINC, "part")), "valueQuantity": pulse(66)["valueQuantity"]},
    ]
    taken = take(FHIR, observation("panel", component=parts))
    assert taken.facts["pulse"].value == 66
    assert taken.places["/facts/pulse/value"] == "/entry/1/resource/component/1/valueQuantity/value"


@pytest.mark.parametrize("status", ["final", "amended", "corrected", "preliminary"])
def test_a_status_with_a_value_is_kept_with_it(status: str) -> None:
    assert take(FHIR, pulse(status=status)).facts["pulse"].status == status


@pytest.mark.parametrize("status", ["registered", "cancelled", "entered-in-error", "unknown"])
def test_a_status_without_a_value_never_gives_one_and_hides_none(status: str) -> None:
    taken = take(FHIR, pulse(70, minutes=30), pulse(200, status=status))
    assert taken.facts["pulse"].value == 70
    assert codes(taken) == [("/entry/2/resource/status", "status")]


def test_what_was_entered_in_error_may_be_malformed_too() -> None:
    wrong = pulse(status="entered-in-error", effectiveDateTime="yesterday", modifierExtension=[{}])
    assert take(FHIR, pulse(70), wrong).facts["pulse"].value == 70


def test_a_newer_absence_is_not_filled_by_an_older_value() -> None:
    absent = observation("8867-4", 5, dataAbsentReason=coded(("urn:x", "unknown")))
    with pytest.raises(InvalidCaseError):
        take(FHIR, pulse(70, minutes=30), absent)
    assert take(FHIR, pulse(70, minutes=3), absent).facts["pulse"].value == 70


def test_an_older_bound_refuses_too() -> None:
    bound = pulse(200, minutes=30)
    bound["valueQuantity"] |= {"comparator": ">"}
    assert [one.code for one in refusal(FHIR, pulse(70), bound)] == ["comparator"]


def test_what_is_older_than_a_year_is_left_out() -> None:
    taken = take(FHIR, pulse(70), pulse(50, minutes=60 * 24 * 500))
    assert codes(taken) == [("/entry/2/resource/valueQuantity/value", "too-old")]


def test_an_annotation_does_not_change_a_unit() -> None:
    beats = pulse()
    beats["valueQuantity"] |= {"code": "{beats}/min"}
    assert take(FHIR, beats).facts["pulse"].unit == "/min"


def test_the_end_of_a_period_is_when_it_was_observed() -> None:
    period = {"start": ago(hours=3), "end": ago(hours=1)}
    long = pulse()
    del long["effectiveDateTime"]
    assert take(FHIR, long | {"effectivePeriod": period}).facts["pulse"].observed_at == NOW - timedelta(
        hours=1
    )


# --- flags by a limit, codes by concepts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "taken"), [(0, False), (Decimal("0.0"), False), (Decimal("0.5"), True), (15, True)]
)
def test_a_quantity_above_a_limit_is_a_flag(flow: Any, taken: bool) -> None:
    quantity = {"value": flow, "system": "http://unitsofmeasure.org", "code": "L/min"}
    assert value(BY_LIMIT, "fasting", observation("3151-8", valueQuantity=quantity)) is taken


def test_a_limit_holds_in_its_own_unit_alone() -> None:
    quantity = {"value": 1, "system": "http://unitsofmeasure.org", "code": "mL/min"}
    assert [one.code for one in refusal(BY_LIMIT, observation("3151-8", valueQuantity=quantity))] == ["unit"]


@pytest.mark.parametrize(
    ("held", "meaning"),
    [(["a"], "calm"), (["b", "c"], "upset"), (["zz", "c"], "upset"), (["u"], None)],
)
def test_a_coded_value_means_what_the_mapping_says(held: list[str], meaning: str | None) -> None:
    concept = coded(*((LOINC, code) for code in held))
    assert value(BY_CONCEPT, "mood", observation("mood", valueCodeableConcept=concept)) == meaning


def test_a_newer_unknown_is_not_filled_by_an_older_value() -> None:
    older = observation("mood", 30, valueCodeableConcept=coded((LOINC, "a")))
    newer = observation("mood", 5, valueCodeableConcept=coded((LOINC, "u")))
    assert value(BY_CONCEPT, "mood", older, newer) is None
