"""CHA2DS2-VASc, the risk of stroke and thromboembolism in atrial fibrillation.

Source: Lip GYH, Nieuwlaat R, Pisters R, Lane DA, Crijns HJGM. Refining clinical risk stratification for predicting stroke
and thromboembolism in atrial fibrillation using a novel risk factor-based approach: the Euro Heart Survey on Atrial
Fibrillation. Chest 2010; 137(2): 263-272, doi 10.1378/chest.09-1584. One point each: congestive heart failure or left
ventricular dysfunction, hypertension, diabetes, vascular disease (earlier myocardial infarction, peripheral artery
disease, aortic plaque), age 65 to 74, female sex. Two each: age 75 or more; stroke, transient ischaemic attack or
thromboembolism. Total 0 to 9.

Bands: the tie to the action is a guideline's, not the paper's. The ESC guidelines of 2020 (Hindricks et al., Eur Heart J
2021; 42: 373-498, doi 10.1093/eurheartj/ehaa612) recommend oral anticoagulation at 2 or more in men and 3 or more in women
(class I); say that it should be considered, the treatment individualised, at 1 in men and 2 in women (class IIa); and say
that people at low risk, 0 in men and 1 in women, should not be offered antithrombotic therapy.

Why it may vote: that guideline ties the outer bands to offering and to not offering. So `offer-anticoagulation` from 2 on in
men and 3 on in women, `no-anticoagulation` at 0 in men and 1 in women. Between them, "should be considered" is a
person's judgement: the score gives its total, abstains, and rounds to neither side. (NICE NG196 would offer at 2 in
women too; where guidelines differ, this is the cautious one for a machine.)

The items are the paper's of 2010. The guideline also counts angiographically significant coronary disease under vascular
disease; here that is read by CHA2DS2-VA alone, whose list names it, so the two may differ and then a clinician decides.
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
OFFER_FROM: Final = 2
WITHHOLD_TO: Final = 0

HEART_FAILURE: Final = FlagRow("heart_failure", "heart failure", yes=1, no=0)
DYSFUNCTION: Final = FlagRow("reduced_ejection_fraction", "ejection fraction of 40% or less", yes=1, no=0)
HYPERTENSION: Final = FlagRow("hypertension", "hypertension", yes=1, no=0)
AGE: Final = Row("age", "age", "a", (below(0, "65"), band(1, "65", "74"), band(2, "75")))
DIABETES: Final = FlagRow("diabetes", "diabetes", yes=1, no=0)
STROKE: Final = FlagRow("ischaemic_stroke", "ischaemic stroke", yes=2, no=0)
EMBOLISM: Final = FlagRow("tia_or_embolism", "transient ischaemic attack or systemic embolism", yes=2, no=0)
VASCULAR: Final = FlagRow(
    "vascular_disease", "myocardial infarction, peripheral artery disease or aortic plaque", yes=1, no=0
)
SEX: Final = CodeRow("sex", "sex", (("female", 1), ("male", 0)))

# One line, one item of the acronym: whatever it is made of, its points count once.
WITHOUT_SEX: Final[tuple[tuple[AnyRow, ...], ...]] = (
    (HEART_FAILURE, DYSFUNCTION),
    (HYPERTENSION,),
    (AGE,),
    (DIABETES,),
    (STROKE, EMBOLISM),
    (VASCULAR,),
)
ROWS: Final[tuple[AnyRow, ...]] = (*(row for item in WITHOUT_SEX for row in item), SEX)
NEEDS: Final = tuple(row.fact for row in ROWS)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return CHA2DS2-VASc for the facts, or an abstention: for missing facts, or in the band left to judgement.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("CHA2DS2-VASc", missing)
    items = (*WITHOUT_SEX, (SEX,))
    components = tuple(part for item in items for part in once(row.read(facts[row.fact]) for row in item))
    total = sum(component.points for component in components)
    # The guideline's thresholds stand one higher for women: the point for their sex never decides.
    option = decide(total - SEX.read(facts[SEX.fact]).points)
    summary = f"CHA2DS2-VASc {total}, {facts[SEX.fact]}"
    if option is None:
        summary += ": the ESC guidelines of 2020 leave this band to individual judgement"
    return ScoreResult(total, components, option, (), summary)


def decide(risk_factors: int) -> str | None:
    """Return the option for the points without the one for sex; None in the band left to judgement."""
    if risk_factors >= OFFER_FROM:
        return OFFER
    return WITHHOLD if risk_factors <= WITHHOLD_TO else None


SCORE: Final = Score(
    name="cha2ds2-vasc",
    version="2010",
    title="CHA2DS2-VASc",
    source="Lip et al., Chest 2010; 137: 263-272; bands of ESC 2020, Eur Heart J 2021; 42: 373-498",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(
        ("offer-men-from", OFFER_FROM),
        ("offer-women-from", OFFER_FROM + 1),
        ("withhold-men-to", WITHHOLD_TO),
        ("withhold-women-to", WITHHOLD_TO + 1),
    ),
    options=(OFFER, WITHHOLD),
    assess=assess,
)
