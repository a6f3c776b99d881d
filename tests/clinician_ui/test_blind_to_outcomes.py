"""Who judges blind gets not a word of what turned out to be right, nor of what an audit's reader thought, on any page."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.model import CaseId
from arbiter.workflow.outcomes import record
from tests.clinician_ui.conftest import SUBJECT, Browser, Facts, Ward
from tests.drawing import audited, drawing

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALM: Facts = {}
SPLIT: Facts = {
    "respiratory_rate": (Decimal(24), "/min"),
    "heart_rate": (Decimal(112), "/min"),
    "age": (Decimal(80), "a"),
}
NOTE = "transferred to intensive care at dawn"
SECRETS = (NOTE, "discharge-letter", "as i read it", "outcome", "contest", "would have decided")


async def tell(ward: Ward, case: CaseId) -> None:
    told = KnownOutcome("urgent-review", OutcomeKind.OUTCOME, ward.clock.now(), "discharge-letter", NOTE)
    await record(ward.house, ward.client, case, told)


async def pages(anna: Browser, case: CaseId) -> list[str]:
    """What a reviewer is shown before an own opinion is locked."""
    answers = [
        await anna.get("/worklist"),
        await anna.get(f"/cases/{case}"),
        await anna.opinion(case, confidence="wrong"),
        await anna.send(f"/cases/{case}/renew", note="typed"),
    ]
    assert SUBJECT in answers[1].text, "this is the page of the case"
    return [f"{answer.url}\n{answer.headers}\n{answer.text}".lower() for answer in answers]


async def test_an_outcome_of_an_escalated_case_is_on_no_page(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    await tell(ward, case)
    for page in await pages(await ward.claimed(case), case):
        assert not [word for word in SECRETS if word in page]


async def test_an_outcome_told_while_the_case_is_held_is_on_no_page(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    await tell(ward, case)
    for page in await pages(anna, case):
        assert not [word for word in SECRETS if word in page]


async def test_the_first_reading_of_a_contested_decision_is_on_no_page(ward: Ward) -> None:
    with drawing("0.200000"):
        case = await ward.case(CALM)
    await ward.house.sealer.request()
    await audited(ward.house, ward.people["ben"], case, "urgent-review")
    await tell(ward, case)
    for page in await pages(await ward.claimed(case), case):
        assert not [word for word in (*SECRETS, ward.people["ben"].id) if word in page]


async def test_what_is_shown_after_an_own_opinion_has_no_outcome_either(ward: Ward) -> None:
    """It may be right, and the panel's page is for what the panel said."""
    case = await ward.case(SPLIT)
    await tell(ward, case)
    anna = await ward.claimed(case)
    assert (await anna.opinion(case)).status_code == 303
    await anna.get(f"/cases/{case}")
    await anna.send(f"/cases/{case}/reveal")
    shown = (await anna.get(f"/cases/{case}")).text
    assert "NEWS2" in shown
    assert NOTE not in shown
    assert "discharge-letter" not in shown
