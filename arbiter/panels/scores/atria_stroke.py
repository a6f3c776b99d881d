"""The ATRIA stroke risk score.

Source: Singer DE, Chang Y, Borowsky LH, et al. A new risk scheme to predict ischemic stroke and other thromboembolism in
atrial fibrillation: the ATRIA study stroke risk score. Journal of the American Heart Association 2013; 2(3): e000250,
doi 10.1161/JAHA.113.000250 (PubMed Central PMC3698792). Points for age depend on an earlier stroke: without one, below 65
none, 65 to 74 three, 75 to 84 five, 85 or more six; with one, eight, seven, seven and nine. One point each: female sex,
diabetes, congestive heart failure, hypertension, proteinuria, eGFR below 45 or end-stage renal disease (read here as
dialysis). Total 0 to 12 without and 7 to 15 with an earlier stroke.

Bands: the paper ties them to rates and not to treatment: 0 to 5 low, below 1% a year; 6 moderate, 1% to below 2%; 7 to 15
high, 2% or more. A guideline ties rates to the action: ACC/AHA/ACCP/HRS 2023 (Joglar et al., Circulation 2024; 149: e1-e156,
section 6.3.1) recommends anticoagulation at an estimated annual risk of 2% or more (class 1) by a validated score, finds
it reasonable from 1% to below 2% (class 2a), and has no recommendation for it below 1%.

Why it may vote, and how far: `offer-anticoagulation` from 7 on. At 6, "reasonable", it gives its total and abstains. From 0
to 5 it says `no-anticoagulation`. That tie is the weakest on this panel: no guideline names ATRIA's low band; it stands on
the silence of ACC/AHA below 1%, and on the comparison of van den Ham et al. (J Am Coll Cardiol 2015; 66: 1851-1859), by
which its low band could prevent overuse. Another cohort found rates of 1.13 to 36.94 per 100 person-years within 0 to 5
(PubMed 25086251). So its "no" must never be enough: a protocol that seats it also requires CHA2DS2-VA, and then a "no" of
ATRIA can only agree with that score's own, or divide the panel, which sends the case to a clinician.
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

OFFER: Final = "offer-anticoagulation"
WITHHOLD: Final = "no-anticoagulation"
OFFER_FROM: Final = 7
WITHHOLD_TO: Final = 5

AGE: Final = Row("age", "age", "a", (below(0, "65"), band(3, "65", "74"), band(5, "75", "84"), band(6, "85")))
AGE_AFTER_STROKE: Final = Row(
    "age",
    "age (with an earlier stroke)",
    "a",
    (below(8, "65"), band(7, "65", "74"), band(7, "75", "84"), band(9, "85")),
)
# The points for an earlier stroke stand in the row for age.
STROKE: Final = FlagRow("ischaemic_stroke", "ischaemic stroke", yes=0, no=0)
SEX: Final = CodeRow("sex", "sex", (("female", 1), ("male", 0)))
DIABETES: Final = FlagRow("diabetes", "diabetes", yes=1, no=0)
HEART_FAILURE: Final = FlagRow("heart_failure", "heart failure", yes=1, no=0)
HYPERTENSION: Final = FlagRow("hypertension", "hypertension", yes=1, no=0)
PROTEINURIA: Final = FlagRow("proteinuria", "proteinuria", yes=1, no=0)
FILTRATION: Final = Row("egfr", "eGFR", "mL/min/{1.73_m2}", (below(1, "45"), band(0, "45")))
DIALYSIS: Final = FlagRow("dialysis", "dialysis", yes=1, no=0)

_PLAIN: Final[tuple[AnyRow, ...]] = (STROKE, SEX, DIABETES, HEART_FAILURE, HYPERTENSION, PROTEINURIA)
_KIDNEY: Final[tuple[AnyRow, ...]] = (FILTRATION, DIALYSIS)
ROWS: Final[tuple[AnyRow, ...]] = (AGE, AGE_AFTER_STROKE, *_PLAIN, *_KIDNEY)
NEEDS: Final = (AGE.fact, *(row.fact for row in (*_PLAIN, *_KIDNEY)))


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return the ATRIA stroke score for the facts, or an abstention: for missing facts, or at 6, left to judgement.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("ATRIA stroke", missing)
    age = AGE_AFTER_STROKE if facts[STROKE.fact] is True else AGE
    components = (
        age.read(facts[age.fact]),
        *(row.read(facts[row.fact]) for row in _PLAIN),
        *once(row.read(facts[row.fact]) for row in _KIDNEY),
    )
    total = sum(component.points for component in components)
    summary = f"ATRIA stroke {total}"
    if total >= OFFER_FROM:
        return ScoreResult(total, components, OFFER, (), summary)
    if total <= WITHHOLD_TO:
        return ScoreResult(total, components, WITHHOLD, (), summary)
    summary += ": at 1% to below 2% a year the guideline of 2023 leaves it to individual judgement"
    return ScoreResult(total, components, None, (), summary)


SCORE: Final = Score(
    name="atria-stroke",
    version="2013",
    title="ATRIA stroke",
    source="Singer et al., J Am Heart Assoc 2013; 2: e000250; bands of ACC/AHA/ACCP/HRS 2023",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("offer-from", OFFER_FROM), ("withhold-to", WITHHOLD_TO)),
    options=(OFFER, WITHHOLD),
    assess=assess,
)
