"""CART, the Cardiac Arrest Risk Triage score.

Source: Churpek MM, Yuen TC, Park SY, Meltzer DO, Hall JB, Edelson DP. Derivation of a cardiac arrest prediction model
using ward vital signs. Critical Care Medicine 2012; 40(7): 2102-2108, doi 10.1097/CCM.0b013e318250aa5a
(PubMed Central PMC3378796). Total 0 to 57.

Bands: the paper gives no bands of its own but the accuracy of cut-offs, beside those of MEWS as a rapid response
team's calling criterion. Descriptions of the score for use at the bedside call a total above 20 high risk of arrest or
transfer to intensive care within 48 hours.

Why it may vote: it was derived, and compared with MEWS, as a criterion for calling a rapid response team. The cut-off
here is the highly specific one, above 20: `urgent-review` from 21 on, otherwise `continue-monitoring`. It errs towards
silence, which is why it is never the only voice on a panel.
"""

from __future__ import annotations

from typing import Final

from arbiter.panels.scores.table import (
    AnyRow,
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

URGENT: Final = "urgent-review"
MONITOR: Final = "continue-monitoring"
URGENT_ABOVE: Final = 20

RESPIRATION: Final = Row(
    "respiratory_rate",
    "respiratory rate",
    "/min",
    (below(0, "21"), band(8, "21", "23"), band(12, "24", "25"), band(15, "26", "29"), above(22, "29")),
)
HEART_RATE: Final = Row(
    "heart_rate",
    "heart rate",
    "/min",
    (below(0, "110"), band(4, "110", "139"), above(13, "139")),
)
DIASTOLIC: Final = Row(
    "diastolic_bp",
    "diastolic blood pressure",
    "mm[Hg]",
    (below(13, "35"), band(6, "35", "39"), band(4, "40", "49"), above(0, "49")),
)
AGE: Final = Row("age", "age", "a", (below(0, "55"), band(4, "55", "69"), above(9, "69")))
ROWS: Final[tuple[AnyRow, ...]] = (RESPIRATION, HEART_RATE, DIASTOLIC, AGE)
NEEDS: Final = tuple(row.fact for row in ROWS)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return CART for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("CART", missing)
    components = tuple(row.read(facts[row.fact]) for row in ROWS)
    total = sum(component.points for component in components)
    option = URGENT if total > URGENT_ABOVE else MONITOR
    return ScoreResult(total, components, option, (), f"CART {total}")


SCORE: Final = Score(
    name="cart",
    version="2012",
    title="CART",
    source="Churpek et al., Crit Care Med 2012; 40: 2102-2108",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("urgent-above", URGENT_ABOVE),),
    options=(URGENT, MONITOR),
    assess=assess,
)
