"""The same patients give the same cases whatever a hospital exports, and what is true of every format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from arbiter.evaluation.cases import CASES_LIMIT, read_cases
from arbiter.labels import importing, reading
from arbiter.labels.cases_file import content_of
from arbiter.labels.importing import import_labels
from arbiter.labels.reading import Beside, Format, format_of
from arbiter.model import RiskClass
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.intake import take_facts
from arbiter.protocols.loader import load_bundle, read_shipped
from tests.labels.hospital import (
    DAY,
    KINDS,
    NAMES,
    NOW,
    TAKEN_AT,
    WRITERS,
    as_body,
    as_bundle,
    as_row,
    csv_of,
    deterioration,
    facts_of,
    imported,
    json_lines,
    label_of,
    parameters,
    patients,
    refused,
)

each_format = pytest.mark.parametrize("kind", list(Format))
ONE = patients(12)[:1]
MARK = "\ufeff"

Change = Callable[[dict[str, str]], None]


def written(kind: Format, head: dict[str, str], label: dict[str, str], case: LabelledCase = ONE[0]) -> str:
    """One case in a format, with some of what it says beside its facts said otherwise."""
    match kind:
        case Format.CSV:
            row = as_row(case) | head
            row |= {("label" if part == "option" else f"label.{part}"): text for part, text in label.items()}
            return csv_of([row])
        case Format.JSON:
            body = as_body(case)
            return json_lines([body | head | {"label": body["label"] | label}])
        case Format.FHIR:
            return json_lines([_with(as_bundle(case), head, label)])


def _with(bundle: dict[str, Any], head: dict[str, str], label: dict[str, str]) -> dict[str, Any]:
    told = bundle["entry"][-1]["resource"]["parameter"]
    named = {one["name"]: one for one in told} | {one["name"]: one for one in told[-1]["part"]}
    for name, text in {**head, **label}.items():
        one = named[name.replace("_", "-")]
        (member,) = [member for member in one if member.startswith("value")]
        one[member] = text
    return bundle


@each_format
def test_the_same_patients_give_the_same_file(kind: Format) -> None:
    cases, question = patients(40), deterioration().protocol.question
    expected = [
        [(fact.name, fact.value, fact.unit) for fact in take_facts(question, facts_of(case), TAKEN_AT)]
        for case in cases
    ]
    assert {fact.unit for case in cases for fact in case.facts} > {"[degF]"}, "units are converted too"
    found = imported(kind, WRITERS[kind](cases))
    assert [[(fact.name, fact.value, fact.unit) for fact in case.facts] for case in found.cases] == expected
    assert [(case.id, case.label, case.provenance, case.risk_class, case.title) for case in found.cases] == [
        (case.id, case.label, case.provenance, case.risk_class, case.title) for case in cases
    ]
    by_json = imported(Format.JSON, WRITERS[Format.JSON](cases))
    assert content_of(found.cases, question, "x") == content_of(by_json.cases, question, "x")
    ages = {fact.name: fact.age_minutes for fact in cases[0].facts} | {"age": 12 * 60}
    assert {fact.name: fact.age_minutes for fact in found.cases[0].facts} == ages


@each_format
def test_what_is_written_is_read_as_cases_of_the_protocol(kind: Format, tmp_path: Any) -> None:
    found, question = imported(kind, WRITERS[kind](patients(40))), deterioration().protocol.question
    path = tmp_path / "cases.jsonl"
    path.write_bytes(content_of(found.cases, question, "cases.jsonl"))
    assert tuple(case.labelled for case in read_cases(path, question).cases) == found.cases
    assert "made-up" not in path.read_text(), "whose case it is, is not kept"


@each_format
def test_counts_are_of_labels_and_of_how_they_came_about(kind: Format) -> None:
    cases = patients(12)
    found = imported(kind, WRITERS[kind](cases))
    assert found.kinds == (("blind opinion", 4), ("independent reader", 4), ("outcome", 4))
    assert dict(found.labels) == {
        option: sum(case.label == option for case in cases) for option in {case.label for case in cases}
    }
    assert (found.contradicting, found.repeated, found.of_same_patient, found.left_out) == ((), (), 0, ())


@each_format
@pytest.mark.parametrize("mark", ["", MARK])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_byte_order_mark_and_other_line_ends_change_nothing(kind: Format, mark: str, ends: str) -> None:
    content = WRITERS[kind](patients(6))
    other = mark + ends.join(content.splitlines()) + ends
    assert imported(kind, other) == imported(kind, content)


@each_format
@pytest.mark.parametrize(
    "came",
    ["decision", "panel", "decision after the panel", "review of the panel's verdict", "Outcome", "outcome ", "outcome; of a patient",
     "independent-reader", "chart review of Mrs Example 4711"],
)  # fmt: skip
def test_a_kind_of_label_that_is_none_is_refused_with_the_reason_and_not_repeated(
    kind: Format, came: str
) -> None:
    (told,) = refused(kind, written(kind, {}, {"kind": came}))
    reason = (
        "expected one of outcome, independent reader, blind opinion: a decision taken after seeing the panel is no label, for it "
        "leans to what the panel said and would measure the panel by itself"
    )
    # Nothing but the place, the name of what is wrong, and a constant.
    assert re.fullmatch(r"\S+ (?:\S+: ){1,2}(.+)", told)[1] == (  # type: ignore[index]
        reason if came == came.strip() else "expected no blank at either end"
    )


@each_format
@pytest.mark.parametrize("came", ["synthetic", "synthetic draw"])
def test_invented_labels_pass_only_where_that_is_said_and_stay_invented(kind: Format, came: str) -> None:
    content = written(kind, {}, {"kind": came})
    (told,) = refused(kind, content)
    assert "an invented one came; --synthetic takes it" in told
    (case,) = imported(kind, content, Beside(synthetic=True)).cases
    assert case.provenance.startswith(f"{came};")


@each_format
@pytest.mark.parametrize("came", ["Synthetic", "synthetically", "synthetic 7", "synthetic " + "x" * 40])
def test_an_invented_kind_must_be_a_short_name(kind: Format, came: str) -> None:
    (told,) = refused(kind, written(kind, {}, {"kind": came}), Beside(synthetic=True))
    assert "expected synthetic alone, or with a few words" in told


@each_format
@pytest.mark.parametrize(
    ("head", "label", "said"),
    [
        ({}, {"option": "maybe-4711"}, "expected one of urgent-review, continue-monitoring"),
        ({}, {"date": "2026-02-28"}, "expected a day not before the case was taken in"),
        ({}, {"date": "2026-03-01T11:59:59Z"}, "expected a day not before the case was taken in"),
        ({}, {"date": "2027-03-01"}, "expected a day that has come"),
        ({}, {"date": "03/02/2026"}, "expected a day such as 2026-03-01"),
        ({}, {"date": "2026-03"}, "expected a day such as 2026-03-01"),
        ({}, {"date": "0001-01-01"}, "expected a day such as 2026-03-01"),
        ({}, {"date": "0001-01-01T00:00:00+14:00"}, "expected a day such as 2026-03-01"),
        ({}, {"date": "9999-12-31"}, "expected a day that has come"),
        ({}, {"date": "2026-02-30"}, "expected a day such as 2026-03-01"),
        ({}, {"date": "2026-03-02T10:00:00"}, "expected a day such as 2026-03-01"),
        ({}, {"source": "x" * 141}, "expected 1 to 140 printable characters"),
        ({}, {"source": "a\nb"}, "expected 1 to 140 printable characters"),
        ({"id": "Case 4711"}, {}, "words of a-z and 0-9 joined by hyphens"),
        ({"id": "12345678"}, {}, "words of a-z and 0-9 joined by hyphens"),
        ({"id": "a" * 65}, {}, "expected a name of at most 64 characters"),
        ({"taken_at": "2026-03-01T12:00:00"}, {}, "expected an instant with its offset"),
        ({"taken_at": "2026-03-01"}, {}, "expected an instant with its offset"),
        ({"risk_class": "soon"}, {}, "expected 'routine', 'urgent' or 'emergency'"),
    ],
)  # fmt: skip
def test_what_a_case_says_wrongly_of_itself_is_told_once_and_not_repeated(
    kind: Format, head: dict[str, str], label: dict[str, str], said: str
) -> None:
    told = refused(kind, written(kind, head, label))
    assert len(told) == 1
    assert said in told[0]
    (value,) = {**head, **label}.values()
    assert value not in told[0].removeprefix(NAMES[kind]).replace("such as 2026-03-01", "")


@each_format
@pytest.mark.parametrize(
    "date", ["2026-03-01", "2026-03-01T12:00:00Z", "2026-11-27", "2026-11-27T11:00:00+00:00"]
)
def test_a_label_of_the_same_day_is_taken_and_its_day_kept(kind: Format, date: str) -> None:
    (case,) = imported(kind, written(kind, {}, {"date": date})).cases
    assert case.provenance.endswith(f"; {date[:10]}")


@each_format
def test_a_case_that_is_yet_to_come_is_refused(kind: Format) -> None:
    content = written(kind, {}, {})
    with pytest.raises(Exception, match="problem") as caught:
        import_labels("x", content.encode(), kind, deterioration(), Beside(), TAKEN_AT - timedelta(hours=1))
    assert "expected an instant that has come" in str(caught.value.problems)  # type: ignore[attr-defined]


@each_format
def test_an_id_that_comes_twice_is_told_with_both_places(kind: Format) -> None:
    first, second = patients(12)[:2]
    (told,) = refused(kind, WRITERS[kind]([first, replace(second, id=first.id)]))
    line = 3 if kind is Format.CSV else 2
    assert told.startswith(f"{NAMES[kind]}:{line}:")
    assert f"expected each id once, the case at {NAMES[kind]}:{line - 1}:1 has this one" in told


@each_format
def test_an_id_of_a_case_that_is_refused_counts_too(kind: Format) -> None:
    first, second = patients(12)[:2]
    told = refused(kind, WRITERS[kind]([replace(first, label="maybe"), replace(second, id=first.id)]))
    assert len(told) == 2
    assert "expected each id once" in told[1]


@each_format
def test_cases_that_are_alike_are_told_by_their_places(kind: Format) -> None:
    first, second = patients(12)[:2]
    other = next(option for option in deterioration().protocol.question.option_ids() if option != first.label)
    alike = [first, second, replace(first, id="again"), replace(first, id="otherwise", label=other)]
    found = imported(kind, WRITERS[kind](alike))
    name, at = NAMES[kind], 2 if kind is Format.CSV else 1
    assert found.repeated == ((f"{name}:{at + 2}:1", f"{name}:{at}:1"),)
    assert found.contradicting == ((f"{name}:{at + 3}:1", f"{name}:{at}:1"),)
    assert len(found.cases) == 4


@each_format
def test_every_case_is_judged_and_every_problem_told(kind: Format) -> None:
    cases = [replace(case, label="maybe") for case in patients(12)]
    told = refused(kind, WRITERS[kind](cases))
    assert len(told) == 12
    assert len({problem.split()[0] for problem in told}) == 12


@each_format
def test_no_more_problems_are_told_than_anybody_reads(kind: Format) -> None:
    cases = [replace(case, label="maybe") for case in patients(210)]
    with pytest.raises(Exception, match="have 210 problems") as caught:
        imported(kind, WRITERS[kind](cases))
    assert len(caught.value.problems) == 200  # type: ignore[attr-defined]


@each_format
def test_where_too_much_is_wrong_the_rest_is_not_read(kind: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_PROBLEMS", 5)
    monkeypatch.setattr(importing, "MOST_PROBLEMS", 5)
    head = WRITERS[kind](ONE).splitlines()[0] + "\n" if kind is Format.CSV else ""
    with pytest.raises(Exception, match="have 5 problems or more") as caught:
        imported(kind, head + "x,y\n" * 9 if kind is Format.CSV else '{"a": 1}\n' * 9)
    assert len({problem.pointer for problem in caught.value.problems}) < 9  # type: ignore[attr-defined]


@each_format
@pytest.mark.parametrize("content", [b"", b"\n\n", MARK.encode()])
def test_a_file_without_a_case_is_refused(kind: Format, content: bytes) -> None:
    (told,) = refused(kind, content)
    assert told == f"{NAMES[kind]}:1:1 expected a labelled case, none came"


@each_format
def test_bytes_that_are_no_utf_8_are_refused_with_their_place(kind: Format) -> None:
    content = WRITERS[kind](ONE).encode() + b"\xff"
    (told,) = refused(kind, content)
    assert "expected UTF-8, other bytes came" in told
    (told,) = refused(kind, WRITERS[kind](ONE).encode("utf-16"))
    assert told == f"{NAMES[kind]}:1:1 expected UTF-8, other bytes came"


@each_format
def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    kind: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = WRITERS[kind](ONE).encode()
    monkeypatch.setattr(reading, "FILE_LIMIT_BYTES", len(content))
    assert len(imported(kind, content).cases) == 1
    (told,) = refused(kind, content + b"\n")
    assert "is too large: expected at most" in told


@each_format
def test_more_cases_than_an_evaluation_takes_are_refused(
    kind: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vars(importing)["CASES_LIMIT"] == CASES_LIMIT
    monkeypatch.setattr(importing, "CASES_LIMIT", 6)
    assert len(imported(kind, WRITERS[kind](patients(12)[:6])).cases) == 6
    (told,) = refused(kind, WRITERS[kind](patients(12)[:7]))
    assert "expected at most 6 cases" in told


@each_format
def test_a_risk_class_that_is_said_for_all_stands_in_only_where_a_case_names_none(kind: Format) -> None:
    case = replace(patients(12)[0], risk_class=RiskClass.URGENT)
    without = {
        Format.CSV: lambda: csv_of([{k: v for k, v in as_row(case).items() if k != "risk_class"}]),
        Format.JSON: lambda: json_lines([{k: v for k, v in as_body(case).items() if k != "risk_class"}]),
        Format.FHIR: lambda: _without_risk_class(case),
    }[kind]()
    assert any("risk" in told for told in refused(kind, without))
    beside = Beside(risk_class=RiskClass.ROUTINE)
    assert imported(kind, without, beside).cases[0].risk_class is RiskClass.ROUTINE
    assert imported(kind, WRITERS[kind]([case]), beside).cases[0].risk_class is RiskClass.URGENT


def _without_risk_class(case: LabelledCase) -> str:
    bundle, told = as_bundle(case), parameters(case)
    told["parameter"] = [one for one in told["parameter"] if one["name"] != "risk-class"]
    bundle["entry"][-1] = {"resource": told}
    return json_lines([bundle])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", Format.CSV), ("A.CSV", Format.CSV), ("a.json", Format.JSON), ("a.jsonl", Format.JSON),
        ("a.ndjson", Format.JSON), ("a.fhir.json", Format.FHIR), ("a.FHIR.ndjson", Format.FHIR),
        ("a.2026.csv", Format.CSV), ("a.fhir.csv", Format.CSV), ("a.xlsx", None), ("a", None), ("csv", None), ("fhir.json", Format.JSON),
        ("a.json.gz", None),
    ],
)  # fmt: skip
def test_a_files_name_says_its_format_or_nothing_does(name: str, kind: Format | None) -> None:
    assert format_of(name) is kind


def test_a_protocol_without_a_mapping_takes_no_bundles() -> None:
    files = {
        name: content for name, content in read_shipped("deterioration").files.items() if name != "fhir.yaml"
    }
    with pytest.raises(Exception, match=r"takes no Bundles: expected one that says in fhir\.yaml"):
        import_labels("x", b"{}", Format.FHIR, load_bundle(files), Beside(), NOW)


def test_kinds_are_those_that_the_method_names_and_days_are_those_of_the_labels() -> None:
    assert {label_of(case)["kind"] for case in patients(12)} == set(KINDS)
    assert json.loads(json_lines([as_body(ONE[0])]))["label"]["date"] == DAY
