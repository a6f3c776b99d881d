"""ORBIT, the risk of major bleeding on oral anticoagulation in atrial fibrillation.

Source: O'Brien EC, Simon DN, Thomas LE, et al. The ORBIT bleeding score: a simple bedside score to assess bleeding risk in
atrial fibrillation. European Heart Journal 2015; 36(46): 3258-3264, doi 10.1093/eurheartj/ehv476. One point each: age 75
or more, eGFR below 60, treatment with an antiplatelet. Two each: reduced haemoglobin (below 13 g/dL in men, 12 in women),
reduced haematocrit (below 40% in men, 36% in women) or a history of anaemia; bleeding history (gastrointestinal or
intracranial bleeding, haemorrhagic stroke). Total 0 to 7.

Bands: 0 to 2 low, 2.4 major bleeds per 100 patient-years; 3 medium, 4.7; 4 or more high, 8.1.

Why it does not vote on the question: it grades bleeding under treatment and says nothing of strokes without it. NICE NG196
uses it to find and to monitor what can be changed; ACC/AHA/ACCP/HRS 2023 and ESC 2024 both say that a bleeding score must
not by itself decide against anticoagulation. So it answers the facet of bleeding risk: `high`, `medium`, `not-high`.
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
    abstains,
    band,
    below,
    lacking,
    once,
)

HIGH: Final = "high"
MEDIUM: Final = "medium"
NOT_HIGH: Final = "not-high"
HIGH_FROM: Final = 4
MEDIUM_FROM: Final = 3

AGE: Final = Row("age", "age", "a", (below(0, "75"), band(1, "75")))
# Selects the limits of the blood count; has no points of its own.
SEX: Final = CodeRow("sex", "sex", (("female", 0), ("male", 0)))
HAEMOGLOBIN_MEN: Final = Row("haemoglobin", "haemoglobin (men)", "g/dL", (below(2, "13"), band(0, "13")))
HAEMOGLOBIN_WOMEN: Final = Row("haemoglobin", "haemoglobin (women)", "g/dL", (below(2, "12"), band(0, "12")))
HAEMATOCRIT_MEN: Final = Row("haematocrit", "haematocrit (men)", "%", (below(2, "40"), band(0, "40")))
HAEMATOCRIT_WOMEN: Final = Row("haematocrit", "haematocrit (women)", "%", (below(2, "36"), band(0, "36")))
ANAEMIA: Final = FlagRow("anaemia_history", "history of anaemia", yes=2, no=0)
BLEEDING: Final[tuple[FlagRow, ...]] = (
    FlagRow("gastrointestinal_bleed", "gastrointestinal bleeding", yes=2, no=0),
    FlagRow("intracranial_bleed", "intracranial bleeding", yes=2, no=0),
    FlagRow("haemorrhagic_stroke", "haemorrhagic stroke", yes=2, no=0),
)
FILTRATION: Final = Row("egfr", "eGFR", "mL/min/{1.73_m2}", (below(1, "60"), band(0, "60")))
ANTIPLATELET: Final = FlagRow("antiplatelet", "antiplatelet treatment", yes=1, no=0)

ROWS: Final[tuple[AnyRow, ...]] = (
    AGE,
    SEX,
    HAEMOGLOBIN_MEN,
    HAEMOGLOBIN_WOMEN,
    HAEMATOCRIT_MEN,
    HAEMATOCRIT_WOMEN,
    ANAEMIA,
    *BLEEDING,
    FILTRATION,
    ANTIPLATELET,
)
NEEDS: Final = tuple(dict.fromkeys(row.fact for row in ROWS))


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return ORBIT for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("ORBIT", missing)
    sex = SEX.read(facts[SEX.fact])
    blood: tuple[AnyRow, ...] = (HAEMOGLOBIN_MEN, HAEMATOCRIT_MEN, ANAEMIA)
    if sex.value == "female":
        blood = (HAEMOGLOBIN_WOMEN, HAEMATOCRIT_WOMEN, ANAEMIA)
    items: tuple[tuple[AnyRow, ...], ...] = ((AGE,), blood, BLEEDING, (FILTRATION,), (ANTIPLATELET,))
    components = (
        sex,
        *(part for item in items for part in once(row.read(facts[row.fact]) for row in item)),
    )
    total = sum(component.points for component in components)
    option = HIGH if total >= HIGH_FROM else MEDIUM if total >= MEDIUM_FROM else NOT_HIGH
    return ScoreResult(total, components, option, (), f"ORBIT {total}")


SCORE: Final = Score(
    name="orbit",
    version="2015",
    title="ORBIT",
    source="O'Brien et al., Eur Heart J 2015; 36: 3258-3264",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("high-from", HIGH_FROM), ("medium-from", MEDIUM_FROM)),
    options=(HIGH, MEDIUM, NOT_HIGH),
    assess=assess,
)
