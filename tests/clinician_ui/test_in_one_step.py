"""Two buttons that spare a step: lock and show the panel, keep and sign. Neither spares what the log has to know first."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from tests.clinician_ui.conftest import SPLIT, Browser, Ward, phase
from tests.clinician_ui.test_second_reader import KEPT, twice_read
from tests.houses import types_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOWN = "Why this case came to you"
OWN, OTHER = "continue-monitoring", "urgent-review"


async def locked_and_shown(ward: Ward, case: CaseId, **values: str) -> tuple[Browser, httpx.Response]:
    browser = await ward.claimed(case)
    return browser, await browser.opinion(case, **({"option": OWN, "then": "show"} | values))


async def test_the_opinion_is_in_the_log_before_the_panel_is_shown(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    browser, answer = await locked_and_shown(ward, case)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/cases/{case}")
    assert SHOWN in (await browser.get(f"/cases/{case}")).text
    types = await types_of(ward.house, case)
    assert types.index(EntryType.COMMITTED) < types.index(EntryType.REVEALED)


async def test_an_opinion_with_mistakes_shows_nothing(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    _, answer = await locked_and_shown(ward, case, confidence="very")
    assert answer.status_code == 422
    assert SHOWN not in answer.text
    assert await phase(ward, case) is Phase.CLAIMED


@pytest.mark.parametrize("then", ["panel", "Show", "show ", "reveal"])
async def test_no_other_word_goes_on(ward: Ward, then: str) -> None:
    case = await ward.case(SPLIT)
    _, answer = await locked_and_shown(ward, case, then=then)
    assert answer.status_code == 400
    assert await phase(ward, case) is Phase.CLAIMED


async def test_a_first_reader_of_two_is_shown_no_panel(ward: Ward) -> None:
    case = await twice_read(ward)
    browser, answer = await locked_and_shown(ward, case, option=KEPT)
    assert answer.headers["location"] == f"/cases/{case}"
    page = (await browser.get(f"/cases/{case}")).text
    assert "another clinician reads this case" in page
    assert SHOWN not in page
    assert EntryType.REVEALED not in await types_of(ward.house, case)


async def test_who_reads_for_an_audit_is_shown_no_panel(ward: Ward) -> None:
    case = await ward.drawn()
    browser, answer = await locked_and_shown(ward, case)
    assert answer.headers["location"] == f"/cases/{case}/read"
    assert SHOWN not in (await browser.get(f"/cases/{case}/read")).text
    assert EntryType.REVEALED not in await types_of(ward.house, case)


async def test_sent_twice_the_first_opinion_stands(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    browser, _ = await locked_and_shown(ward, case)
    again = await browser.opinion(case, OTHER, then="show")
    assert again.headers["location"] == f"/cases/{case}?opinion=unchanged"
    assert (await types_of(ward.house, case)).count(EntryType.COMMITTED) == 1


async def keeping(ward: Ward, **values: str) -> tuple[CaseId, httpx.Response]:
    """Send a form that signs by the button which keeps one's own answer."""
    case = await ward.case(SPLIT)
    browser, _ = await locked_and_shown(ward, case)
    form = await browser.signature(case, "")
    return case, await browser.send(f"/cases/{case}/sign", **(form | {"keep": OWN} | values))


async def test_an_answer_that_is_kept_is_what_is_signed(ward: Ward) -> None:
    case, answer = await keeping(ward)
    assert answer.headers["location"] == f"/cases/{case}/done"
    assert EntryType.SIGNED in await types_of(ward.house, case)


async def test_an_answer_that_is_kept_and_selected_is_signed(ward: Ward) -> None:
    case, answer = await keeping(ward, option=OWN)
    assert answer.headers["location"] == f"/cases/{case}/done"


@pytest.mark.parametrize(
    ("values", "status", "said"),
    [
        ({"option": OTHER}, 422, "You keep your answer, but have selected another one"),
        ({"keep": OTHER}, 422, "your decision is not the opinion you gave before"),
        ({"keep": "discharge"}, 400, ""),
        ({"keep": ""}, 422, "Select your decision"),
        ({"password": "another"}, 422, "Login or password is wrong"),
        ({"password": ""}, 422, "Enter your password to sign"),
        ({"shown": "0" * 64}, 422, "What you were shown has changed"),
    ],
    ids=["another is selected", "not one's own", "none of the question", "none", "wrong password", "none typed", "stale"],
)  # fmt: skip
async def test_keeping_signs_nothing_that_signing_would_not(
    ward: Ward, values: dict[str, str], status: int, said: str
) -> None:
    case, answer = await keeping(ward, **values)
    assert answer.status_code == status
    assert said in unescape(answer.text)
    assert EntryType.SIGNED not in await types_of(ward.house, case)


async def test_enter_in_a_field_signs_what_is_selected_and_keeps_nothing(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    browser, _ = await locked_and_shown(ward, case)
    page = (await browser.get(f"/cases/{case}")).text
    form = page[page.index(f'action="/cases/{case}/sign"') :]
    # HTML's default button is the first one of a form.
    first = re.search(r"<button[^>]*type=\"submit\"[^>]*>", form)
    assert first is not None
    assert "keep" not in first[0]
    assert re.search(r'<button[^>]*name="keep"[^>]*>', form) is not None


async def test_who_saw_the_panel_first_has_no_answer_to_keep(ward: Ward) -> None:
    case = await ward.case(SPLIT, RiskClass.EMERGENCY)
    browser = await ward.claimed(case)
    await browser.send(f"/cases/{case}/reveal")
    page = (await browser.get(f"/cases/{case}")).text
    assert SHOWN in page
    assert 'name="keep"' not in page
