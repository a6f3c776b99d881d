"""Every page once in a language that nobody speaks: what stands on it in plain letters is data, or was forgotten."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.entries import EntryType
from arbiter.model import CaseId
from arbiter.workflow.certifying import MEANING
from arbiter.workflow.log.faults import Fault
from arbiter.workflow.log.guard import Refusal
from arbiter.workflow.publishing import protocols
from clinician_ui.downtime import DowntimeFile
from clinician_ui.pages import create_pages
from clinician_ui.texts import speaking
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Browser, Ward
from tests.clinician_ui.pseudo import plain, pseudo_language, shown
from tests.houses import PASSWORD

pytestmark = pytest.mark.timeout(300)
in_the_house = pytest.mark.asyncio(loop_scope="module")

DATA = (
    r"\barbiter audit verify-proof [\w.-]+ --key LOG-KEY",
    # Who and what is named: people, sites, systems, cases, log-ins, and the service itself.
    r"\bArbiter\b|Anna|Ben|Dora|Olga|Ada|North Hospital|South Hospital|urn:example:patients|visit-\d+|test\b",
    rf"{SUBJECT}[-\d]*",
    r"c_[a-z2-7]+|[0-9a-f]{64}",
    # Zones, units, and what an instant or a length is written with.
    r"\b(?:UTC|GMT|BST|CES?T)\b|\b(?:ms|s)\b",
    # Words for machines.
    r"downtime\.html|ARBITER_FLEET|arbiter guarantee lift [\w-]+",
    r"\b[ac][a-z2-7]{16}\b|\bmember:[a-z0-9-]+|log\.hospital\.example/arbiter\+[0-9a-f]{8}",
    # What was typed or told by whoever asked.
    r"as I see it|ward system",
    # Units, as they are recorded and as they are shown.
    "\\bmmHg\\b|°C|\N{MULTIPLICATION SIGN} 10⁹/L|mm\\[Hg\\]|10\\*9/L|\\bCel\\b",
    # Keys of a keyboard.
    r"^[a-z]$",
)
"""What stands on pages as it is, in any language, beside what the case and its protocol say."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speaking_ward(ward: Ward) -> AsyncIterator[Ward]:
    """The ward whose pages speak the language, with everybody who looks at some page."""
    await with_everybody(ward)
    yield replace(ward, pages=create_pages(ward.house, language=pseudo_language()))


async def with_everybody(ward: Ward) -> None:
    """Give the ward those who look at some page and are not there by themselves."""
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("dora", site="south", also=frozenset({Role.EMERGENCY_ACCESS}))
    await ward.person("olga", Role.FLEET_OPERATOR)
    await ward.person("ada", Role.AUDITOR)


def recorded(ward: Ward) -> Iterable[str]:
    """What a protocol says of itself and of its cases: recorded in English, and shown as it is recorded."""
    for protocol in protocols(ward.house):
        yield from (protocol.title, protocol.id, protocol.question.text)
        yield from (option.title for option in protocol.question.options)
        for fact in protocol.question.facts:
            yield from (fact.title, *dict(fact.codes).values())
            if fact.reference is not None:
                yield fact.reference.source
        for seat in protocol.seats:
            yield from (seat.title, seat.family.replace("-", " "), seat.role or "")
        for facet in protocol.facets:
            yield from (facet.text, facet.id.replace("-", " "), *(option.title for option in facet.options))
        for rule in protocol.rules:
            yield from (rule.id, rule.rationale, rule.owner)
    yield MEANING
    yield from EntryType
    yield ward.house.settings.downtime_advice


def data_of(ward: Ward) -> re.Pattern[str]:
    phrases = sorted({*recorded(ward)} - {""}, key=len, reverse=True)
    return re.compile("|".join((*map(re.escape, phrases), *DATA)), re.IGNORECASE)


Look = Callable[[Ward], Awaitable[str]]


