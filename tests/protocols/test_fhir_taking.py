"""What a Bundle states: the newest wins, absence is never false by itself, and nothing is taken that is not understood."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from arbiter.errors import InvalidCaseError, Problem
from arbiter.model import FactValue
from arbiter.protocols.fhir.taking import TakenBundle, take_bundle
from arbiter.protocols.loader import load_bundle
from tests.protocols.small import files

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ICD = "http://hl7.org/fhir/sid/icd-10"
SCT = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
LOINC = "http://loinc.org"

# `fasting` stands for any flag, `mood` for any code: what they mean is of no matter here.
FHIR = """\
fhir: 4.0.1
systems:
  loinc: http://loinc.org
  icd10: http://hl7.org/fhir/sid/icd-10
  sct: http://snomed.info/sct
  atc: http://www.whocc.no/atc
facts:
  pulse:
    - observation: {codings: [loinc|8867-4], value: quantity}
    - observation: {codings: [loinc|panel], components: [loinc|part], value: quantity}
"""
BY_CONDITION = (
    FHIR
    + """\
  fasting:
    - condition: {codings: [icd10|I50*, icd10|I11.0, sct|84114007], exhaustive: [icd10]}
"""
)
BY_HISTORY = BY_CONDITION.replace("exhaustive: [icd10]", "history: true")
BY_ORDER = (
    FHIR
    + """\
  fasting:
    - medication_request: {codings: [atc|B01AA*], exhaustive: [atc]}
"""
)
BY_BOTH = BY_CONDITION + "    - observation: {codings: [loinc|answer], value: boolean}\n"
BY_LIMIT = (
    FHIR
    + """\
  fasting:
    - observation: {codings: [loinc|3151-8], value: quantity, above: {number: 0, unit: L/min}}
"""
)
CODED = (
    FHIR
    + """\
  mood:
    - medication_request: {codings: [atc|B01AA*], means: calm, exhaustive: [atc]}
    - medication_request: {codings: [atc|B01AB*], means: upset, exhaustive: [atc]}
"""
)
CODED_ABSENT = CODED.replace("means: upset", "means: upset, absent: calm").replace(
    "means: calm, ex", "means: upset, absent: calm, ex"
)
BY_CONCEPT = (
    FHIR
    + """\
  mood:
    - observation:
        codings: [loinc|mood]
        value: concept
        concepts:
          - {codings: [loinc|a], means: calm}
          - {codings: [loinc|b, loinc|c], means: upset}
        unknown: [loinc|u]
