"""STOP-Bang, a screen for obstructive sleep apnoea in people about to have an operation.

Source: Chung F, Yegneswaran B, Liao P, Chung SA, Vairavanathan S, Islam S, et al. STOP questionnaire: a tool to screen
patients for obstructive sleep apnea. Anesthesiology 2008; 108(5): 812-821, doi 10.1097/ALN.0b013e31816d83e4; Chung F,
Subramanyam R, Liao P, Sasaki E, Shapiro C, Sun Y. High STOP-Bang score indicates a high probability of obstructive sleep
apnoea. British Journal of Anaesthesia 2012; 108(5): 768-775, doi 10.1093/bja/aes022. One point each for the eight items;
body mass index above 35 kg/m2, age above 50 years, neck above 40 cm. The questionnaire's wording is not shipped: facts
are named in our own words, and whoever asks a patient uses the questionnaire under its own licence.

Bands: the paper of 2008 calls 3 or more a high risk; that of 2012 reserves a high probability of moderate or severe apnoea
for 5 to 8. Together, and in later papers of the same authors (Chest 2016; 149: 631-638): 0 to 2 low, 3 to 4 intermediate, 5 to
8 high. Those papers also know a high risk at 3 or 4 by the pattern of the items and a neck circumference by sex; neither
is read here, and policy is free to act from `intermediate` on.

Why it does not vote on the question: it screens for one illness. It answers the facet of sleep apnoea. It is for people in
whom no sleep apnoea is known; for others policy reads what is known.
"""

from __future__ import annotations

from typing import Final

from arbiter.panels.scores.table import (
    AnyRow,
    CodeRow,
    Facts,
    FlagRow,
    Row,
    Score,
    ScoreResult,
    above,
    abstains,
    band,
    lacking,
)

HIGH: Final = "high"
INTERMEDIATE: Final = "intermediate"
LOW: Final = "low"
INTERMEDIATE_FROM: Final = 3
HIGH_FROM: Final = 5

SNORING: Final = FlagRow("loud_snoring", "loud snoring", yes=1, no=0)
TIREDNESS: Final = FlagRow("daytime_tiredness", "tired by day", yes=1, no=0)
APNOEA: Final = FlagRow("observed_apnoea", "pauses of breath seen by others", yes=1, no=0)
PRESSURE: Final = FlagRow("hypertension", "hypertension", yes=1, no=0)
BODY_MASS: Final = Row("body_mass_index", "body mass index", "kg/m2", (band(0, None, "35"), above(1, "35")))
AGE: Final = Row("age", "age", "a", (band(0, None, "50"), above(1, "50")))
NECK: Final = Row("neck_circumference", "neck circumference", "cm", (band(0, None, "40"), above(1, "40")))
SEX: Final = CodeRow("sex", "sex", (("female", 0), ("male", 1)))
ROWS: Final[tuple[AnyRow, ...]] = (SNORING, TIREDNESS, APNOEA, PRESSURE, BODY_MASS, AGE, NECK, SEX)
NEEDS: Final = tuple(row.fact for row in ROWS)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return STOP-Bang for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("STOP-Bang", missing)
    components = tuple(row.read(facts[row.fact]) for row in ROWS)
    total = sum(component.points for component in components)
    option = HIGH if total >= HIGH_FROM else INTERMEDIATE if total >= INTERMEDIATE_FROM else LOW
    return ScoreResult(total, components, option, (), f"STOP-Bang {total}, {option} risk")


SCORE: Final = Score(
    name="stop-bang",
    version="2012",
    title="STOP-Bang",
    source="Chung et al., Anesthesiology 2008; 108: 812-821; Chung et al., Br J Anaesth 2012; 108: 768-775",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("intermediate-from", INTERMEDIATE_FROM), ("high-from", HIGH_FROM)),
    options=(HIGH, INTERMEDIATE, LOW),
    assess=assess,
)
