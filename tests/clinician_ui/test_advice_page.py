"""The reviewer's page for a panel that answers parts of the question: its answers and its silence, and no invented vote."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest

from arbiter.model import CaseId, RiskClass
from arbiter.protocols.loader import read_shipped
from arbiter.workflow.intake import submit
from tests.clinician_ui.conftest import Ward
from tests.houses import submission

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "surgery-readiness"
EXAMPLES = {case.id: case for case in read_shipped(NAME).examples}


async def planned(ward: Ward, example: str) -> CaseId:
    now = ward.clock.now()
    made = replace(
        submission(now), protocol=NAME, risk_class=RiskClass.ROUTINE, facts=EXAMPLES[example].raw_facts(now)
    )
    submitted = await submit(ward.house, ward.client, made, f"advice-{example}", example.encode())
    await ward.house.errands.finish(10)
    return submitted.case


async def revealed(ward: Ward, example: str, *, read_before: bool = False) -> str:
    """The page of a reviewer who has judged alone; `read_before`: as the second of two who agree."""
    case = await planned(ward, example)
    if read_before:
        ben = await ward.claimed(case, "ben")
        await ben.opinion(case, "assess-further")
    browser = await ward.claimed(case)
    blind = unescape((await browser.get(f"/cases/{case}")).text)
    for word in ("RCRI", "ARISCAT", "STOP-Bang", "Elevated"):
        assert word not in blind, "the first look is blind"
    await browser.opinion(case, "assess-further")
    await browser.send(f"/cases/{case}/reveal")
    page = await browser.get(f"/cases/{case}")
    assert page.status_code == 200
    return unescape(page.text)


async def test_the_answers_to_the_parts_stand_where_a_vote_would(ward: Ward) -> None:
    page = await revealed(ward, "mica-just-above", read_before=True)
    assert "Answers parts of the question" in page
    for line in ("Cardiac risk: Elevated", "Pulmonary risk: Low", "Sleep apnoea risk: Low"):
        assert page.count(line) == 2, "in the summary and over the members"
    assert "RCRI 0, class I" in page
    assert "Gupta MICA 1.005%" in page
    assert "Rules out: Proceed as planned" in page
    assert "Nothing under this protocol is decided here without a clinician." in page


async def test_nothing_is_said_of_voters_that_the_panel_never_had(ward: Ward) -> None:
    page = await revealed(ward, "no-neck")
    for words in (
        "leant to", "No common answer", "Disagreement could not be measured", "How far the panel disagrees",
        "To the question, dissent first", "permits a decision", "Members with a valid answer", "Too few",
    ):  # fmt: skip
        assert words not in page, words
    assert "Sleep apnoea risk: Nobody answered" in page
    assert "Missing or too old:</strong> Neck circumference." in page
    assert "Facts are missing that would let the panel answer: Neck circumference." in page
