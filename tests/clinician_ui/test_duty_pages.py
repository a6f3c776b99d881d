"""Duty pages: calls answered from a phone, a shift handed over with sealed notes, the rota. Attacks by HTTP, one journey in Chromium."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.duty.loader import load_duty
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.contents import load_documents
from arbiter.store.log.chains import load_entries
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Browser, Ward, phase
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, log_in, visit
from tests.duty.small import DUTY
from tests.houses import PASSWORD, types_of

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

NOTE = "The panel leans to urgent review & I think so too <b>call theatre</b>"


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def others(ward: Ward) -> AsyncIterator[None]:
    """Somebody of another site, an operator, and a colleague who has left."""
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("sue", site="south")
    await ward.person("olga", Role.FLEET_OPERATOR)
    await ward.person("gone")
    await ward.house.identities.disable_account(ward.people["gone"].id, ward.clock.now())
    yield


async def give(browser: Browser, *cases: CaseId, to: str = "", **notes: str) -> int:
    await browser.get("/duty/handover")
    named = {f"note-{case}": notes.get("note", "") for case in cases}
    return (await browser.send("/duty/handover", case=cases, to=to, **named)).status_code


# --- calls -----------------------------------------------------------------------------------------------------------


async def test_the_gravest_open_call_comes_first_and_nothing_of_the_patient_or_the_reason_is_there(
    ward: Ward,
) -> None:
    routine, urgent = await ward.case(), await ward.case(risk=RiskClass.EMERGENCY)
    page = (await (await ward.logged_in()).get("/duty")).text
    assert page.index(f"call-{urgent}") < page.index(f"call-{routine}")
    for word in (SUBJECT, "exclu", "ward-ceiling", "visit-1"):
        assert word not in page


async def test_a_notification_leads_past_the_log_in_to_its_call(ward: Ward) -> None:
    case = await ward.case()
    stranger = ward.browser()
    led = await stranger.get(f"/duty/{case}")
    assert led.headers["location"] == f"/login?next=/duty/{case}"
    await stranger.get(led.headers["location"])
    entered = await stranger.send("/login", login="anna", password=PASSWORD, next=f"/duty/{case}")
    assert entered.headers["location"] == f"/duty/{case}"
    page = (await stranger.get(f"/duty/{case}")).text
    assert "I am on my way" in page
    assert "Claim" in page
    assert SUBJECT not in page


async def test_saying_on_my_way_is_an_entry_and_takes_the_call_off_the_list(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.logged_in()
    await anna.get(f"/duty/{case}")
    answer = await anna.send(f"/duty/{case}/acknowledge")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/duty/{case}")
    assert "escalation.acknowledged" in await types_of(ward.house, case)
    ben = await ward.logged_in("ben")
    assert f"call-{case}" not in (await ben.get("/duty")).text
    page = (await ben.get(f"/duty/{case}")).text
    assert "Anna is on the way" in page
    assert "I am on my way" not in page
    assert (await ben.send(f"/duty/{case}/acknowledge")).status_code == 303
    assert (await types_of(ward.house, case)).count("escalation.acknowledged") == 1


async def test_claiming_leads_to_the_case_and_to_the_call_for_whoever_is_slower(ward: Ward) -> None:
    case = await ward.case()
    anna, ben = await ward.logged_in(), await ward.logged_in("ben")
    await anna.get(f"/duty/{case}")
    await ben.get(f"/duty/{case}")
    assert (await anna.send(f"/duty/{case}/claim")).headers["location"] == f"/cases/{case}"
    assert (await anna.send(f"/duty/{case}/claim")).headers["location"] == f"/cases/{case}"
    assert (await ben.send(f"/duty/{case}/claim")).headers["location"] == f"/duty/{case}"
    assert "A colleague holds this case" in (await ben.get(f"/duty/{case}")).text
    assert "Anna" not in (await ben.get(f"/duty/{case}")).text


async def test_a_decided_case_says_that_nothing_is_left_to_do_and_not_what_became_of_it(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    await anna.sign(case)
    page = (await (await ward.logged_in("ben")).get(f"/duty/{case}")).text
    assert "Nothing is left to do" in page
    for word in ("decided", "released", "urgent-review", "Anna"):
        assert word not in page
    assert '<form method="post" action="/duty' not in page


async def test_a_decision_drawn_for_an_audit_is_no_call_and_looks_like_a_case_that_waits(ward: Ward) -> None:
    case = await ward.drawn()
    browser = await ward.logged_in()
    assert case not in (await browser.get("/duty")).text
    page = (await browser.get(f"/duty/{case}")).text
    assert "It waits for a reviewer" in page
    for word in ("audit", "decided", "released"):
        assert word not in page.partition("<main")[2].partition("</main>")[0].lower()


async def test_nobody_is_called_about_a_case_that_is_set_aside_wherever_it_is_looked_at(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    assert await give(anna, case, to="ben") == 303
    ben = await ward.logged_in("ben")
    assert "on my way" in (await ben.get(f"/duty/{case}")).text.lower()
    anna = await ward.claimed(case)
    await anna.get(f"/cases/{case}")
    assert (await anna.send(f"/cases/{case}/defer", wait="1", reason="theatre")).status_code == 303
    for login in ("anna", "ben"):
        browser = await ward.logged_in(login)
        assert f"call-{case}" not in (await browser.get("/duty")).text.partition("Nobody has answered yet")[2]
        assert "on my way" not in (await browser.get(f"/duty/{case}")).text.lower()
        await browser.send(f"/duty/{case}/acknowledge")
    assert (await types_of(ward.house, case))[-1] == "review.deferred"


async def test_taking_over_answers_what_was_on_the_page_and_no_call_that_came_later(ward: Ward) -> None:
    seen = await ward.case()
    ben = await ward.logged_in("ben")
    page = (await ben.get("/duty")).text
    shown = tuple(re.findall(r'name="case" value="(c_[a-z2-7]+)"', page))
    assert seen in shown
    later = await ward.case()
    answer = await ben.send("/duty/take-over", case=shown)
    assert answer.headers["location"] == "/duty?taken-over"
    assert "escalation.acknowledged" in await types_of(ward.house, seen)
    assert "escalation.acknowledged" not in await types_of(ward.house, later)
    assert "Taken over" in (await ben.get("/duty?taken-over")).text


async def test_nobody_takes_over_another_sites_calls(ward: Ward) -> None:
    case = await ward.case()
    sue = await ward.logged_in("sue")
    page = (await sue.get("/duty")).text
    assert case not in page
    await sue.get("/duty/handover")
    assert (await sue.send("/duty/take-over", case=case)).status_code == 303
    assert "escalation.acknowledged" not in await types_of(ward.house, case)
    for path in (f"/duty/{case}",):
        assert (await sue.get(path)).status_code == 404
    for act in ("acknowledge", "claim"):
        assert (await sue.send(f"/duty/{case}/{act}")).status_code == 404


@pytest.mark.parametrize(
    "crafted", ["C_ABC", "c_", "MRN7714403", "c_abc%2Fcases", "c_" + "a" * 65, "c_abc%00"]
)
async def test_a_crafted_id_is_no_page_and_is_not_repeated(ward: Ward, crafted: str) -> None:
    anna = await ward.logged_in()
    await anna.get("/duty")
    for answer in (await anna.get(f"/duty/{crafted}"), await anna.send(f"/duty/{crafted}/acknowledge")):
        assert answer.status_code == 404
        assert crafted not in answer.text
    assert (await anna.send("/duty/take-over", case=crafted)).status_code in {303, 404}


async def test_forms_without_the_sessions_token_or_from_another_site_change_nothing(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    other = await ward.case()
    forged = {"csrf_token": "A" * 43, "case": case, "to": ""}
    for path, values in (
        (f"/duty/{other}/acknowledge", forged),
        (f"/duty/{other}/claim", forged),
        ("/duty/take-over", {"csrf_token": "A" * 43, "case": other}),
        ("/duty/handover", forged),
    ):
        assert (await anna.send_raw(path, values)).status_code == 403
        honest = values | {"csrf_token": anna.token}
        assert (await anna.send_raw(path, honest, Sec_Fetch_Site="cross-site")).status_code == 403
    assert await phase(ward, case) is Phase.CLAIMED
    assert await phase(ward, other) is Phase.ESCALATED
    assert "escalation.acknowledged" not in await types_of(ward.house, other)


async def test_an_operator_is_refused_every_duty_page(ward: Ward) -> None:
    case = await ward.case()
    olga = await ward.logged_in("olga")
    for path in ("/duty", "/duty/rota", "/duty/handover", "/duty/handover/print", f"/duty/{case}"):
        answer = await olga.get(path)
        assert answer.status_code == 403
        assert case not in answer.text


# --- handing over ----------------------------------------------------------------------------------------------------


async def test_everything_that_is_held_is_handed_over_in_one_go(ward: Ward) -> None:
    cases = [await ward.case(), await ward.case()]
    for case in cases:
        anna = await ward.claimed(case)
    page = (await anna.get("/duty/handover")).text
    for case in cases:
        assert f'value="{case}"' in page
    assert await give(anna, *cases) == 303
    for case in cases:
        assert await phase(ward, case) is Phase.ESCALATED
        assert (await types_of(ward.house, case))[-1] == "claim.ended"
    for case in cases:
        assert f'value="{case}"' not in (await anna.get("/duty/handover?done")).text


async def test_what_is_not_ticked_stays(ward: Ward) -> None:
    kept, given = await ward.case(), await ward.case()
    await ward.claimed(kept)
    anna = await ward.claimed(given)
    assert await give(anna, given) == 303
    assert await phase(ward, kept) is Phase.CLAIMED
    assert await give(anna, kept) == 303


async def test_a_note_is_sealed_committed_to_and_shown_to_nobody_before_opinion_and_panel(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    assert await give(anna, case, note=NOTE) == 303
    async with ward.house.store.read() as transaction:
        bodies = [body for _, body, _ in await load_entries(transaction, case)]
        documents = await load_documents(transaction, case)
    assert b'"commits":{"note":"' in bodies[-1]
    assert b"theatre" not in b"".join(bodies) + b"".join(each[2] for each in documents)

    ben = await ward.logged_in("ben")
    for path in (
        "/duty",
        f"/duty/{case}",
        "/duty/handover",
        "/duty/handover/print",
        "/worklist",
        "/worklist/print",
    ):
        assert "theatre" not in (await ben.get(path)).text
    ben = await ward.claimed(case, "ben")
    pages = [await ben.get(f"/cases/{case}"), await ben.opinion(case), await ben.get(f"/cases/{case}")]
    for page in pages:
        assert "theatre" not in page.text
        assert "Handed over with a note" not in page.text
    await ben.send(f"/cases/{case}/reveal")
    shown = (await ben.get(f"/cases/{case}")).text
    assert "The panel leans to urgent review &amp; I think so too &lt;b&gt;call theatre&lt;/b&gt;" in shown
    assert await give(ben, case) == 303


async def test_a_note_for_a_case_that_is_not_ticked_is_not_lost(ward: Ward) -> None:
    kept, given = await ward.case(), await ward.case()
    anna = await ward.claimed(kept)
    await ward.claimed(given)
    await anna.get("/duty/handover")
    form = {"case": given, "to": "", f"note-{given}": "", f"note-{kept}": "Call the family"}
    answer = await anna.send("/duty/handover", **form)
    assert answer.status_code == 422
    assert "Tick this case too" in answer.text
    assert "Call the family" in answer.text
    assert await phase(ward, given) is Phase.CLAIMED
    assert await give(anna, kept, given) == 303


async def test_a_handed_case_is_first_for_the_colleague_named_and_anybodys_to_claim(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    assert await give(anna, case, to="ben") == 303
    ben = await ward.logged_in("ben")
    page = (await ben.get("/duty")).text
    assert page.index("Handed to you") < page.index(f"call-{case}") < page.index("Nobody has answered yet")
    assert "Handed to you by Anna" in page
    assert "Handed to you" not in (await anna.get("/duty")).text
    assert (await anna.send(f"/duty/{case}/claim")).headers["location"] == f"/cases/{case}"
    assert f"call-{case}" not in (await ben.get("/duty")).text
    assert await give(anna, case) == 303


async def test_an_audit_that_is_handed_on_looks_like_any_case_that_is(ward: Ward) -> None:
    case = await ward.drawn()
    anna = await ward.claimed(case)
    assert f'value="{case}"' in (await anna.get("/duty/handover")).text
    assert await give(anna, case, to="ben") == 303
    page = (await (await ward.logged_in("ben")).get("/duty")).text
    assert "Handed to you by Anna" in page
    assert "decided" not in page.partition("<main")[2].lower()


@pytest.mark.parametrize("login", ["sue", "gone", "olga", "anna", "nobody", "x" * 300])
async def test_nobody_hands_over_to_who_cannot_take_it(ward: Ward, login: str) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    assert await give(anna, case, to=login) == 422
    assert await phase(ward, case) is Phase.CLAIMED
    assert await give(anna, case) == 303


async def test_a_case_somebody_else_holds_is_not_handed_over_and_its_note_is_not_kept(ward: Ward) -> None:
    case = await ward.case()
    await ward.claimed(case)
    ben = await ward.logged_in("ben")
    assert await give(ben, case, note=NOTE) == 303
    assert "Partly handed over" in (await ben.get("/duty/handover?partly")).text
    assert await phase(ward, case) is Phase.CLAIMED
    assert (await types_of(ward.house, case))[-1] != "claim.ended"


async def test_a_lease_that_has_run_out_hands_nothing_over(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    ward.clock.advance(timedelta(minutes=16))
    try:
        assert f'value="{case}"' not in (await anna.get("/duty/handover")).text
        assert await give(anna, case, note=NOTE) == 303
        assert b'"note"' not in await _bodies(ward, case)
    finally:
        ward.clock.advance(-timedelta(minutes=16))


async def _bodies(ward: Ward, case: CaseId) -> bytes:
    async with ward.house.store.read() as transaction:
        return b"".join(body for _, body, _ in await load_entries(transaction, case))


async def test_a_note_too_long_or_unreadable_keeps_what_was_typed_and_the_case(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    await anna.get("/duty/handover")
    for note, said in (("x" * 2_001, "Use 2,000 characters or fewer"), ("bell \x07", "Remove characters")):
        answer = await anna.send("/duty/handover", **{"case": case, "to": "", f"note-{case}": note})
        assert answer.status_code == 422
        assert said in answer.text
        assert note[:5] in answer.text
    answer = await anna.send("/duty/handover", to="")
    assert (answer.status_code, "Tick the cases to hand over" in answer.text) == (422, True)
    for unknown in ({"extra": "1"}, {"note-x": "1"}, {"case": "MRN 1"}):
        assert (await anna.send("/duty/handover", **({"case": case} | unknown))).status_code in {400, 404}
    assert await phase(ward, case) is Phase.CLAIMED
    assert await give(anna, case) == 303


async def test_the_sheet_for_paper_names_step_and_deadline_and_no_patient(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    page = (await anna.get("/duty/handover/print")).text
    assert case in page
    assert "No opinion yet" in page
    assert SUBJECT not in page
    assert await give(anna, case) == 303


# --- rota ------------------------------------------------------------------------------------------------------------


async def test_the_rota_names_who_is_on_and_no_address(ward: Ward) -> None:
    anna = await ward.logged_in()
    assert "No duty file is set here" in (await anna.get("/duty/rota")).text
    house = replace(ward.house, duty=load_duty("duty.yaml", DUTY))
    browser = Ward(house, create_pages(house), ward.clock, ward.client, ward.people)
    page = (await (await browser.logged_in()).get("/duty/rota")).text
    for words in ("Critical care outreach", "pager, by the paging system", "then", "Medical registrar"):
        assert words in page
    for secret in ("@hospital.example", "we_aaaaaaaaaaaaaaaa", "outreach-day@"):
        assert secret not in page


# --- in a browser ----------------------------------------------------------------------------------------------------


@both_ways
async def test_a_shift_ends_and_the_next_one_begins(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await visited.go(f"/duty/{case}")
        await page.get_by_label("Login").fill("anna")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await visited.press("Log in")
        await page.wait_for_url(f"**/duty/{case}")
        await visited.look("a call")
        await visited.press(f"I am on my way to case {case}")
        await expect(page.get_by_text("Anna is on the way")).to_be_visible()
        await visited.look("an answered call")
        await visited.press(f"Claim case {case}")
        await page.wait_for_url(f"**/cases/{case}")
        await visited.go("/duty/handover")
        await visited.look("handing over")
        await _hand_over(visited, case)
        await visited.go("/duty/handover/print")
        await visited.look("handover sheet")
        await visited.go("/duty/rota")
        await visited.look("rota")
        await page.context.clear_cookies()
        await log_in(visited, "ben")
        await visited.go("/duty")
        await visited.look("on duty")
        await expect(page.locator(f"#call-{case}")).to_contain_text("Handed to you by Anna")
        await visited.press("I have taken over")
        await expect(page.get_by_text("The calls you saw are acknowledged")).to_be_visible()
        await visited.look("taken over")


async def _hand_over(visited: Visit, case: CaseId) -> None:
    page = visited.page
    for box in await page.get_by_role("checkbox").all():
        await box.set_checked(await box.get_attribute("value") == case)
    await page.get_by_label(f"Note for whoever takes it next, case {case}").fill("x" * 2_001)
    await visited.press("Hand over")
    await expect(page.get_by_role("alert")).to_contain_text("Use 2,000 characters or fewer")
    await visited.look("handing over, with mistakes")
    await page.get_by_label(f"Note for whoever takes it next, case {case}").fill("Bloods are on their way.")
    await page.get_by_label("Who takes over").select_option("ben")
    await visited.press("Hand over")
    await expect(page.get_by_text("The cases are back with the duty group")).to_be_visible()
    await visited.look("handed over")
