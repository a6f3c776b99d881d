"""The made-up rule that each specialist imitates: points for facts it looks at, urgent from a sum of points on.

Every threshold here is invented for the demonstration and stands for no guideline. Thresholds are whole numbers and only
a value's whole part counts, so that a rule is learnt from the first token of a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

URGENT: Final = "urgent-review"
CONTINUE: Final = "continue-monitoring"

LEAST_HELD: Final = 2
"""With fewer of its own facts a specialist abstains."""

REASSURING: Final = 2
"""As many facts does a specialist cite when none of them gives a point."""

Bands: TypeAlias = tuple[tuple[int, int], ...]
"""Points from a whole number on: (from, points), ascending."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one specialist looks at, in the order in which it cites, and from how many points on it asks for review."""

    name: str
    numbers: Mapping[str, Bands]
    codes: Mapping[str, Mapping[str, int]]
    order: tuple[str, ...]
    urgent_from: int

    def points(self, fact: str, value: str) -> int:
        """Return the points that a fact's value gives, 0 for a fact that this rule does not look at."""
        if fact in self.numbers:
            whole = int(value.partition(".")[0])
            return next((points for least, points in reversed(self.numbers[fact]) if whole >= least), 0)
        return self.codes.get(fact, {}).get(value, 0)

    def judge(self, facts: Mapping[str, str]) -> Judgement:
        """Return the option and the facts that it rests on, in order."""
        held = [name for name in self.order if name in facts]
        if len(held) < LEAST_HELD:
            return Judgement(None, ())
        points = {name: self.points(name, facts[name]) for name in held}
        counted = tuple(name for name in held if points[name])
        option = URGENT if sum(points.values()) >= self.urgent_from else CONTINUE
        return Judgement(option, counted or tuple(held[:REASSURING]))


@dataclass(frozen=True, slots=True)
class Judgement:
    """An option, None to abstain, and the names of the facts cited."""

    option: str | None
    cited: tuple[str, ...]


_DROWSY: Final = MappingProxyType({"confusion": 1, "voice": 1, "pain": 2, "unresponsive": 2})

RESPIRATORY: Final = Rule(
    "respiratory",
    numbers={
        "respiratory_rate": ((0, 3), (9, 1), (12, 0), (18, 1), (21, 2), (25, 3)),
        "spo2": ((0, 3), (92, 2), (94, 1), (96, 0)),
        "paco2": ((0, 1), (33, 0), (46, 1), (52, 2)),
    },
    codes={"supplemental_oxygen": {"true": 1}, "consciousness": _DROWSY},
    order=("respiratory_rate", "spo2", "supplemental_oxygen", "paco2", "consciousness"),
    urgent_from=3,
)

CIRCULATION: Final = Rule(
    "circulation",
    numbers={
        "systolic_bp": ((0, 3), (91, 2), (106, 1), (116, 0), (180, 1), (200, 2)),
        "heart_rate": ((0, 3), (41, 1), (51, 0), (91, 1), (106, 2), (126, 3)),
        "lactate": ((0, 0), (2, 1), (3, 2)),
        "diastolic_bp": ((0, 2), (50, 1), (60, 0), (110, 1)),
    },
    codes={"consciousness": _DROWSY},
    order=("systolic_bp", "heart_rate", "lactate", "diastolic_bp", "consciousness"),
    urgent_from=3,
)

INFECTION: Final = Rule(
    "infection",
    numbers={
        "temperature": ((0, 2), (36, 0), (38, 1), (39, 2), (40, 3)),
        "white_cell_count": ((0, 2), (4, 0), (12, 1), (16, 2)),
        "immature_neutrophils": ((0, 0), (6, 1), (10, 2)),
        "respiratory_rate": ((0, 0), (21, 1), (25, 2)),
        "lactate": ((0, 0), (2, 1), (4, 2)),
        "heart_rate": ((0, 0), (106, 1), (126, 2)),
    },
    codes={},
    order=(
        "temperature",
        "white_cell_count",
        "immature_neutrophils",
        "respiratory_rate",
        "lactate",
        "heart_rate",
    ),
    urgent_from=3,
)


def _generalist(views: tuple[Rule, ...], urgent_from: int) -> Rule:
    """Return a rule over all facts of the views; a fact in two views gives the greater of its points."""
    order = tuple(dict.fromkeys(name for view in views for name in view.order))
    numbers: dict[str, Bands] = {}
    for name in order:
        looking = [view for view in views if name in view.numbers]
        if looking:
            starts = sorted({least for view in looking for least, _ in view.numbers[name]})
            numbers[name] = tuple(
                (start, max(view.points(name, str(start)) for view in looking)) for start in starts
            )
    codes = {name: view.codes[name] for view in views for name in view.codes}
    return Rule("generalist", numbers, codes, order, urgent_from)


SPECIALISTS: Final = (RESPIRATORY, CIRCULATION, INFECTION)
GENERALIST: Final = _generalist(SPECIALISTS, urgent_from=6)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in (*SPECIALISTS, GENERALIST)})
