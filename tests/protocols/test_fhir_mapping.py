"""`fhir.yaml`: what it may say of the smallest protocol, and every fault by its line."""

from __future__ import annotations

import hashlib
import json

import pytest

from arbiter.documents.protocols import content_hash
from arbiter.errors import InvalidProtocolError
from arbiter.protocols.fhir.mapping import (
    ConditionSource,
    MedicationSource,
    ObservationSource,
    PatientSource,
    Wanted,
)
from arbiter.protocols.loader import SIZE_LIMITS, load_bundle, read_shipped
from tests.protocols.small import POLICY, PROTOCOL, files, spoiled

FHIR = """\
fhir: 4.0.1
systems:
  loinc: http://loinc.org
  icd10: http://hl7.org/fhir/sid/icd-10
  atc: http://www.whocc.no/atc
subject_systems: [urn:first, urn:second]
facts:
  pulse:
    - observation: {codings: [loinc|8867-4], value: quantity}
    - observation: {codings: [loinc|1-1], components: [loinc|2-2], value: quantity}
  mood:
    - observation:
        codings: [loinc|3-3]
        value: concept
        concepts:
          - {codings: [loinc|LA-1], means: calm}
        same_codes_in: loinc
        unknown: [loinc|LA-3]
  fasting:
    - condition: {codings: [icd10|R63*], exhaustive: [icd10]}
    - medication_request: {codings: [atc|A08*], means: false, absent: true}
    - observation: {codings: [loinc|4-4], value: boolean}
    - observation: {codings: [loinc|5-5], value: quantity, above: {number: 7.5, unit: h}}
    - patient: {take: gender, genders: {other: true}}
"""


def with_mapping(fhir: str) -> dict[str, bytes]:
    return files() | {"fhir.yaml": fhir.encode()}


def test_a_mapping_is_read_as_it_is_written() -> None:
    fhir = load_bundle(with_mapping(FHIR)).fhir
    assert fhir is not None
    assert fhir.subject_systems == ("urn:first", "urn:second")
    pulse, mood, fasting = fhir.facts
    assert (pulse.name, pulse.units, pulse.ages) == ("pulse", ("/min", "Hz"), True)
    assert (mood.units, mood.ages) == ((), False)
    (coded,) = mood.sources
    assert isinstance(coded, ObservationSource)
    meanings = [(concept.coding.code, concept.means) for concept in coded.concepts]
    assert meanings == [("LA-1", "calm"), ("calm", "calm"), ("upset", "upset"), ("LA-3", None)]
    kinds = [type(source) for source in fasting.sources]
    assert kinds == [ConditionSource, MedicationSource, ObservationSource, ObservationSource, PatientSource]
    condition, order = fasting.sources[:2]
    assert isinstance(condition, ConditionSource)
    assert isinstance(order, MedicationSource)
    assert (condition.means, condition.absent, condition.history) == (True, False, False)
    assert condition.exhaustive == ("http://hl7.org/fhir/sid/icd-10",)
    assert (order.means, order.absent) == (False, True)


def test_a_protocol_without_a_mapping_keeps_the_hash_it_had() -> None:
    # Computed as the loader's documentation says, and not with its code.
    listed = [
        [name, hashlib.sha256(source.encode()).hexdigest()]
        for name, source in (("policy.yaml", POLICY), ("protocol.yaml", PROTOCOL))
    ]
    expected = hashlib.sha256(json.dumps(listed, separators=(",", ":")).encode()).hexdigest()
    bundle = load_bundle(files())
    assert bundle.protocol.content_hash == expected
    assert bundle.fhir is None


def test_a_mapping_is_part_of_the_content_hash() -> None:
    plain, mapped = files(), with_mapping(FHIR)
    changed = with_mapping(FHIR.replace("8867-4", "8867-5"))
    assert len({content_hash(one) for one in (plain, mapped, changed)}) == 3
    assert load_bundle(mapped).protocol.content_hash == content_hash(mapped)
    assert "fhir.yaml" in load_bundle(mapped).files


