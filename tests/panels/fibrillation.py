"""A man of 50 with atrial fibrillation and nothing else, for the tests of stroke and bleeding scores."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import product

from arbiter.model import FactValue

HISTORY = (
    "heart_failure", "reduced_ejection_fraction", "hypertension", "diabetes", "ischaemic_stroke", "tia_or_embolism",
    "vascular_disease", "other_coronary_disease", "haemorrhagic_stroke", "intracranial_bleed",
    "gastrointestinal_bleed", "other_major_bleed", "bleeding_predisposition", "anaemia_history", "liver_disease",
    "dialysis", "kidney_transplant", "proteinuria", "antiplatelet", "nsaid",
)  # fmt: skip
WELL: Mapping[str, FactValue] = {
    **dict.fromkeys(HISTORY, False),
    "age": Decimal(50),
    "sex": "male",
    "creatinine": Decimal(80),
    "egfr": Decimal(90),
    "haemoglobin": Decimal("14.5"),
    "haematocrit": Decimal("43.0"),
    "systolic_bp": Decimal(128),
    "anticoagulant": "none",
    "alcohol": Decimal(0),
}


def person(*conditions: str, **changed: FactValue | int | str) -> dict[str, FactValue]:
    """The man with the conditions named, and other facts changed; numbers may be written as text or whole numbers."""
    unknown = set(conditions).difference(HISTORY)
    assert not unknown, unknown
    facts = {**WELL, **dict.fromkeys(conditions, True)}
    for name, value in changed.items():
        if isinstance(value, bool) or (isinstance(value, str) and not value[0].isdigit()):
            facts[name] = value
        else:
            facts[name] = Decimal(value)
    return facts


def without(*names: str) -> dict[str, FactValue]:
    """The man with some facts not told."""
    return {name: value for name, value in WELL.items() if name not in names}


def every(flags: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every set of these conditions that a person may have."""
    for held in product((False, True), repeat=len(flags)):
        yield tuple(flag for flag, has in zip(flags, held, strict=True) if has)
