"""Makes synthetic surgical patients with a known truth: `python -m arbiter.protocols.surgery_readiness.generator --seed 1`.

Every number here is invented; nothing is fitted to patients, and no clinical claim rests on it. One seed gives
the same cases every time. Each line has the shape of `examples.jsonl`, without what the service should make of it.

The latent truth
  Five burdens, each 0 or more, are drawn first and never written out: heart, lungs, sleep, reserve (how little is left) and
  what can be changed (blood, sugar, pressure, infection). Heart and reserve rise with age; the others are drawn apart. The
  operation is drawn by itself, and adds to heart and lungs what its size asks of them.
  The label is drawn from the burdens alone, one question after another, each with P = 1 / (1 + exp(-(burden - limit) / 0.15)):
  is so little reserve left that the plan is reconsidered, is there something to optimise, is there something in heart, lungs or
  sleep to assess; else the operation proceeds as planned.
  Each fact is a trace of one burden + noise, rounded as it is written down. So no score can be perfect: the label depends
  on the burdens, the scores see only their traces, and the scores and the label ask different things.
  Missing: each fact but the age is left out with probability 0.015; what is seldom measured, more often.
  Stale: with probability 0.003 a fact that ages is older than the question allows. Units vary as they do between systems.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final

from arbiter.protocols.generating import Invented, chance_above, sample, write_cases

MISSING: Final = 0.015
STALE: Final = 0.003
OTHER_UNIT: Final = 0.12
STEEPNESS: Final = 0.15
DAY: Final = 24 * 60

# Group of procedures: site, incision, middle of the planned minutes, and how much it asks of heart and lungs.
OPERATIONS: Final[Mapping[str, tuple[str, str, int, float]]] = MappingProxyType(
    {
        "hernia": ("other", "peripheral", 65, 0.0),
        "breast": ("other", "peripheral", 90, 0.0),
        "orthopaedic-extremity": ("other", "peripheral", 95, 0.2),
        "spine": ("other", "peripheral", 150, 0.2),
        "ear-nose-throat": ("other", "peripheral", 80, 0.1),
        "urological": ("other", "peripheral", 100, 0.2),
        "gallbladder-appendix-adrenal-spleen": ("intraperitoneal", "upper-abdominal", 75, 0.2),
        "intestinal": ("intraperitoneal", "upper-abdominal", 165, 0.5),
        "foregut-hepatopancreatobiliary": ("intraperitoneal", "upper-abdominal", 230, 0.7),
        "obstetric-gynaecological": ("intraperitoneal", "peripheral", 95, 0.2),
        "peripheral-vascular": ("other", "peripheral", 140, 0.5),
        "aortic": ("suprainguinal-vascular", "upper-abdominal", 210, 0.9),
        "thoracic": ("intrathoracic", "intrathoracic", 160, 0.7),
    }
)
# A fact's own unit, one that other systems send, and how to get there: value * factor + offset, so many decimals.
UNITS: Final[Mapping[str, tuple[str, tuple[str, float, float, int] | None]]] = MappingProxyType(
    {
        "age": ("a", None),
        "body_mass_index": ("kg/m2", None),
        "neck_circumference": ("cm", ("[in_i]", 1 / 2.54, 0, 1)),
        "planned_duration": ("min", ("h", 1 / 60, 0, 2)),
        "days_since_infarction": ("d", ("wk", 1 / 7, 0, 1)),
        "days_since_coronary_stent": ("d", ("wk", 1 / 7, 0, 1)),
        "creatinine": ("umol/L", ("mg/dL", 1 / 88.42, 0, 2)),
        "haemoglobin": ("g/dL", ("g/L", 10, 0, 0)),
        "spo2_on_air": ("%", None),
        "systolic_bp": ("mm[Hg]", ("kPa", 1 / 7.50061576, 0, 1)),
        "diastolic_bp": ("mm[Hg]", ("kPa", 1 / 7.50061576, 0, 1)),
        "hba1c": ("mmol/mol", ("%", 0.0915, 2.15, 1)),
    }
)
# How many days the question allows, for the facts that age.
DAYS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("pregnant", "active_cardiac_condition", "days_since_infarction", "days_since_coronary_stent"), 7
        ),
        "respiratory_infection": 14,
        **dict.fromkeys(("patient_wish", "anticoagulant", "anticoagulant_plan", "spo2_on_air"), 30),
        **dict.fromkeys(
            (
                "asa_class", "functional_status", "functional_capacity", "insulin_treatment", "creatinine",
                "haemoglobin", "systolic_bp", "diastolic_bp", "hba1c",
            ),
            90,
        ),
        **dict.fromkeys(
            (
                "body_mass_index", "neck_circumference", "frailty", "loud_snoring", "daytime_tiredness",
                "observed_apnoea",
            ),
            180,
        ),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Patient:
    """The latent truth of one patient, of which only traces are written out."""

    age: int
    male: bool
    operation: str
    heart: float
    lungs: float
    sleep: float
    reserve: float
    changeable: float
    label: str


def generate(seed: int, cases: int) -> Iterator[dict[str, Any]]:
    """Yield `cases` labelled cases, as `sample` does."""
    return sample(_invent, "burdens", seed, cases)


def _invent(random: Random) -> Invented:
    patient = _patient(random)
    taken = random.randint(60, 6 * DAY)
    values = {
        **_person(random, patient),
        **_plan(random, patient),
        **_judgement(random, patient),
        **_record(random, patient),
        **_measured(random, patient),
    }
    facts = {
        name: _fact(random, name, value, taken)
        for name, value in values.items()
        if name == "age" or random.random() >= MISSING
    }
    risk = {"urgent": "urgent", "immediate": "emergency"}.get(str(values["urgency"]), "routine")
    return Invented(risk, facts, patient.label)


def _patient(random: Random) -> Patient:
    age = round(min(96, max(18, random.gauss(61, 16))))
    older = max(0.0, (age - 50) / 30)
    operation = random.choice(sorted(OPERATIONS))
    asks = OPERATIONS[operation][3]
    male = operation not in {"breast", "obstetric-gynaecological"} and random.random() < 0.55
    heart = max(0.0, random.gauss(0.25 + 0.5 * older, 0.55))
    lungs = max(0.0, random.gauss(0.2, 0.55))
    sleep = max(0.0, random.gauss(0.35 + 0.2 * male, 0.6))
    reserve = max(0.0, random.gauss(0.1 + 0.5 * older, 0.45))
    changeable = max(0.0, random.gauss(0.15, 0.65))
    to_assess = max(heart + asks * 0.4, lungs + asks * 0.4, sleep)
    label = "proceed-as-planned"
    for option, burden, limit in (
        ("reconsider-plan", reserve + heart * 0.2, 1.25),
        ("optimise-first", changeable, 0.7),
        ("assess-further", to_assess, 1.35),
    ):
        if random.random() < chance_above(burden, limit, STEEPNESS):
            label = option
            break
    return Patient(age, male, operation, heart, lungs, sleep, reserve, changeable, label)


def _person(random: Random, patient: Patient) -> dict[str, Any]:
    mass = min(70.0, max(16.0, random.gauss(26 + 4 * patient.sleep, 3.5)))
    found: dict[str, Any] = {
        "age": patient.age,
        "sex": "male" if patient.male else "female",
        "body_mass_index": round(mass, 1),
        "patient_wish": random.choices(["agrees", "undecided", "declines"], [94, 5, 1])[0],
    }
    if random.random() < 0.85:
        neck = random.gauss(33 + 4 * patient.male + (mass - 26) * 0.35, 1.5)
        found["neck_circumference"] = round(min(70.0, max(26.0, neck)), 1)
    if not patient.male and patient.age < 56:
        found["pregnant"] = random.random() < 0.02
    return found


def _plan(random: Random, patient: Patient) -> dict[str, Any]:
    site, incision, minutes, _ = OPERATIONS[patient.operation]
    return {
        "procedure": patient.operation,
        "operation_site": site,
        "incision": incision,
        "planned_duration": round(max(15, random.gauss(minutes, minutes * 0.25)) / 5) * 5,
        "urgency": random.choices(["elective", "expedited", "urgent", "immediate"], [74, 16, 9, 1])[0],
    }


def _judgement(random: Random, patient: Patient) -> dict[str, Any]:
    ill = max(patient.heart, patient.lungs, patient.reserve) + random.gauss(0, 0.2)
    weak = patient.reserve + random.gauss(0, 0.2)
    found: dict[str, Any] = {
        "asa_class": _step(ill, (0.2, 0.95, 1.8, 3.0), ("asa-1", "asa-2", "asa-3", "asa-4", "asa-5")),
        "functional_status": _step(
            weak, (1.1, 1.8), ("independent", "partially-dependent", "totally-dependent")
        ),
        "frailty": _step(weak, (0.7, 1.1, 1.6), ("none", "mild", "moderate", "severe")),
    }
    tolerates = "below-four-mets" if max(patient.heart, weak) > 1.1 else "four-mets-or-more"
    found["functional_capacity"] = "not-known" if random.random() < 0.06 else tolerates
    return found


def _step(value: float, limits: tuple[float, ...], codes: tuple[str, ...]) -> str:
    return codes[sum(value >= limit for limit in limits)]


def _record(random: Random, patient: Patient) -> dict[str, Any]:
    def has(burden: float, limit: float, spread: float = 0.25) -> bool:
        return burden + random.gauss(0, spread) > limit

    ischaemia = has(patient.heart, 0.95)
    found: dict[str, Any] = {
        "ischaemic_heart_disease": ischaemia,
        "heart_failure": has(patient.heart, 1.4),
        "cerebrovascular_disease": has(patient.heart, 1.35),
        "active_cardiac_condition": has(patient.heart, 1.9),
        "hypertension": has(max(patient.heart, patient.sleep * 0.7), 0.75),
        "insulin_treatment": has(patient.changeable, 1.1),
        "anticoagulant": "none",
        "respiratory_infection": has(max(patient.changeable * 0.7, patient.lungs * 0.7), 0.95),
        "loud_snoring": has(patient.sleep, 0.8),
        "daytime_tiredness": has(patient.sleep, 0.95, 0.4),
        "observed_apnoea": has(patient.sleep, 1.2),
        "sleep_apnoea": "none-known",
    }
    if has(patient.sleep, 1.6):
        found["sleep_apnoea"] = random.choice(["treated", "untreated"])
    if has(patient.heart, 1.3):
        found["anticoagulant"] = random.choice(["vitamin-k-antagonist", "other"])
        found["anticoagulant_plan"] = random.random() < 0.75
    if ischaemia and random.random() < 0.5:
        found["days_since_infarction"] = round(random.expovariate(1 / 900)) + 5
    if ischaemia and random.random() < 0.4:
        found["days_since_coronary_stent"] = round(random.expovariate(1 / 900)) + 5
    return found


def _measured(random: Random, patient: Patient) -> dict[str, Any]:
    creatinine = random.lognormvariate(4.36 + 0.22 * max(patient.heart, patient.reserve), 0.2)
    haemoglobin = random.gauss(14.2 + 0.6 * patient.male - 1.7 * patient.changeable, 0.9)
    systolic = random.gauss(128 + 14 * patient.changeable + 6 * patient.heart, 12)
    found: dict[str, Any] = {
        "creatinine": round(min(1_000, max(35, creatinine))),
        "haemoglobin": round(min(18.5, max(6.0, haemoglobin)), 1),
        "spo2_on_air": round(min(100, max(80, random.gauss(97.6 - 2.6 * patient.lungs, 1)))),
        "systolic_bp": round(min(230, max(85, systolic))),
        "diastolic_bp": round(min(130, max(45, systolic * 0.45 + random.gauss(20, 6)))),
    }
    if random.random() < 0.2 + 0.4 * min(1.0, patient.changeable):
        found["hba1c"] = round(min(130, max(28, random.gauss(38 + 18 * patient.changeable, 5))))
    return found


def _fact(random: Random, name: str, value: Any, taken: int) -> dict[str, Any]:
    """Write a fact down: one visit for all of them, now and then another unit, seldom too old."""
    age_minutes = 0 if name == "age" else taken
    if name in DAYS and random.random() < STALE:
        age_minutes = (DAYS[name] + random.randint(1, 30)) * DAY
    if name not in UNITS:
        return {"value": value, "age_minutes": age_minutes}
    unit, other = UNITS[name]
    if other is not None and random.random() < OTHER_UNIT:
        unit, factor, offset, decimals = other
        converted = round(value * factor + offset, decimals)
        value = int(converted) if decimals == 0 else converted
    return {"value": value, "unit": unit, "age_minutes": age_minutes}


def main(arguments: list[str] | None = None) -> int:
    """Write the cases to standard output, one JSON object a line."""
    return write_cases("surgery-readiness", generate, arguments)


if __name__ == "__main__":
    sys.exit(main())
