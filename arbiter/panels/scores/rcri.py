"""RCRI, the Revised Cardiac Risk Index.

Source: Lee TH, Marcantonio ER, Mangione CM, Thomas EJ, Polanczyk CA, Cook EF, et al. Derivation and prospective
validation of a simple index for prediction of cardiac risk of major noncardiac surgery. Circulation 1999; 100(10):
1043-1049, doi 10.1161/01.cir.100.10.1043. One point each: an intraperitoneal, intrathoracic or suprainguinal vascular
operation; a history of ischaemic heart disease, of congestive heart failure, of cerebrovascular disease; insulin before
the operation; a creatinine above 2.0 mg/dL, read here as above 177 umol/L.

Classes: 0 is I, 1 is II, 2 is III, 3 or more is IV. Major cardiac complications (infarction, pulmonary oedema,
ventricular fibrillation or cardiac arrest, complete heart block) came to 0.5, 1.3, 4 and 9% where it was derived, to 0.4,
0.9, 7 and 11% where it was validated. Later figures differ. The Canadian Cardiovascular Society (Duceppe et al., Can J Cardiol 2017; 33: 17-32)
gives higher ones for every class, from studies that measured troponin and in part took emergencies in; a Danish register of
elective operations (Andersson et al., Circ Cardiovasc Qual Outcomes 2015; 8: 103-108) counts 0.2, 1, 4 and 8% with stroke,
infarction or cardiovascular death within 30 days. Which figures a hospital's patients resemble, a clinician judges.

Why it does not vote on the question: it says how often the heart suffers, not whether to operate. It answers the facet of
cardiac risk by the cut of the 2014 guideline of the American College of Cardiology and the American Heart Association
(Fleisher et al., Circulation 2014; 130: e278-e333), which takes 0 or 1 for low risk, below 1%, and 2 or more for
`elevated`. It was derived on people of 50 or more staying at least two days after an elective operation.
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

ELEVATED: Final = "elevated"
LOW: Final = "low"
ELEVATED_FROM: Final = 2

SITE: Final = CodeRow(
    "operation_site",
    "site of the operation",
    (("intraperitoneal", 1), ("intrathoracic", 1), ("suprainguinal-vascular", 1), ("other", 0)),
)
ISCHAEMIA: Final = FlagRow("ischaemic_heart_disease", "ischaemic heart disease", yes=1, no=0)
FAILURE: Final = FlagRow("heart_failure", "heart failure", yes=1, no=0)
STROKE: Final = FlagRow("cerebrovascular_disease", "stroke or transient ischaemic attack", yes=1, no=0)
INSULIN: Final = FlagRow("insulin_treatment", "treated with insulin", yes=1, no=0)
CREATININE: Final = Row("creatinine", "creatinine", "umol/L", (band(0, None, "177"), above(1, "177")))
ROWS: Final[tuple[AnyRow, ...]] = (SITE, ISCHAEMIA, FAILURE, STROKE, INSULIN, CREATININE)
NEEDS: Final = tuple(row.fact for row in ROWS)

# Class and its rates (per cent) where the index was derived and where it was validated, as the abstract gives them.
CLASSES: Final = (("I", "0.5", "0.4"), ("II", "1.3", "0.9"), ("III", "4", "7"), ("IV", "9", "11"))


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return RCRI for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("RCRI", missing)
    components = tuple(row.read(facts[row.fact]) for row in ROWS)
    total = sum(component.points for component in components)
    name, derived, validated = CLASSES[min(total, len(CLASSES) - 1)]
    option = ELEVATED if total >= ELEVATED_FROM else LOW
    summary = (
        f"RCRI {total}, class {name}: major cardiac complications in {derived}% and {validated}% (Lee 1999)"
    )
    return ScoreResult(total, components, option, (), summary)


SCORE: Final = Score(
    name="rcri",
    version="1999",
    title="RCRI",
    source="Lee et al., Circulation 1999; 100: 1043-1049; cut by ACC/AHA, Circulation 2014; 130: e278-e333",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("elevated-from", ELEVATED_FROM),),
    options=(ELEVATED, LOW),
    assess=assess,
)
