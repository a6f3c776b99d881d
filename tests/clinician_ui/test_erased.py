"""An erased case on the pages: who signed it is told that it is gone, and the work list goes on."""

from __future__ import annotations

import pytest

from arbiter.identity.roles import Role
from arbiter.workflow.erasure.erasing import Order, erase
from tests.clinician_ui.conftest import SUBJECT, Ward

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_whoever_signed_it_reads_that_it_was_erased(ward: Ward) -> None:
    case, waiting = await ward.case(), await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    await browser.get(f"/cases/{case}")
    assert (await browser.sign(case)).status_code == 303
    await ward.house.sealer.request()
    assert (await browser.get(f"/cases/{case}/done")).status_code == 200
    olga, piet = [await ward.person(login, Role.RECORDS_OFFICER) for login in ("olga", "piet")]
    await erase(ward.house, Order(olga, piet, "court order 12/26"), case)
    for page in (f"/cases/{case}", f"/cases/{case}/done"):
        gone = await browser.get(page)
        assert gone.status_code == 410
        assert "This case was erased" in gone.text
        assert SUBJECT not in gone.text
    listed = await browser.get("/worklist")
    assert listed.status_code == 200
    assert waiting in listed.text
    assert case not in listed.text
