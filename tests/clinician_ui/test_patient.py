"""Whom a case is about stands in sight on every page where a reviewer judges or signs, and nowhere else."""

from __future__ import annotations

import re
from html import unescape

import pytest

from arbiter.model import CaseId
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Browser, Ward

pytestmark = pytest.mark.asyncio(loop_scope="module")

SYSTEM = "urn:example:patients"


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def top(html: str) -> str:
    """Return what stands between the page's heading and the first line about its case: what nobody scrolls past."""
    return words(html[html.index("</h1>") : html.index('<ul class="arbiter-strip">')])


def beside_the_button(html: str) -> str:
    """Return what stands between the password and the button that signs."""
    return words(html[html.index('id="password"') : html.index("Sign the decision")])


def without_facts(html: str) -> str:
    return re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)


async def number_of(ward: Ward, case: CaseId) -> str:
    """Return the patient's number as it was handed in; every case of these tests has its own."""
    blind = (await (await ward.claimed(case)).get(f"/cases/{case}")).text
    found = {match[0] for match in re.finditer(rf"{SUBJECT}-\d+", blind)}
    assert len(found) == 1
    return found.pop()


async def to_revealed(browser: Browser, case: CaseId) -> None:
    await browser.opinion(case)
    assert (await browser.send(f"/cases/{case}/reveal")).status_code == 303


async def test_the_blind_page_names_the_patient_at_its_top(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    number = await number_of(ward, case)
    browser = await ward.claimed(case)
    mistaken = await browser.opinion(case, confidence="wrong")
    assert mistaken.status_code == 422
    for page in (await browser.get(f"/cases/{case}"), mistaken):
        assert f"Patient {number} {SYSTEM} Encounter visit-1" in top(page.text)


async def test_the_page_of_a_locked_opinion_names_the_patient_at_its_top(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    number = await number_of(ward, case)
    browser = await ward.claimed(case)
    await browser.opinion(case)
    page = (await browser.get(f"/cases/{case}")).text
    assert "Your opinion is locked" in page
    assert f"Patient {number} {SYSTEM}" in top(page)


async def test_the_revealed_page_names_the_patient_at_its_top_and_beside_the_button_that_signs(
    ward: Ward,
) -> None:
    case = await ward.case(SPLIT)
    number = await number_of(ward, case)
    browser = await ward.claimed(case)
    await to_revealed(browser, case)
    mistaken = await browser.sign(case, password="")
    assert mistaken.status_code == 422
    for page in (await browser.get(f"/cases/{case}"), mistaken):
        assert f"Patient {number} {SYSTEM}" in top(page.text)
        assert beside_the_button(page.text).endswith(f"You sign for patient {number} {SYSTEM}")
        assert without_facts(page.text).count(number) == 2


async def test_two_cases_of_one_protocol_open_at_once_are_told_apart_where_they_are_signed(
    ward: Ward,
) -> None:
    cases = [await ward.case(SPLIT), await ward.case(SPLIT)]
    numbers = [await number_of(ward, case) for case in cases]
    assert numbers[0] != numbers[1]
    for case in cases:
        await to_revealed(await ward.claimed(case), case)
    browser = await ward.logged_in()
    pages = [(await browser.get(f"/cases/{case}")).text for case in cases]
    for page, own, other in zip(pages, numbers, reversed(numbers), strict=True):
        assert f"You sign for patient {own} " in beside_the_button(page)
        assert not re.search(rf"{re.escape(other)}\b", page)


async def test_the_number_stands_in_no_address_title_or_header_and_not_on_the_page_once_signed(
    ward: Ward,
) -> None:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    answers = [await browser.get(f"/cases/{case}")]
    answers.append(await browser.opinion(case))
    answers.append(await browser.get(f"/cases/{case}"))
    answers.append(await browser.send(f"/cases/{case}/reveal"))
    answers.append(await browser.get(f"/cases/{case}"))
    answers.append(await browser.sign(case, password=""))
    answers.append(await browser.sign(case))
    for answer in answers:
        title = re.search(r"<title>(.*?)</title>", answer.text, re.DOTALL)
        links = re.findall(r'(?:href|action|formaction)="([^"]*)"', answer.text)
        outside = "\n".join((title[1] if title else "", str(answer.url), str(answer.headers), *links))
        assert SUBJECT not in unescape(outside)
        assert SYSTEM not in unescape(outside)
    assert answers[-1].headers["location"] == f"/cases/{case}/done"
    # What the page of a signed case is made from does not hold the number: to show it would be another reading of the case.
    assert SUBJECT not in (await browser.get(f"/cases/{case}/done")).text
