"""SIRS, the criteria of the systemic inflammatory response syndrome.

Source: Bone RC, Balk RA, Cerra FB, et al. Definitions for sepsis and organ failure and guidelines for the use of
innovative therapies in sepsis. The ACCP/SCCM Consensus Conference Committee. Chest 1992; 101(6): 1644-1655. Two or more
of: temperature above 38 or below 36 degrees Celsius; heart rate above 90/min; respiratory rate above 20/min or PaCO2
below 32 mm Hg (4.3 kPa); white cell count above 12,000 or below 4,000 per cubic millimetre, or more than 10% immature
(band) forms.

Bands: 2 or more is SIRS; with infection it was the 1992 definition of sepsis.

Why it does not vote on the question: 47% of ward patients meet two criteria at some time of their stay (Churpek et al.,
Am J Respir Crit Care Med 2015; 192: 958-964), and it names no response. It answers the facet of sepsis risk: `high`
from 2 on, otherwise `not-high`.

Missing inputs: blood gases and band counts are rarely there. A criterion whose measured parts are not met and which
has an unmeasured part is open, neither met nor unmet. The score answers only when the open criteria cannot change the
answer: two are met already, or too few are open to reach two. Otherwise it abstains and names every missing part of
the open criteria. No other score here answers with an input missing.
"""

from __future__ import annotations

from typing import Final

from arbiter.panels.scores.table import (
    Component,
    Facts,
    Row,
    Score,
    ScoreResult,
    above,
    abstains,
    band,
    below,
    lacking,
    once,
)

HIGH: Final = "high"
NOT_HIGH: Final = "not-high"
HIGH_FROM: Final = 2

TEMPERATURE: Final = Row(
    "temperature", "temperature", "Cel", (below(1, "36"), band(0, "36", "38"), above(1, "38"))
)
HEART_RATE: Final = Row("heart_rate", "heart rate", "/min", (band(0, None, "90"), above(1, "90")))
RESPIRATION: Final = Row(
    "respiratory_rate", "respiratory rate", "/min", (band(0, None, "20"), above(1, "20"))
)
PACO2: Final = Row("paco2", "PaCO2", "mm[Hg]", (below(1, "32"), band(0, "32")))
WHITE_CELLS: Final = Row(
    "white_cell_count", "white cell count", "10*9/L", (below(1, "4"), band(0, "4", "12"), above(1, "12"))
)
IMMATURE: Final = Row(
    "immature_neutrophils", "immature neutrophils", "%", (band(0, None, "10"), above(1, "10"))
)
CRITERIA: Final[tuple[tuple[Row, ...], ...]] = (
    (TEMPERATURE,),
    (HEART_RATE,),
    (RESPIRATION, PACO2),
    (WHITE_CELLS, IMMATURE),
)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return SIRS for the facts where the answer is certain, or an abstention that names what could change it.

    `total` is the number of criteria known to be met. Each met criterion counts once, on its first met part.

    Raises:
        TypeError: when a fact is of a kind the table does not know.
    """
    del too_old
    components: list[Component] = []
    met = 0
    open_parts: list[str] = []
    still_open = 0
    for criterion in CRITERIA:
        parts, absent = _read(criterion, facts)
        components.extend(parts)
        if any(part.points for part in parts):
            met += 1
        elif absent:
            still_open += 1
            open_parts.extend(absent)
    if met < HIGH_FROM <= met + still_open:
        return abstains("SIRS", tuple(open_parts))
    option = HIGH if met >= HIGH_FROM else NOT_HIGH
    summary = f"SIRS {met} of 4 criteria met"
    if still_open:
        summary += f"; {still_open} not measured, which cannot change the answer"
    return ScoreResult(met, tuple(components), option, (), summary)


def _read(criterion: tuple[Row, ...], facts: Facts) -> tuple[tuple[Component, ...], tuple[str, ...]]:
    """Return the parts of a criterion that were measured, at most one with its point, and the names of the others."""
    measured = tuple(row for row in criterion if row.fact in facts)
    absent = lacking(tuple(row.fact for row in criterion), facts)
    return once(row.read(facts[row.fact]) for row in measured), absent


SCORE: Final = Score(
    name="sirs",
    version="1992",
    title="SIRS",
    source="Bone et al., ACCP/SCCM Consensus Conference, Chest 1992; 101: 1644-1655",
    rows=tuple(row for criterion in CRITERIA for row in criterion),
    needs=(),
    wants=tuple(row.fact for criterion in CRITERIA for row in criterion),
    thresholds=(("high-from", HIGH_FROM),),
    options=(HIGH, NOT_HIGH),
    assess=assess,
)
