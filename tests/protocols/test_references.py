"""Usual ranges are for people's eyes: checked in the bundle, and no verdict differs by a byte for them but in the protocol's hash."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from arbiter.errors import InvalidProtocolError
from arbiter.protocols.bundle import Bundle
from arbiter.protocols.loader import load_bundle, read_shipped
from arbiter.question import Reference

FILES = dict(read_shipped("deterioration").files)
YAML = FILES["protocol.yaml"].decode()
PLAIN = re.sub(r"^ +reference: .*\n", "", YAML, flags=re.MULTILINE)


def with_range(text: str) -> str:
    """The protocol with this as the heart rate's only range."""
    begin = PLAIN.index("      greatest_age", PLAIN.index("- name: heart_rate"))
    return f"{PLAIN[:begin]}      reference: {text}\n{PLAIN[begin:]}"


def load(text: str) -> Bundle:
    return load_bundle(FILES | {"protocol.yaml": text.encode()})


# Royal College of Physicians, National Early Warning Score (NEWS) 2, 2017, chart 1: the bands that score 0.
NEWS2 = {
    "respiratory_rate": (Decimal(12), Decimal(20)),
    "spo2": (Decimal(96), None),
    "systolic_bp": (Decimal(111), Decimal(219)),
    "heart_rate": (Decimal(51), Decimal(90)),
    "temperature": (Decimal("36.1"), Decimal("38.0")),
}


def test_the_shipped_ranges_are_those_that_score_nothing() -> None:
    facts = read_shipped("deterioration").protocol.question.facts
    stated = {spec.name: spec.reference for spec in facts if spec.reference is not None}
    assert {name: (found.low, found.high) for name, found in stated.items()} == NEWS2
    assert all("Royal College of Physicians 2017" in found.source for found in stated.values())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{source: nobody}", "missing"),
        ("{low: 51}", "missing"),
        ("{low: 90, high: 51, source: x}", "value"),
        ("{low: 51, high: 51, source: x}", "value"),
        ("{low: 5, high: 90, source: x}", "value"),
        ("{low: 51, high: 900, source: x}", "value"),
        ("{low: 51, source: x, mood: calm}", "unknown-key"),
        ("{low: many, source: x}", "value"),
    ],
)
def test_one_that_is_no_range_of_the_fact_is_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidProtocolError) as refused:
        load(with_range(text))
    assert all(problem.pointer.startswith("protocol.yaml:") for problem in refused.value.problems)
    assert code in {problem.code for problem in refused.value.problems}


def test_an_end_may_be_open() -> None:
    spec = load(with_range("{high: 90, source: x}")).protocol.question.spec("heart_rate")
    assert spec is not None
    assert spec.reference == Reference(None, Decimal(90), "x")


def test_with_other_ranges_only_ranges_and_the_hash_differ() -> None:
    with_them, without = load(YAML).protocol, load(PLAIN).protocol
    assert with_them.content_hash != without.content_hash
    assert with_them.policy_hash == without.policy_hash
    assert (with_them.seats, with_them.adjudication, with_them.rules) == (
        without.seats,
        without.adjudication,
        without.rules,
    )
