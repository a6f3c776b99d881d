"""Gupta MICA, the risk of myocardial infarction or cardiac arrest during or within 30 days of an operation.

Source: Gupta PK, Gupta H, Sundaram A, Kaushik M, Fang X, Miller WJ, et al. Development and validation of a risk calculator
for prediction of cardiac risk after surgery. Circulation 2011; 124(4): 381-387, doi 10.1161/CIRCULATIONAHA.110.015701. A
logistic model of five inputs: age, class of the American Society of Anesthesiologists, functional status, a creatinine
above 1.5 mg/dL (read here as above 133 umol/L), and the group of procedures. Risk = e^x / (1 + e^x), x = -5.25 + the sum of coefficients.

Points here are hundredths of a unit of x, in which every published coefficient is a whole number; `total` is their sum
without the intercept. So the band is found by comparing whole numbers, the same on every machine; the risk shown beside it
is computed in decimals of fixed precision, rounded to a thousandth of a per cent. Published coefficients are rounded; five
worked examples made with more digits lie 1 to 3% of the risk below what these give, so the rounding errs upwards.

Bands: the paper gives a probability and no band. The cut is that of the 2014 guideline of the American College of Cardiology
and the American Heart Association (Fleisher et al., Circulation 2014; 130: e278-e333): below 1% low, else `elevated`. 1% is
x = ln(1/99) = -4.5951, so `elevated` from x = -4.59 on.

Two readings. The model has a coefficient for an unknown creatinine, which lowers the risk: it is not used, the score
abstains. Cardiac operations are in its table and not in the question here.

Why it does not vote on the question: it says how often the heart suffers, not whether to operate. It answers the facet of
cardiac risk.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from arbiter.panels.scores.table import (
    AnyRow,
    CodeRow,
    Facts,
    Row,
    Score,
    ScoreResult,
    SlopeRow,
    above,
    abstains,
    band,
    lacking,
)

ELEVATED: Final = "elevated"
LOW: Final = "low"
INTERCEPT: Final = -525
ELEVATED_FROM: Final = 66
"""-459 without the intercept: the first hundredth of x at which the risk is 1% or more."""

AGE: Final = SlopeRow("age", "age", "a", 2)
CREATININE: Final = Row("creatinine", "creatinine", "umol/L", (band(0, None, "133"), above(61, "133")))
ASA: Final = CodeRow(
    "asa_class",
    "ASA class",
    (("asa-1", -517), ("asa-2", -329), ("asa-3", -192), ("asa-4", -95), ("asa-5", 0)),
)
FUNCTION: Final = CodeRow(
    "functional_status",
    "functional status",
    (("independent", 0), ("partially-dependent", 65), ("totally-dependent", 103)),
)
PROCEDURE: Final = CodeRow(
    "procedure",
    "procedure",
    (
        ("anorectal", -16),
        ("aortic", 160),
        ("bariatric", -25),
        ("brain", 140),
        ("breast", -161),
        ("cardiac", 101),
        ("ear-nose-throat", 71),
        ("foregut-hepatopancreatobiliary", 139),
        ("gallbladder-appendix-adrenal-spleen", 59),
        ("hernia", 0),
        ("intestinal", 114),
        ("neck", 18),
        ("obstetric-gynaecological", 76),
        ("orthopaedic-extremity", 80),
        ("other-abdominal", 113),
        ("peripheral-vascular", 86),
        ("skin", 54),
        ("spine", 21),
        ("thoracic", 40),
        ("vein", -109),
        ("urological", -26),
    ),
)
ROWS: Final[tuple[AnyRow, ...]] = (AGE, CREATININE, ASA, FUNCTION, PROCEDURE)
NEEDS: Final = tuple(row.fact for row in ROWS)

_FIXED: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)
_THOUSANDTH: Final = Decimal("0.001")


def risk_percent(total: int) -> Decimal:
    """Return the risk in per cent to three decimals for a sum of hundredths without the intercept.

    `Decimal.exp` is correctly rounded under its context, unlike a machine's own: the digits are the same everywhere.
    """
    odds = _FIXED.exp(_FIXED.divide(Decimal(INTERCEPT + total), Decimal(100)))
    risk = _FIXED.divide(_FIXED.multiply(odds, Decimal(100)), _FIXED.add(odds, Decimal(1)))
    return risk.quantize(_THOUSANDTH, context=_FIXED)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return Gupta MICA for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("Gupta MICA", missing)
    components = tuple(row.read(facts[row.fact]) for row in ROWS)
    total = sum(component.points for component in components)
    option = ELEVATED if total >= ELEVATED_FROM else LOW
    summary = (
        f"Gupta MICA {risk_percent(total)}% risk of infarction or cardiac arrest within 30 days; points are hundredths "
        "of its log odds"
    )
    return ScoreResult(total, components, option, (), summary)


SCORE: Final = Score(
    name="gupta-mica",
    version="2011",
    title="Gupta MICA",
    source="Gupta et al., Circulation 2011; 124: 381-387; cut by ACC/AHA, Circulation 2014; 130: e278-e333",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("intercept", INTERCEPT), ("elevated-from", ELEVATED_FROM)),
    options=(ELEVATED, LOW),
    assess=assess,
)