def test_the_shipped_mapping_is_kept_with_its_bundle() -> None:
    bundle = read_shipped("deterioration")
    again = load_bundle(bundle.files)
    assert again.fhir == bundle.fhir is not None
    assert again.protocol.content_hash == bundle.protocol.content_hash


# (text that stands once, what replaces it, lines below the replacement, words of the refusal)
FAULTS = {
    "another version": ("fhir: 4.0.1", "fhir: 5.0.0", 0, "'4.0.1'"),
    "no version": ("fhir: 4.0.1\n", "", 0, "expected the key 'fhir'"),
    "unknown key": ("systems:\n", "notes: hello\nsystems:\n", 0, "only known keys, 'notes' came"),
    "no facts": (FHIR[FHIR.index("facts:") :], "facts: {}\n", 0, "expected"),
    "unknown fact": ("  mood:", "  temper:", 1, "expected a fact of the question, 'temper' came"),
    "a fact without sources": (
        FHIR[FHIR.index("    - observation: {codings: [loinc|8867-4]") : FHIR.index("  mood:")],
        "    []\n", 0, "at least 1 entries",
    ),
    "two kinds in one source": (
        "{codings: [loinc|4-4], value: boolean}",
        "{codings: [loinc|4-4], value: boolean}\n      patient: {take: gender, genders: {other: true}}",
        0, "expected exactly one of observation, condition, medication_request, patient, 2 came",
    ),
    "no kind in a source": ("- patient: {take: gender, genders: {other: true}}", "- {}", 0, "0 came"),
    "a coding without an alias": ("loinc|8867-4", "8867-4", 0, "expected a coding as alias|code"),
    "a coding with a blank": ("loinc|8867-4", "loinc|8867 4", 0, "expected a coding as alias|code"),
    "an unknown alias": ("loinc|8867-4", "lonic|8867-4", 0, "expected an alias of 'systems', 'lonic' came"),
    "a coding twice": ("[loinc|8867-4]", "[loinc|8867-4, loinc|8867-4]", 0, "'loinc|8867-4' once"),
    "no codings": ("[loinc|8867-4]", "[]", 0, "at least 1 entries"),
    "codes below, where codes do not nest": ("loinc|8867-4", "loinc|8867*", 0, "only in ICD-10 and ATC"),
    "a system that is no URI": ("loinc: http://loinc.org", "loinc: LOINC", 0, "URI"),
    "a subject's system that is no URI": ("urn:second", "second", 0, "URI"),
    "a subject's system twice": ("urn:second", "urn:first", 0, "expected 'urn:first' once"),
    "a number by a code": (
        "{codings: [loinc|8867-4], value: quantity}",
        "{codings: [loinc|8867-4], value: concept, same_codes_in: loinc}",
        0, "expected quantity for a number",
    ),
    "a code by a number": ("value: concept", "value: quantity", 0, "expected concept for a code"),
    "a flag by a number without a limit": (", above: {number: 7.5, unit: h}", "", 0, "expected boolean or concept for a flag"),
    "a limit on a number": (
        "{codings: [loinc|8867-4], value: quantity}",
        "{codings: [loinc|8867-4], value: quantity, above: {number: 1, unit: h}}",
        0, "'above' only for a flag",
    ),
    "a limit without a unit": ("{number: 7.5, unit: h}", "{number: 7.5}", 0, "expected the key 'unit'"),
    "a limit in words": ("number: 7.5", "number: seven", 0, "expected a number, text came"),
    "a place that FHIR does not have": ("value: boolean", "value: string", 0, "'quantity', 'concept' or 'boolean'"),
    "concepts for a number": (
        "{codings: [loinc|8867-4], value: quantity}",
        "{codings: [loinc|8867-4], value: quantity, unknown: [loinc|LA-3]}",
        0, "expected 'unknown' only for coded values",
    ),
    "a meaning that the fact does not have": ("means: calm", "means: furious", 0, "expected one of calm, upset"),
    "a meaning for a coding twice": ("unknown: [loinc|LA-3]", "unknown: [loinc|LA-1]", -2, "'loinc|LA-1' once"),
    "the same codes for a flag": (
        "{codings: [loinc|4-4], value: boolean}",
        "{codings: [loinc|4-4], value: concept, same_codes_in: loinc}",
        0, "expected a code for this key",
    ),
    "the same codes of an unknown system": ("same_codes_in: loinc", "same_codes_in: lonic", 0, "'lonic' came"),
    "a condition for a number": (
        "- observation: {codings: [loinc|8867-4], value: quantity}",
        "- condition: {codings: [icd10|I49]}",
        0, "expected a flag or code for this source, 'pulse' is a number",
    ),
    "a condition for a code without a meaning": (
        "    - observation:\n", "    - condition: {codings: [icd10|F32*]}\n    - observation:\n", 0, "expected the key 'means'",
    ),
    "absence that means the same": ("means: false, absent: true", "means: false, absent: false", 0, "another value than 'means'"),
    "absence in words for a flag": ("absent: true", "absent: gone", 0, "true or false"),
    "exhaustive in an unused system": ("exhaustive: [icd10]", "exhaustive: [atc]", 0, "expected an alias used in 'codings'"),
    "history of an order": ("means: false, absent: true", "history: true", 0, "only known keys, 'history' came"),
    "an unknown gender": ("genders: {other: true}", "genders: {none: true}", 0, "male, female, other, unknown"),
    "an age for a flag": ("{take: gender, genders: {other: true}}", "{take: age}", 0, "expected a number in a (years)"),
    "no genders": ("{take: gender, genders: {other: true}}", "{take: gender}", 0, "expected the key 'genders'"),
    "duplicate key": ("  fasting:", "  pulse: []\n  fasting:", 0, "'pulse' once"),
    "an anchor": ("facts:", "facts: &all", 0, "expected no anchor"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_fault_of_a_mapping_is_told_by_its_line(name: str) -> None:
    old, new, below, says = FAULTS[name]
    source, line = spoiled(FHIR, old, new)
    with pytest.raises(InvalidProtocolError) as caught:
        load_bundle(with_mapping(source))
    told = [(problem.pointer, problem.detail) for problem in caught.value.problems]
    assert any(
        pointer.startswith(f"fhir.yaml:{line + below}:") and says in detail for pointer, detail in told
    ), (line, told)


def test_a_huge_mapping_is_not_read() -> None:
    with pytest.raises(InvalidProtocolError) as caught:
        load_bundle(with_mapping("#" * (SIZE_LIMITS["fhir.yaml"] + 1)))
    assert [problem.code for problem in caught.value.problems] == ["limit"]


def test_a_mapping_of_a_broken_protocol_is_not_judged_by_it() -> None:
    broken = with_mapping(FHIR) | {"protocol.yaml": PROTOCOL.replace("id: small", "id: Small").encode()}
    with pytest.raises(InvalidProtocolError) as caught:
        load_bundle(broken)
    assert [problem.pointer.split(":")[0] for problem in caught.value.problems] == ["protocol.yaml"]


@pytest.mark.parametrize(
    ("wanted", "code", "taken"),
    [
        ("I48*", "I48", True),
        ("I48*", "I48.0", True),
        ("I48*", "I48.91", True),
        ("I48*", "I480", False),
        ("I48*", "I4", False),
        ("I25.1*", "I25.1", True),
        ("I25.1*", "I25.10", True),
        ("I25.1*", "I25.2", False),
        ("I48", "I48.0", False),
    ],
)
def test_codes_of_icd_10_nest_behind_their_dot(wanted: str, code: str, taken: bool) -> None:
    system = "http://hl7.org/fhir/sid/icd-10"
    one = Wanted(system, wanted.rstrip("*"), descendants=wanted.endswith("*"))
    assert one.matches(system, code) is taken
    assert not one.matches("http://snomed.info/sct", code)


@pytest.mark.parametrize(("code", "taken"), [("B01AA", True), ("B01AA03", True), ("B01AB01", False)])
def test_codes_of_atc_nest_by_their_beginning(code: str, taken: bool) -> None:
    system = "http://www.whocc.no/atc"
    assert Wanted(system, "B01AA", descendants=True).matches(system, code) is taken
