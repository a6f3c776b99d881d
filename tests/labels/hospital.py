"""The same labelled patients as a hospital would export them: CSV, JSON and FHIR, and a way to have each read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from arbiter.errors import RefusedError
from arbiter.labels.importing import Imported, import_labels
from arbiter.labels.reading import Beside, Format
from arbiter.protocols.bundle import Bundle, LabelledCase
from arbiter.protocols.examples import read_examples
from arbiter.protocols.intake import RawFact
from arbiter.protocols.loader import read_shipped
from tests.evaluation.small import invented
from tests.protocols.fhir_bundles import MRN, bundle_of, number

TAKEN_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KINDS = ("outcome", "independent reader", "blind opinion")
SOURCE = "register of intensive care"
DAY = "2026-03-02"
NOTHING_BESIDE = Beside()


@cache
def deterioration() -> Bundle:
    return read_shipped("deterioration")


@cache
def patients(count: int) -> tuple[LabelledCase, ...]:
    """Cases of the generator, labelled as those of a hospital are: nothing else about them is invented."""
    lines = "".join(json.dumps(line) + "\n" for line in invented("deterioration", count))
    problems: list[Any] = []
    cases = read_examples(lines.encode(), deterioration().protocol.question, problems)
    assert problems == []
    return tuple(
        replace(
            case,
            id=f"ward-{at}",
            title=f"Case ward-{at}",
            provenance=f"{KINDS[at % 3]}; {SOURCE}; {DAY}",
            covers=(),
        )
        for at, case in enumerate(cases)
    )


def facts_of(case: LabelledCase) -> dict[str, RawFact]:
    """What was known; the age as of the day, which is when FHIR knows it."""
    facts = case.raw_facts(TAKEN_AT)
    midnight = TAKEN_AT.replace(hour=0)
    return {
        name: replace(fact, observed_at=midnight if name == "age" else fact.observed_at, source="ward chart")
        for name, fact in facts.items()
    }


def plain(value: Decimal | str | bool) -> int | float | str | bool:
    return number(value) if isinstance(value, Decimal) else value


def label_of(case: LabelledCase) -> dict[str, str]:
    kind = case.provenance.split(";")[0]
    return {"option": case.label, "kind": kind, "source": SOURCE, "date": DAY}


# --- JSON ---------------------------------------------------------------------------------------------------------


def as_body(case: LabelledCase) -> dict[str, Any]:
    return {
        "id": case.id,
        "protocol": "deterioration",
        "site": "st-elsewhere",
        "subject": {"system": MRN, "value": f"made-up-{case.id}"},
        "risk_class": case.risk_class.value,
        "taken_at": TAKEN_AT.isoformat(),
        "facts": {
            name: {
                "value": plain(fact.value),
                **({} if fact.unit is None else {"unit": fact.unit}),
                "observed_at": fact.observed_at.isoformat(),
                "source": fact.source,
            }
            for name, fact in facts_of(case).items()
        },
        "label": label_of(case),
    }


def json_lines(bodies: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(body) + "\n" for body in bodies)


# --- CSV ----------------------------------------------------------------------------------------------------------


def as_row(case: LabelledCase) -> dict[str, str]:
    label = label_of(case)
    row = {
        "id": case.id,
        "taken_at": TAKEN_AT.isoformat(),
        "risk_class": case.risk_class.value,
        "subject": f"made-up-{case.id}",
        "label": label["option"],
        **{f"label.{part}": label[part] for part in ("kind", "source", "date")},
    }
    for name, fact in facts_of(case).items():
        value = plain(fact.value)
        row[name] = str(value).lower() if isinstance(value, bool) else str(value)
        row[f"{name}.unit"] = fact.unit or ""
        row[f"{name}.observed_at"] = fact.observed_at.isoformat()
        row[f"{name}.source"] = fact.source
    return row


def csv_of(rows: Sequence[Mapping[str, str]], **ways: Any) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, columns, restval="", **ways)
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def cell_of(row: Mapping[str, str], column: str) -> int:
    return list(row).index(column) + 1


# --- FHIR ---------------------------------------------------------------------------------------------------------


def parameters(case: LabelledCase) -> dict[str, Any]:
    label = label_of(case)
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "id", "valueString": case.id},
            {"name": "taken-at", "valueInstant": TAKEN_AT.isoformat()},
            {"name": "risk-class", "valueCode": case.risk_class.value},
            {
                "name": "label",
                "part": [
                    {"name": "option", "valueCode": label["option"]},
                    {"name": "kind", "valueString": label["kind"]},
                    {"name": "source", "valueString": label["source"]},
                    {"name": "date", "valueDate": label["date"]},
                ],
            },
        ],
    }


def as_bundle(case: LabelledCase) -> dict[str, Any]:
    bundle = bundle_of(deterioration(), case, TAKEN_AT)
    return {**bundle, "entry": [*bundle["entry"], {"resource": parameters(case)}]}


# --- read ---------------------------------------------------------------------------------------------------------

WRITERS: Mapping[Format, Callable[[Sequence[LabelledCase]], str]] = {
    Format.CSV: lambda cases: csv_of([as_row(case) for case in cases]),
    Format.JSON: lambda cases: json_lines(as_body(case) for case in cases),
    Format.FHIR: lambda cases: json_lines(as_bundle(case) for case in cases),
}
NAMES: Mapping[Format, str] = {
    Format.CSV: "ward.csv",
    Format.JSON: "ward.jsonl",
    Format.FHIR: "ward.fhir.ndjson",
}


def imported(kind: Format, content: str | bytes, beside: Beside = NOTHING_BESIDE) -> Imported:
    source = content.encode() if isinstance(content, str) else content
    return import_labels(NAMES[kind], source, kind, deterioration(), beside, NOW)


def refused(kind: Format, content: str | bytes, beside: Beside = NOTHING_BESIDE) -> list[str]:
    """What is told of a file that is refused: `place detail`, a line each; the message itself where there is no more."""
    with pytest.raises(RefusedError) as caught:
        imported(kind, content, beside)
    problems = [f"{problem.pointer} {problem.detail}" for problem in caught.value.problems]
    return problems or [str(caught.value)]


def earlier(minutes: int) -> str:
    return (TAKEN_AT - timedelta(minutes=minutes)).isoformat()
