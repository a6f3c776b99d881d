"""Sorts what a panel read, and how far it agreed, into few ordered bins: all that a watch for drift keeps of a case.

A number's range, which its specification states, is cut into at most `MOST_BINS` equal parts; a code and a flag have a bin
each. What lies outside, what no specification names and what is missing have bins of their own, so that a source that
begins to leave something out is a change like any other. A value too old to be used is missing: that is what members see.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, assert_never

from arbiter.model import FactSet, FactValue
from arbiter.question import QUESTION, FactKind, FactSpec, Protocol

MOST_BINS: Final = 32

OF_FACTS: Final = "fact."
TOTAL: Final = "panel.total"
BETWEEN: Final = "panel.between"
VALID: Final = "panel.valid"


@dataclass(frozen=True, slots=True)
class Stream:
    """Something that is watched from case to case, by name, and how many bins it has."""

    name: str
    bins: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What is watched of one concluded case.

    `facts` are those that were fresh when the case was taken in. `total` and `between` are the panel's disagreement, 0
    to 1, None where fewer than two members could be compared. `valid` counts the seats that answered validly.
    """

    facts: FactSet
    total: Decimal | None
    between: Decimal | None
    valid: int


def streams_of(protocol: Protocol, read: Collection[str]) -> tuple[Stream, ...]:
    """Return what is watched of a protocol version: the facts named in `read`, then how the panel agreed.

    Disagreement is watched where at least two seats answer the question: elsewhere there is none to measure.
    """
    facts = [
        Stream(OF_FACTS + spec.name, _bins_of(spec)) for spec in protocol.question.facts if spec.name in read
    ]
    voting = sum(seat.asks == QUESTION for seat in protocol.seats)
    disagreement = [Stream(name, MOST_BINS + 1) for name in (TOTAL, BETWEEN)] if voting > 1 else []
    return (*facts, *disagreement, Stream(VALID, len(protocol.seats) + 1))


def sort(protocol: Protocol, streams: Sequence[Stream], reading: Reading) -> Mapping[str, int]:
    """Return the bin, from 0, into which a case falls in each of the protocol's streams.

    Raises:
        ValueError: when a measure does not lie from 0 to 1, more seats were valid than there are, or a stream is another
            protocol's.
    """
    seats = len(protocol.seats)
    if not 0 <= reading.valid <= seats:
        raise ValueError(f"expected at most {seats} valid members, got {reading.valid}")
    measured = {
        TOTAL: _of_share(reading.total),
        BETWEEN: _of_share(reading.between),
        VALID: reading.valid,
    }
    return {
        name: measured[name] if name in measured else _of_fact(protocol, name, reading.facts)
        for name in (stream.name for stream in streams)
    }


def _of_fact(protocol: Protocol, name: str, facts: FactSet) -> int:
    named = name.removeprefix(OF_FACTS)
    spec, fact = protocol.question.spec(named), facts.get(named)
    if spec is None:
        raise ValueError(f"expected a stream of protocol {protocol.id}, got {name}")
    return bin_of(spec, None if fact is None else fact.value)


def bin_of(spec: FactSpec, value: FactValue | None) -> int:
    """Return the bin, from 0, of a fact's value, None for one that is missing: the last.

    Numbers: below the range, its parts in order, above it. Codes in the specification's order, then any other. Flags: false, true.
    """
    missing = _bins_of(spec) - 1
    match spec.kind:
        case FactKind.NUMBER:
            return _of_number(spec, value) if isinstance(value, Decimal) else missing
        case FactKind.CODE:
            codes = [code for code, _ in spec.codes]
            if not isinstance(value, str):
                return missing
            return codes.index(value) if value in codes else len(codes)
        case FactKind.FLAG:
            return int(value) if isinstance(value, bool) else missing
        case _:
            assert_never(spec.kind)


def _bins_of(spec: FactSpec) -> int:
    match spec.kind:
        case FactKind.NUMBER:
            return _parts(spec) + 3
        case FactKind.CODE:
            return len(spec.codes) + 2
        case FactKind.FLAG:
            return 3
        case _:
            assert_never(spec.kind)


def _range(spec: FactSpec) -> tuple[Fraction, Fraction]:
    if spec.low is None or spec.high is None or not spec.low < spec.high:
        raise ValueError(f"expected a range of {spec.name}, from a number to a greater one")
    return Fraction(spec.low), Fraction(spec.high)


def _parts(spec: FactSpec) -> int:
    """Return into how many parts a range is cut: no more than it holds different values."""
    low, high = _range(spec)
    return min(MOST_BINS, int((high - low) * 10**spec.decimals) + 1)


def _of_number(spec: FactSpec, value: Decimal) -> int:
    low, high = _range(spec)
    parts = _parts(spec)
    if not value.is_finite() or value > high:
        return parts + 1
    if value < low:
        return 0
    return 1 + min(parts - 1, int((Fraction(value) - low) / (high - low) * parts))


def _of_share(share: Decimal | None) -> int:
    if share is None:
        return MOST_BINS
    if not 0 <= share <= 1:
        raise ValueError(f"expected a measure from 0 to 1, got {share}")
    return min(MOST_BINS - 1, int(share * MOST_BINS))
