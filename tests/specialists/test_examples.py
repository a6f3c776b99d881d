"""The demonstration's example cases end as they say, where each model says what its rule says; and why one dissents in vain."""

from __future__ import annotations

import json
import math
from typing import Final

import pytest

from arbiter.model import MemberStatus, ReasonCode
from arbiter.protocols.bundle import EXAMPLES_FILE, PROTOCOL_FILE
from arbiter.specialists.rules import CONTINUE, SPECIALISTS, URGENT
from arbiter.specialists.seated import read_seated
from arbiter.specialists.shipped import PROTOCOL_FOLDER, WEIGHTS
from arbiter.workflow.shelf import shelve
from tests.protocols.shipping import run_with
from tests.specialists.by_rule import seated_by_rule

SEATED: Final = shelve(read_seated())
EXAMPLES: Final = {case.id: case for case in SEATED.bundle.examples}
OF_TWO_MINDS: Final = "pneumonia-normal-lactate"


@pytest.mark.parametrize("case", [case.id for case in EXAMPLES.values() if case.expect is not None])
async def test_every_example_that_says_how_it_ends_ends_so(case: str) -> None:
    outcome, reasons, _ = await run_with(SEATED, seated_by_rule(SEATED), EXAMPLES[case])
    assert outcome == EXAMPLES[case].expect, [f"{reason.code}: {reason.detail}" for reason in reasons]


def test_the_one_example_that_says_nothing_is_the_one_that_hangs_on_draws() -> None:
    assert [case.id for case in EXAMPLES.values() if case.expect is None] == [OF_TWO_MINDS]


@pytest.mark.parametrize(
    ("case", "mark"),
    [(case.id, mark) for case in EXAMPLES.values() for mark in case.covers if mark == "models-disagree"],
)
async def test_an_example_of_models_that_disagree_has_models_that_disagree(case: str, mark: str) -> None:
    _, reasons, opinions = await run_with(SEATED, seated_by_rule(SEATED), EXAMPLES[case])
    said = {
        opinion.leading_option() for opinion in opinions if opinion.member in {r.name for r in SPECIALISTS}
    }
    assert said == {URGENT, CONTINUE}, mark
    assert ReasonCode.DISAGREEMENT_BETWEEN in {reason.code for reason in reasons}


@pytest.mark.parametrize(
    ("undecided", "outcome"),
    [(0, "escalated"), (1, f"decided:{URGENT}"), (2, f"decided:{URGENT}")],
)
async def test_a_lone_dissenter_stops_the_panel_only_while_all_its_draws_agree(
    undecided: int, outcome: str
) -> None:
    """Card and protocol say so: one of six voices by itself is 0.59 apart when sure, 0.41 with one draw of five against."""
    members = seated_by_rule(SEATED, circulation=undecided)
    ended, _, opinions = await run_with(SEATED, members, EXAMPLES[OF_TWO_MINDS])
    said = {str(opinion.member): opinion.leading_option() for opinion in opinions}
    assert [said[rule.name] for rule in SPECIALISTS] == [URGENT, CONTINUE, URGENT]
    assert ended == outcome


def test_the_figures_that_card_and_protocol_give_are_those_of_the_definition() -> None:
    """Jensen-Shannon divergence of two options over its most, ln 2: computed here anew for one voice of seven."""
    seventh, allowed = 1 / 7, float(SEATED.protocol.adjudication.greatest_between)
    apart = [(entropy(seventh * sure) - seventh * entropy(sure)) / math.log(2) for sure in (1.0, 0.8, 0.6)]
    assert [round(each, 2) for each in apart] == [0.59, 0.41, 0.28]
    assert apart[0] > allowed > apart[1]
    for words in (PROTOCOL_FOLDER / PROTOCOL_FILE, WEIGHTS / "MODEL_CARD.md"):
        assert all(figure in words.read_text("utf-8") for figure in ("0.59", "0.41"))


def entropy(share: float) -> float:
    return -math.fsum(each * math.log(each) for each in (share, 1 - share) if each > 0)


async def test_the_example_for_an_invented_fact_leaves_that_model_too_few_of_its_own() -> None:
    """By its rule it abstains; what the trained model does instead is the demonstration's to show, and grounding's to refuse."""
    case = EXAMPLES["breathing-not-observed"]
    _, _, opinions = await run_with(SEATED, seated_by_rule(SEATED), case)
    (respiratory,) = [opinion for opinion in opinions if opinion.member == "respiratory"]
    assert respiratory.status is MemberStatus.ABSTAINED


def test_an_example_names_nobody() -> None:
    """Each is labelled as constructed, and has no other member than the format's."""
    for line in (PROTOCOL_FOLDER / EXAMPLES_FILE).read_text("utf-8").splitlines():
        case = json.loads(line)
        assert case["provenance"].startswith("constructed")
        assert set(case) <= {"id", "title", "risk_class", "facts", "label", "provenance", "expect", "covers"}
