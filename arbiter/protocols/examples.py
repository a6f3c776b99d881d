"""Reads `examples.jsonl`: one labelled case a line, checked against the question, every fault with its line; and writes such a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NoReturn

from pydantic import ValidationError

from arbiter.documents.scalars import decimal_text
from arbiter.errors import Problem
from arbiter.files.faults import explain
from arbiter.files.reading import decode, quoted
from arbiter.protocols.bundle import EXAMPLES_FILE, ExampleFact, LabelledCase
from arbiter.protocols.schema import ExamplePart
from arbiter.question import Question

EXAMPLES_LIMIT: Final = 10_000
LINE_LIMIT: Final = 16_384
_NUMBER_LIMIT: Final = 30


def read_examples(
    source: bytes,
    question: Question | None,
    problems: list[Problem],
    file: str = EXAMPLES_FILE,
    limit: int = EXAMPLES_LIMIT,
) -> tuple[LabelledCase, ...]:
    """Return the labelled cases, one for each line that is not blank, noting each problem as `file:line:column`.

    `question` is None when the protocol itself is malformed; what depends on it is then not checked.
    """
    text = decode(file, source, problems)
    cases: list[LabelledCase] = []
    seen: set[str] = set()
    lines = (text or "").split("\n")
    if len(lines) > limit:
        problems.append(Problem(f"{file}:1:1", "limit", f"expected at most {limit} lines"))
        return ()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        at = _Line(file, number, problems)
        case = _case(line, at)
        if case is None:
            continue
        if case.id in seen:
            at.note(1, "duplicate", f"expected the id {case.id!r} once, it came again")
        seen.add(case.id)
        cases.append(case)
        if question is not None:
            for detail in _misfits(case, question):
                at.note(1, "reference", f"{case.id}: {detail}")
    return tuple(cases)


def example_line(case: LabelledCase) -> str:
    """Return a labelled case as the line, without its end, that it is read from.

    Raises:
        RefusedError: when a number is not finite or has more than 40 digits before or after the point.
    """
    members = {
        "id": json.dumps(case.id),
        "title": _text(case.title),
        "risk_class": json.dumps(case.risk_class.value),
        "facts": _joined({fact.name: _fact_text(fact) for fact in case.facts}),
        "label": json.dumps(case.label),
        "provenance": _text(case.provenance),
        **({} if case.expect is None else {"expect": _text(case.expect)}),
        **({} if not case.covers else {"covers": json.dumps(case.covers, ensure_ascii=False)}),
    }
    return _joined(members)


def _fact_text(fact: ExampleFact) -> str:
    # A number keeps its digits: as a float it might come out as another one.
    value = decimal_text(fact.value) if isinstance(fact.value, Decimal) else _text(fact.value)
    unit = {} if fact.unit is None else {"unit": _text(fact.unit)}
    return _joined({"value": value, **unit, "age_minutes": str(fact.age_minutes)})


def _text(value: str | bool) -> str:
    return json.dumps(value, ensure_ascii=False)


def _joined(members: Mapping[str, str]) -> str:
    """Return an object whose members' values are JSON already."""
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members.items()) + "}"


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a problem stands, and where it is noted."""

    file: str
    number: int
    problems: list[Problem]

    def note(self, column: int, code: str, detail: str) -> None:
        self.problems.append(Problem(f"{self.file}:{self.number}:{column}", code, detail))


def _case(line: str, at: _Line) -> LabelledCase | None:
    """Return the case on a line, or None with its problems noted."""
    if len(line) > LINE_LIMIT:
        at.note(1, "limit", f"expected at most {LINE_LIMIT} characters in a line")
        return None
    try:
        return _frozen(ExamplePart.model_validate(_plain(line)))
    except json.JSONDecodeError as fault:
        at.note(fault.colno, "syntax", f"expected JSON: {fault.msg.lower()}")
    except _JsonError as fault:
        at.note(1, "syntax", str(fault))
    except RecursionError:
        at.note(1, "syntax", "expected an object, something nested too deeply came")
    except ValidationError as fault:
        for error in fault.errors(include_url=False):
            code, detail = explain(error)
            place = "/".join(str(step) for step in error["loc"])
            at.note(1, code, f"{place}: {detail}" if place else detail)
    return None


def _plain(line: str) -> Any:
    return json.loads(
        line, parse_float=_number, parse_int=_integer, parse_constant=_constant, object_pairs_hook=_object
    )


def _frozen(part: ExamplePart) -> LabelledCase:
    return LabelledCase(
        id=part.id,
        title=part.title,
        risk_class=part.risk_class,
        facts=tuple(
            ExampleFact(name, fact.value, fact.unit, fact.age_minutes)
            for name, fact in sorted(part.facts.items())
        ),
        label=part.label,
        provenance=part.provenance,
        expect=part.expect,
        covers=tuple(part.covers),
    )


class _JsonError(ValueError):
    """JSON that the standard reader would let pass."""


def _object(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _JsonError(f"expected the key {quoted(key)} once, it came again")
        found[key] = value
    return found


def _constant(name: str) -> NoReturn:
    raise _JsonError(f"expected a finite number, {name} came")


def _number(text: str) -> Decimal:
    if len(text) > _NUMBER_LIMIT:
        raise _JsonError(f"expected a number of at most {_NUMBER_LIMIT} characters")
    return Decimal(text)


def _integer(text: str) -> int:
    if len(text) > _NUMBER_LIMIT:
        raise _JsonError(f"expected a number of at most {_NUMBER_LIMIT} characters")
    return int(text)


def _misfits(case: LabelledCase, question: Question) -> list[str]:
    """Return what about the case does not fit the question; values are intake's to judge."""
    options = question.option_ids()
    expected = {"escalated", "asks-facts", *(f"decided:{option}" for option in options)}
    found = [
        f"expected a fact of the question, {fact.name!r} came"
        for fact in case.facts
        if question.spec(fact.name) is None
    ]
    if case.label not in options:
        found.append(f"expected the label to be one of {', '.join(options)}, {case.label!r} came")
    if case.expect is not None and case.expect not in expected:
        found.append(f"expected 'expect' to be one of {', '.join(sorted(expected))}, {case.expect!r} came")
    return found
