"""Attacks on grounding: every sample here tries to get a vote counted that should not be."""

from decimal import Decimal
from typing import Any

import pytest

from arbiter.model import Evidence
from arbiter.panels.grounding import fact_text, fault_of
from tests.panels.asking import CITED, asked, vote


def cite(fact: Any = "heart_rate", value: Any = "70", finding: Any = "pulse", points: Any = None) -> Evidence:
    return Evidence(fact, value, finding, points)


def test_a_truthful_vote_stands() -> None:
    assert fault_of(vote(), asked()) is None


@pytest.mark.parametrize("value", ["70", "70.0", "70.00"])
def test_numbers_agree_by_value(value: str) -> None:
    assert fault_of(vote(evidence=(cite(value=value),)), asked()) is None


@pytest.mark.parametrize(
    "citation",
    [
        cite(value="71"),
        cite(value="70.001"),
        cite(value="-70"),
        cite(value="7e1"),
        cite(value="70 "),
        cite(value="+70"),
        cite(value="070.0x"),
        cite(value="NaN"),
        cite(value="1e999999999"),
        cite(value=""),
        cite(value="\u0667\u0660"),
        cite("consciousness", "Alert"),
        cite("consciousness", "alert\u200b"),
        cite("supplemental_oxygen", "False"),
        cite("supplemental_oxygen", "0"),
        cite("supplemental_oxygen", "true"),
        cite("lactate", "1.0"),
        cite("heart_rate ", "70"),
        cite("HEART_RATE", "70"),
        cite("blood_group", "A"),
    ],
    ids=lambda item: f"{item.fact}={item.value}",
)
def test_a_false_citation_makes_the_sample_ungrounded(citation: Evidence) -> None:
    assert "ungrounded" in (fault_of(vote(evidence=(citation,)), asked()) or "")


def test_one_false_citation_among_true_ones_is_enough() -> None:
    sample = vote(evidence=(CITED, cite("temperature", "39.0"), cite("age", "40")))
    assert fault_of(sample, asked()) == "ungrounded: a cited value is not the case's"


def test_a_vote_that_cites_nothing_is_ungrounded() -> None:
    assert fault_of(vote(evidence=()), asked()) == "ungrounded: votes and cites nothing"


def test_an_abstention_needs_no_citation() -> None:
    assert fault_of(vote(option=None, evidence=()), asked()) is None


def test_an_abstention_may_not_cite_falsely_either() -> None:
    assert fault_of(vote(option=None, evidence=(cite(value="71"),)), asked()) is not None


@pytest.mark.parametrize("option", ["abstain", "Urgent-review", "urgent-review ", "high", "", "discharge"])
def test_an_option_that_was_not_offered_is_refused(option: str) -> None:
    assert fault_of(vote(option=option), asked()) == "names an option that was not offered"


@pytest.mark.parametrize("missing", [("blood_group",), ("spo2", "spo2"), ("Spo2",)])
def test_missing_facts_must_be_the_questions_and_named_once(missing: tuple[str, ...]) -> None:
    assert "misses a fact" in (fault_of(vote(missing=missing), asked()) or "")


@pytest.mark.parametrize(
    "sample",
    [
        vote(rationale="x" * 4_001),
        vote(rationale="bell \x07"),
        vote(rationale="hidden \u202e turn"),
        vote(rationale="half \ud800"),
        vote(rationale=None),  # type: ignore[arg-type]
        vote(evidence=tuple([CITED] * 65)),
        vote(evidence=[CITED]),  # type: ignore[arg-type]
        vote(evidence=("heart_rate",)),  # type: ignore[arg-type]
        vote(evidence=(cite(finding="x" * 501),)),
        vote(evidence=(cite(value="9" * 65),)),
        vote(evidence=(cite(value=Decimal(70)),)),
        vote(evidence=(cite(points="3"),)),
        vote(evidence=(cite(points=True),)),
        vote(evidence=(cite(fact=None),)),
        vote(missing=tuple(f"fact{n}" for n in range(65))),
        vote(missing=[]),  # type: ignore[arg-type]
        vote(missing=(None,)),  # type: ignore[arg-type]
        vote(option=1),  # type: ignore[arg-type]
        vote(option="x" * 100_000),
        "urgent-review",
        None,
        {"option": "urgent-review"},
    ],
)
def test_malformed_samples_are_refused_and_never_repaired(sample: Any) -> None:
    assert fault_of(sample, asked()) is not None


def test_a_fault_never_quotes_the_member_or_the_case() -> None:
    secret = "Mrs Example, bed 4"
    for sample in (vote(option=secret), vote(evidence=(cite(value=secret),)), vote(missing=(secret,))):
        assert secret not in (fault_of(sample, asked()) or "")


@pytest.mark.parametrize(
    ("value", "text"), [(Decimal("37.0"), "37"), (Decimal("1E+2"), "100"), (True, "true"), ("pain", "pain")]
)
def test_a_value_is_cited_in_one_canonical_text(value: Any, text: str) -> None:
    assert fact_text(value) == text
