"""Makes synthetic patients with atrial fibrillation: `python -m arbiter.protocols.anticoagulation.generator --seed 1`.

Every number here is invented; nothing is fitted to patients, and no clinical claim rests on it. One seed gives
the same cases every time. Each line has the shape of `examples.jsonl`, without what the service should make of it.

The latent truth
  burden b >= 0 is drawn first and never written out: b = |N(0, 0.5)| for three in ten patients, who are younger and mostly
  well, else max(0, N(1.5, 0.6)). Age and each condition of the history follow from it by chance.
  The rate of stroke without treatment is 0.45% a year times e to the sum of what age and each condition add (`HAZARDS`)
  and of a part of the burden that no record shows, N(0, 0.25).
  The label is drawn from that rate alone: P(offer) = 1 / (1 + exp(-(ln rate - ln 1.5%) / 0.15)). So no score can be
  perfect: the label depends on the rate, the scores see only the conditions, in points.
  Bleeding has a trait of its own, t = N(0, 1), behind the blood count, the bleeding history and the kidney; it moves no label.
  Missing: each fact is left out with probability 0.01, a urine test with 0.1. Stale: with probability 0.004 a fact that can
  age is older than the question allows. Units vary as they do between systems.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final

from arbiter.protocols.generating import Invented, chance_above, sample, write_cases

WELL: Final = 0.3
MISSING: Final = 0.01
URINE_MISSING: Final = 0.1
STALE: Final = 0.004
BASE_RATE: Final = 0.0045
THRESHOLD: Final = 0.015
STEEPNESS: Final = 0.15
DAY: Final = 1_440
OLDEST_DAYS: Final = 366

# What is added to the logarithm of the rate, and the chance of having it per unit of burden.
HAZARDS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "heart_failure": (0.45, 0.16),
        "reduced_ejection_fraction": (0.35, 0.10),
        "hypertension": (0.55, 0.38),
        "diabetes": (0.5, 0.17),
        "ischaemic_stroke": (1.4, 0.09),
        "tia_or_embolism": (1.1, 0.06),
        "vascular_disease": (0.45, 0.15),
        "other_coronary_disease": (0.25, 0.10),
        "proteinuria": (0.3, 0.10),
    }
)
AGE_HAZARD: Final = 0.055
"""Added for each year above 60."""

# Flags that move no stroke: the chance of each at a bleeding trait of zero, growing with the trait.
BLEEDING: Final[Mapping[str, float]] = MappingProxyType(
    {
        "haemorrhagic_stroke": 0.006,
        "intracranial_bleed": 0.006,
        "gastrointestinal_bleed": 0.03,
        "other_major_bleed": 0.015,
        "recent_major_bleed": 0.01,
        "active_bleeding": 0.006,
        "bleeding_predisposition": 0.01,
        "anaemia_history": 0.06,
        "liver_disease": 0.02,
    }
)
# How many days a fact may be old; facts not named here do not age.
GREATEST_DAYS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(("creatinine", "egfr", "haemoglobin", "haematocrit", "platelet_count"), 90),
        **dict.fromkeys(("systolic_bp", "anticoagulant", "antiplatelet", "nsaid", "pregnant"), 30),
        **dict.fromkeys(("proteinuria", "alcohol"), 365),
        "recent_stroke": 7,
        "recent_major_bleed": 30,
        "active_bleeding": 1,
        "time_in_therapeutic_range": 180,
        "other_anticoagulation_indication": 90,
    }
)


@dataclass(frozen=True, slots=True)
class Patient:
    """The latent truth of one patient, of which only traces are written out."""

    burden: float
    age: int
    female: bool
    history: Mapping[str, bool]
    rate: float
    offer: bool
    bleeding: float


def generate(seed: int, cases: int) -> Iterator[dict[str, Any]]:
    """Yield `cases` labelled cases, as `sample` does."""
    return sample(_invent, "rate", seed, cases)


def _invent(random: Random) -> Invented:
    patient = _patient(random)
    known = {**_person(random, patient), **_bleeding(random, patient), **_measured(random, patient)}
    facts = {name: _dated(random, name, fact) for name, fact in known.items() if not _left_out(random, name)}
    return Invented(
        risk_class=random.choices(["routine", "urgent", "emergency"], [90, 8, 2])[0],
        facts=facts,
        label="offer-anticoagulation" if patient.offer else "no-anticoagulation",
    )


def _patient(random: Random) -> Patient:
    well = random.random() < WELL
    burden = abs(random.gauss(0, 0.5)) if well else max(0.0, random.gauss(1.5, 0.6))
    age = round(min(99, max(19, random.gauss(53 if well else 74, 9))))
    history = {name: random.random() < min(0.9, chance * burden) for name, (_, chance) in HAZARDS.items()}
    log_rate = math.log(BASE_RATE) + AGE_HAZARD * max(0, age - 60) + random.gauss(0, 0.25)
    log_rate += math.fsum(HAZARDS[name][0] for name, held in history.items() if held)
    chance = chance_above(log_rate, math.log(THRESHOLD), STEEPNESS)
    return Patient(
        burden=burden,
        age=age,
        female=random.random() < 0.45,
        history=history,
        rate=math.exp(log_rate),
        offer=random.random() < chance,
        bleeding=random.gauss(0, 1),
    )


def _person(random: Random, patient: Patient) -> dict[str, dict[str, Any]]:
    """Return who the patient is: age, sex, the history of stroke, and what may exclude."""
    flags = dict(patient.history)
    flags["recent_stroke"] = flags["ischaemic_stroke"] and random.random() < 0.06
    flags["cardiomyopathy_or_amyloidosis"] = random.random() < 0.01
    flags["other_anticoagulation_indication"] = random.random() < 0.02
    if patient.female and patient.age < 56:
        flags["pregnant"] = patient.age < 45 and random.random() < 0.05
    found: dict[str, dict[str, Any]] = {name: {"value": held} for name, held in flags.items()}
    found["age"] = {"value": patient.age, "unit": "a"}
    found["sex"] = {"value": "female" if patient.female else "male"}
    kinds = random.choices(["clinical", "device-detected", "none"], [95, 4, 1])
    found["atrial_fibrillation"] = {"value": kinds[0]}
    valves = random.choices(["none", "other", "mitral-stenosis", "mechanical-valve"], [90, 6, 2, 2])
    found["valve_disease"] = {"value": valves[0]}
    limits = random.choices(["none", "dnacpr", "ward-ceiling", "end-of-life"], [90, 7, 2, 1])
    found["treatment_limitation"] = {"value": limits[0] if patient.age >= 70 else "none"}
    return found


def _bleeding(random: Random, patient: Patient) -> dict[str, dict[str, Any]]:
    """Return the history of bleeding and the medicines that bear on it."""
    growth = math.exp(0.6 * patient.bleeding)
    found: dict[str, dict[str, Any]] = {
        name: {"value": random.random() < min(0.9, chance * growth)} for name, chance in BLEEDING.items()
    }
    found["antiplatelet"] = {
        "value": random.random() < (0.4 if patient.history["vascular_disease"] else 0.06)
    }
    found["nsaid"] = {"value": random.random() < 0.08}
    drinks = round(max(0.0, random.gauss(2.5, 3.5)), 1)
    found["alcohol"] = {"value": drinks, "unit": "{drink}/wk"}
    if random.random() < 0.06:
        found["alcohol"] = {"value": round(drinks * 10), "unit": "g/wk"}
    taken = random.choices(["none", "vitamin-k-antagonist", "other"], [93, 5, 2])[0]
    found["anticoagulant"] = {"value": taken}
    if taken == "vitamin-k-antagonist":
        in_range = min(100, max(5, round(random.gauss(64, 15))))
        found["time_in_therapeutic_range"] = {"value": in_range, "unit": "%"}
    return found


def _measured(random: Random, patient: Patient) -> dict[str, dict[str, Any]]:
    """Return blood pressure and blood tests, now and then in another unit."""
    egfr = min(130.0, max(6.0, random.gauss(104 - 0.5 * patient.age - 5 * max(0.0, patient.bleeding), 13)))
    creatinine = min(900.0, max(40.0, (6_000 if patient.female else 7_000) / egfr))
    haemoglobin = min(18.5, max(6.5, random.gauss(13.4 if patient.female else 14.6, 0.9)))
    haemoglobin = max(6.5, haemoglobin - 0.6 * max(0.0, patient.bleeding))
    haematocrit = min(60.0, max(18.0, haemoglobin * 3 + random.gauss(0, 0.7)))
    platelets = max(20, round(random.gauss(236 - 12 * max(0.0, patient.bleeding), 50)))
    raised = 12 if patient.history["hypertension"] else 0
    systolic = min(230, max(85, round(random.gauss(126 + raised, 14))))
    found: dict[str, dict[str, Any]] = {
        "dialysis": {"value": egfr < 10},
        "kidney_transplant": {"value": random.random() < 0.006},
        "egfr": {"value": round(egfr), "unit": "mL/min/{1.73_m2}"},
        "creatinine": {"value": round(creatinine), "unit": "umol/L"},
        "haemoglobin": {"value": round(haemoglobin, 1), "unit": "g/dL"},
        "haematocrit": {"value": round(haematocrit, 1), "unit": "%"},
        "platelet_count": {"value": platelets, "unit": "10*9/L"},
        "systolic_bp": {"value": systolic, "unit": "mm[Hg]"},
    }
    other: dict[str, dict[str, Any]] = {
        "creatinine": {"value": round(creatinine / 88.42, 2), "unit": "mg/dL"},
        "haemoglobin": {"value": round(haemoglobin * 10), "unit": "g/L"},
        "haematocrit": {"value": round(haematocrit / 100, 3), "unit": "L/L"},
        "platelet_count": {"value": platelets, "unit": "10*3/uL"},
        "systolic_bp": {"value": round(systolic / 7.50061576, 1), "unit": "kPa"},
    }
    return {**found, **{name: fact for name, fact in other.items() if random.random() < 0.05}}


def _left_out(random: Random, name: str) -> bool:
    # Without an age nothing could be asked, and every system sends it.
    return random.random() < (URINE_MISSING if name == "proteinuria" else MISSING) and name != "age"


def _dated(random: Random, name: str, fact: dict[str, Any]) -> dict[str, Any]:
    """Return the fact with the minutes since it was observed; now and then more than the question allows."""
    days = GREATEST_DAYS.get(name)
    if days is None:
        return {**fact, "age_minutes": 0 if name == "age" else random.randint(1, 300) * DAY}
    if random.random() < STALE:
        return {**fact, "age_minutes": random.randint(days * DAY + 1, min(3 * days, OLDEST_DAYS) * DAY)}
    return {**fact, "age_minutes": random.randint(5, days * DAY)}


def main(arguments: list[str] | None = None) -> int:
    """Write the cases to standard output, one JSON object a line."""
    return write_cases("anticoagulation", generate, arguments)


if __name__ == "__main__":
    sys.exit(main())
