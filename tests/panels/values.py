"""Facts in short form for the tests of scores, and a normal adult."""

from collections.abc import Mapping
from decimal import Decimal

from arbiter.model import FactValue

NORMAL: Mapping[str, FactValue] = {
    "respiratory_rate": Decimal(14),
    "spo2": Decimal(98),
    "supplemental_oxygen": False,
    "systolic_bp": Decimal(125),
    "diastolic_bp": Decimal(75),
    "heart_rate": Decimal(70),
    "consciousness": "alert",
    "temperature": Decimal("37.0"),
    "age": Decimal(40),
    "white_cell_count": Decimal("7.0"),
    "immature_neutrophils": Decimal(1),
    "paco2": Decimal(40),
}


def normal(**changed: FactValue | int | str) -> dict[str, FactValue]:
    """A normal adult with some facts changed; numbers may be written as text or whole numbers."""
    facts = dict(NORMAL)
    for name, value in changed.items():
        if isinstance(value, bool) or (isinstance(value, str) and not value[0].isdigit()):
            facts[name] = value
        else:
            facts[name] = Decimal(value)
    return facts


def without(*names: str) -> dict[str, FactValue]:
    """A normal adult with some facts not measured."""
    return {name: value for name, value in NORMAL.items() if name not in names}
