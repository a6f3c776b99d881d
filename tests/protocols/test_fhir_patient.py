"""Whom a Bundle is about: age, number and references are understood, and nothing sent is repeated in a refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from arbiter.errors import InvalidCaseError
from arbiter.protocols.fhir.taking import take_bundle
from arbiter.protocols.fhir.times import latest_of
from arbiter.protocols.loader import load_bundle
from tests.protocols.fhir_resources import FHIR, NOW, bundle, pulse, refusal, take
from tests.protocols.small import files


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


def number(
    value: str, use: str = "official", system: str = "urn:a", end: str | None = None
) -> dict[str, Any]:
    period = {} if end is None else {"period": {"start": "2001", "end": end}}
    return {"use": use, "system": system, "value": value} | period


def subject(*numbers: dict[str, Any], **options: Any) -> tuple[str, str]:
    mapping = load_bundle(files() | {"fhir.yaml": FHIR.encode()}).fhir
    assert mapping is not None
    return take_bundle(bundle(pulse(), identifier=[*numbers]), mapping, NOW, **options).subject


@pytest.mark.parametrize("systems", [(), ("urn:a",)])
@pytest.mark.parametrize("use", ["official", "usual"])
def test_the_same_number_twice_is_one_number(use: str, systems: tuple[str, ...]) -> None:
    twice = (number("1", use), number("1", use, end="2027"))
    assert subject(*twice, systems=systems) == ("urn:a", "1")


@pytest.mark.parametrize("end", ["2026", "2026-03", "2026-03-01", "2026-03-01T12:00:00Z", "9999-12-31"])
@pytest.mark.parametrize("systems", [(), ("urn:a",)])
def test_a_number_counts_to_the_end_of_its_period(end: str, systems: tuple[str, ...]) -> None:
    assert subject(number("1", end=end), systems=systems) == ("urn:a", "1")


@pytest.mark.parametrize(
    "end",
    ["2025", "2026-02", "2026-02-27", "2026-03-01T11:59:59Z", "2026-03-01T13:59:59+02:00", "0001-01-01"],
)
@pytest.mark.parametrize("systems", [(), ("urn:a",)])
def test_a_number_whose_period_is_over_gives_way_or_leaves_nobody(end: str, systems: tuple[str, ...]) -> None:
    over = number("zq7", end=end)
    assert subject(over, number("2"), systems=systems) == ("urn:a", "2")
    assert subject(over, number("2", "usual"), systems=systems) == ("urn:a", "2")
    for options in ({"systems": systems}, {"about": ("urn:a", "zq7")}):
        with pytest.raises(InvalidCaseError) as caught:
            subject(over, **options)
        assert {one.code for one in caught.value.problems} <= {"no-identifier", "other-subject"}
        assert "zq7" not in repr(caught.value.problems)


@pytest.mark.parametrize(
    ("numbers", "systems"),
    [
        ([number("zq7"), number("2")], ()),
        ([number("2"), number("zq7")], ()),
        ([number("1"), number("1"), number("zq7")], ()),
        ([number("zq7"), number("zq7", system="urn:b")], ()),
        ([number("zq7"), number("2", system="urn:b")], ()),
        ([number("zq7", "usual"), number("2", "usual")], ()),
        ([number("0", end="2025"), number("zq7", "usual"), number("2", "usual")], ()),
        ([number("zq7"), number("2", end="2026-03-01")], ()),
        ([number("zq7"), number("2", "usual")], ("urn:a",)),
        ([number("0", system="urn:b"), number("zq7"), number("2")], ("urn:z", "urn:a", "urn:b")),
    ],
)
def test_numbers_that_compete_are_refused_and_not_chosen_between(
    numbers: list[dict[str, Any]], systems: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidCaseError) as caught:
        subject(*numbers, systems=systems)
    (told,) = caught.value.problems
    assert (told.pointer, told.code) == ("/entry/0/resource/identifier", "identifiers")
    assert "subject-system" in told.detail
    assert "zq7" not in repr(told)
    assert "urn:" not in repr(told)


def test_numbers_that_compete_below_the_level_that_is_used_are_of_no_matter() -> None:
    assert subject(number("2", "usual"), number("3", "usual"), number("1")) == ("urn:a", "1")
    both = (number("1"), number("2", system="urn:b"))
    assert subject(*both, systems=("urn:b",)) == ("urn:b", "2")


@pytest.mark.parametrize(
    "end",
    ["", "zq7", "2025-13", "2025-02-30", "0000", "2025-01-01T10:00", "2025-01-01T10:00:00", "01.02.2025"],
)
@pytest.mark.parametrize("options", [{}, {"systems": ("urn:a",)}, {"about": ("urn:a", "1")}])
def test_an_end_that_cannot_be_read_is_refused_by_place(end: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidCaseError) as caught:
        subject(number("0", "secondary", "urn:b"), number("1", end=end), **options)
    (told,) = caught.value.problems
    assert (told.pointer, told.code) == ("/entry/0/resource/identifier/1/period/end", "instant")
    assert "zq7" not in repr(told)


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        # Baker Island, UTC-12, is the last place where a day ends.
        ("2026-02-28", datetime(2026, 3, 1, 11, 59, 59, 999_999, tzinfo=UTC)),
        ("2024-02", datetime(2024, 3, 1, 11, 59, 59, 999_999, tzinfo=UTC)),
        ("2025", datetime(2026, 1, 1, 11, 59, 59, 999_999, tzinfo=UTC)),
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("9999-12-31T23:59:59-05:00", datetime.max.replace(tzinfo=UTC)),
        ("0001-01-01T00:00:00+05:00", None),
    ],
)
def test_a_partial_date_ends_when_it_is_over_everywhere(text: str, latest: datetime | None) -> None:
    assert latest_of(text) == latest


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
