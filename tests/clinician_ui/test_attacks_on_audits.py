"""Attacks that would tell a decision to be read for an audit from a case that waits: every address, in every state before the opinion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import pytest
import pytest_asyncio

from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.closing import contest
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.review import LEASE
from tests.clinician_ui.attacks import bare, of_a_case
from tests.clinician_ui.conftest import Browser, Ward, phase
from tests.houses import settle

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTE: Final = "what the panel said"


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def people(ward: Ward) -> None:
    for login in ("clara", "david"):
        await ward.person(login, Role.SENIOR_ARBITER)


async def waiting(ward: Ward, case: CaseId, login: str) -> Browser:
    browser = await ward.logged_in(login)
    await browser.get("/worklist")
    return browser


async def held(ward: Ward, case: CaseId, login: str) -> Browser:
    return await ward.claimed(case, login)


async def a_colleagues(ward: Ward, case: CaseId, login: str) -> Browser:
    await ward.claimed(case, "anna")
    return await waiting(ward, case, login)


async def handed_on(ward: Ward, case: CaseId, login: str) -> Browser:
    anna = await ward.claimed(case, "anna")
    await anna.get("/duty/handover")
    sent = await anna.send("/duty/handover", case=case, to=login, **{f"note-{case}": NOTE})
    assert sent.headers["location"] == "/duty/handover?done"
    return await waiting(ward, case, login)


async def lapsed(ward: Ward, case: CaseId, login: str) -> Browser:
    await ward.claimed(case, "anna")
    ward.clock.advance(LEASE)
    while await expire_due(ward.house):
        continue
    return await waiting(ward, case, login)


async def typed(ward: Ward, case: CaseId, login: str) -> Browser:
    browser = await ward.claimed(case, login)
    kept = await browser.send(f"/cases/{case}/draft", step="opinion", note="as far as I see")
    assert kept.status_code == 303
    return browser


State = Callable[[Ward, CaseId, str], Awaitable[Browser]]
STATES: Final[tuple[State, ...]] = (waiting, held, a_colleagues, handed_on, lapsed, typed)
each_state = pytest.mark.parametrize(
    ("state", "login"), [*((state, "ben") for state in STATES), (waiting, "clara"), (held, "clara")]
)
CALLED: Final = ("/duty/",)
"""Nobody is called about what can wait: that an audit has no call is said in record 0061."""
BODIES: Final[Mapping[str, Mapping[str, str]]] = {
    "opinion": {"option": "", "confidence": "300"},
    "draft": {"step": "opinion", "note": "typed"},
    "sign": {"option": "urgent-review", "shown": "0" * 64, "login": "ben", "password": "x"},
    "passkey": {"option": "urgent-review", "shown": "0" * 64},
}


async def looked_at(ward: Ward, case: CaseId, browser: Browser) -> dict[str, object]:
    """What each address says to whoever looks at this case there."""
    paths = (path for path in of_a_case(ward, "GET", case) if not path.startswith(CALLED))
    return {path.replace(case, "CASE"): bare(await browser.get(path), case, browser) for path in paths}


@each_state
async def test_no_address_answers_otherwise_for_an_audit_than_for_an_escalation(
    ward: Ward, state: State, login: str
) -> None:
    told: list[dict[str, object]] = []
    for case in (await ward.drawn(), await ward.case()):
        browser = await state(ward, case, login)
        told.append(await looked_at(ward, case, browser))
    audit, escalation = told
    assert len(audit) > 15
    assert [path for path in audit if audit[path] != escalation[path]] == []


@each_state
async def test_no_form_is_answered_otherwise_for_an_audit_than_for_an_escalation(
    ward: Ward, state: State, login: str
) -> None:
    told: list[dict[str, object]] = []
    for case in (await ward.drawn(), await ward.case()):
        browser = await state(ward, case, login)
        answers: dict[str, object] = {}
        # What gives the case away or takes it comes last.
        paths = sorted(of_a_case(ward, "POST", case), key=lambda path: path.endswith(("hand-back", "claim")))
        for path in paths:
            body = BODIES.get(path.rpartition("/")[2], {})
            answers[path.replace(case, "CASE")] = bare(await browser.send(path, **body), case, browser)
        told.append(answers)
    audit, escalation = told
    assert len(audit) > 15
    assert [path for path in audit if audit[path] != escalation[path]] == []


async def decided_since(ward: Ward) -> CaseId:
    """A decision drawn for an audit that its requester contested, and that Anna has decided since."""
    case = await ward.drawn()
    await contest(ward.house, ward.client, case, "the ward disagrees")
    anna = await ward.claimed(case, "anna")
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    assert (await anna.sign(case)).status_code == 303
    await settle(ward.house)
    return case


@pytest.mark.parametrize("login", ["ben", "clara"])
async def test_nor_for_an_audit_of_what_a_clinician_has_decided_since(ward: Ward, login: str) -> None:
    told: list[dict[str, object]] = []
    for case in (await decided_since(ward), await ward.case()):
        browser = await waiting(ward, case, login)
        told.append(await looked_at(ward, case, browser))
    audit, escalation = told
    assert [path for path in audit if audit[path] != escalation[path]] == []


async def test_an_arbiter_reads_for_the_audit_before_they_can_take_the_decision_back(ward: Ward) -> None:
    case = await decided_since(ward)
    clara = await waiting(ward, case, "clara")
    refused = await clara.send(f"/cases/{case}/correct", reason="let me see it")
    assert refused.status_code == 409
    assert await phase(ward, case) is Phase.RELEASED
    clara = await ward.claimed(case, "clara")
    assert (await clara.send(f"/cases/{case}/correct", reason="let me see it")).status_code == 409
    await clara.opinion(case, "continue-monitoring")
    assert (await clara.get(f"/cases/{case}/correct")).status_code == 200
    assert (await clara.send(f"/cases/{case}/correct", reason="wrong patient")).status_code == 303


async def test_whoever_signed_takes_it_back_though_it_waits_to_be_read_by_others(ward: Ward) -> None:
    case = await decided_since(ward)
    anna = await waiting(ward, case, "anna")
    assert (await anna.send(f"/cases/{case}/correct", reason="wrong patient")).status_code == 303
