"""Turns what a hospital system sent into typed facts, or refuses the whole with every reason.

Guarantees: a fact that passes is known to the question, of its kind, in its own unit, within its bounds, at its number
of decimals, observed at an aware instant that is not in the future; and no reason given here quotes a value. A fact
older than the question allows is kept, since who uses it must say so by name; one older than a year is a mistake.

Numbers in another accepted unit are converted exactly and then rounded, half to even, to the fact's decimals, as a
nurse would chart them: 100.5 [degF] is 38.1 Cel. Numbers in the fact's own unit are never rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from arbiter.errors import InvalidCaseError, Problem
from arbiter.model import Fact, FactSet, FactStatus, FactValue
from arbiter.question import FactKind, FactSpec, Question

FUTURE_TOLERANCE: Final = timedelta(seconds=60)
"""Clocks of hospital systems differ; an observation may seem this far ahead of intake."""

OLDEST: Final = timedelta(days=366)
OLDEST_STANDING: Final = timedelta(days=366 * 130)
"""For facts that do not age; nobody was there to observe anything earlier."""
FACTS_LIMIT: Final = 256
SOURCE_LIMIT: Final = 200
DIGITS_LIMIT: Final = 30
CONVERTED_DECIMALS: Final = 2
"""How many more decimals a value in an accepted other unit may carry than the fact itself."""

_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_LONG_NUMBER = re.compile(r"[0-9]{4}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RawFact:
    """One fact as it was sent: types checked by nobody yet, `status` and `unit` as text."""

    value: FactValue
    unit: str | None
    observed_at: datetime
    status: str
    source: str


def take_facts(
    question: Question, raw: Mapping[str, RawFact], taken_at: datetime, version: int = 1
) -> FactSet:
    """Return the facts of one version of a case, sorted by name.

    Raises:
        InvalidCaseError: with every problem found, each with a JSON pointer such as `/facts/heart_rate/unit`.
        ValueError: when `taken_at` is naive.
    """
    if taken_at.utcoffset() is None:
        raise ValueError("expected an aware instant of intake, a naive one came")
    if not 1 <= len(raw) <= FACTS_LIMIT:
        detail = f"expected 1 to {FACTS_LIMIT} facts, {len(raw)} came"
        raise InvalidCaseError("the facts cannot be taken", (Problem("/facts", "count", detail),))
    problems: list[Problem] = []
    facts: list[Fact] = []
    for name in sorted(raw):
        spec = question.spec(name)
        oldest = OLDEST_STANDING if spec is None or spec.greatest_age is None else OLDEST
        fact = take_fact(f"/facts/{token(name)}", name, spec, raw[name], taken_at, oldest, problems)
        if fact is not None:
            facts.append(fact)
    if problems:
        raise InvalidCaseError("the facts do not fit the question", tuple(problems))
    return FactSet(version, tuple(facts))


def take_fact(
    path: str,
    name: str,
    spec: FactSpec | None,
    raw: RawFact,
    taken_at: datetime,
    oldest: timedelta,
    problems: list[Problem],
) -> Fact | None:
    """Return the fact at a pointer, or note what is wrong with it and return None; `oldest` bounds its age."""
    if spec is None:
        problems.append(Problem(path, "unknown-fact", "expected a fact of the question, another name came"))
        return None
    value, found = _value(spec, raw)
    found += [*_instant(raw.observed_at, taken_at, oldest), *_origin(raw)]
    if found or value is None:
        problems.extend(Problem(f"{path}/{key}", code, detail) for key, code, detail in found)
        return None
    return Fact(
        name=name,
        value=value,
        unit=spec.unit,
        observed_at=raw.observed_at.astimezone(UTC),
        status=FactStatus(raw.status),
        source=raw.source,
    )


def token(name: str) -> str:
    """Escape a name for a JSON pointer; what is no plausible name is made printable, or `?` if somebody's number is in it."""
    if _LONG_NUMBER.search(name):
        return "?"
    printable = _UNPRINTABLE.sub("?", name)[:64]
    return printable.replace("~", "~0").replace("/", "~1")


