"""Labelled cases from FHIR: the Bundle of the door and one Parameters resource, as of the instant of the case."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from arbiter.labels.reading import Beside, Format
from tests.fhir_schema import check
from tests.labels.hospital import as_bundle, earlier, imported, json_lines, patients, refused
from tests.protocols.fhir_bundles import ABOUT

FIRST, SECOND = patients(12)[:2]
Resource = dict[str, Any]


def changed(change: Callable[[Resource], None]) -> str:
    bundle = copy.deepcopy(as_bundle(FIRST))
    change(bundle)
    return json_lines([bundle])


def told_of(change: Callable[[Resource], None]) -> list[str]:
    return refused(Format.FHIR, changed(change))


def patient(bundle: Resource) -> Resource:
    (found,) = [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == "Patient"]
    assert isinstance(found, dict)
    return found


def observed(bundle: Resource, code: str) -> tuple[int, Resource]:
    return next(
        (at, one["resource"])
        for at, one in enumerate(bundle["entry"])
        if one["resource"].get("code", {}).get("coding", [{}])[0].get("code") == code
    )


def parameter(bundle: Resource, name: str) -> Resource:
    told = bundle["entry"][-1]["resource"]["parameter"]
    return next(one for one in [*told, *told[-1].get("part", [])] if one["name"] == name)


HEART_RATE = "8867-4"


# --- the record as of the case ------------------------------------------------------------------------------------------


def test_what_is_read_is_fhir_by_hl7s_own_schema() -> None:
    bundle = as_bundle(FIRST)
    check(bundle)
    for entry in bundle["entry"]:
        check(entry["resource"])


def test_a_bundle_over_many_lines_and_an_array_of_them_are_the_same() -> None:
    bundles = [as_bundle(FIRST), as_bundle(SECOND)]
    by_lines = imported(Format.FHIR, json_lines(bundles))
    for content in (json.dumps(bundles), "\n".join(json.dumps(one, indent=2) for one in bundles)):
        assert imported(Format.FHIR, content) == by_lines


def test_what_a_searchset_holds_beside_facts_is_left_out_and_counted() -> None:
    stray = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": ABOUT,
        "effectiveDateTime": earlier(10),
        "valueQuantity": {"value": 4711, "system": "http://unitsofmeasure.org", "code": "kg"},
    }

    def add(bundle: Resource) -> None:
        bundle["type"] = "searchset"
        bundle["entry"] += [{"resource": stray}, {"resource": stray}]

    found = imported(Format.FHIR, changed(add))
    assert found.left_out == (("not-mapped: no coding that the protocol knows", 2),)
    assert found.cases == imported(Format.FHIR, json_lines([as_bundle(FIRST)])).cases


@pytest.mark.parametrize(
    "died", ["2026-03-01", "2026-03-01T12:00:00Z", "2026-03-01T18:30:00+00:00", "2026-04", "2027"]
)
def test_a_patient_who_died_after_the_case_was_alive_in_it(died: str) -> None:
    """Without them the worst outcomes would be missing among the labels."""
    alive = imported(Format.FHIR, json_lines([as_bundle(FIRST)]))
    assert (
        imported(Format.FHIR, changed(lambda bundle: patient(bundle).update(deceasedDateTime=died))) == alive
    )


@pytest.mark.parametrize("died", ["2026-02-27", "2026-03-01T11:59:59Z", "2025", "yesterday"])
def test_a_patient_who_had_died_before_is_refused(died: str) -> None:
    (told,) = told_of(lambda bundle: patient(bundle).update(deceasedDateTime=died))
    assert told.endswith("/entry/0/resource/deceasedDateTime: expected a living patient")


def test_a_patient_who_died_nobody_says_when_is_refused() -> None:
    (told,) = told_of(lambda bundle: patient(bundle).update(deceasedBoolean=True))
    assert told.endswith("/entry/0/resource/deceasedBoolean: expected a living patient")


def test_what_was_observed_after_the_case_refuses_it() -> None:
    """The newest word counts, and no panel could have heard this one: the record is to be cut where the case begins."""

    def later(bundle: Resource) -> None:
        observed(bundle, HEART_RATE)[1]["effectiveDateTime"] = "2026-03-01T13:00:00Z"

    at = observed(as_bundle(FIRST), HEART_RATE)[0]
    (told,) = told_of(later)
    assert told.endswith(
        f"/entry/{at}/resource/effectiveDateTime: expected an instant at most 60 s after intake"
    )


# --- facts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"code": "{beats}/min"}, None, ""),
        ({"code": "mm[Hg]"}, "valueQuantity/code", "expected one of /min; another unit came"),
        ({"system": "urn:x"}, "valueQuantity/system", "expected a unit as a code of UCUM"),
        ({"code": None}, "valueQuantity/code", "expected a unit as a code of UCUM"),
        ({"value": 4711}, "valueQuantity/value", "expected 10 to 350 /min"),
        ({"value": "72"}, "valueQuantity/value", "expected a number"),
        ({"comparator": ">"}, "valueQuantity/comparator", "expected a value, a bound came"),
    ],
)
def test_a_quantity_is_judged_as_at_the_door_and_told_by_its_place(
    changes: Resource, place: str | None, said: str
) -> None:
    bundle = copy.deepcopy(as_bundle(FIRST))
    at, observation = observed(bundle, HEART_RATE)
    observation["valueQuantity"].update(changes)
    observation["valueQuantity"] = {k: v for k, v in observation["valueQuantity"].items() if v is not None}
    if place is None:
        assert len(imported(Format.FHIR, json_lines([bundle])).cases) == 1
        return
    line = json.dumps(bundle)
    (told,) = refused(Format.FHIR, json_lines([as_bundle(SECOND)]) + line)
    where, _, detail = told.partition(" ")
    assert detail.startswith(f"/entry/{at}/resource/{place}: {said}")
    assert "4711" not in detail
    name, number, column = where.split(":")
    assert (name, number) == ("ward.fhir.ndjson", "2")
    lacking = place.rpartition("/")[2] not in observation["valueQuantity"]
    expected = observation["valueQuantity"].get(place.rpartition("/")[2], observation["valueQuantity"])
    assert json.JSONDecoder().raw_decode(line, int(column) - 1)[0] == expected
    assert lacking == (changes == {"code": None})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda bundle: bundle.update(type="transaction"), "/type: expected a Bundle of type collection or searchset"),
        (lambda bundle: bundle["entry"].pop(0), "/entry: expected exactly one Patient, 0 came"),
        (lambda bundle: patient(bundle).pop("identifier"), "expected an identifier that still counts"),
        (lambda bundle: observed(bundle, HEART_RATE)[1].update(subject={"reference": "Patient/x"}), "expected a reference to the Bundle's one Patient"),
        (lambda bundle: bundle.update(resourceType="Patient"), "/resourceType: expected a Bundle for each case"),
        (lambda bundle: bundle.pop("resourceType"), "expected a Bundle for each case"),
        (lambda bundle: bundle.update(entry=[]), "expected one Parameters resource that holds the label, 0 came"),
        (lambda bundle: bundle.update(entry="x"), "expected one Parameters resource that holds the label, 0 came"),
        (lambda bundle: bundle["entry"].pop(), "expected one Parameters resource that holds the label, 0 came"),
        (lambda bundle: bundle["entry"].append(bundle["entry"][-1]), "expected one Parameters resource that holds the label, 2 came"),
        (lambda bundle: bundle["entry"].append("x"), "expected an object"),
        (lambda bundle: bundle.update(entry=[bundle["entry"][0], bundle["entry"][-1]]) or patient(bundle).pop("birthDate"), "expected a resource that gives a fact of the question"),
    ],
)  # fmt: skip
def test_a_bundle_that_is_none_of_a_case_is_refused(change: Callable[[Resource], None], said: str) -> None:
    told = told_of(change)
    assert any(said in problem for problem in told)


# --- the parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["id", "taken-at", "risk-class", "label", "option", "kind", "source", "date"]
)
def test_a_parameter_that_is_lacking_or_comes_twice_or_as_something_else_is_told(name: str) -> None:
    def drop(bundle: Resource) -> None:
        told = bundle["entry"][-1]["resource"]["parameter"]
        among = told if any(one["name"] == name for one in told) else told[-1]["part"]
        among.remove(next(one for one in among if one["name"] == name))

    def double(bundle: Resource) -> None:
        told = bundle["entry"][-1]["resource"]["parameter"]
        among = told if any(one["name"] == name for one in told) else told[-1]["part"]
        among.append(next(one for one in among if one["name"] == name))

    def spoil(bundle: Resource) -> None:
        one = parameter(bundle, name)
        for member in [member for member in one if member != "name"]:
            del one[member]
        one["valueInteger"] = 4711

    assert any("expected a value here, none came" in told for told in told_of(drop))
    assert any(f"expected the parameter {name} once" in told for told in told_of(double))
    told = told_of(spoil)
    assert told
    assert not [problem for problem in told if "4711" in problem]


@pytest.mark.parametrize("name", ["id", "taken-at", "risk-class", "option", "kind", "source", "date"])
def test_a_value_of_another_type_is_refused_though_it_reads_alike(name: str) -> None:
    def retype(bundle: Resource) -> None:
        one = parameter(bundle, name)
        (member,) = [member for member in one if member.startswith("value")]
        one["valueMarkdown"] = one.pop(member)

    def both(bundle: Resource) -> None:
        parameter(bundle, name)["valueMarkdown"] = "x"

    for change in (retype, both):
        assert any(f": expected {name} as one of value" in told for told in told_of(change))


def test_a_parameter_that_is_not_known_is_refused_and_not_repeated() -> None:
    def add(bundle: Resource) -> None:
        bundle["entry"][-1]["resource"]["parameter"].append({"name": "Mrs Example", "valueString": "x"})

    (told,) = told_of(add)
    assert told.endswith("/parameter/4/name: expected one of id, label, risk-class, taken-at")


@pytest.mark.parametrize("given", [None, "x", ["x"], [{"valueString": "a"}], [None]])
def test_parameters_of_another_shape_are_refused(given: object) -> None:
    assert told_of(lambda bundle: bundle["entry"][-1]["resource"].update(parameter=given))


def test_a_value_is_told_where_it_stands_in_the_bundle() -> None:
    line = changed(lambda bundle: parameter(bundle, "option").update(valueCode="maybe"))
    (told,) = refused(Format.FHIR, line)
    column = line.index('"maybe"') + 1
    last = len(as_bundle(FIRST)["entry"]) - 1
    assert told == (
        f"ward.fhir.ndjson:1:{column} /entry/{last}/resource/parameter/3/part/0/valueCode: "
        "label.option: expected one of urgent-review, continue-monitoring"
    )


# --- patients -------------------------------------------------------------------------------------------------------------


def test_cases_of_one_patient_are_counted() -> None:
    bundles = [as_bundle(FIRST), as_bundle(SECOND)]
    patient(bundles[1])["identifier"] = patient(bundles[0])["identifier"]
    assert imported(Format.FHIR, json_lines(bundles)).of_same_patient == 1


def test_the_system_of_the_number_that_counts_may_be_said() -> None:
    def second(bundle: Resource) -> None:
        patient(bundle)["identifier"].append({"use": "official", "system": "urn:other", "value": "1"})

    (told,) = told_of(second)
    assert "subject-system names the system to take it from" in told
    assert len(imported(Format.FHIR, changed(second), Beside(subject_system="urn:other")).cases) == 1
