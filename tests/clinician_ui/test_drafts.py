"""What is typed is kept for its writer alone, sealed, until it is sent, given back or a shift is over; no password ever is."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError, VerificationError
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.store.drafts import find_draft, keep_draft
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.review import LEASE, drafts
from arbiter.workflow.review.drafts import KEPT, LIMIT_BYTES, DraftStep
from clinician_ui.routes.drafts import SCRIPT_HEADER
from tests.clinician_ui.conftest import Browser, Ward
from tests.clinician_ui.visits import Visit, address, chromium, log_in, visit
from tests.houses import PASSWORD

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

NOTE = "pale, and afraid of the night"
TYPED: dict[str, str | tuple[str, ...]] = {
    "step": "opinion",
    "option": "urgent-review",
    "confidence": "65",
    "rests_on": ("spo2", "heart_rate"),
    "note": NOTE,
}


async def saved(browser: Browser, case: CaseId, **changes: str | tuple[str, ...]) -> int:
    return (await browser.send(f"/cases/{case}/draft", **(TYPED | changes))).status_code


def rows(database: Database, case: CaseId) -> list[tuple[str, bytes]]:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        found = connection.execute("SELECT step, sealed FROM draft WHERE case_id = %s", (case,)).fetchall()
    return [(step, bytes(sealed)) for step, sealed in found]


def shows(page: str) -> bool:
    parts = ('value="urgent-review" checked', 'value="65"', 'value="spo2" checked', NOTE, "your draft of")
    return all(part in page for part in parts)


# --- kept --------------------------------------------------------------------------------------------------------


async def test_what_was_typed_is_there_again_in_another_session(
    ward: Ward, module_database: Database
) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    assert await saved(browser, case) == 303
    again = await ward.logged_in()
    assert shows((await again.get(f"/cases/{case}")).text)
    ((step, sealed),) = rows(module_database, case)
    assert step == "opinion"
    assert NOTE.encode() not in sealed


async def test_it_is_there_after_the_lease_ran_out_and_the_case_was_claimed_again(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await saved(browser, case)
    ward.clock.advance(LEASE + timedelta(seconds=1))
    assert await saved(browser, case) == 409
    await expire_due(ward.house)
    again = await ward.claimed(case)
    assert shows((await again.get(f"/cases/{case}")).text)


async def test_the_newest_is_kept_and_a_form_with_mistakes_shows_what_was_sent(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await saved(browser, case)
    await saved(browser, case, note="second thoughts")
    page = (await browser.get(f"/cases/{case}")).text
    assert "second thoughts" in page
    assert NOTE not in page
    wrong = await browser.opinion(case, confidence="all", note="third")
    assert wrong.status_code == 422
    assert "third" in wrong.text
    assert "second thoughts" not in wrong.text


async def test_a_script_is_told_in_words_and_a_button_is_led_back(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    fields = TYPED | {"csrf_token": browser.token}
    told = await browser.send_raw(f"/cases/{case}/draft", fields, **{SCRIPT_HEADER: "1"})
    assert told.status_code == 200
    assert re.fullmatch(r"Draft saved at [0-9]{2}:[0-9]{2}", told.json()["said"])
    assert told.headers["cache-control"] == "no-store"
    led = await browser.send_raw(f"/cases/{case}/draft", fields)
    assert led.headers["location"] == f"/cases/{case}"
    assert (await browser.get(f"/cases/{case}/draft")).headers["location"] == f"/cases/{case}"


async def test_the_form_that_signs_keeps_its_reason_and_no_password(
    ward: Ward, module_database: Database
) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    await browser.get(f"/cases/{case}")
    sent = {"step": "sign", "option": "urgent-review", "reason": "the dissent", "password": PASSWORD}
    assert (await browser.send(f"/cases/{case}/draft", **sent)).status_code == 303
    found = await drafts.kept(ward.house, ward.people["anna"], case, DraftStep.SIGN)
    assert found is not None
    assert dict(found.fields) == {"option": ("urgent-review",), "reason": ("the dissent",)}
    page = (await browser.get(f"/cases/{case}")).text
    assert "the dissent" in page
    assert PASSWORD not in page
    assert (await browser.sign(case)).status_code == 303
    assert rows(module_database, case) == []


# --- gone --------------------------------------------------------------------------------------------------------


async def test_it_is_gone_once_the_opinion_is_locked(ward: Ward, module_database: Database) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await saved(browser, case)
    assert (await browser.opinion(case)).status_code == 303
    assert rows(module_database, case) == []
    assert await saved(browser, case) == 409


async def test_it_is_gone_once_the_case_is_handed_back(ward: Ward, module_database: Database) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await saved(browser, case)
    await browser.send(f"/cases/{case}/hand-back")
    assert rows(module_database, case) == []
    assert not shows((await (await ward.claimed(case)).get(f"/cases/{case}")).text)


async def test_it_is_gone_once_an_opinion_was_given_for_an_audit(
    ward: Ward, module_database: Database
) -> None:
    case = await ward.drawn()
    browser = await ward.claimed(case)
    assert await saved(browser, case) == 303
    assert shows((await browser.get(f"/cases/{case}")).text)
    assert (await browser.opinion(case)).headers["location"] == f"/cases/{case}/read"
    assert rows(module_database, case) == []


async def test_when_a_shift_is_over_it_is_shown_no_more_and_swept_by_the_next(
    ward: Ward, module_database: Database
) -> None:
    house, anna = ward.house, ward.people["anna"]
    case, other = await ward.case(), await ward.case()
    browser = await ward.claimed(case)
    await saved(browser, case)
    ward.clock.advance(KEPT)
    await expire_due(house)
    assert not shows((await (await ward.claimed(case)).get(f"/cases/{case}")).text)
    assert await find_draft(house.store, case, anna.id, "opinion", house.clock.now()) is None
    assert len(rows(module_database, case)) == 1
    await saved(await ward.claimed(other), other)
    assert rows(module_database, case) == []


# --- attacks -----------------------------------------------------------------------------------------------------


async def test_nobody_else_reads_or_overwrites_it(ward: Ward, module_database: Database) -> None:
    case = await ward.case()
    await saved(await ward.claimed(case), case)
    before = rows(module_database, case)
    ben = await ward.logged_in("ben")
    await ben.get("/worklist")
    assert await saved(ben, case, note="mine now") == 409
    assert NOTE not in (await ben.get(f"/cases/{case}")).text
    assert rows(module_database, case) == before
    for step in DraftStep:
        with pytest.raises(ConflictError):
            await drafts.kept(ward.house, ward.people["ben"], case, step)


async def test_whoever_claims_the_case_next_sees_nothing_of_it(ward: Ward) -> None:
    case = await ward.case()
    await saved(await ward.claimed(case), case)
    ward.clock.advance(LEASE + timedelta(seconds=1))
    await expire_due(ward.house)
    ben = await ward.claimed(case, "ben")
    page = (await ben.get(f"/cases/{case}")).text
    assert NOTE not in page
    assert "your draft of" not in page


async def test_one_moved_to_another_reviewer_or_case_does_not_open(ward: Ward) -> None:
    house, anna, ben = ward.house, ward.people["anna"], ward.people["ben"]
    case, other = await ward.case(), await ward.case()
    await saved(await ward.claimed(case), case)
    await ward.claimed(other, "ben")
    now = house.clock.now()
    stolen = await find_draft(house.store, case, anna.id, "opinion", now)
    assert stolen is not None
    await keep_draft(house.store, other, ben.id, "opinion", stolen.sealed, now, now + KEPT)
    with pytest.raises(VerificationError, match="does not open"):
        await drafts.kept(house, ben, other, DraftStep.OPINION)


async def test_without_a_session_nothing_is_kept_and_the_log_in_leads_back_to_the_case(
    ward: Ward, module_database: Database
) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    fields = TYPED | {"csrf_token": browser.token}
    stranger = ward.browser()
    answer = await stranger.send_raw(f"/cases/{case}/draft", fields)
    assert answer.headers["location"] == f"/login?next=/cases/{case}"
    assert (await stranger.send_raw(f"/cases/{case}/opinion", fields)).headers[
        "location"
    ] == f"/login?next=/cases/{case}"
    assert rows(module_database, case) == []


@pytest.mark.parametrize("token", ["", "x" * 43])
async def test_without_the_sessions_own_token_nothing_is_kept(
    ward: Ward, module_database: Database, token: str
) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    answer = await browser.send_raw(f"/cases/{case}/draft", TYPED | {"csrf_token": token})
    assert answer.status_code == 403
    other_site = await browser.send_raw(
        f"/cases/{case}/draft", TYPED | {"csrf_token": browser.token}, sec_fetch_site="cross-site"
    )
    assert other_site.status_code == 403
    assert rows(module_database, case) == []


@pytest.mark.parametrize("step", ["", "reveal", "sign", "OPINION"])
async def test_a_form_that_is_not_there_keeps_nothing(
    ward: Ward, module_database: Database, step: str
) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    assert await saved(browser, case, step=step) in {400, 409}
    assert rows(module_database, case) == []


async def test_of_another_sites_case_it_is_not_even_said_that_it_is_there(ward: Ward) -> None:
    case = await ward.case()
    await add_site(ward.house.identities, "south", "South Hospital")
    carla = await ward.person("carla", site="south")
    browser = await ward.logged_in("carla")
    await browser.get("/worklist")
    assert await saved(browser, case) == 404
    with pytest.raises(NotFoundError):
        await drafts.keep(ward.house, carla, case, DraftStep.OPINION, {})


async def test_who_may_not_review_keeps_nothing(ward: Ward) -> None:
    case = await ward.case()
    officer = await ward.person("olga", role=Role.RECORDS_OFFICER)
    for doing in (
        drafts.keep(ward.house, officer, case, DraftStep.OPINION, {}),
        drafts.kept(ward.house, officer, case, DraftStep.OPINION),
    ):
        with pytest.raises(ForbiddenError):
            await doing


async def test_what_is_too_long_is_refused_and_fields_that_no_form_has_are_dropped(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    anna = ward.people["anna"]
    with pytest.raises(RefusedError, match="too long"):
        await drafts.keep(ward.house, anna, case, DraftStep.OPINION, {"note": ("x" * LIMIT_BYTES,)})
    assert await saved(browser, case, note="x" * 60_000, star_sign="lion", password=PASSWORD) == 303
    found = await drafts.kept(ward.house, anna, case, DraftStep.OPINION)
    assert found is not None
    assert set(found.fields) == {"option", "confidence", "rests_on", "note"}
    assert len(found.fields["note"][0]) == 4_000


async def test_hostile_text_comes_back_as_text(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    hostile = "</textarea><script>alert(1)</script>"
    await saved(browser, case, note=hostile, option='"><b>', confidence='"><i>')
    page = (await browser.get(f"/cases/{case}")).text
    assert "<script>alert" not in page
    assert '"><b>' not in page
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page


# --- in a browser ------------------------------------------------------------------------------------------------


async def fill_in(visited: Visit) -> None:
    page = visited.page
    await page.get_by_label("Continue monitoring as planned").check()
    await page.get_by_label("How sure are you?").fill("55")
    await page.get_by_label("Heart rate: ").check()
    await page.get_by_label("Note (optional)").fill(NOTE)


async def is_filled_in(visited: Visit) -> None:
    page = visited.page
    await expect(page.get_by_label("Continue monitoring as planned")).to_be_checked()
    await expect(page.get_by_label("How sure are you?")).to_have_value("55")
    await expect(page.get_by_label("Heart rate: ")).to_be_checked()
    await expect(page.get_by_label("Note (optional)")).to_have_value(NOTE)


async def test_with_javascript_what_is_typed_is_kept_by_itself_and_the_browser_keeps_nothing(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case()
    async with visit(chromium, address) as visited:
        await log_in(visited)
        await visited.press(f"Claim case {case}")
        await fill_in(visited)
        await expect(visited.page.locator("[data-draft-status]")).to_contain_text("Draft saved at")
        await visited.look("a form whose draft is kept")
        stores = "[localStorage.length, sessionStorage.length, document.cookie]"
        assert await visited.page.evaluate(stores) == [0, 0, ""]
    async with visit(chromium, address) as elsewhere:
        await log_in(elsewhere)
        await elsewhere.go(f"/cases/{case}")
        await is_filled_in(elsewhere)
        await elsewhere.look("a draft shown again")


async def test_a_lost_connection_is_told_and_what_was_typed_is_kept_once_it_is_back(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case()
    async with visit(chromium, address) as visited:
        await log_in(visited)
        await visited.press(f"Claim case {case}")
        page = visited.page
        await page.wait_for_url(f"**/cases/{case}")
        await page.context.set_offline(True)
        await fill_in(visited)
        await expect(page.get_by_role("status")).to_contain_text("there is no connection")
        await page.context.set_offline(False)
        await expect(page.get_by_role("status")).to_contain_text("Draft saved at", timeout=10_000)
        await page.reload()
        await is_filled_in(visited)
        visited.complaints[:] = [each for each in visited.complaints if "INTERNET_DISCONNECTED" not in each]


async def test_a_session_that_ended_is_told_and_after_a_log_in_the_draft_is_there(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case()
    async with visit(chromium, address) as visited:
        await log_in(visited)
        await visited.press(f"Claim case {case}")
        await fill_in(visited)
        page = visited.page
        await expect(page.get_by_role("status")).to_contain_text("Draft saved at")
        await page.context.clear_cookies()
        await page.get_by_label("How sure are you?").fill("56")
        await expect(page.get_by_role("status")).to_contain_text("log in again")
        await visited.press("Lock my opinion")
        await page.get_by_label("Login").fill("anna")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await visited.press("Log in")
        await page.wait_for_url(f"**/cases/{case}")
        await is_filled_in(visited)


async def test_without_javascript_a_button_keeps_it(ward: Ward, address: str, chromium: Chromium) -> None:
    case = await ward.case()
    async with visit(chromium, address, scripted=False) as visited:
        await log_in(visited)
        await visited.press(f"Claim case {case}")
        await fill_in(visited)
        await visited.press("Save and go on later")
        await is_filled_in(visited)
        await visited.press("Log out")
        await log_in(visited)
        await visited.go(f"/cases/{case}")
        await is_filled_in(visited)
        await visited.look("a draft shown again, without JavaScript")