_Found = tuple[str, str, str]


def _value(spec: FactSpec, raw: RawFact) -> tuple[FactValue | None, list[_Found]]:
    match spec.kind:
        case FactKind.NUMBER:
            return _number(spec, raw)
        case FactKind.CODE:
            codes = [code for code, _ in spec.codes]
            if not isinstance(raw.value, str):
                return None, [("value", "type", "expected a code as text"), *_no_unit(raw)]
            if raw.value not in codes:
                return None, [
                    ("value", "unknown-code", f"expected one of {', '.join(codes)}"),
                    *_no_unit(raw),
                ]
        case FactKind.FLAG:
            if not isinstance(raw.value, bool):
                return None, [("value", "type", "expected true or false"), *_no_unit(raw)]
    return raw.value, _no_unit(raw)


def _no_unit(raw: RawFact) -> list[_Found]:
    if raw.unit is None:
        return []
    return [("unit", "unit", "expected no unit, one came")]


def _number(spec: FactSpec, raw: RawFact) -> tuple[Decimal | None, list[_Found]]:
    value = raw.value
    conversions = {conversion.unit: conversion for conversion in spec.conversions}
    units = ", ".join([spec.unit or "", *conversions])
    found: list[_Found] = []
    if raw.unit is None:
        found.append(("unit", "unit", f"expected a unit, one of {units}; none came"))
    elif raw.unit != spec.unit and raw.unit not in conversions:
        found.append(("unit", "unit", f"expected one of {units}; another unit came"))
    if not isinstance(value, Decimal):
        return None, [("value", "type", "expected a number"), *found]
    if not value.is_finite():
        return None, [("value", "not-finite", "expected a finite number"), *found]
    conversion = conversions.get(raw.unit or "")
    allowed = spec.decimals if conversion is None else spec.decimals + CONVERTED_DECIMALS
    if _places(value) > allowed:
        found.append(("value", "decimals", f"expected at most {allowed} decimals"))
    if found:
        return None, found
    if conversion is not None:
        value = _EXACT.fma(value, conversion.factor, conversion.offset)
    if (spec.low is not None and value < spec.low) or (spec.high is not None and value > spec.high):
        return None, [("value", "range", f"expected {spec.low} to {spec.high} {spec.unit}")]
    # The exponent is fixed and a negative zero loses its sign, so that equal values have equal bytes.
    return _EXACT.add(value.quantize(Decimal(1).scaleb(-spec.decimals), context=_EXACT), Decimal(0)), []


def _places(value: Decimal) -> int:
    """Return the number of decimal places that matter (`37.0` has none); too many digits count as too many places."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) > DIGITS_LIMIT:
        return DIGITS_LIMIT
    if value == 0 or exponent >= 0:
        return 0
    trailing = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -exponent - trailing)


def _instant(observed_at: datetime, taken_at: datetime, oldest: timedelta) -> Iterator[_Found]:
    if observed_at.utcoffset() is None:
        yield "observed_at", "no-offset", "expected an instant with its offset from UTC"
        return
    age = taken_at - observed_at
    if age < -FUTURE_TOLERANCE:
        yield (
            "observed_at",
            "future",
            f"expected an instant at most {FUTURE_TOLERANCE.seconds} s after intake",
        )
        return
    if age > oldest:
        yield "observed_at", "too-old", f"expected an instant at most {oldest.days} days before intake"


def _origin(raw: RawFact) -> Iterator[_Found]:
    known = [status.value for status in FactStatus]
    if raw.status not in known:
        yield "status", "status", f"expected one of {', '.join(known)}"
    if not raw.source.strip() or len(raw.source) > SOURCE_LIMIT:
        yield "source", "source", f"expected a source of 1 to {SOURCE_LIMIT} characters"
    elif _UNPRINTABLE.search(raw.source):
        yield "source", "source", "expected a source without control characters"
