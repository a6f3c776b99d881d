"""The invented record beside the demonstration's examples: the house takes it, it leads to the facts, and it says nothing new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from arbiter.api.schemas.incoming import ContextIn
from arbiter.api.strict_json import parse
from arbiter.demo_record import record_of
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.intake import RawFact
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.question import Question
from tests.conftest import NOON


def every_example() -> Iterator[tuple[str, Question, LabelledCase]]:
    for name in shipped():
        bundle = read_shipped(name)
        for example in bundle.examples:
            yield name, bundle.protocol.question, example


def test_every_record_is_one_that_the_door_takes_and_none_says_why_a_case_is_there() -> None:
    with_history = 0
    for _, question, example in every_example():
        record = record_of(question, example.raw_facts(NOON))
        taken = ContextIn.model_validate(parse(json.dumps(record).encode()))
        with_history += bool(taken.history)
        for text in taken.documents:
            assert example.title.lower() not in text.text.lower()
            assert example.id not in text.text
    assert with_history > 0


def test_each_observation_is_older_and_nearer_to_what_is_usual_than_the_next() -> None:
    bundle = read_shipped("deterioration")
    facts = {"respiratory_rate": RawFact(Decimal(24), "/min", NOON, "final", "ward monitor")}
    history = record_of(bundle.protocol.question, facts)["history"]
    values = [each["value"] for each in history]
    # The usual is 12 to 20 breaths a minute (Royal College of Physicians, NEWS2, 2017).
    assert values[0] == 16
    assert all(one <= other < 24 for one, other in pairwise(values))
    instants = [datetime.fromisoformat(each["observed_at"]) for each in history]
    assert instants == sorted(instants)
    assert instants[-1] < NOON


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("age", RawFact(Decimal(80), "a", NOON, "final", "record")),
        ("supplemental_oxygen", RawFact(value=True, unit=None, observed_at=NOON, status="final", source="ward")),
        ("temperature", RawFact(Decimal(101), "[degF]", NOON, "final", "ward")),
        ("unheard_of", RawFact(Decimal(1), "1", NOON, "final", "ward")),
    ],
    ids=["no reference", "no number", "another unit", "no such fact"],
)  # fmt: skip
def test_nothing_is_made_up_where_there_is_no_way_to_go(name: str, fact: RawFact) -> None:
    assert record_of(read_shipped("deterioration").protocol.question, {name: fact}) == {}
