"""Reads labelled cases from CSV (RFC 4180): a row a case, a column a value, the first row the columns' names.

A fact of the question has the column of its name and, beside it, `NAME.unit`, `NAME.observed_at`, `NAME.source` and `NAME.status`; an
empty cell says that the fact is not known. Nothing is guessed: numbers have a point and a unit of their own, flags are true or
false, and a column that is not known is refused, since it may be a fact that is misspelt. Places are `file:line:cell`; no
message repeats a cell, nor the name of a column that is not known: a file without its first row has a patient there.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from arbiter.errors import Problem, RefusedError
from arbiter.labels.form import Arrived, LabelledIn, arrived, formed, raw_facts
from arbiter.labels.reading import Beside, Found
from arbiter.question import FactKind, FactSpec, Question

NEEDED: Final = ("id", "taken_at", "label", "label.kind", "label.source", "label.date")
OPTIONAL: Final = ("risk_class", "subject")
ASPECTS: Final = ("unit", "observed_at", "source", "status")

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?")
_FLAGS: Final = {"true": True, "false": False}
_CELL_OF: Final = {"/label/option": "label"}


def read_csv(name: str, text: str, question: Question, beside: Beside, found: Found) -> Iterator[Arrived]:
    """Yield the case of each row that has one; what is wrong with the others is noted in `found`.

    Raises:
        RefusedError: when the first row is not that of these columns, with every problem found in it.
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: _Columns | None = None
    line = 1
    try:
        for cells in rows:
            if columns is None and cells:
                columns = _columns(name, line, cells, question, beside)
            elif columns is not None and any(cell.strip() for cell in cells):
                case = _Row(columns, line, cells, found).case(question)
                if case is not None:
                    yield case
            line = rows.line_num + 1
            if found.enough:
                return
    except csv.Error as fault:
        found.problems.append(Problem(f"{name}:{line}:1", "syntax", f"expected CSV: {fault}"))


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which cell, counted from 1, holds what."""

    name: str
    at: Mapping[str, int]
    cells: int
    beside: Beside

    def of(self, pointer: str) -> tuple[str, int]:
        """Return the column that holds what a pointer names, and its cell; 1 where there is none."""
        _, *steps = pointer.split("/")
        if steps[0] == "facts" and len(steps) > 1:
            wanted = steps[1] if steps[2:] in ([], ["value"]) else f"{steps[1]}.{steps[2]}"
            if wanted.endswith(".observed_at") and wanted not in self.at:
                shared = self.beside.observed_at_column
                wanted = wanted if shared is None else shared
            return wanted, self.at.get(wanted) or self.at.get(steps[1], 1)
        wanted = _CELL_OF.get(pointer) or ("subject" if steps[0] == "subject" else ".".join(steps))
        return wanted, self.at.get(wanted, 1)


def _columns(name: str, line: int, header: Sequence[str], question: Question, beside: Beside) -> _Columns:
    facts = [spec.name for spec in question.facts]
    shared = beside.observed_at_column
    _require_apart(facts, shared)
    known = {*NEEDED, *OPTIONAL, *facts, *(f"{fact}.{aspect}" for fact in facts for aspect in ASPECTS)}
    known |= set() if shared is None else {shared}
    needed = {*NEEDED, *(() if shared is None else (shared,))}
    needed |= set() if beside.risk_class is not None else {"risk_class"}
    at: dict[str, int] = {}
    problems = []
    for cell, column in enumerate(header, start=1):
        problem = _misnamed(column, known | beside.ignored, at)
        if problem is not None:
            problems.append(Problem(f"{name}:{line}:{cell}", *problem))
        at.setdefault(column, cell)
    lacking = [column for column in sorted(needed) if column not in at]
    if lacking:
        detail = f"expected the columns {', '.join(sorted(needed))}; lacking are {', '.join(lacking)}"
        if len(header) == 1 and {";", "\t"} & set(header[0]):
            detail += "; expected commas between columns"
        problems.insert(0, Problem(f"{name}:{line}:1", "missing", detail))
    for fact in facts:
        beside_fact = [aspect for aspect in ASPECTS if f"{fact}.{aspect}" in at]
        if beside_fact and fact not in at:
            detail = f"expected a column {fact} beside {fact}.{beside_fact[0]}"
            problems.append(Problem(f"{name}:{line}:{at[f'{fact}.{beside_fact[0]}']}", "missing", detail))
    if problems:
        raise RefusedError(f"{name} does not begin with the names of its columns", tuple(problems))
    return _Columns(name, at, len(header), beside)


def _require_apart(facts: Sequence[str], shared: str | None) -> None:
    reserved = {*NEEDED, *OPTIONAL}
    both = sorted(reserved & set(facts))
    if both:
        raise RefusedError(
            f"the protocol has a fact {both[0]}, as a column of CSV is called: give its cases as JSON"
        )
    if shared is not None and (shared in reserved or shared in facts):
        raise RefusedError(
            f"expected a column that says when facts were observed, {shared} says something else"
        )


def _misnamed(column: str, known: AbstractSet[str], before: Mapping[str, int]) -> tuple[str, str] | None:
    if column in before:
        return "duplicate", f"expected each column once, cell {before[column]} has this name too"
    if column in known:
        return None
    nearest = get_close_matches(column, known, n=1)
    hint = f": did you mean {nearest[0]}?" if nearest else ""
    return "unknown-column", f"expected a known column or one that --ignore-column names{hint}"


@dataclass(frozen=True, slots=True)
class _Row:
    columns: _Columns
    line: int
    cells: Sequence[str]
    found: Found

    def case(self, question: Question) -> Arrived | None:
        """Return the row's case, or None with its problems noted."""
        columns, before = self.columns, len(self.found.problems)
        if len(self.cells) != columns.cells:
            detail = f"expected {columns.cells} cells as in the first row, {len(self.cells)} came"
            self._note(min(len(self.cells), columns.cells), "cells", detail)
            return None
        label = {"option": "label"} | {part: f"label.{part}" for part in ("kind", "source", "date")}
        document: dict[str, Any] = {
            **self._given({"id": "id", "taken_at": "taken_at", "risk_class": "risk_class"}),
            "label": self._given(label),
            "facts": {spec.name: fact for spec in question.facts if (fact := self._fact(spec)) is not None},
        }
        if len(self.found.problems) > before and not document["facts"]:
            return None
        form = formed(LabelledIn, document, self.tell, self.found.problems)
        if form is None or len(self.found.problems) > before:
            return None
        number = self._cell("subject")
        subject = None if number is None else ("", number)
        return arrived(form, raw_facts(form), subject, self.tell, f"{columns.name}:{self.line}:1")

    def tell(self, problem: Problem) -> Problem:
        """Return a problem with a case's form as one with a cell of this row."""
        column, cell = self.columns.of(problem.pointer)
        return replace(
            problem, pointer=f"{self.columns.name}:{self.line}:{cell}", detail=f"{column}: {problem.detail}"
        )

    def _fact(self, spec: FactSpec) -> dict[str, Any] | None:
        text = self._cell(spec.name)
        if text is None:
            return None
        beside = self.columns.beside
        value = self._value(spec, text)
        if value is None:
            return None
        shared = None if beside.observed_at_column is None else self._cell(beside.observed_at_column)
        defaults = {"observed_at": shared, "source": beside.source}
        given = self._given({aspect: f"{spec.name}.{aspect}" for aspect in ASPECTS})
        return {
            "value": value,
            **{aspect: default for aspect, default in defaults.items() if default is not None},
            **given,
        }

    def _value(self, spec: FactSpec, text: str) -> Decimal | str | bool | None:
        match spec.kind:
            case FactKind.CODE:
                return text
            case FactKind.FLAG:
                flag = _FLAGS.get(text.lower())
                if flag is None:
                    self._note(self.columns.at[spec.name], "type", f"{spec.name}: expected true or false")
                return flag
            case FactKind.NUMBER:
                if _NUMBER.fullmatch(text) is None:
                    detail = f"{spec.name}: expected a number with a point, such as 36.8"
                    self._note(self.columns.at[spec.name], "type", detail)
                    return None
                return Decimal(text)

    def _given(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Return the cells that are not empty, by the names that a case's form has for them."""
        cells = {name: self._cell(column) for name, column in columns.items()}
        return {name: text for name, text in cells.items() if text is not None}

    def _cell(self, column: str) -> str | None:
        at = self.columns.at.get(column)
        if at is None or not self.cells[at - 1].strip():
            return None
        return self.cells[at - 1]

    def _note(self, cell: int, code: str, detail: str) -> None:
        self.found.problems.append(Problem(f"{self.columns.name}:{self.line}:{cell}", code, detail))
