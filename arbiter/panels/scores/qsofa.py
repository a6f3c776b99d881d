"""qSOFA, the quick Sequential Organ Failure Assessment.

Source: Seymour CW, Liu VX, Iwashyna TJ, et al. Assessment of Clinical Criteria for Sepsis. JAMA 2016; 315(8): 762-774;
Singer M, Deutschman CS, Seymour CW, et al. The Third International Consensus Definitions for Sepsis and Septic Shock
(Sepsis-3). JAMA 2016; 315(8): 801-810, box 4. One point each: respiratory rate 22/min or more, altered mentation
(Glasgow Coma Scale below 15), systolic blood pressure 100 mm Hg or less.

Bands: 2 or more in someone with suspected infection means a risk of death or a long stay in intensive care high enough
to look for organ dysfunction.

Why it does not vote on the question: it grades people in whom infection is suspected and does not say who needs a
review now. It answers the facet of sepsis risk: `high` from 2 on, otherwise `not-high`. Mentation is read from ACVPU,
where anything but alert is altered.
"""

from __future__ import annotations

from typing import Final

from arbiter.panels.scores.table import (
    AnyRow,
    CodeRow,
    Facts,
    Row,
    Score,
    ScoreResult,
    above,
    abstains,
    band,
    below,
    lacking,
)

HIGH: Final = "high"
NOT_HIGH: Final = "not-high"
HIGH_FROM: Final = 2

RESPIRATION: Final = Row("respiratory_rate", "respiratory rate", "/min", (below(0, "22"), band(1, "22")))
SYSTOLIC: Final = Row(
    "systolic_bp", "systolic blood pressure", "mm[Hg]", (band(1, None, "100"), above(0, "100"))
)
MENTATION: Final = CodeRow(
    "consciousness",
    "mentation (ACVPU)",
    (("alert", 0), ("confusion", 1), ("voice", 1), ("pain", 1), ("unresponsive", 1)),
)
ROWS: Final[tuple[AnyRow, ...]] = (RESPIRATION, MENTATION, SYSTOLIC)
NEEDS: Final = tuple(row.fact for row in ROWS)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return qSOFA for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("qSOFA", missing)
    components = tuple(row.read(facts[row.fact]) for row in ROWS)
    total = sum(component.points for component in components)
    option = HIGH if total >= HIGH_FROM else NOT_HIGH
    return ScoreResult(total, components, option, (), f"qSOFA {total}")


SCORE: Final = Score(
    name="qsofa",
    version="2016",
    title="qSOFA",
    source="Seymour et al., JAMA 2016; 315: 762-774; Singer et al., JAMA 2016; 315: 801-810",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("high-from", HIGH_FROM),),
    options=(HIGH, NOT_HIGH),
    assess=assess,
)
