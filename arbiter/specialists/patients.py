"""Makes seeded patients that are nobody: facts in random order with a random subset missing, and a latent truth.

Every number is invented; nothing is fitted to patients. One severity per patient, never written out, moves three systems
(breathing, circulation, inflammation), each with a share of its own; the truth is the severity with noise. So each
specialist sees other traces of one truth, none can be always right, and their errors are partly their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import exp
from random import Random
from types import MappingProxyType
from typing import Final

SHARED: Final = 0.68
"""Correlation of a system's state with the severity."""

NOISE: Final = 0.35
"""Spread of the truth around the severity."""

BOUNDS: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {
        "respiratory_rate": (0, 100, 0),
        "spo2": (30, 100, 0),
        "systolic_bp": (20, 350, 0),
        "diastolic_bp": (5, 250, 0),
        "heart_rate": (10, 350, 0),
        "temperature": (20, 46, 1),
        "age": (0, 130, 0),
        "white_cell_count": (0, 900, 2),
        "immature_neutrophils": (0, 100, 1),
        "paco2": (5, 250, 1),
        "lactate": (0, 40, 1),
    }
)
"""Least and greatest value and decimal places, as the protocol `deterioration` bounds its numbers."""

CODES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "supplemental_oxygen": ("true", "false"),
        "spo2_scale": ("scale-1", "scale-2"),
        "consciousness": ("alert", "confusion", "voice", "pain", "unresponsive"),
        "pregnant": ("true", "false"),
        "treatment_limitation": ("none", "dnacpr", "ward-ceiling", "end-of-life"),
    }
)

NAMES: Final = (*BOUNDS, *CODES)

_HELD: Final[Mapping[str, float]] = MappingProxyType(
    {"paco2": 0.45, "lactate": 0.6, "immature_neutrophils": 0.6, "white_cell_count": 0.8, "spo2_scale": 0.2}
)
_HELD_OTHERWISE: Final = 0.9
_USUAL_DECIMALS: Final[Mapping[str, int]] = MappingProxyType({"white_cell_count": 1})


@dataclass(frozen=True, slots=True)
class Patient:
    """Facts as (name, value) in the order in which they are written, and whether the truth is urgent."""

    facts: tuple[tuple[str, str], ...]
    urgent: bool


def usual(chance: Random) -> Patient:
    """Return a patient as the ward knows them."""
    severity = chance.gauss(0, 1)
    own = (1 - SHARED**2) ** 0.5
    breathing, circulation, inflammation = (SHARED * severity + own * chance.gauss(0, 1) for _ in range(3))
    values = {
        **_breathing(chance, breathing),
        **_circulation(chance, circulation),
        **_inflammation(chance, inflammation),
        **_standing(chance, severity),
    }
    facts = [
        (name, value) for name, value in values.items() if chance.random() < _HELD.get(name, _HELD_OTHERWISE)
    ]
    chance.shuffle(facts)
    return Patient(tuple(facts), severity + chance.gauss(0, NOISE) > 0)


def anywhere(chance: Random, patient: Patient) -> Patient:
    """Return the patient with every value drawn evenly from all that the protocol lets through."""
    facts = tuple((name, _any_value(chance, name)) for name, _ in patient.facts)
    return Patient(facts, patient.urgent)


def partly_anywhere(chance: Random, patient: Patient) -> Patient:
    """Return the patient with some values drawn evenly from all that the protocol lets through."""
    facts = tuple(
        (name, _any_value(chance, name) if chance.random() < 0.3 else value) for name, value in patient.facts
    )
    return Patient(facts, patient.urgent)


def few(chance: Random, patient: Patient) -> Patient:
    """Return the patient with one to four facts left."""
    return Patient(patient.facts[: chance.randint(1, 4)], patient.urgent)


def finer(chance: Random, patient: Patient) -> Patient:
    """Return the patient with two decimals on every number that is charted with any."""
    facts = tuple(
        (name, f"{int(Decimal(value))}.{chance.randint(1, 99):02d}")
        if name in BOUNDS and BOUNDS[name][2]
        else (name, value)
        for name, value in patient.facts
    )
    return Patient(tuple((name, _plain(value)) for name, value in facts), patient.urgent)


def _any_value(chance: Random, name: str) -> str:
    if name in CODES:
        return chance.choice(CODES[name])
    low, high, decimals = BOUNDS[name]
    return number(chance.uniform(low, high), decimals)


def number(value: float, decimals: int) -> str:
    """Return a number as facts are cited: plain, no trailing zeros."""
    return _plain(f"{value:.{decimals}f}")


def _plain(text: str) -> str:
    return text.rstrip("0").removesuffix(".") if "." in text else text


def _charted(chance: Random, name: str, mean: float, spread: float) -> str:
    low, high, decimals = BOUNDS[name]
    value = min(high, max(low, chance.gauss(mean, spread)))
    return number(value, min(decimals, _USUAL_DECIMALS.get(name, 1)))


def _breathing(chance: Random, state: float) -> dict[str, str]:
    return {
        "respiratory_rate": _charted(chance, "respiratory_rate", 18.5 + 4.0 * state, 2.0),
        "spo2": _charted(chance, "spo2", 95.2 - 2.2 * state, 1.2),
        "supplemental_oxygen": _flag(chance, state - 0.4),
        "paco2": _charted(chance, "paco2", 42 + 5 * state, 4),
    }


def _circulation(chance: Random, state: float) -> dict[str, str]:
    return {
        "systolic_bp": _charted(chance, "systolic_bp", 117 - 15 * state, 9),
        "diastolic_bp": _charted(chance, "diastolic_bp", 69 - 8 * state, 7),
        "heart_rate": _charted(chance, "heart_rate", 91 + 15 * state, 8),
        "lactate": _charted(chance, "lactate", max(0.6, 1.8 + 0.9 * state), 0.4),
    }


def _inflammation(chance: Random, state: float) -> dict[str, str]:
    return {
        "temperature": _charted(chance, "temperature", 37.6 + 0.8 * state, 0.4),
        "white_cell_count": _charted(chance, "white_cell_count", 11 + 4 * state, 1.8),
        "immature_neutrophils": _charted(chance, "immature_neutrophils", max(0.0, 5 + 4 * state), 1.5),
    }


def _standing(chance: Random, severity: float) -> dict[str, str]:
    awake = chance.random() > _share(1.5 * severity - 2.5)
    return {
        "consciousness": "alert" if awake else chance.choice(CODES["consciousness"][1:]),
        "age": _charted(chance, "age", 66, 17),
        "spo2_scale": chance.choice(CODES["spo2_scale"]),
        "pregnant": "true" if chance.random() < 0.03 else "false",
        "treatment_limitation": chance.choices(CODES["treatment_limitation"], (90, 7, 2, 1))[0],
    }


def _flag(chance: Random, state: float) -> str:
    return "true" if chance.random() < _share(1.5 * state) else "false"


def _share(logit: float) -> float:
    return 1 / (1 + exp(-logit))


CHANGES: Final[Mapping[str, Callable[[Random, Patient], Patient]]] = MappingProxyType(
    {"values anywhere": anywhere, "few facts": few, "two decimals": finer}
)
"""How a patient is changed, by the name under which it is measured."""