"""
)


def ago(**by: float) -> str:
    return (NOW - timedelta(**by)).isoformat()


def coded(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in pairs]}


def pulse(value: Any = 70, minutes: float = 5, **members: Any) -> dict[str, Any]:
    quantity = {"value": value, "system": "http://unitsofmeasure.org", "code": "/min"}
    return observation("8867-4", minutes, valueQuantity=quantity) | members


def observation(code: str, minutes: float = 5, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": coded((LOINC, code)),
        "effectiveDateTime": ago(minutes=minutes),
    } | members


def condition(
    code: str = "I50.1", clinical: str | None = "active", verified: str | None = "confirmed", **members: Any
) -> dict[str, Any]:
    base = "http://terminology.hl7.org/CodeSystem/condition-"
    made: dict[str, Any] = {
        "resourceType": "Condition",
        "code": coded((ICD, code)),
        "recordedDate": ago(days=9),
    }
    if clinical is not None:
        made["clinicalStatus"] = coded((f"{base}clinical", clinical))
    if verified is not None:
        made["verificationStatus"] = coded((f"{base}ver-status", verified))
    return made | members


def order(code: str = "B01AA03", **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded((ATC, code)),
        "authoredOn": ago(days=3),
    } | members


def whole(code: str, /, *names: str, **members: Any) -> dict[str, Any]:
    """A list that says that it is whole: `names` are ids of resources in the Bundle."""
    made: dict[str, Any] = {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "code": coded((LOINC, code)),
        "date": ago(hours=2),
    }
    if names:
        made["entry"] = [{"item": {"reference": name}} for name in names]
    else:
        made["emptyReason"] = coded(("http://terminology.hl7.org/CodeSystem/list-empty-reason", "nilknown"))
    return made | members


def problems(*names: str, **members: Any) -> dict[str, Any]:
    return whole("11450-4", *names, **members)


def medications(*names: str, **members: Any) -> dict[str, Any]:
    return whole("10160-0", *names, **members)


def bundle(*resources: Mapping[str, Any], **patient: Any) -> dict[str, Any]:
    about = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"use": "official", "system": "urn:mrn", "value": "1"}],
    } | patient
    others = [
        {"subject": {"reference": "Patient/p"}} | dict(resource)
        if resource["resourceType"] not in {"Medication", "Patient"}
        else dict(resource)
        for resource in resources
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in (about, *others)],
    }


def take(fhir: str, *resources: Mapping[str, Any], **options: Any) -> TakenBundle:
    mapping = load_bundle(files() | {"fhir.yaml": fhir.encode()}).fhir
    assert mapping is not None
    return take_bundle(bundle(*resources), mapping, NOW, **options)


def value(fhir: str, name: str, *resources: Mapping[str, Any]) -> FactValue | None:
    """The value taken for a fact; a pulse is added, so that something always is taken."""
    fact = take(fhir, pulse(), *resources).facts.get(name)
    return None if fact is None else fact.value


def refusal(fhir: str, *resources: Mapping[str, Any], **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(InvalidCaseError) as caught:
        take(fhir, *resources, **options)
    return caught.value.problems


def codes(taken: TakenBundle) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in taken.left_out]


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


# --- conditions -------------------------------------------------------------------------------------------------------


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


# --- whole lists ------------------------------------------------------------------------------------------------------


def test_what_a_whole_list_does_not_name_is_false_as_of_its_date() -> None:
    fact = take(BY_CONDITION, pulse(), condition("E11.9", id="d"), problems("Condition/d")).facts["fasting"]
    assert (fact.value, fact.observed_at, fact.source) == (False, NOW - timedelta(hours=2), "FHIR List")
    assert value(BY_CONDITION, "fasting", problems()) is False


def test_what_a_whole_list_names_is_known_as_of_its_date() -> None:
    fact = take(BY_CONDITION, pulse(), condition(id="c"), problems("Condition/c")).facts["fasting"]
    assert (fact.value, fact.observed_at) == (True, NOW - timedelta(hours=2))


@pytest.mark.parametrize(
    "members",
    [
        {"status": "retired"},
        {"status": "entered-in-error"},
        {"mode": "working"},
        {"mode": "changes"},
        {"date": "2026-03-01"},
        {"date": None},
        {"emptyReason": None},
        {"emptyReason": coded(("http://terminology.hl7.org/CodeSystem/list-empty-reason", "notasked"))},
        {"emptyReason": coded(("http://terminology.hl7.org/CodeSystem/list-empty-reason", "unavailable"))},
        {"emptyReason": coded(("urn:x", "nilknown"))},
        {"code": coded((LOINC, "10160-0"))},
        {"code": coded(("urn:x", "11450-4"))},
        {"entry": [{"item": {"reference": "Condition/elsewhere"}}]},
        {"entry": [{"item": {"display": "hypertension"}}]},
        {"entry": [{"item": {"reference": "Condition/d"}, "deleted": True}]},
        {"entry": [{"item": {"reference": "Patient/p"}}]},
    ],
    ids=str,
)
def test_a_list_that_is_not_whole_excludes_nothing(members: dict[str, Any]) -> None:
    assert value(BY_CONDITION, "fasting", condition("E11.9", id="d"), problems(**members)) is None


@pytest.mark.parametrize(
    "code",
    [
        coded((SCT, "42343007")),
        {"text": "heart failure"},
        coded((ICD, "I11")),
        coded((ICD, "I501")),
        coded((ICD, "I11.0+")),
        coded(("http://hl7.org/fhir/sid/icd-10-cm", "E11.9")),
    ],
    ids=["another system", "words", "a code above", "no dot", "a mark", "another edition"],
)
def test_what_may_be_it_keeps_a_whole_list_from_excluding(code: dict[str, Any]) -> None:
    listed = condition(id="d") | {"code": code}
    taken = take(BY_CONDITION, pulse(), listed, problems("Condition/d"))
    assert "fasting" not in taken.facts
    assert ("/entry/2/resource", "not-excluded") in codes(taken)


@pytest.mark.parametrize(
    "members", [{"verified": "provisional"}, {"clinical": "resolved"}, {"verified": "unconfirmed"}]
)
def test_a_listed_condition_that_says_nothing_keeps_the_question_open(members: dict[str, Any]) -> None:
    assert value(BY_CONDITION, "fasting", condition(id="c", **members), problems("Condition/c")) is None


def test_a_condition_beside_a_list_that_leaves_it_out_still_holds() -> None:
    assert value(BY_CONDITION, "fasting", condition(), problems()) is True


def test_what_is_over_and_not_listed_is_false() -> None:
    assert value(BY_CONDITION, "fasting", condition(clinical="resolved"), problems()) is False


def test_an_answer_that_says_yes_is_not_undone_by_a_newer_list() -> None:
    yes = observation("answer", 60 * 24, valueBoolean=True)
    assert value(BY_BOTH, "fasting", yes, problems()) is True
    assert value(BY_BOTH, "fasting", observation("answer", 60, valueBoolean=False), problems()) is False


def test_two_whole_lists_of_one_instant_refuse_the_bundle() -> None:
    assert [one.code for one in refusal(BY_CONDITION, pulse(), problems(), problems())] == ["contradiction"]


def test_the_newer_of_two_whole_lists_counts() -> None:
    older = problems(date=ago(days=3))
    fact = take(BY_CONDITION, pulse(), older, problems()).facts["fasting"]
    assert fact.observed_at == NOW - timedelta(hours=2)


# --- orders -----------------------------------------------------------------------------------------------------------


def test_an_active_order_is_true() -> None:
    assert value(BY_ORDER, "fasting", order()) is True


@pytest.mark.parametrize(
    ("members", "beside_a_list"),
    [
        ({"status": "stopped"}, False),
        ({"status": "completed"}, False),
        ({"status": "cancelled"}, False),
        ({"status": "entered-in-error"}, False),
        ({"doNotPerform": True}, False),
        ({"status": "on-hold"}, None),
        ({"status": "draft"}, None),
        ({"status": "unknown"}, None),
        ({"intent": "plan"}, None),
        ({"intent": "proposal"}, None),
    ],
    ids=str,
)
def test_an_order_not_in_force_is_no_fact(members: dict[str, Any], beside_a_list: bool | None) -> None:
    assert value(BY_ORDER, "fasting", order(**members)) is None
    assert value(BY_ORDER, "fasting", order(**members), medications()) is beside_a_list


def test_an_order_of_an_unheard_of_status_refuses() -> None:
    assert [one.code for one in refusal(BY_ORDER, order(status="given"))] == ["status"]


def test_a_whole_medication_list_says_what_is_not_taken() -> None:
    listed = order("C03CA01", id="m")
    assert value(BY_ORDER, "fasting", listed, medications("MedicationRequest/m")) is False
    group = order("B01A", id="m")
    assert value(BY_ORDER, "fasting", group, medications("MedicationRequest/m")) is None


@pytest.mark.parametrize("where", ["entry", "contained"])
def test_an_order_may_point_to_its_drug(where: str) -> None:
    drug = {"resourceType": "Medication", "id": "w", "code": coded((ATC, "B01AA03"))}
    made = order(medicationReference={"reference": "#w" if where == "contained" else "Medication/w"})
    del made["medicationCodeableConcept"]
    if where == "contained":
        assert value(BY_ORDER, "fasting", made | {"contained": [drug]}) is True
        assert value(BY_ORDER, "fasting", made) is None
    else:
        assert value(BY_ORDER, "fasting", made, drug) is True
        assert value(BY_ORDER, "fasting", made, drug | {"status": "entered-in-error"}) is None


def test_an_order_for_an_unknown_drug_keeps_a_whole_list_from_excluding() -> None:
    made = order(id="m", medicationReference={"reference": "Medication/elsewhere"})
    del made["medicationCodeableConcept"]
    assert value(BY_ORDER, "fasting", made, medications("MedicationRequest/m")) is None


def test_orders_that_mean_different_codes_at_once_give_none() -> None:
    assert value(CODED, "mood", order("B01AA03")) == "calm"
    assert value(CODED, "mood", order("B01AB05", authoredOn=ago(days=1))) == "upset"
    taken = take(CODED, pulse(), order("B01AA03"), order("B01AB05", authoredOn=ago(days=1)))
    assert "mood" not in taken.facts
    assert [code for _, code in codes(taken)] == ["several", "several"]


def test_absence_means_a_code_only_where_the_mapping_says_which() -> None:
    assert value(CODED, "mood", medications()) is None
    assert value(CODED_ABSENT, "mood", medications()) == "calm"
    listed = order("B01AB05", id="m")
    assert value(CODED_ABSENT, "mood", listed, medications("MedicationRequest/m")) == "upset"


# --- the patient ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "years"),
    [
        ("1950-03-01", 76),
        ("1950-03-02", 75),
        ("2026-03-01", 0),
        ("2008-02-29", 18),
        ("1896-03-01", 130),
    ],
)
def test_an_age_is_counted_in_completed_years(born: str, years: int) -> None:
    age = FHIR.replace("  pulse:\n", "  age:\n    - patient: {take: age}\n  pulse:\n")
    protocol = (
        files()["protocol.yaml"]
        .decode()
        .replace(
            "    - name: mood\n",
            "    - name: age\n      title: Age\n      kind: number\n      unit: a\n      low: 0\n      high: 130\n"
            "      decimals: 0\n    - name: mood\n",
        )
    )
    mapping = load_bundle(files(protocol=protocol) | {"fhir.yaml": age.encode()}).fhir
    assert mapping is not None
    taken = take_bundle(bundle(pulse(), birthDate=born), mapping, NOW)
    assert (taken.facts["age"].value, taken.facts["age"].unit) == (years, "a")
    assert taken.facts["age"].observed_at == datetime(2026, 3, 1, tzinfo=UTC)


def test_whom_a_bundle_is_about_may_be_demanded() -> None:
    assert take(FHIR, pulse(), about=("urn:mrn", "1")).subject == ("urn:mrn", "1")
    for other in (("urn:mrn", "2"), ("urn:other", "1")):
        told = refusal(FHIR, pulse(), about=other)
        assert [(one.pointer, one.code) for one in told] == [
            ("/entry/0/resource/identifier", "other-subject")
        ]


def test_an_official_number_comes_before_a_usual_one() -> None:
    numbers = [
        {"use": "secondary", "system": "urn:a", "value": "1"},
        {"use": "usual", "system": "urn:b", "value": "2"},
        {"use": "official", "system": "urn:c", "value": "3"},
    ]
    mapping = load_bundle(files() | {"fhir.yaml": FHIR.encode()}).fhir
    assert mapping is not None
    document = bundle(pulse(), identifier=numbers)
    assert take_bundle(document, mapping, NOW).subject == ("urn:c", "3")
    assert take_bundle(document, mapping, NOW, systems=("urn:z", "urn:a")).subject == ("urn:a", "1")
    document["entry"][0]["resource"]["identifier"] = numbers[:2]
    assert take_bundle(document, mapping, NOW).subject == ("urn:b", "2")


@pytest.mark.parametrize(
    ("reference", "ok"),
    [
        ("Patient/p", True),
        ("Patient/p/_history/3", True),
        ("Patient/q", False),
        ("p", False),
        ("Practitioner/p", False),
        ("https://a.example/Patient/p", False),
        ("urn:uuid:6d4b0f2c-3d2b-4f0b-9f43-000000000000", False),
        ("#p", False),
        ("", False),
    ],
)
def test_a_reference_is_resolved_and_not_compared(reference: str, ok: bool) -> None:
    made = pulse(subject={"reference": reference})
    if ok:
        assert take(FHIR, made).facts["pulse"].value == 70
    else:
        told = refusal(FHIR, made)
        assert [(one.pointer, one.code) for one in told] == [("/entry/1/resource/subject", "other-subject")]


def test_a_patient_may_be_named_by_number() -> None:
    named = {"identifier": {"system": "urn:mrn", "value": "1"}}
    assert take(FHIR, pulse(subject=named)).facts["pulse"].value == 70


def test_no_place_or_word_repeats_what_was_sent() -> None:
    odd = pulse("zq7-Mrs-Jones")
    odd["zq7-Mrs-Jones"] = {"a": 1}
    told = refusal(FHIR, odd, pulse(status="zq7-Mrs-Jones"))
    assert len(told) == 1
    assert "zq7" not in repr(told)
