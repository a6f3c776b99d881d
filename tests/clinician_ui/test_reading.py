"""Reading a decision for an audit through the pages: no byte of any answer tells what was decided, by whom, or that it was."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import httpx
import pytest

from arbiter.lifecycle.states import AuditStage, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.heads import load_case
from arbiter.workflow import closing
from arbiter.workflow.review import LEASE
from tests.clinician_ui.conftest import SUBJECT, Browser, Ward, phase
from tests.clinician_ui.test_blindness import FORBIDDEN, members, received
from tests.clinician_ui.test_calling import row_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAME, OTHER = "continue-monitoring", "urgent-review"
TITLES = ("continue monitoring", "urgent review", SAME, OTHER)
BEFORE = (*(word for word in FORBIDDEN if word != "escalat"), "audit", "released", "decided", "reader")
"""What a page about a case that is to be read says nothing of. (The error pages' own words are not among them.)"""
LOCKED = "Your opinion is locked"


async def stage(ward: Ward, case: CaseId) -> AuditStage | None:
    audit = (await load_case(ward.house.store, case)).state.audit
    return None if audit is None else audit.stage


def tells_nothing(answer: httpx.Response, ward: Ward, words: tuple[str, ...]) -> None:
    text = received(answer, ward).replace("recorded in the audit log", "")
    for word in (*words, *members(ward)):
        assert not re.search(rf"\b{re.escape(word)}", text), word


def unlike(page: str, case: str, token: str) -> str:
    """Return a page without what is any case's own: its facts, its times and its names."""
    for part in (
        r'<section class="arbiter-sheet">.*?</section>',
        r'<div class="nhsuk-inset-text">.*?</div>',
        r'<details class="[^"]*arbiter-timeline">.*?</details>',
        r"Due in [^<]*<span[^>]*>.*?</span>|Due in [^<(]*\(<time.*?</time>\)",
        r"<time.*?</time>",
    ):
        page = re.sub(part, "", page, flags=re.DOTALL)
    return re.sub(r"\d+", "N", page.replace(case, "CASE").replace(token, "TOKEN"))


# --- before, and while -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("risk", [RiskClass.ROUTINE, RiskClass.URGENT])
async def test_no_page_on_the_way_to_an_opinion_tells_of_a_decision(ward: Ward, risk: RiskClass) -> None:
    case = await ward.drawn(risk)
    ben = await ward.claimed(case, "ben")
    await ben.send(f"/cases/{case}/hand-back")
    anna = await ward.logged_in()
    answers = [await anna.get(path) for path in ("/worklist", "/worklist/print", f"/cases/{case}")]
    assert all(case in answer.text for answer in answers)
    answers.append(await anna.send(f"/worklist/{case}/claim"))
    answers += [
        await anna.get(f"/cases/{case}"),
        await anna.opinion(case, confidence="wrong"),
        await anna.send(f"/cases/{case}/renew", note="typed"),
        await anna.get("/worklist"),
    ]
    assert SUBJECT in answers[4].text
    for answer in answers:
        assert answer.status_code in {200, 303, 422}
        tells_nothing(answer, ward, BEFORE)
        assert "Urgent<" not in answer.text


async def test_a_page_to_read_differs_from_a_routine_escalations_in_its_facts_and_times_alone(
    ward: Ward,
) -> None:
    shapes = set()
    for case in (await ward.drawn(RiskClass.URGENT), await ward.case()):
        browser = await ward.logged_in()
        waiting = await browser.get(f"/cases/{case}")
        await browser.send(f"/worklist/{case}/claim")
        blind = await browser.get(f"/cases/{case}")
        shapes.add((unlike(waiting.text, case, browser.token), unlike(blind.text, case, browser.token)))
    assert len(shapes) == 1


async def test_the_list_has_it_as_routine_and_nobody_is_called(ward: Ward) -> None:
    case = await ward.drawn(RiskClass.URGENT)
    browser = await ward.logged_in()
    row = row_of((await browser.get("/worklist")).text, case)
    assert "Routine" in row
    assert "Due in 13" in row.replace("\u00a0", " ")
    assert f'action="/worklist/{case}/claim"' in row
    assert "cknowledge" not in row
    printed = (await browser.get("/worklist/print")).text
    assert re.search(rf"{case}</th>.*?<td>Routine</td>", printed, re.DOTALL)
    assert (await browser.send(f"/worklist/{case}/acknowledge")).headers["location"] == "/worklist"
    assert await phase(ward, case) is Phase.RELEASED


async def test_an_old_case_is_read_as_of_the_time_its_facts_came_in(ward: Ward) -> None:
    case = await ward.drawn()
    ward.clock.advance(timedelta(days=1))
    browser = await ward.claimed(case)
    page = unescape((await browser.get(f"/cases/{case}")).text).replace("\u00a0", " ")
    (head,) = re.findall(r"Age as of <time[^>]*>([^<]*)</time>", page)
    assert re.fullmatch(r"\d+ \w+( \d{4})?, \d\d:\d\d", head), "a day stands beside the time"
    assert page.count('arbiter-case-facts__age">5 minutes old</span>') == 12
    assert "day" not in re.sub(r"Due in \d+ days", "", page)


# --- afterwards ------------------------------------------------------------------------------------------------------


async def read(ward: Ward, case: CaseId, option: str, login: str = "anna") -> tuple[Browser, httpx.Response]:
    browser = await ward.claimed(case, login)
    return browser, await browser.opinion(case, option)


async def test_whether_an_opinion_differs_makes_no_difference_to_what_its_reader_is_told(ward: Ward) -> None:
    told = set()
    for option, expected in ((SAME, AuditStage.AGREED), (OTHER, AuditStage.DOUBTED)):
        case = await ward.drawn()
        browser, answer = await read(ward, case, option)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/cases/{case}/read")
        page = await browser.get(f"/cases/{case}/read")
        assert LOCKED in page.text
        assert "independent check" in page.text
        tells_nothing(page, ward, (*TITLES, "panel", "majority", "verdict", "certificate"))
        assert SUBJECT not in page.text
        assert await stage(ward, case) is expected
        told.add(page.text.replace(case, "CASE").replace(browser.token, "TOKEN"))
    assert len(told) == 1


async def test_an_opinion_that_differs_puts_the_case_back_and_the_next_reviewer_sees_the_panel_after_an_own(
    ward: Ward,
) -> None:
    case = await ward.drawn(RiskClass.URGENT)
    await read(ward, case, OTHER)
    assert await phase(ward, case) is Phase.ESCALATED
    ben = await ward.logged_in("ben")
    listed = await ben.get("/worklist")
    assert "Urgent" in row_of(listed.text, case), "now somebody waits for it"
    ben = await ward.claimed(case, "ben")
    for answer in (await ben.get(f"/cases/{case}"), await ben.get("/worklist")):
        tells_nothing(answer, ward, (*(word for word in BEFORE if word != "ben"), "anna", "contest"))
    assert (await ben.opinion(case, OTHER)).headers["location"] == f"/cases/{case}"
    locked = await ben.get(f"/cases/{case}")
    tells_nothing(locked, ward, (*members(ward), "anna", "contest"))
    await ben.send(f"/cases/{case}/reveal")
    assert "NEWS2" in (await ben.get(f"/cases/{case}")).text
    assert await stage(ward, case) is AuditStage.WRONG


async def test_a_second_reader_of_what_a_clinician_has_decided_since_is_as_blind_as_the_first(
    ward: Ward,
) -> None:
    case = await ward.drawn(RiskClass.URGENT)
    await read(ward, case, OTHER)
    anna = await ward.claimed(case)
    await anna.opinion(case, OTHER)
    await anna.send(f"/cases/{case}/reveal")
    assert (await anna.sign(case, OTHER)).headers["location"] == f"/cases/{case}/done"
    assert "Decision released" in (await anna.get(f"/cases/{case}/done")).text
    assert case not in (await anna.get("/worklist")).text
    ben = await ward.logged_in("ben")
    answers = [
        await ben.get("/worklist"),
        await ben.send(f"/worklist/{case}/claim"),
        await ben.get(f"/cases/{case}"),
    ]
    for answer in answers:
        tells_nothing(answer, ward, (*(word for word in BEFORE if word != "ben"), "anna", "contest"))
    assert "Routine" in row_of(answers[0].text, case)
    assert (await ben.opinion(case, OTHER)).headers["location"] == f"/cases/{case}/read"
    tells_nothing(await ben.get(f"/cases/{case}/read"), ward, (*TITLES, "anna", "panel"))
    assert (await phase(ward, case), await stage(ward, case)) == (Phase.RELEASED, AuditStage.WRONG)


async def test_who_has_read_a_case_is_led_to_what_becomes_of_it_and_nobody_else_is(ward: Ward) -> None:
    case = await ward.drawn()
    anna, _ = await read(ward, case, SAME)
    assert (await anna.get(f"/cases/{case}")).headers["location"] == f"/cases/{case}/read"
    assert case not in (await anna.get("/worklist")).text
    ben = await ward.logged_in("ben")
    await ben.get("/worklist")
    for answer in (
        await ben.get(f"/cases/{case}"),
        await ben.get(f"/cases/{case}/read"),
        await ben.get(f"/cases/{case}/done"),
        await anna.get(f"/cases/{case}/done"),
        await anna.send(f"/worklist/{case}/claim"),
        await ben.send(f"/worklist/{case}/claim"),
        await ben.opinion(case, SAME),
    ):
        assert answer.status_code == 409
        tells_nothing(answer, ward, (*TITLES, "panel"))


async def test_an_opinion_sent_again_leads_to_the_one_that_is_locked(ward: Ward) -> None:
    for option in (SAME, OTHER):
        case = await ward.drawn()
        browser, _ = await read(ward, case, option)
        again = await browser.opinion(case, option)
        assert again.headers["location"] == f"/cases/{case}/read"
        changed = await browser.opinion(case, SAME if option == OTHER else OTHER)
        assert changed.headers["location"] == f"/cases/{case}/read?opinion=unchanged"
        page = await browser.get(changed.headers["location"])
        assert "was locked already; it is unchanged" in page.text
        assert "when you sign" not in page.text
        tells_nothing(page, ward, TITLES)
        assert "unchanged" not in (await browser.get(f"/cases/{case}/read")).text


# --- what goes wrong ---------------------------------------------------------------------------------------------------


async def test_a_form_of_the_panel_shows_a_reader_nothing(ward: Ward) -> None:
    case = await ward.drawn()
    browser = await ward.claimed(case)
    for answer in (
        await browser.send(f"/cases/{case}/reveal"),
        await browser.sign(case, SAME),
        await browser.sign(case, OTHER, reason="as I see it"),
        await browser.sign(case, option=""),
        await browser.get(f"/cases/{case}/done"),
        await browser.get(f"/cases/{case}/read"),
    ):
        assert answer.status_code == 409
        tells_nothing(answer, ward, (*TITLES, "panel", "decided", "released"))
    assert await stage(ward, case) is AuditStage.DRAWN


async def test_a_case_that_somebody_else_reads_is_a_conflict_page(ward: Ward) -> None:
    case = await ward.drawn()
    await ward.claimed(case, "anna")
    ben = await ward.logged_in("ben")
    page = (await ben.get("/worklist")).text
    assert case not in page
    assert "with colleagues" in page
    for answer in (
        await ben.get(f"/cases/{case}"),
        await ben.send(f"/worklist/{case}/claim"),
        await ben.opinion(case, OTHER),
        await ben.send(f"/cases/{case}/renew"),
    ):
        assert answer.status_code == 409
        assert "Someone else holds this case" in answer.text
        tells_nothing(answer, ward, (*TITLES, "anna", "released"))
    assert (await ben.send(f"/cases/{case}/hand-back")).headers["location"] == "/worklist"
    assert await stage(ward, case) is AuditStage.DRAWN


async def test_a_lapsed_reading_is_claimed_anew_from_its_own_address(ward: Ward) -> None:
    case = await ward.drawn()
    browser = await ward.claimed(case)
    ward.clock.advance(LEASE)
    assert (await browser.opinion(case, OTHER)).status_code == 409
    waiting = await browser.get(f"/cases/{case}")
    assert "This case waits for a reviewer" in waiting.text
    assert SUBJECT not in waiting.text
    assert (await browser.send(f"/cases/{case}/hand-back")).headers["location"] == "/worklist"
    assert (await browser.send(f"/worklist/{case}/claim")).headers["location"] == f"/cases/{case}"
    assert await stage(ward, case) is AuditStage.DRAWN


async def test_a_case_entered_in_error_under_a_readers_hands_waits_to_be_claimed_anew(ward: Ward) -> None:
    case = await ward.drawn()
    browser = await ward.claimed(case)
    await closing.retract(ward.house, ward.client, case, "another patient's")
    waiting = await browser.get(f"/cases/{case}")
    assert waiting.status_code == 200
    tells_nothing(waiting, ward, TITLES)
    for answer in (
        await browser.opinion(case, OTHER),
        await browser.send(f"/cases/{case}/renew"),
        await browser.get(f"/cases/{case}/read"),
    ):
        assert answer.status_code == 409
        assert "it has moved on" in answer.text
        tells_nothing(answer, ward, TITLES)
    assert await phase(ward, case) is Phase.ENTERED_IN_ERROR


async def test_a_form_with_a_mistake_after_the_lock_leads_to_what_is_locked(ward: Ward) -> None:
    for option in (SAME, OTHER):
        case = await ward.drawn()
        browser, _ = await read(ward, case, option)
        answer = await browser.opinion(case, option="")
        assert answer.headers["location"] == f"/cases/{case}/read?opinion=unchanged"
    unread = await ward.drawn()
    assert (await browser.opinion(unread, option="")).status_code == 409
