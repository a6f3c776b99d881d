"""The synthetic patients of every shipped protocol, as its generator makes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import Any

from arbiter.errors import Problem
from arbiter.model import FactValue
from arbiter.panels.scores.table import Score
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.examples import read_examples
from arbiter.protocols.intake import take_facts
from tests.protocols.shipping import bundle

TAKEN_AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def module_name(name: str) -> str:
    return f"arbiter.protocols.{name.replace('-', '_')}.generator"


def generator(name: str) -> Any:
    """The module with `generate` and `main`."""
    return import_module(module_name(name))


def read(name: str, source: bytes) -> tuple[LabelledCase, ...]:
    problems: list[Problem] = []
    cases = read_examples(source, bundle(name).protocol.question, problems)
    assert problems == []
    return cases


@cache
def six_hundred(name: str) -> tuple[LabelledCase, ...]:
    return read(name, "\n".join(json.dumps(case) for case in generator(name).generate(1, 600)).encode())


def fresh(name: str, case: LabelledCase) -> dict[str, FactValue]:
    """The facts of a case that are not older than its question allows."""
    question = bundle(name).protocol.question
    facts = take_facts(question, case.raw_facts(TAKEN_AT), TAKEN_AT)
    ages = {spec.name: spec.greatest_age for spec in question.facts}
    kept = {}
    for fact in facts:
        limit = ages[fact.name]
        if limit is None or TAKEN_AT - fact.observed_at <= limit:
            kept[fact.name] = fact.value
    return kept


def area_under_curve(name: str, score: Score, option: str) -> float:
    """Mann and Whitney's: the chance that one for whom `option` is right scores above another, ties counting half."""
    totals: dict[bool, list[int]] = {True: [], False: []}
    for case in six_hundred(name):
        total = score.assess(fresh(name, case), frozenset()).total
        if total is not None:
            totals[case.label == option].append(total)
    pairs = [(high > low) + (high == low) / 2 for high in totals[True] for low in totals[False]]
    return sum(pairs) / len(pairs)
