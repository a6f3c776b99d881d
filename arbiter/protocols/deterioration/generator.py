"""Makes synthetic ward patients with a known truth: `python -m arbiter.protocols.deterioration.generator --seed 1`.

Every number here is invented; nothing is fitted to patients, and no clinical claim rests on it. One seed gives
the same cases every time. Each line has the shape of `examples.jsonl`, without what the service should make of it.

The latent truth
  severity s >= 0 is drawn first and never written out. Seven in ten patients are well, s = |N(0, 0.35)|; the others are
  unwell, s = max(0, N(2.1, 0.7)), with one course: respiratory, septic, cardiac, neurological or hypertensive.
  The label is drawn from the severity alone: P(urgent-review) = 1 / (1 + exp(-(s - 1.1) / 0.15)).
  Each vital sign is normal for the patient + what the course adds per unit of s + noise, rounded as it is charted. So
  signs are correlated through s, and no score can be perfect: the label depends on s, the scores see only its traces.
  Missing: each observation is left out with probability 0.006; blood tests are there more often the sicker the patient.
  Stale: with probability 0.006 an observation is older than the question allows. Units vary as they do between systems.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final

from arbiter.protocols.generating import Invented, chance_above, sample, write_cases

UNWELL: Final = 0.3
MISSING: Final = 0.006
STALE: Final = 0.006
THRESHOLD: Final = 1.1
STEEPNESS: Final = 0.15

# What each course adds to a sign per unit of severity.
COURSES: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "respiratory": {"respiratory_rate": 6.8, "spo2": -3.2, "heart_rate": 15, "temperature": 0.5},
        "septic": {
            "respiratory_rate": 5.5,
            "spo2": -1.6,
            "heart_rate": 20,
            "temperature": 0.9,
            "systolic_bp": -13,
            "diastolic_bp": -12,
        },
        "cardiac": {
            "respiratory_rate": 5.8,
            "spo2": -2.5,
            "heart_rate": 23,
            "systolic_bp": -12,
            "diastolic_bp": -7,
        },
        "neurological": {"respiratory_rate": -1.0, "heart_rate": -4, "systolic_bp": 12},
        "hypertensive": {
            "respiratory_rate": 7.5,
            "spo2": -2.6,
            "heart_rate": 10,
            "systolic_bp": 34,
            "diastolic_bp": 16,
        },
    }
)
# Mean, spread and the bounds within which a value is written, for a well patient of the ward.
SIGNS: Final[Mapping[str, tuple[float, float, int, int]]] = MappingProxyType(
    {
        "respiratory_rate": (15.5, 1.8, 4, 60),
        "spo2": (97.2, 1.0, 60, 100),
        "heart_rate": (77, 10, 28, 200),
        "systolic_bp": (128, 13, 55, 250),
        "diastolic_bp": (75, 8, 28, 140),
        "temperature": (36.8, 0.35, 33, 41),
    }
)
UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "respiratory_rate": "/min",
        "spo2": "%",
        "heart_rate": "/min",
        "systolic_bp": "mm[Hg]",
        "diastolic_bp": "mm[Hg]",
        "temperature": "Cel",
    }
)


@dataclass(frozen=True, slots=True)
class Patient:
    """The latent truth of one patient, of which only traces are written out."""

    severity: float
    course: str | None
    age: int
    urgent: bool
    scale_2: bool


def generate(seed: int, cases: int) -> Iterator[dict[str, Any]]:
    """Yield `cases` labelled cases, as `sample` does."""
    return sample(_invent, "severity", seed, cases)


def _invent(random: Random) -> Invented:
    patient = _patient(random)
    facts = {**_observations(random, patient), **_bloods(random, patient), **_standing(random, patient)}
    return Invented(
        risk_class=_risk_class(random, patient),
        facts=facts,
        label="urgent-review" if patient.urgent else "continue-monitoring",
    )


def _patient(random: Random) -> Patient:
    course = random.choice(sorted(COURSES)) if random.random() < UNWELL else None
    severity = max(0.0, random.gauss(2.1, 0.7)) if course else abs(random.gauss(0, 0.35))
    chance = chance_above(severity, THRESHOLD, STEEPNESS)
    return Patient(
        severity=severity,
        course=course,
        age=round(min(98, max(18, random.gauss(66, 17)))),
        urgent=random.random() < chance,
        scale_2=random.random() < (0.15 if course == "respiratory" else 0.02),
    )


def _observations(random: Random, patient: Patient) -> dict[str, dict[str, Any]]:
    """Return the round of observations: one time for all of them, as a nurse takes them, with gaps."""
    taken = random.randint(3, 150)
    found: dict[str, dict[str, Any]] = {}
    added = COURSES[patient.course] if patient.course else {}
    for name, (mean, spread, low, high) in SIGNS.items():
        shift = added.get(name, 0) * patient.severity
        if name == "spo2" and patient.scale_2:
            shift -= 7
        value = min(high, max(low, random.gauss(mean + shift, spread)))
        found[name] = _charted(random, name, value, taken)
    oxygen_needed = found["spo2"]["value"] < (88 if patient.scale_2 else 93)
    found["supplemental_oxygen"] = {
        "value": oxygen_needed and random.random() < 0.7,
        "age_minutes": taken,
    }
    found["consciousness"] = {"value": _consciousness(random, patient), "age_minutes": taken}
    return {name: _aged(random, fact) for name, fact in found.items() if random.random() >= MISSING}


def _charted(random: Random, name: str, value: float, taken: int) -> dict[str, Any]:
    """Round a sign as it is charted, now and then in another unit."""
    if name == "temperature":
        if random.random() < 0.06:
            return {"value": round(value * 1.8 + 32, 1), "unit": "[degF]", "age_minutes": taken}
        return {"value": round(value, 1), "unit": "Cel", "age_minutes": taken}
    if UNITS[name] == "mm[Hg]" and random.random() < 0.04:
        return {"value": round(value / 7.50061576, 1), "unit": "kPa", "age_minutes": taken}
    return {"value": round(value), "unit": UNITS[name], "age_minutes": taken}


def _aged(random: Random, fact: dict[str, Any]) -> dict[str, Any]:
    if random.random() < STALE:
        return {**fact, "age_minutes": random.randint(241, 900)}
    return fact


def _consciousness(random: Random, patient: Patient) -> str:
    if patient.course != "neurological":
        return "confusion" if random.random() < 0.05 * patient.severity else "alert"
    depth = patient.severity + random.gauss(0, 0.35)
    for code, least in (("unresponsive", 3.4), ("pain", 2.6), ("voice", 1.8), ("confusion", 0.9)):
        if depth >= least:
            return code
    return "alert"


def _bloods(random: Random, patient: Patient) -> dict[str, dict[str, Any]]:
    taken = random.randint(20, 700)
    septic = patient.severity if patient.course == "septic" else 0.0
    found: dict[str, dict[str, Any]] = {}
    if random.random() < 0.55 + 0.2 * patient.severity:
        cells = max(0.5, random.gauss(7.6 + 3.5 * septic, 1.7))
        found["white_cell_count"] = {"value": round(cells, 1), "unit": "10*9/L", "age_minutes": taken}
        if random.random() < 0.8:
            bands = min(60.0, max(0.0, random.gauss(2 + 4 * septic, 1.5)))
            found["immature_neutrophils"] = {"value": round(bands, 1), "unit": "%", "age_minutes": taken}
    if random.random() < 0.08 + 0.2 * patient.severity:
        tension = max(12.0, random.gauss(40 - 3 * septic + (8 if patient.scale_2 else 0), 4))
        found["paco2"] = {"value": round(tension, 1), "unit": "mm[Hg]", "age_minutes": min(taken, 350)}
    if random.random() < 0.15 + 0.3 * patient.severity:
        lactate = max(0.3, random.gauss(1.0 + 0.7 * septic, 0.35))
        found["lactate"] = {"value": round(lactate, 1), "unit": "mmol/L", "age_minutes": min(taken, 350)}
    return found


def _standing(random: Random, patient: Patient) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"age": {"value": patient.age, "unit": "a", "age_minutes": 0}}
    if patient.scale_2:
        found["spo2_scale"] = {"value": "scale-2", "age_minutes": 2_880}
    if random.random() < 0.98:
        expecting = patient.age < 50 and random.random() < 0.02
        found["pregnant"] = {"value": expecting, "age_minutes": 1_440}
    if random.random() < 0.99:
        limits = ["none", "dnacpr", "ward-ceiling", "end-of-life"]
        limit = random.choices(limits, [90, 7, 2, 1])[0] if patient.age >= 70 else "none"
        found["treatment_limitation"] = {"value": limit, "age_minutes": 1_440}
    return found


def _risk_class(random: Random, patient: Patient) -> str:
    worry = patient.severity + random.gauss(0, 0.5)
    if worry > 3.0:
        return "emergency"
    return "urgent" if worry > 1.4 else "routine"


def main(arguments: list[str] | None = None) -> int:
    """Write the cases to standard output, one JSON object a line."""
    return write_cases("deterioration", generate, arguments)


if __name__ == "__main__":
    sys.exit(main())
