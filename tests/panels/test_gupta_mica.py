"""Gupta MICA against the coefficients of Gupta et al., Circulation 2011; 124: 381-387, written out here.

The worked examples are recorded in an independent implementation in R (M. Fiorani, 2015), each with what that gives from the
published coefficients and with what the model gives before they were rounded. Two more come from published pages.
"""

import math
from decimal import Decimal, localcontext
from itertools import pairwise, product
from typing import Any

import pytest

from arbiter.panels.scores import gupta_mica
from arbiter.panels.scores.gupta_mica import ELEVATED_FROM, INTERCEPT, risk_percent
from tests.panels.surgical_values import healthy, healthy_without

# The published coefficients, as decimals and under the paper's own names of groups.
ASA = {1: -5.17, 2: -3.29, 3: -1.92, 4: -0.95, 5: 0.0}
FUNCTION = {"independent": 0.0, "partially-dependent": 0.65, "totally-dependent": 1.03}
PROCEDURE = {
    "anorectal": -0.16, "aortic": 1.60, "bariatric": -0.25, "brain": 1.40, "breast": -1.61, "cardiac": 1.01,
    "ear-nose-throat": 0.71, "foregut-hepatopancreatobiliary": 1.39, "gallbladder-appendix-adrenal-spleen": 0.59,
    "hernia": 0.0, "intestinal": 1.14, "neck": 0.18, "obstetric-gynaecological": 0.76,
    "orthopaedic-extremity": 0.80, "other-abdominal": 1.13, "peripheral-vascular": 0.86, "skin": 0.54,
    "spine": 0.21, "thoracic": 0.40, "vein": -1.09, "urological": -0.26,
}  # fmt: skip


# What intake makes of a creatinine in mg/dL: times 88.42, whole.
UMOL = {"0.7": 62, "1.0": 88, "1.50": 133, "1.51": 134, "1.6": 141, "6": 531}


def second_opinion(age: int, asa: int, function: str, creatinine: str, procedure: str) -> float:
    """The model once more, in floating point and from the decimals above: the risk in per cent."""
    x = -5.25 + 0.02 * age + ASA[asa] + FUNCTION[function] + PROCEDURE[procedure]
    x += 0.61 if float(creatinine) > 1.5 else 0.0
    return 100 / (1 + math.exp(-x))


def patient(age: int, asa: int, function: str, creatinine: str, procedure: str) -> dict[str, Any]:
    return healthy(
        age=age,
        asa_class=f"asa-{asa}",
        functional_status=function,
        creatinine=UMOL[creatinine],
        procedure=procedure,
    )


EXAMPLES = [
    ((60, 4, "independent", "1.0", "aortic"), "3.23", "3.18"),
    ((70, 3, "independent", "1.0", "brain"), "1.25", "1.22"),
    ((70, 5, "totally-dependent", "1.6", "foregut-hepatopancreatobiliary"), "30.58", "30.23"),
    ((40, 2, "independent", "1.0", "gallbladder-appendix-adrenal-spleen"), "0.08", "0.08"),
    ((65, 4, "partially-dependent", "1.6", "peripheral-vascular"), "5.84", "5.75"),
    ((65, 2, "independent", "1.0", "orthopaedic-extremity"), "0.16", None),
    ((80, 4, "totally-dependent", "1.6", "aortic"), "20.42", None),
]


@pytest.mark.parametrize(("given", "rounded", "unrounded"), EXAMPLES)
def test_worked_examples(given: tuple[Any, ...], rounded: str, unrounded: str | None) -> None:
    total = gupta_mica.assess(patient(*given)).total
    assert total is not None
    assert risk_percent(total).quantize(Decimal("0.01")) == Decimal(rounded)
    if unrounded is not None:
        # Published coefficients are rounded to two decimals, which shifts the risk by 3% of itself at most.
        assert abs(float(risk_percent(total)) / float(unrounded) - 1) < 0.03


@pytest.mark.parametrize("procedure", list(PROCEDURE))
def test_the_model_agrees_with_a_second_one_for_every_group(procedure: str) -> None:
    for age, asa, function, creatinine in product(
        (18, 50, 77, 104), ASA, FUNCTION, ("0.7", "1.50", "1.51", "6")
    ):
        total = gupta_mica.assess(patient(age, asa, function, creatinine, procedure)).total
        assert total is not None
        expected = second_opinion(age, asa, function, creatinine, procedure)
        assert float(risk_percent(total)) == pytest.approx(expected, abs=0.00051)


def test_the_table_has_the_papers_twenty_one_groups_and_no_other() -> None:
    assert dict(gupta_mica.PROCEDURE.codes) == {name: round(value * 100) for name, value in PROCEDURE.items()}
    assert len(PROCEDURE) == 21


def test_the_cut_lies_between_the_last_hundredth_below_one_per_cent_and_the_first_above() -> None:
    assert risk_percent(ELEVATED_FROM - 1) < 1 <= risk_percent(ELEVATED_FROM)
    assert (INTERCEPT + ELEVATED_FROM - 1) / 100 < math.log(1 / 99) < (INTERCEPT + ELEVATED_FROM) / 100


@pytest.mark.parametrize(("age", "option", "risk"), [(58, "low", "0.985%"), (59, "elevated", "1.005%")])
def test_one_year_more_crosses_one_per_cent(age: int, option: str, risk: str) -> None:
    # x = -5.25 + 0.02 * age - 1.92 + 1.40: -4.61 at 58, -4.59 at 59.
    result = gupta_mica.assess(patient(age, 3, "independent", "1.0", "brain"))
    assert result.option == option
    assert risk in result.summary


def test_risk_rises_with_every_hundredth_and_never_leaves_its_range() -> None:
    risks = [risk_percent(total) for total in range(-600, 1_200)]
    assert all(one <= other for one, other in pairwise(risks))
    assert 0 < risks[0] < risks[-1] < 100


def test_the_risk_does_not_depend_on_the_context_of_whoever_asks() -> None:
    with localcontext() as context:
        context.prec = 3
        assert risk_percent(185) == Decimal("3.230")


def test_the_intercept_is_part_of_the_scores_identity() -> None:
    assert dict(gupta_mica.SCORE.thresholds) == {"intercept": -525, "elevated-from": 66}


@pytest.mark.parametrize("name", ["age", "asa_class", "functional_status", "creatinine", "procedure"])
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = gupta_mica.assess(healthy_without(name))
    assert (result.total, result.option, result.missing) == (None, None, (name,))


def test_an_unknown_creatinine_never_lowers_the_risk() -> None:
    # The model's own coefficient for an unknown value is -0.10; an abstention takes its place.
    assert gupta_mica.assess(healthy_without("creatinine")).option is None


@pytest.mark.parametrize(
    ("name", "value"), [("asa_class", "asa-6"), ("procedure", "dental"), ("functional_status", "well")]
)
def test_a_code_that_the_model_does_not_know_is_refused(name: str, value: str) -> None:
    with pytest.raises(TypeError, match=name):
        gupta_mica.assess(healthy(**{name: value}))
