"""The seeded cases on which the specialists are measured, none of which was trained on: usual ones, and changed ones.

The seeds are none of training's, and the patients come from a generator of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from arbiter.specialists import patients
from arbiter.specialists.dialogue import ENDS, SEPARATORS, UNTRAINED, case_text, other_text, with_notes
from arbiter.specialists.patients import Patient

SEED: Final = 77_000_001


@dataclass(frozen=True, slots=True)
class Put:
    """A patient as put to the models; `content` where the case is written as the house would not write it."""

    patient: Patient
    content: str | None = None


def usual(cases: int, seed: int = SEED) -> list[Put]:
    """Return patients as they are trained, none of them seen."""
    chance = Random(seed)
    return [Put(patients.usual(chance)) for _ in range(cases)]


def changed(what: str, cases: int, seed: int = SEED) -> list[Put]:
    """Return patients changed, or written, in the named way."""
    chance = Random(f"{seed}/{what}")
    return [_changed(what, chance, patients.usual(chance)) for _ in range(cases)]


CHANGES: Final = (*patients.CHANGES, "told twice", "separators", "notes")
BEYOND: Final = tuple(f"untrained separator: {name}" for name in UNTRAINED)


def _changed(what: str, chance: Random, patient: Patient) -> Put:
    if what in patients.CHANGES:
        return Put(patients.CHANGES[what](chance, patient))
    return Put(patient, _written(what, chance, list(patient.facts)))


def _written(what: str, chance: Random, facts: list[tuple[str, str]]) -> str:
    match what:
        case "told twice":
            facts.insert(chance.randint(0, len(facts)), chance.choice(facts))
            return case_text(facts)
        case "separators":
            return other_text(facts, chance.choice(SEPARATORS), chance.choice(ENDS))
        case "notes":
            return with_notes(chance, case_text(facts), chance.randint(1, 2))
        case _:
            return other_text(facts, *UNTRAINED[what.rpartition(" ")[2]])
