"""The work list says how the call about a case stands, and takes an acknowledgement from a plain form."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.workflow.acknowledging import acknowledge
from arbiter.workflow.deadlines import expire_due
from tests.clinician_ui.conftest import Ward

pytestmark = pytest.mark.asyncio(loop_scope="module")


def row_of(page: str, case: CaseId) -> str:
    found = re.search(rf'<li [^>]*id="case-{case}">(.*?)</li>', page, re.DOTALL)
    assert found is not None
    return re.sub(r"\s+", " ", unescape(found[1]))


async def test_a_case_nobody_answered_for_says_when_the_requester_is_told(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    row = row_of((await browser.get("/worklist")).text, case)
    assert re.search(
        r"Not acknowledged; the requester is told at (\d+ \w+, )?\d\d:\d\d that nobody came", row
    )
    assert f'action="/worklist/{case}/acknowledge"' in row


async def test_an_acknowledgement_is_a_form_and_is_shown_with_its_name(ward: Ward) -> None:
    case = await ward.case()
    anna, ben = await ward.logged_in("anna"), await ward.logged_in("ben")
    await anna.get("/worklist")
    answer = await anna.send(f"/worklist/{case}/acknowledge")
    assert (answer.status_code, answer.headers["location"]) == (303, "/worklist")
    row = row_of((await ben.get("/worklist")).text, case)
    assert "Acknowledged by Anna" in row
    assert "/acknowledge" not in row
    assert f'action="/worklist/{case}/claim"' in row, "anybody may still take it"
    again = await ben.send(f"/worklist/{case}/acknowledge")
    assert (again.status_code, again.headers["location"]) == (303, "/worklist")
    assert "Acknowledged by Anna" in row_of((await ben.get("/worklist")).text, case)


async def test_a_pagers_acknowledgement_is_shown_too(ward: Ward) -> None:
    case = await ward.case()
    pager, _ = await register_client(
        ward.house.identities, ward.clock, ward.house.chance, "Switchboard", [Role.PAGING_CLIENT], ["north"]
    )
    await acknowledge(ward.house, pager, case)
    assert "Acknowledged by Switchboard" in row_of(
        (await (await ward.logged_in()).get("/worklist")).text, case
    )


async def test_an_acknowledgement_without_its_token_changes_nothing(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    answer = await browser.send_raw(f"/worklist/{case}/acknowledge", {"csrf_token": ""})
    assert answer.status_code == 403
    assert "Not acknowledged" in row_of((await browser.get("/worklist")).text, case)


async def test_a_case_of_another_site_cannot_be_acknowledged(ward: Ward) -> None:
    case = await ward.case()
    await ward.house.identities.add_site("south", "South Hospital")
    await ward.person("cleo", site="south")
    browser = await ward.logged_in("cleo")
    await browser.get("/worklist")
    assert (await browser.send(f"/worklist/{case}/acknowledge")).status_code == 404


async def test_what_the_row_says_of_the_call_hints_at_no_reason(ward: Ward) -> None:
    excluded = await ward.case()
    disagreed = await ward.case({"systolic_bp": None})
    page = (await (await ward.logged_in()).get("/worklist")).text
    said = {
        re.sub(r"(\d+ \w+, )?\d\d:\d\d", "", re.findall(r"Not acknowledged[^<]*", row_of(page, case))[0])
        for case in (excluded, disagreed)
    }
    assert len(said) == 1


async def test_a_case_that_nobody_came_for_says_so(ward: Ward) -> None:
    case = await ward.case()
    ward.clock.advance(timedelta(hours=12))
    await expire_due(ward.house)
    await ward.person("dora")
    row = row_of((await (await ward.logged_in("dora")).get("/worklist")).text, case)
    assert "Nobody acknowledged it; the requester was told to follow the local procedure" in row
    assert "/acknowledge" in row
