"""A healthy adult before a hernia repair, in the facts that the scores of operative risk read; each of them at nought."""

from collections.abc import Mapping
from decimal import Decimal

from arbiter.model import FactValue

HEALTHY: Mapping[str, FactValue] = {
    "age": Decimal(40),
    "sex": "female",
    "body_mass_index": Decimal(24),
    "neck_circumference": Decimal(34),
    "creatinine": Decimal(80),
    "haemoglobin": Decimal(14),
    "spo2_on_air": Decimal(98),
    "planned_duration": Decimal(60),
    "procedure": "hernia",
    "operation_site": "other",
    "incision": "peripheral",
    "urgency": "elective",
    "asa_class": "asa-5",
    "functional_status": "independent",
    "ischaemic_heart_disease": False,
    "heart_failure": False,
    "cerebrovascular_disease": False,
    "insulin_treatment": False,
    "respiratory_infection": False,
    "loud_snoring": False,
    "daytime_tiredness": False,
    "observed_apnoea": False,
    "hypertension": False,
}


def healthy(**changed: FactValue | int | str) -> dict[str, FactValue]:
    """The healthy adult with some facts changed; numbers may be written as text or whole numbers."""
    facts = dict(HEALTHY)
    for name, value in changed.items():
        if isinstance(value, bool) or (isinstance(value, str) and not value[0].isdigit()):
            facts[name] = value
        else:
            facts[name] = Decimal(value)
    return facts


def healthy_without(*names: str) -> dict[str, FactValue]:
    """The healthy adult with some facts not known."""
    return {name: value for name, value in HEALTHY.items() if name not in names}
