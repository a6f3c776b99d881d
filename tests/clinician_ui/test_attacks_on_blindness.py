"""Attacks on whoever is still to judge alone: a colleague's words, and a planted case, at every address and in every form."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from typing import Final

import pytest
import pytest_asyncio

from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from tests.clinician_ui.attacks import addresses, bare, of_a_case
from tests.clinician_ui.conftest import SPLIT, Browser, Ward, phase
from tests.clinician_ui.test_every_route import asked
from tests.clinician_ui.test_planted_pages import planted
from tests.clinician_ui.test_second_reader import twice_read

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SECRET: Final = "zinnober"
"""In every word that a colleague has written about the case."""
KEPT: Final = "assess-further"
FORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "opinion": {"option": "", "confidence": "300"},
    "draft": {"step": "opinion", "note": "typed"},
    "sign": {"option": KEPT, "shown": "0" * 64, "login": "ben", "password": "x"},
    "passkey": {"option": KEPT, "shown": "0" * 64},
    "refer": {"reason": ""},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def people(ward: Ward) -> None:
    for login in ("clara", "david"):
        await ward.person(login, Role.SENIOR_ARBITER)


async def with_everybodys_words(ward: Ward) -> CaseId:
    """A case for two readers that was put aside, handed over with a note, typed about and read by Anna."""
    case = await twice_read(ward)
    ben = await ward.claimed(case, "clara")
    await ben.send(f"/cases/{case}/defer", wait="1", reason=f"{SECRET} aside")
    ben = await ward.claimed(case, "clara")
    await ben.get("/duty/handover")
    await ben.send("/duty/handover", case=case, **{f"note-{case}": f"{SECRET} note"})
    anna = await ward.claimed(case, "anna")
    await anna.send(f"/cases/{case}/draft", step="opinion", note=f"{SECRET} draft")
    await anna.opinion(case, KEPT, note=f"{SECRET} opinion")
    assert await phase(ward, case) is Phase.ESCALATED
    return case


async def says_nothing(ward: Ward, browser: Browser, case: CaseId) -> None:
    """Ask every address, and send every form that gives nothing away of the case."""
    for path in addresses(ward, "GET", case):
        answer = await asked(browser, path)
        if answer is not None:
            assert SECRET not in unescape(answer.text) + str(answer.headers), path
    for path in of_a_case(ward, "POST", case):
        if not path.endswith(("hand-back", "claim", "reveal")):
            answer = await browser.send(path, **FORMS.get(path.rpartition("/")[2], {}))
            assert SECRET not in unescape(answer.text) + str(answer.headers), path


@pytest.mark.parametrize("login", ["ben", "david"])
async def test_a_second_reader_reads_no_word_of_a_colleagues_before_the_panel(ward: Ward, login: str) -> None:
    case = await with_everybodys_words(ward)
    browser = await ward.logged_in(login)
    await browser.get("/worklist")
    await says_nothing(ward, browser, case)
    browser = await ward.claimed(case, login)
    await says_nothing(ward, browser, case)
    await browser.opinion(case, KEPT)
    await browser.get(f"/cases/{case}")
    assert await phase(ward, case) is Phase.OPINION_COMMITTED
    await says_nothing(ward, browser, case)
    await browser.send(f"/cases/{case}/reveal")
    shown = unescape((await browser.get(f"/cases/{case}")).text)
    assert f"{SECRET} opinion" in shown, "or there was nothing to be hidden"
    assert f"{SECRET} note" in shown
    assert f"{SECRET} draft" not in shown


async def test_the_first_reader_learns_nothing_of_the_second(ward: Ward) -> None:
    case = await twice_read(ward)
    anna = await ward.claimed(case, "anna")
    await anna.opinion(case, KEPT)
    ben = await ward.claimed(case, "ben")
    await ben.opinion(case, KEPT, note=f"{SECRET} opinion")
    await anna.get("/worklist")
    await says_nothing(ward, anna, case)
    await ben.send(f"/cases/{case}/reveal")
    await ben.get(f"/cases/{case}")
    await says_nothing(ward, anna, case)
    assert (await ben.sign(case, KEPT)).status_code == 303
    await says_nothing(ward, anna, case)


async def test_an_arbiter_who_is_handed_a_case_reads_no_word_of_it_before_the_panel(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    ben = await ward.claimed(case, "ben")
    await ben.opinion(case, note=f"{SECRET} opinion")
    await ben.send(f"/cases/{case}/reveal")
    await ben.send(f"/cases/{case}/refer", reason=f"{SECRET} reason")
    clara = await ward.logged_in("clara")
    await clara.get("/worklist")
    await says_nothing(ward, clara, case)
    clara = await ward.claimed(case, "clara")
    await says_nothing(ward, clara, case)


# --- planted cases ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["waiting", "held", "locked"])
async def test_no_address_and_no_form_tells_a_planted_case_from_a_real_one(ward: Ward, step: str) -> None:
    told: list[dict[str, object]] = []
    for case in (await planted_once(ward), await ward.case(SPLIT)):
        browser = await ward.logged_in("ben")
        await browser.get("/worklist")
        if step != "waiting":
            browser = await ward.claimed(case, "ben")
        if step == "locked":
            await browser.opinion(case)
            await browser.get(f"/cases/{case}")
        answers: dict[str, object] = {}
        for path in of_a_case(ward, "GET", case):
            answers[path.replace(case, "CASE")] = bare(await browser.get(path), case, browser)
        for path in sorted(of_a_case(ward, "POST", case), key=lambda each: each.endswith(("back", "claim"))):
            if not path.endswith(("reveal", "acknowledge")):
                fields = FORMS.get(path.rpartition("/")[2], {})
                answers[path.replace(case, "POST")] = bare(await browser.send(path, **fields), case, browser)
        told.append(answers)
    invented, real = told
    assert len(invented) > 30
    # Nobody is called about a planted case (record 0067): the page that answers a call is another one.
    assert [path for path in invented if invented[path] != real[path] and not path.startswith("/duty/")] == []


_planted: list[CaseId] = []


async def planted_once(ward: Ward) -> CaseId:
    """The planted case: there is one, which is handed back after each look."""
    if not _planted:
        _planted.append(await planted(ward))
    return _planted[0]
