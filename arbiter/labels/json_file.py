"""Reads labelled cases from JSON: an array of them, or one after another, each the body of `POST /v1/cases` with a label.

Beside the body's members a case has `id`, `taken_at` and `label`, whose members are `option`, `kind`, `source` and `date`. JSON is read
as strictly as at the door: no name twice, no number that is none, no text that is no Unicode.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from arbiter.api.strict_json import BODY_LIMIT_BYTES, DEPTH_LIMIT, Json, MalformedJsonError, parse
from arbiter.errors import Problem
from arbiter.labels.form import Arrived, LabelledIn, Tell, arrived, formed, raw_facts
from arbiter.labels.json_text import JsonText
from arbiter.labels.reading import Found

_BUNDLE_HINT: Final = "expected a case, a FHIR resource came: --format fhir reads Bundles"


def read_json(name: str, text: str, protocol: str, found: Found) -> Iterator[Arrived]:
    """Yield the case that each value is; what is wrong with the others is noted in `found`."""
    for value, tell, place in objects(name, text, BODY_LIMIT_BYTES, DEPTH_LIMIT, found):
        case = _case(value, place, protocol, tell, found.problems)
        if case is not None:
            yield case


def objects(
    name: str, text: str, limit_bytes: int, depth_limit: int, found: Found
) -> Iterator[tuple[dict[str, Json], Tell, str]]:
    """Yield each object of a file as the door reads it, what places its problems, and where it begins.

    What is no such object is noted in `found`. Nothing is read on once so much is wrong, be it noted here or by whoever takes them.
    """
    whole = JsonText.of(name, text)
    for start, end in whole.values(found.problems):
        tell = _teller(whole, start)
        value = _object(whole.text[start:end].encode(), limit_bytes, depth_limit, tell, found.problems)
        if value is not None:
            yield value, tell, whole.place(start)
        if found.enough:
            return


def _teller(whole: JsonText, start: int) -> Tell:
    """Return what turns a problem at a pointer into the value at `start` into one at its line and column."""

    def tell(problem: Problem) -> Problem:
        detail = f"{problem.pointer}: {problem.detail}" if problem.pointer else problem.detail
        return replace(problem, pointer=whole.place(whole.find(start, problem.pointer)), detail=detail)

    return tell


def _object(
    body: bytes, limit_bytes: int, depth_limit: int, tell: Tell, problems: list[Problem]
) -> dict[str, Json] | None:
    """Return the object that these bytes are, or None with each problem noted."""
    if len(body) > limit_bytes:
        problems.append(tell(Problem("", "limit", f"expected at most {limit_bytes} bytes for a case")))
        return None
    try:
        value = parse(body, depth_limit)
    except MalformedJsonError as refused:
        problems += [tell(problem) for problem in refused.problems]
        return None
    if not isinstance(value, dict):
        problems.append(tell(Problem("", "type", "expected an object")))
        return None
    return value


def _case(
    value: dict[str, Json], place: str, protocol: str, tell: Tell, problems: list[Problem]
) -> Arrived | None:
    if "resourceType" in value:
        problems.append(tell(Problem("/resourceType", "format", _BUNDLE_HINT)))
        return None
    form = formed(LabelledIn, value, tell, problems)
    if form is None:
        return None
    misfits = [tell(problem) for problem in _misfits(form, protocol)]
    problems += misfits
    if misfits:
        return None
    subject = None if form.subject is None else (form.subject.system, form.subject.value)
    return arrived(form, raw_facts(form), subject, tell, place)


def _misfits(form: LabelledIn, protocol: str) -> Iterator[Problem]:
    """Yield what a case's body may say and a labelled case may not."""
    if form.protocol not in {None, protocol}:
        yield Problem("/protocol", "other-protocol", f"expected a case of {protocol}")
    if form.training:
        yield Problem("/training", "training", "expected a case of a patient, one for practice came")
