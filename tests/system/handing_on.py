"""What reviewers do with a case beside judging it, over the pages: set aside, ask, step back, refer, sit together, correct."""

from __future__ import annotations

from datetime import timedelta

import httpx

from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.serving import build_app
from tests.clinician_ui.conftest import Browser
from tests.houses import a_reviewer
from tests.system.hospital import Hospital, entered
from tests.system.service import KINDS

DECIDED, ESCALATED, AWAITING, EXCLUDED = KINDS


async def a_case_goes_from_hand_to_hand(at: Hospital) -> None:
    clara = Browser(
        httpx.AsyncClient(transport=httpx.ASGITransport(build_app(at.house)), base_url="http://127.0.0.1")
    )
    await a_reviewer(at.house, "clara", Role.SENIOR_ARBITER)
    await entered(clara, "clara")

    case = await at.panel_done(ESCALATED)
    await taken(at.anna, case)
    assert (await at.anna.send(f"/cases/{case}/defer", wait="15", reason="theatre")).status_code == 303
    await at.look(case, Phase.ESCALATED)

    # Facts that nobody sends: the case comes back to people with those it has.
    await taken(at.anna, case)
    assert (await at.anna.send(f"/cases/{case}/ask-facts", facts="lactate", note="fresh")).status_code == 303
    await at.look(case, Phase.AWAITING_FACTS)
    await at.pass_time(timedelta(minutes=11))
    await at.look(case, Phase.ESCALATED)

    await taken(at.anna, case)
    assert (await at.anna.send(f"/cases/{case}/conflict", reason="my aunt")).status_code == 303
    await taken(at.ben, case)
    assert (await at.ben.send(f"/cases/{case}/refer", reason="beyond me")).status_code == 303

    await taken(clara, case)
    assert (await clara.opinion(CaseId(case))).status_code == 303
    await clara.get(f"/cases/{case}")
    assert (await clara.send(f"/cases/{case}/reveal")).status_code == 303
    await clara.get(f"/cases/{case}")
    assert (await clara.send(f"/cases/{case}/attendance", attendees="ben")).status_code == 303
    await signed(at, clara, case, "urgent-review")

    # Whoever signed takes it back: it is nobody's decision until it is signed anew.
    await clara.get(f"/cases/{case}/correct")
    assert (await clara.send(f"/cases/{case}/correct", reason="the wrong patient's trend")).status_code == 303
    assert (await at.look(case, Phase.REVEALED))["under_correction"] is True
    assert (await at.rest.get(f"/v1/cases/{case}/decision")).status_code == 409
    await signed(at, clara, case, "continue-monitoring")
    decision = (await at.rest.get(f"/v1/cases/{case}/decision")).raise_for_status().json()
    assert decision["option"] == "continue-monitoring"
    assert (await at.look(case, Phase.RELEASED))["under_correction"] is False


async def taken(browser: Browser, case: str) -> None:
    await browser.get("/worklist")
    assert (await browser.send(f"/worklist/{case}/claim")).status_code == 303
    await browser.get(f"/cases/{case}")


async def signed(at: Hospital, browser: Browser, case: str, option: str) -> None:
    await browser.get(f"/cases/{case}")
    answer = await browser.sign(CaseId(case), option, reason="seen again")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/cases/{case}/done")
    await at.seal()
    await at.look(case, Phase.RELEASED)
