"""ARISCAT, the risk index of postoperative pulmonary complications of the study of that name in Catalonia.

Source: Canet J, Gallart L, Gomar C, Paluzie G, Valles J, Castillo J, et al. Prediction of postoperative pulmonary
complications in a population-based surgical cohort. Anesthesiology 2010; 113(6): 1338-1350, doi
10.1097/ALN.0b013e3181fc6e0a. Total 0 to 123.

Bands: below 26 low risk, 26 to 44 intermediate, 45 or more high; 1.6, 13.3 and 42.1% had a complication where the index
was validated.

Why it does not vote on the question: it says how often the lungs suffer, not whether to operate. It answers the facet of
pulmonary risk with the paper's three bands.

Three readings. The paper's table and its text part at an operation of exactly two hours; the text's `at least 2 h` is
taken, which is the one with more points. The saturation is one measured breathing air, lying. An emergency procedure is
one that cannot wait for an elective list: `urgent` (within hours) and `immediate` here.
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
    below,
    lacking,
)

HIGH: Final = "high"
INTERMEDIATE: Final = "intermediate"
LOW: Final = "low"
INTERMEDIATE_FROM: Final = 26
HIGH_FROM: Final = 45

AGE: Final = Row("age", "age", "a", (band(0, None, "50"), band(3, "51", "80"), above(16, "80")))
SPO2: Final = Row(
    "spo2_on_air", "SpO2 on air", "%", (band(24, None, "90"), band(8, "91", "95"), band(0, "96"))
)
INFECTION: Final = FlagRow("respiratory_infection", "respiratory infection in the last month", yes=17, no=0)
HAEMOGLOBIN: Final = Row("haemoglobin", "haemoglobin", "g/dL", (band(11, None, "10"), above(0, "10")))
INCISION: Final = CodeRow(
    "incision", "incision", (("peripheral", 0), ("upper-abdominal", 15), ("intrathoracic", 24))
)
DURATION: Final = Row(
    "planned_duration",
    "planned duration",
    "min",
    (below(0, "120"), band(16, "120", "180"), above(23, "180")),
)
URGENCY: Final = CodeRow(
    "urgency", "urgency", (("elective", 0), ("expedited", 0), ("urgent", 8), ("immediate", 8))
)
ROWS: Final[tuple[AnyRow, ...]] = (AGE, SPO2, INFECTION, HAEMOGLOBIN, INCISION, DURATION, URGENCY)
NEEDS: Final = tuple(row.fact for row in ROWS)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return ARISCAT for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("ARISCAT", missing)
    components = tuple(row.read(facts[row.fact]) for row in ROWS)
    total = sum(component.points for component in components)
    option, rate = LOW, "1.6"
    if total >= HIGH_FROM:
        option, rate = HIGH, "42.1"
    elif total >= INTERMEDIATE_FROM:
        option, rate = INTERMEDIATE, "13.3"
    summary = f"ARISCAT {total}, {option} risk: pulmonary complications in {rate}% (Canet 2010)"
    return ScoreResult(total, components, option, (), summary)


SCORE: Final = Score(
    name="ariscat",
    version="2010",
    title="ARISCAT",
    source="Canet et al., Anesthesiology 2010; 113: 1338-1350",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("intermediate-from", INTERMEDIATE_FROM), ("high-from", HIGH_FROM)),
    options=(HIGH, INTERMEDIATE, LOW),
    assess=assess,
)
