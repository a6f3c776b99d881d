"""HAS-BLED, the one-year risk of major bleeding on anticoagulation in atrial fibrillation.

Source: Pisters R, Lane DA, Nieuwlaat R, de Vos CB, Crijns HJGM, Lip GYH. A novel user-friendly score (HAS-BLED) to assess
1-year risk of major bleeding in patients with atrial fibrillation: the Euro Heart Survey. Chest 2010; 138(5): 1093-1100,
doi 10.1378/chest.10-0134. One point each: Hypertension, systolic pressure above 160 mm Hg; Abnormal renal function,
dialysis, transplant or creatinine of 200 umol/L or more; Abnormal liver function, chronic liver disease or bilirubin above
twice with transaminases or alkaline phosphatase above three times normal; Stroke; Bleeding history or predisposition,
anaemia among others; Labile INR, less than 60% of the time in range; Elderly, above 65; Drugs, antiplatelets or
non-steroidal anti-inflammatories; alcohol, 8 drinks a week or more. Total 0 to 9.

Bands: 3 or more is high risk, at which the paper asks for caution and regular review.

Why it does not vote on the question: it is a reason to look after what can be changed and not to withhold treatment; ESC
2020 and 2024 and ACC/AHA/ACCP/HRS 2023 say so. It answers the facet of bleeding risk: `high` from 3 on, else `not-high`.

Readings: anaemia has no number in the paper; a history of it counts, and the haemoglobin limits of ORBIT and the WHO. A drink
is 10 g of alcohol. A labile INR needs a vitamin K antagonist: with one the time in range is needed, without one it gives
no point. Stroke is any stroke; the paper's "bleeding" leaves the haemorrhagic one to that item.
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
    once,
)

HIGH: Final = "high"
NOT_HIGH: Final = "not-high"
HIGH_FROM: Final = 3
ON_VITAMIN_K_ANTAGONIST: Final = "vitamin-k-antagonist"

SYSTOLIC: Final = Row(
    "systolic_bp", "systolic blood pressure", "mm[Hg]", (band(0, None, "160"), above(1, "160"))
)
KIDNEY: Final[tuple[AnyRow, ...]] = (
    FlagRow("dialysis", "dialysis", yes=1, no=0),
    FlagRow("kidney_transplant", "kidney transplant", yes=1, no=0),
    Row("creatinine", "creatinine", "umol/L", (below(0, "200"), band(1, "200"))),
)
LIVER: Final = FlagRow("liver_disease", "liver disease", yes=1, no=0)
STROKE: Final[tuple[AnyRow, ...]] = (
    FlagRow("ischaemic_stroke", "ischaemic stroke", yes=1, no=0),
    FlagRow("haemorrhagic_stroke", "haemorrhagic stroke", yes=1, no=0),
)
BLEEDING: Final[tuple[AnyRow, ...]] = (
    FlagRow("gastrointestinal_bleed", "gastrointestinal bleeding", yes=1, no=0),
    FlagRow("intracranial_bleed", "intracranial bleeding", yes=1, no=0),
    FlagRow("other_major_bleed", "other major bleeding", yes=1, no=0),
    FlagRow("bleeding_predisposition", "predisposition to bleeding", yes=1, no=0),
    FlagRow("anaemia_history", "history of anaemia", yes=1, no=0),
)
# Selects the limit of haemoglobin; has no points of its own.
SEX: Final = CodeRow("sex", "sex", (("female", 0), ("male", 0)))
HAEMOGLOBIN_MEN: Final = Row("haemoglobin", "haemoglobin (men)", "g/dL", (below(1, "13"), band(0, "13")))
HAEMOGLOBIN_WOMEN: Final = Row("haemoglobin", "haemoglobin (women)", "g/dL", (below(1, "12"), band(0, "12")))
ANTICOAGULANT: Final = CodeRow(
    "anticoagulant", "anticoagulant now", (("none", 0), (ON_VITAMIN_K_ANTAGONIST, 0), ("other", 0))
)
TIME_IN_RANGE: Final = Row(
    "time_in_therapeutic_range", "time in therapeutic range", "%", (below(1, "60"), band(0, "60"))
)
AGE: Final = Row("age", "age", "a", (band(0, None, "65"), above(1, "65")))
DRUGS: Final[tuple[AnyRow, ...]] = (
    FlagRow("antiplatelet", "antiplatelet treatment", yes=1, no=0),
    FlagRow("nsaid", "non-steroidal anti-inflammatory", yes=1, no=0),
)
ALCOHOL: Final = Row("alcohol", "alcohol", "{drink}/wk", (below(0, "8"), band(1, "8")))

ROWS: Final[tuple[AnyRow, ...]] = (
    SYSTOLIC,
    *KIDNEY,
    LIVER,
    *STROKE,
    *BLEEDING,
    SEX,
    HAEMOGLOBIN_MEN,
    HAEMOGLOBIN_WOMEN,
    ANTICOAGULANT,
    TIME_IN_RANGE,
    AGE,
    *DRUGS,
    ALCOHOL,
)
NEEDS: Final = tuple(dict.fromkeys(row.fact for row in ROWS if row is not TIME_IN_RANGE))
WANTS: Final = (TIME_IN_RANGE.fact,)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return HAS-BLED for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    warfarin = facts.get(ANTICOAGULANT.fact) == ON_VITAMIN_K_ANTAGONIST
    missing = lacking((*NEEDS, *WANTS) if warfarin else NEEDS, facts)
    if missing:
        return abstains("HAS-BLED", missing)
    sex = SEX.read(facts[SEX.fact])
    haemoglobin = HAEMOGLOBIN_WOMEN if sex.value == "female" else HAEMOGLOBIN_MEN
    items: tuple[tuple[AnyRow, ...], ...] = (
        (SYSTOLIC,),
        KIDNEY,
        (LIVER,),
        STROKE,
        (*BLEEDING, haemoglobin),
        (ANTICOAGULANT,),
        (TIME_IN_RANGE,) if warfarin else (),
        (AGE,),
        DRUGS,
        (ALCOHOL,),
    )
    components = (
        sex,
        *(part for item in items for part in once(row.read(facts[row.fact]) for row in item)),
    )
    total = sum(component.points for component in components)
    option = HIGH if total >= HIGH_FROM else NOT_HIGH
    return ScoreResult(total, components, option, (), f"HAS-BLED {total}")


SCORE: Final = Score(
    name="has-bled",
    version="2010",
    title="HAS-BLED",
    source="Pisters et al., Chest 2010; 138: 1093-1100",
    rows=ROWS,
    needs=NEEDS,
    wants=WANTS,
    thresholds=(("high-from", HIGH_FROM),),
    options=(HIGH, NOT_HIGH),
    assess=assess,
)
