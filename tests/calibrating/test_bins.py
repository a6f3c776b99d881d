"""Bins: every value has one, in order, and what is missing, outside or unknown has its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from arbiter.calibrating.bins import (
    BETWEEN,
    MOST_BINS,
    TOTAL,
    VALID,
    Reading,
    bin_of,
    sort,
    streams_of,
)
from arbiter.model import Fact, FactSet, FactStatus, FactValue
from arbiter.protocols.loader import read_shipped
from arbiter.question import FactKind, FactSpec, Protocol

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def number(low: str = "0", high: str = "300", decimals: int = 0) -> FactSpec:
    return FactSpec(
        "rate", "Rate", FactKind.NUMBER, "/min", (), Decimal(low), Decimal(high), decimals, (), timedelta(1)
    )


def code(*codes: str) -> FactSpec:
    named = tuple((each, each.title()) for each in codes)
    return FactSpec("state", "State", FactKind.CODE, None, (), None, None, 0, named, None)


FLAG = FactSpec("flag", "Flag", FactKind.FLAG, None, (), None, None, 0, (), None)


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return read_shipped("deterioration").protocol


def reading(values: dict[str, FactValue], valid: int = 3, total: str | None = "0.2") -> Reading:
    facts = tuple(
        Fact(name, value, None, NOON, FactStatus.FINAL, "test") for name, value in sorted(values.items())
    )
    measure = None if total is None else Decimal(total)
    return Reading(FactSet(1, facts), measure, measure, valid)


# --- numbers ------------------------------------------------------------------------------------------------------


def test_a_range_is_cut_as_numpy_cuts_it() -> None:
    spec = number("-20.5", "61.25", 2)
    values = np.linspace(-20.5, 61.25, 997)
    edges = np.linspace(-20.5, 61.25, MOST_BINS + 1)
    for value in values.tolist():
        expected = min(int(np.searchsorted(edges, value, side="right")), MOST_BINS)
        at = bin_of(spec, Decimal(value))
        # numpy's own edges are rounded: on an edge either side is right.
        assert at == expected or min(abs(edges - value)) < 1e-9


def test_both_ends_lie_within_and_what_lies_beyond_has_bins_of_its_own() -> None:
    spec = number()
    assert bin_of(spec, Decimal(0)) == 1
    assert bin_of(spec, Decimal(300)) == MOST_BINS
    assert bin_of(spec, Decimal("-0.001")) == 0
    assert bin_of(spec, Decimal("300.001")) == MOST_BINS + 1
    assert bin_of(spec, None) == MOST_BINS + 2


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_finite_number_is_outside(value: str) -> None:
    assert bin_of(number(), Decimal(value)) == MOST_BINS + 1


def test_a_range_of_few_values_has_no_more_bins_than_values() -> None:
    spec = number("3", "15")  # a coma scale
    found = [bin_of(spec, Decimal(value)) for value in range(3, 16)]
    assert found == list(range(1, 14))
    assert bin_of(spec, None) == 15


def test_a_greater_number_never_has_a_lower_bin() -> None:
    spec = number("0.1", "17.3", 1)
    found = [bin_of(spec, Decimal(tenths) / 10) for tenths in range(1, 174)]
    assert found == sorted(found)
    assert set(found) == set(range(1, MOST_BINS + 1))


@pytest.mark.parametrize("value", ["text", True], ids=["a code", "a flag"])
def test_a_value_of_another_kind_counts_as_missing(value: FactValue) -> None:
    assert bin_of(number(), value) == MOST_BINS + 2


@pytest.mark.parametrize(
    "spec", [replace(number(), low=None), replace(number(), high=None), number("5", "5")]
)
def test_a_number_without_a_range_is_refused(spec: FactSpec) -> None:
    with pytest.raises(ValueError, match="expected a range of rate"):
        bin_of(spec, Decimal(5))


# --- codes and flags ----------------------------------------------------------------------------------------------


def test_each_code_has_its_bin_an_unknown_one_another_and_a_missing_one_the_last() -> None:
    spec = code("alert", "voice", "pain")
    assert [bin_of(spec, value) for value in ("alert", "voice", "pain", "dancing", None)] == [0, 1, 2, 3, 4]
    assert bin_of(spec, Decimal(1)) == 4


def test_flags_are_false_true_or_missing() -> None:
    assert [bin_of(FLAG, value) for value in (False, True, None, "true")] == [0, 1, 2, 2]


# --- a whole protocol ---------------------------------------------------------------------------------------------


def test_only_what_members_read_is_watched(protocol: Protocol) -> None:
    names = [stream.name for stream in streams_of(protocol, {"heart_rate", "spo2", "nothing of ours"})]
    assert names == [
        *(f"fact.{spec.name}" for spec in protocol.question.facts if spec.name in {"heart_rate", "spo2"}),
        TOTAL,
        BETWEEN,
        VALID,
    ]


def test_a_panel_that_only_advises_has_no_disagreement_to_watch() -> None:
    names = {stream.name for stream in streams_of(read_shipped("surgery-readiness").protocol, ())}
    assert names == {VALID}


def test_every_case_falls_into_a_bin_of_every_stream(protocol: Protocol) -> None:
    every = {spec.name for spec in protocol.question.facts}
    streams = streams_of(protocol, every)
    for case in (reading({}, 0, None), reading({"heart_rate": Decimal(72)}), reading({}, 5, "1")):
        found = sort(protocol, streams, case)
        assert {stream.name for stream in streams} == set(found)
        assert all(0 <= found[stream.name] < stream.bins for stream in streams)


@pytest.mark.parametrize(
    ("measure", "at"), [("0", 0), ("0.031249", 0), ("0.03125", 1), ("0.999999", 31), ("1", 31), (None, 32)]
)
def test_disagreement_is_cut_from_0_to_1(protocol: Protocol, measure: str | None, at: int) -> None:
    found = sort(protocol, streams_of(protocol, ()), reading({}, 3, measure))
    assert found == {TOTAL: at, BETWEEN: at, VALID: 3}


@pytest.mark.parametrize("measure", ["-0.000001", "1.000001"])
def test_a_measure_outside_0_to_1_is_refused(protocol: Protocol, measure: str) -> None:
    with pytest.raises(ValueError, match="expected a measure from 0 to 1"):
        sort(protocol, streams_of(protocol, ()), reading({}, 3, measure))


@pytest.mark.parametrize("valid", [-1, 99])
def test_more_valid_members_than_seats_are_refused(protocol: Protocol, valid: int) -> None:
    with pytest.raises(ValueError, match="expected at most 5 valid members"):
        sort(protocol, streams_of(protocol, ()), reading({}, valid))


def test_a_stream_of_another_protocol_is_refused(protocol: Protocol) -> None:
    others = streams_of(read_shipped("anticoagulation").protocol, {"weight"} | {"creatinine"})
    foreign = [s for s in others if s.name.startswith("fact.")]
    assert foreign
    with pytest.raises(ValueError, match="expected a stream of protocol deterioration"):
        sort(protocol, foreign, reading({}))
