"""CHA2DS2-VA, CHA2DS2-VASc without the point for sex.

Source: Van Gelder IC, Rienstra M, Bunting KV, et al. 2024 ESC Guidelines for the management of atrial fibrillation. Eur
Heart J 2024; 45(36): 3314-3414, doi 10.1093/eurheartj/ehae176; its table of the score's items. One point each: chronic
heart failure (symptoms and signs whatever the ejection fraction, or an ejection fraction of 40% or less without
symptoms), hypertension, diabetes, vascular disease, age 65 to 74. Two each: age 75 or more; stroke, transient ischaemic
attack or arterial thromboembolism. Total 0 to 8. Vascular disease includes coronary disease without infarction: angina,
revascularisation, significant disease on imaging.

Bands: the guideline is the score's own source here. 2 or more is recommended as the sign of a raised risk for which the
decision is oral anticoagulation (class I); at 1 anticoagulation should be considered (class IIa); those at low risk, 0, are
the ones for whom it recommends none. The Australian guideline that used the score first (NHFA/CSANZ 2018, Heart Lung
Circ 2018; 27: 1209-1266) says the same three things: recommended from 2, considered at 1, not recommended at 0.

Why it may vote: the bands are tied to the action by name. So `offer-anticoagulation` from 2 on, `no-anticoagulation` at 0. At
1 the score gives its total and abstains: "should be considered" is a person's to do.
"""

from __future__ import annotations

from typing import Final

from arbiter.panels.scores.cha2ds2_vasc import OFFER, OFFER_FROM, VASCULAR, WITHHOLD, WITHHOLD_TO, decide
from arbiter.panels.scores.cha2ds2_vasc import WITHOUT_SEX as SHARED
from arbiter.panels.scores.table import (
    AnyRow,
    Facts,
    FlagRow,
    Score,
    ScoreResult,
    abstains,
    lacking,
    once,
)

CORONARY: Final = FlagRow(
    "other_coronary_disease",
    "angina, coronary revascularisation or significant coronary disease without infarction",
    yes=1,
    no=0,
)
ITEMS: Final[tuple[tuple[AnyRow, ...], ...]] = tuple(
    (*item, CORONARY) if VASCULAR in item else item for item in SHARED
)
ROWS: Final[tuple[AnyRow, ...]] = tuple(row for item in ITEMS for row in item)
NEEDS: Final = tuple(row.fact for row in ROWS)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return CHA2DS2-VA for the facts, or an abstention: for missing facts, or at 1, which is left to judgement.

    Raises:
        TypeError: when a fact is of a kind the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("CHA2DS2-VA", missing)
    components = tuple(part for item in ITEMS for part in once(row.read(facts[row.fact]) for row in item))
    total = sum(component.points for component in components)
    option = decide(total)
    summary = f"CHA2DS2-VA {total}"
    if option is None:
        summary += ": the ESC guidelines of 2024 leave this band to individual judgement"
    return ScoreResult(total, components, option, (), summary)


SCORE: Final = Score(
    name="cha2ds2-va",
    version="2024",
    title="CHA2DS2-VA",
    source="ESC Guidelines for the management of atrial fibrillation, Eur Heart J 2024; 45: 3314-3414",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("offer-from", OFFER_FROM), ("withhold-to", WITHHOLD_TO)),
    options=(OFFER, WITHHOLD),
    assess=assess,
)