async def _shown(browser: Browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, (path, answer.status_code)
    return answer.text


async def the_log_in(ward: Ward) -> str:
    return await _shown(ward.browser(), "/login")


async def the_log_in_with_mistakes(ward: Ward) -> str:
    browser = ward.browser()
    await browser.get("/login")
    wrong = await browser.send("/login", login="anna", password="wrong")
    return (await browser.send("/login")).text + wrong.text


def page_of(login: str, path: str, status: int = 200) -> Look:
    async def look(ward: Ward) -> str:
        return await _shown(await ward.logged_in(login), path, status)

    return look


async def the_work_list(ward: Ward) -> str:
    await ward.case(training=True)
    await ward.claimed(await ward.case())
    return await _shown(await ward.logged_in(), "/worklist")


async def the_printed_list(ward: Ward) -> str:
    await ward.case(training=True)
    await ward.claimed(await ward.case())
    return await _shown(await ward.logged_in(), "/worklist/print")


async def a_waiting_case(ward: Ward) -> str:
    return await _shown(await ward.logged_in(), f"/cases/{await ward.case(training=True)}")


async def a_blind_case(ward: Ward) -> str:
    case = await ward.case(SPLIT)
    return await _shown(await ward.claimed(case), f"/cases/{case}")


async def a_blind_case_with_mistakes(ward: Ward) -> str:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    return (await browser.send(f"/cases/{case}/opinion", note="\x07")).text


async def locked(ward: Ward) -> tuple[Browser, CaseId]:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    assert (await browser.opinion(case)).status_code == 303
    return browser, case


async def a_locked_opinion(ward: Ward) -> str:
    browser, case = await locked(ward)
    return await _shown(browser, f"/cases/{case}?opinion=unchanged")


async def revealed(ward: Ward) -> tuple[Browser, CaseId]:
    browser, case = await locked(ward)
    await browser.get(f"/cases/{case}")
    assert (await browser.send(f"/cases/{case}/reveal")).status_code == 303
    await browser.get(f"/cases/{case}")
    return browser, case


async def the_panel(ward: Ward) -> str:
    browser, case = await revealed(ward)
    return await _shown(browser, f"/cases/{case}")


async def the_panel_with_mistakes(ward: Ward) -> str:
    browser, case = await revealed(ward)
    return (await browser.send(f"/cases/{case}/sign", option="continue-monitoring")).text


async def the_end(ward: Ward) -> str:
    browser, case = await revealed(ward)
    assert (await browser.sign(case)).status_code == 303
    return await _shown(browser, f"/cases/{case}/done")


async def a_decision_that_was_read(ward: Ward) -> str:
    case = await ward.drawn()
    browser = await ward.claimed(case)
    assert (await browser.opinion(case)).status_code == 303
    return await _shown(browser, f"/cases/{case}/read?opinion=unchanged")


async def glass_with_mistakes(ward: Ward) -> str:
    browser = await ward.logged_in("dora")
    await browser.get("/glass")
    unknown = await browser.send("/glass", case="c_nobody", reason="as told")
    return (await browser.send("/glass")).text + unknown.text


async def held_by_another(ward: Ward) -> str:
    case = await ward.case()
    await ward.claimed(case, "ben")
    return await _shown(await ward.logged_in(), f"/cases/{case}", 409)


async def forbidden(ward: Ward) -> str:
    browser = await ward.logged_in()
    return (await browser.send_raw("/logout", {"csrf_token": "x"})).text


async def own_decisions(ward: Ward) -> str:
    browser, case = await revealed(ward)
    await browser.sign(case)
    return await _shown(browser, "/mine")


async def handover(ward: Ward) -> str:
    browser = await ward.claimed(await ward.case(SPLIT))
    return await _shown(browser, "/duty/handover")


async def a_call(ward: Ward) -> str:
    return await _shown(await ward.logged_in(), f"/duty/{await ward.case(SPLIT)}")


async def a_trail(ward: Ward) -> str:
    _, case = await revealed(ward)
    return await _shown(await ward.logged_in("ada"), f"/audit/cases/{case}")


async def passed_on(ward: Ward) -> str:
    case = await ward.drawn()
    browser = await ward.claimed(case)
    await browser.send(f"/cases/{case}/refer", reason="as I see it")
    return await _shown(browser, f"/cases/{case}")


async def the_downtime(ward: Ward) -> str:
    ward.house.guard.refusal = Refusal(Fault.FORKED, "found", "told to operators")
    try:
        return (await ward.browser().get("/worklist")).text
    finally:
        ward.house.guard.refusal = None


async def the_file_for_a_downtime(ward: Ward) -> str:
    await ward.case()
    downtime = DowntimeFile(ward.house)
    downtime._language = pseudo_language()
    await downtime.write()
    return Path(downtime.path).read_text(encoding="utf-8")


PAGES: dict[str, Look] = {
    "log in": the_log_in,
    "log in with mistakes": the_log_in_with_mistakes,
    "work list": the_work_list,
    "work list for print": the_printed_list,
    "waiting case": a_waiting_case,
    "blind case": a_blind_case,
    "blind case with mistakes": a_blind_case_with_mistakes,
    "locked opinion": a_locked_opinion,
    "panel": the_panel,
    "panel with mistakes": the_panel_with_mistakes,
    "done": the_end,
    "decision that was read": a_decision_that_was_read,
    "glass": page_of("dora", "/glass"),
    "glass with mistakes": glass_with_mistakes,
    "account": page_of("anna", "/account"),
    "own decisions": own_decisions,
    "duty": page_of("anna", "/duty"),
    "handover": handover,
    "printed handover": page_of("anna", "/duty/handover/print"),
    "rota": page_of("anna", "/duty/rota"),
    "call": a_call,
    "audit": page_of("ada", "/audit"),
    "audit, entries": page_of("ada", "/audit/entries"),
    "audit, receipt": page_of("ada", "/audit/receipt"),
    "audit, exports": page_of("ada", "/audit/exports"),
    "audit, a trail": a_trail,
    "oversight": page_of("ada", "/oversight"),
    "read by another clinician": passed_on,
    "fleet": page_of("olga", "/fleet"),
    "watch": page_of("ada", "/watch"),
    "keyboard shortcuts": page_of("anna", "/keys"),
    "not found": page_of("anna", "/nowhere", 404),
    "held by another": held_by_another,
    "forbidden": forbidden,
    "downtime": the_downtime,
    "file for a downtime": the_file_for_a_downtime,
}
"""Every page: what asks for it, and returns its HTML."""


@in_the_house
@pytest.mark.parametrize("name", PAGES)
async def test_every_text_of_a_page_comes_from_the_catalogue(speaking_ward: Ward, name: str) -> None:
    page = await PAGES[name](speaking_ward)
    found = plain(page, data_of(speaking_ward))
    assert found == [], "\n".join(found)
    assert sum("⟦" in text for text in shown(page)) >= 5
    assert 'lang="en-XA"' in page


@pytest.mark.parametrize(
    "page",
    [
        "<p>Forgotten</p>",
        '<p aria-label="Forgotten">⟦x⟧</p>',
        '<input type="submit" value="Forgotten">',
        '<img alt="Forgotten">',
        '<input placeholder="Forgotten">',
        "<title>Forgotten</title>",
        "<p>⟦ḟ⟧ forgotten Anna</p>",
        "<svg><text>Forgotten</text></svg>",
    ],
)
def test_a_forgotten_text_is_found_wherever_it_stands(page: str) -> None:
    assert plain(page, re.compile("|".join(DATA)))


@in_the_house
async def test_the_pages_speak_english_where_nobody_said_otherwise(ward: Ward) -> None:
    with speaking(pseudo_language()):
        page = await _shown(ward.browser(), "/login")
    assert 'lang="en-GB" dir="ltr"' in page
    assert not any("⟦" in text for text in shown(page))
    assert PASSWORD not in page
