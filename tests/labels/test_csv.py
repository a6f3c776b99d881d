"""Labelled cases from CSV: what spreadsheets make of a file is read or refused, by line and cell, and never guessed."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.errors import RefusedError
from arbiter.labels.csv_file import read_csv
from arbiter.labels.reading import Beside, Format, Found
from tests.labels.hospital import (
    TAKEN_AT,
    as_row,
    cell_of,
    csv_of,
    deterioration,
    earlier,
    imported,
    patients,
    refused,
)

ROW = as_row(patients(12)[0])
OTHER = as_row(patients(12)[1])
QUESTION = deterioration().protocol.question


def told_of(changes: dict[str, str], beside: Beside | None = None) -> list[str]:
    return refused(Format.CSV, csv_of([ROW | changes]), beside or Beside())


def without(*columns: str) -> dict[str, str]:
    return {column: text for column, text in ROW.items() if column not in columns}


def at(column: str, line: int = 2) -> str:
    return f"ward.csv:{line}:{cell_of(ROW, column)} {column}: "


# --- facts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("heart_rate.unit", "", "expected a unit, one of /min; none came"),
        ("heart_rate.unit", "bpm", "expected one of /min; another unit came"),
        ("heart_rate", "4711", "expected 10 to 350 /min"),
        ("heart_rate", "72.5", "expected at most 0 decimals"),
        ("heart_rate", "72,5", "expected a number with a point, such as 36.8"),
        ("heart_rate", "1,072", "expected a number with a point, such as 36.8"),
        ("heart_rate", "7.2e1", "expected a number with a point, such as 36.8"),
        ("heart_rate", "NaN", "expected a number with a point, such as 36.8"),
        ("heart_rate", "seventy two", "expected a number with a point, such as 36.8"),
        ("heart_rate", "> 72", "expected a number with a point, such as 36.8"),
        ("heart_rate", " 72", "expected a number with a point, such as 36.8"),
        ("heart_rate", "٧٢", "expected a number with a point, such as 36.8"),
        ("heart_rate", "9" * 400, "expected a number with a point, such as 36.8"),
        ("heart_rate.observed_at", "", "expected a value here, none came"),
        ("heart_rate.observed_at", "2026-03-01 11:30", "expected an instant with its offset"),
        ("heart_rate.observed_at", "2026-03-01T11:30:00", "expected an instant with its offset"),
        ("heart_rate.observed_at", "2026-03-01T12:02:00Z", "expected an instant at most 60 s after intake"),
        ("heart_rate.observed_at", "2024-03-01T12:02:00Z", "expected an instant at most 366 days before intake"),
        ("heart_rate.source", "", "expected a value here, none came"),
        ("heart_rate.source", "x" * 201, "expected 1 to 200 characters"),
        ("supplemental_oxygen", "no", "expected true or false"),
        ("supplemental_oxygen", "0", "expected true or false"),
        ("consciousness", "Alert", "expected one of alert, confusion, voice, pain, unresponsive"),
        ("consciousness.unit", "/min", "expected no unit, one came"),
    ],
)  # fmt: skip
def test_a_fact_that_intake_would_refuse_is_told_by_its_cell_and_never_repeated(
    column: str, text: str, said: str
) -> None:
    told = told_of({column: text})
    assert len(told) == 1
    assert told[0].startswith(at(column) + said)
    assert text == "" or f" {text}" not in told[0].replace("1 to 200", "")


def test_a_cell_that_is_empty_says_that_the_fact_is_not_known() -> None:
    (case,) = imported(Format.CSV, csv_of([ROW | {"heart_rate": "", "consciousness": "  "}])).cases
    names = {fact.name for fact in case.facts}
    assert {"heart_rate", "consciousness"} & names == set()
    assert "respiratory_rate" in names


def test_a_unit_without_a_column_is_missing_and_told_at_its_number() -> None:
    (told,) = refused(Format.CSV, csv_of([without("temperature.unit")]))
    assert told.endswith("temperature.unit: expected a unit, one of Cel, [degF]; none came")
    assert told.startswith(f"ward.csv:2:{cell_of(without('temperature.unit'), 'temperature')} ")


@pytest.mark.parametrize(
    ("value", "unit", "taken"),
    [
        ("100.5", "[degF]", "38.1"),
        ("98.6", "[degF]", "37.0"),
        ("38.10", "Cel", "38.1"),
        ("+38.1", "Cel", "38.1"),
    ],
)
def test_units_are_converted_as_at_the_door(value: str, unit: str, taken: str) -> None:
    (case,) = imported(Format.CSV, csv_of([ROW | {"temperature": value, "temperature.unit": unit}])).cases
    fact = next(fact for fact in case.facts if fact.name == "temperature")
    assert (fact.value, fact.unit) == (Decimal(taken), "Cel")


@pytest.mark.parametrize(
    ("text", "means"), [("true", True), ("TRUE", True), ("False", False), ("FALSE", False)]
)
def test_flags_are_taken_as_spreadsheets_write_them(text: str, means: bool) -> None:
    (case,) = imported(Format.CSV, csv_of([ROW | {"supplemental_oxygen": text}])).cases
    assert next(fact.value for fact in case.facts if fact.name == "supplemental_oxygen") is means


@pytest.mark.parametrize(
    ("observed", "minutes"),
    [
        (earlier(240), 240),
        ("2026-03-01T07:59:59Z", 241),
        ("2026-03-01T08:00:30Z", 240),
        ("2026-03-01T12:00:30Z", 0),
        ("2026-03-01T14:00:00+02:00", 0),
    ],
)
def test_an_age_is_rounded_up_so_that_no_fact_becomes_fresher(observed: str, minutes: int) -> None:
    (case,) = imported(Format.CSV, csv_of([ROW | {"heart_rate.observed_at": observed}])).cases
    assert next(fact.age_minutes for fact in case.facts if fact.name == "heart_rate") == minutes


def test_a_fact_that_does_not_age_may_be_older_than_a_case_can_say() -> None:
    (case,) = imported(Format.CSV, csv_of([ROW | {"age.observed_at": "1990-01-01T00:00:00Z"}])).cases
    assert next(fact.age_minutes for fact in case.facts if fact.name == "age") == 366 * 24 * 60


def test_preliminary_facts_are_counted_and_statuses_that_are_none_refused() -> None:
    found = imported(
        Format.CSV, csv_of([ROW | {"heart_rate.status": "preliminary", "spo2.status": "amended"}])
    )
    assert found.preliminary == 1
    (told,) = told_of({"heart_rate.status": "registered"})
    assert "heart_rate.status: expected 'final', 'preliminary', 'amended' or 'corrected'" in told


def test_a_row_without_any_fact_is_refused() -> None:
    (told,) = told_of(dict.fromkeys((spec.name for spec in QUESTION.facts), ""))
    assert told == "ward.csv:2:1 facts: expected at least 1"


def test_all_that_is_wrong_with_a_row_is_told_at_once() -> None:
    told = told_of({"heart_rate.unit": "", "spo2": "4711", "label.source": "", "temperature.source": ""})
    assert [problem.split(": ")[0].split()[1] for problem in told] == ["label.source", "temperature.source"]
    told = told_of({"heart_rate.unit": "", "spo2": "4711", "label": "maybe"})
    assert [problem.split(": ")[0].split()[1] for problem in told] == ["label", "heart_rate.unit", "spo2"]


# --- what is said for all rows --------------------------------------------------------------------------------------


def charted(**more: str) -> dict[str, str]:
    """A row whose facts were charted at once."""
    kept = {column: text for column, text in ROW.items() if not column.endswith((".observed_at", ".source"))}
    label = {"label.source": ROW["label.source"]}
    return kept | label | {"charted_at": earlier(30)} | more


def test_one_column_may_say_when_facts_were_observed_and_one_word_where_they_are_from() -> None:
    beside = Beside(observed_at_column="charted_at", source="ward chart")
    (case,) = imported(Format.CSV, csv_of([charted()]), beside).cases
    assert {fact.age_minutes for fact in case.facts} == {30}
    more = {"heart_rate.observed_at": earlier(5), "heart_rate.source": "monitor"}
    (case,) = imported(Format.CSV, csv_of([charted(**more)]), beside).cases
    assert {fact.name: fact.age_minutes for fact in case.facts if fact.age_minutes != 30} == {"heart_rate": 5}


def test_what_is_not_said_for_all_rows_is_missing() -> None:
    facts = len([spec for spec in QUESTION.facts if spec.name in ROW])
    content = csv_of([charted()])
    told = refused(Format.CSV, content, Beside(source="ward chart", ignored=frozenset({"charted_at"})))
    assert len(told) == facts
    assert all("observed_at: expected a value here, none came" in problem for problem in told)
    told = refused(Format.CSV, content, Beside(observed_at_column="charted_at"))
    assert len(told) == facts
    assert all("source: expected a value here, none came" in problem for problem in told)


def test_an_empty_cell_of_the_shared_column_is_told_there() -> None:
    told = refused(
        Format.CSV,
        csv_of([charted(charted_at="")]),
        Beside(observed_at_column="charted_at", source="ward chart"),
    )
    cell = cell_of(charted(), "charted_at")
    assert set(told) == {f"ward.csv:2:{cell} charted_at: expected a value here, none came"}


@pytest.mark.parametrize("column", ["taken_at", "label.date", "id", "age"])
def test_a_column_that_says_something_else_does_not_say_when_facts_were_observed(column: str) -> None:
    (told,) = told_of({}, Beside(observed_at_column=column))
    assert told == f"expected a column that says when facts were observed, {column} says something else"


def test_the_shared_column_must_be_there() -> None:
    (told,) = told_of({}, Beside(observed_at_column="charted_at"))
    assert told.endswith("lacking are charted_at")


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column", ["id", "taken_at", "risk_class", "label", "label.kind", "label.source", "label.date"]
)
def test_a_column_that_is_needed_and_lacking_is_named(column: str) -> None:
    (told,) = refused(Format.CSV, csv_of([without(column)]))
    assert told.startswith("ward.csv:1:1 expected the columns id, label, label.date, ")
    assert told.endswith(f"; lacking are {column}")


def test_a_column_that_is_not_known_may_be_a_misspelt_fact_and_is_refused() -> None:
    row = ROW | {"hart_rate": "72"}
    (told,) = refused(Format.CSV, csv_of([row]))
    assert told == (
        f"ward.csv:1:{cell_of(row, 'hart_rate')} expected a known column or one that --ignore-column names: "
        "did you mean heart_rate?"
    )
    assert len(imported(Format.CSV, csv_of([row]), Beside(ignored=frozenset({"hart_rate"}))).cases) == 1


def test_a_file_without_its_first_row_repeats_no_patient() -> None:
    content = "".join(csv_of([ROW, OTHER]).splitlines(keepends=True)[1:])
    told = refused(Format.CSV, content)
    values = {text for text in ROW.values() if len(text) > 3} - {"true", "false", "none", "scale-1", "alert"}
    assert not [problem for problem in told if any(value in problem for value in values)]
    assert told[0].startswith("ward.csv:1:1 expected the columns ")


def test_a_column_that_comes_twice_is_refused() -> None:
    head, row = csv_of([ROW]).splitlines()
    (told,) = refused(Format.CSV, f"{head},heart_rate\n{row},72\n")
    assert f"expected each column once, cell {cell_of(ROW, 'heart_rate')} has this name too" in told


def test_a_unit_without_its_fact_is_refused() -> None:
    (told,) = refused(Format.CSV, csv_of([without("heart_rate")]))
    assert "expected a column heart_rate beside heart_rate.unit" in told


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_another_delimiter_is_refused_with_a_hint(delimiter: str) -> None:
    told = refused(Format.CSV, csv_of([ROW], delimiter=delimiter))
    assert told[0].endswith("expected commas between columns")


def test_a_protocol_with_a_fact_called_like_a_column_takes_no_csv() -> None:
    spec = replace(QUESTION.facts[0], name="subject")
    question = replace(QUESTION, facts=(spec, *QUESTION.facts[1:]))
    with pytest.raises(RefusedError, match="has a fact subject, as a column of CSV is called"):
        next(read_csv("x", csv_of([ROW]), question, Beside(), Found()))


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [",", ",,"])
def test_a_row_of_other_length_than_the_first_is_refused(more: str) -> None:
    content = csv_of([ROW, OTHER], lineterminator="\n")
    head, first, second = content.splitlines()
    (told,) = refused(Format.CSV, f"{head}\n{first}{more}\n{second}\n")
    assert f"expected {len(ROW)} cells as in the first row, {len(ROW) + len(more)} came" in told
    (told,) = refused(Format.CSV, f"{head}\n{first}\n{second.rsplit(',', 1)[0]}\n")
    assert told.startswith("ward.csv:3:")


def test_lines_are_counted_over_quoted_line_breaks() -> None:
    rows = [ROW | {"remark": 'fell,\r\n"twice"\nat night'}, OTHER | {"remark": "", "label": "maybe"}]
    (told,) = refused(Format.CSV, csv_of(rows), Beside(ignored=frozenset({"remark"})))
    assert told.startswith(f"ward.csv:5:{cell_of(ROW, 'label')} label: expected one of urgent-review")
    found = imported(
        Format.CSV, csv_of([rows[0], OTHER | {"remark": ""}]), Beside(ignored=frozenset({"remark"}))
    )
    assert len(found.cases) == 2


def test_a_line_break_in_a_cell_that_counts_is_refused() -> None:
    (told,) = told_of({"label.source": "register\nof intensive care"})
    assert told.startswith(at("label.source"))
    (told,) = told_of({"heart_rate.source": "ward\nchart"})
    assert told.startswith(at("heart_rate.source"))


def test_a_file_that_quotes_everything_is_the_same() -> None:
    rows = [ROW, OTHER]
    assert imported(Format.CSV, csv_of(rows, quoting=csv.QUOTE_ALL)) == imported(Format.CSV, csv_of(rows))


def test_empty_lines_are_passed_over_and_counted() -> None:
    content = csv_of([ROW, OTHER | {"label": "maybe"}], lineterminator="\n").replace("\n", "\n\n")
    (told,) = refused(Format.CSV, content)
    assert told.startswith("ward.csv:5:")


def test_rows_of_empty_cells_as_spreadsheets_leave_them_are_passed_over() -> None:
    content = csv_of([ROW, OTHER])
    assert imported(Format.CSV, content + "," * (len(ROW) - 1) + "\r\n") == imported(Format.CSV, content)


def test_columns_without_a_row_are_no_cases() -> None:
    assert refused(Format.CSV, csv_of([ROW]).splitlines()[0]) == [
        "ward.csv:1:1 expected a labelled case, none came"
    ]


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ('"ward-9', "unexpected end of data"),
        ('"ward"-9,x', "',' expected after '\"'"),
        ('"ward-9" ,x', "',' expected after '\"'"),
    ],
)
def test_quotes_that_do_not_fit_are_refused_with_their_line(spoilt: str, said: str) -> None:
    head, first = csv_of([ROW], lineterminator="\n").splitlines()
    assert refused(Format.CSV, f"{head}\n{first}\n{spoilt}\n") == [f"ward.csv:3:1 expected CSV: {said}"]


def test_a_cell_beyond_any_measure_is_refused() -> None:
    told = told_of({"label.source": "x" * 200_000})
    assert told == ["ward.csv:2:1 expected CSV: field larger than field limit (131072)"]


# --- patients -----------------------------------------------------------------------------------------------------------


def test_cases_of_one_patient_are_counted_and_whose_they_are_is_not_kept() -> None:
    rows = [ROW | {"subject": "4711"}, OTHER | {"subject": "4711"}]
    found = imported(Format.CSV, csv_of(rows))
    assert found.of_same_patient == 1
    assert "4711" not in repr(found)
    assert imported(Format.CSV, csv_of([row | {"subject": ""} for row in rows])).of_same_patient == 0


def test_a_zone_is_an_offset_and_the_instant_counts() -> None:
    there = TAKEN_AT.isoformat().replace("T12:00:00+00:00", "T14:00:00+02:00")
    assert imported(Format.CSV, csv_of([ROW | {"taken_at": there}])) == imported(Format.CSV, csv_of([ROW]))
