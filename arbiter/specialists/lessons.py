"""What the models are trained on: seeded dialogues, a share of them a little off, each with the rule's own answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from arbiter.specialists import patients
from arbiter.specialists.dialogue import ENDS, SEPARATORS, answer_text, case_text, other_text, with_notes
from arbiter.specialists.patients import Patient
from arbiter.specialists.rules import Rule

PARTLY_ANYWHERE: Final = 0.25
ANYWHERE: Final = 0.15
FEW: Final = 0.12
FINER: Final = 0.15
TOLD_TWICE: Final = 0.05
OTHERWISE: Final = 0.07
NOTED: Final = 0.07


@dataclass(frozen=True, slots=True)
class Lesson:
    """A case as the model reads it, the rule that answers, and its answer."""

    rule: str
    case: str
    answer: str


def lessons(seed: int, rules: Sequence[Rule]) -> Iterator[Lesson]:
    """Yield lessons without end, each with one of the rules."""
    chance = Random(seed)
    while True:
        rule = chance.choice(rules)
        patient = _patient(chance)
        yield Lesson(rule.name, _written(chance, patient), answer_text(rule, dict(patient.facts)))


def _patient(chance: Random) -> Patient:
    patient = patients.usual(chance)
    draw = chance.random()
    if draw < PARTLY_ANYWHERE:
        patient = patients.partly_anywhere(chance, patient)
    elif draw < PARTLY_ANYWHERE + ANYWHERE:
        patient = patients.anywhere(chance, patient)
    if chance.random() < FEW:
        patient = patients.few(chance, patient)
    if chance.random() < FINER:
        patient = patients.finer(chance, patient)
    return patient


def _written(chance: Random, patient: Patient) -> str:
    draw = chance.random()
    facts = list(patient.facts)
    if draw < TOLD_TWICE:
        facts.insert(chance.randint(0, len(facts)), chance.choice(facts))
        return case_text(facts)
    if draw < TOLD_TWICE + OTHERWISE:
        return other_text(facts, chance.choice(SEPARATORS), chance.choice(ENDS))
    if draw < TOLD_TWICE + OTHERWISE + NOTED:
        return with_notes(chance, case_text(facts), chance.randint(1, 2))
    return case_text(facts)
