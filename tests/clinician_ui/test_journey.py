"""The pages in a real browser: one way through with and without JavaScript, every page checked by axe."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from tests.clinician_ui.conftest import SUBJECT, Facts, Ward
from tests.clinician_ui.test_downtime import no_database
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, log_in, visit
from tests.houses import PASSWORD

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SPLIT: Facts = {
    "respiratory_rate": (Decimal(24), "/min"),
    "heart_rate": (Decimal(112), "/min"),
    "age": (Decimal(80), "a"),
}


async def the_way_in(visited: Visit, case: CaseId) -> None:
    """From a link to a case over the log-in and the work list to the claim."""
    page = visited.page
    await visited.go(f"/cases/{case}")
    await visited.look("log in")
    await visited.press("Log in")
    await expect(page.get_by_role("alert")).to_contain_text("Enter your password")
    await visited.look("log in, with mistakes")
    await page.get_by_label("Login").fill("anna")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await visited.press("Log in")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("This case waits for a reviewer")
    await visited.look("a case that waits")
    await visited.go("/worklist")
    await visited.look("work list")
    await visited.press(f"Claim case {case}")


async def the_blind_part(visited: Visit) -> None:
    """From the facts to the locked opinion."""
    page = visited.page
    await expect(page.get_by_text(SUBJECT)).to_be_visible()
    await visited.look("blind case")
    await visited.press("Lock my opinion")
    await expect(page.get_by_role("alert")).to_contain_text("Select your answer")
    await visited.look("blind case, with mistakes")
    await page.get_by_role("link", name="Enter how sure you are").click()
    await expect(page.get_by_label("How sure are you?")).to_be_focused()
    await page.get_by_label("Continue monitoring as planned").check()
    await page.get_by_label("How sure are you?").fill("70")
    await page.get_by_label("Respiratory rate: 24").check()
    await page.get_by_label("Note (optional)").fill("Comfortable.\nTalks in sentences.")
    await visited.press("Hold it for longer")
    await expect(page.get_by_label("How sure are you?")).to_have_value("70")
    await expect(page.get_by_label("Continue monitoring as planned")).to_be_checked()
    await visited.press("Lock my opinion")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Your opinion is locked")
    await expect(page.get_by_text(SUBJECT)).to_be_visible()
    await visited.look("locked opinion")


async def the_decision(visited: Visit, case: CaseId) -> None:
    """From the panel to the released decision."""
    page = visited.page
    await visited.press("Show the panel")
    await expect(page.get_by_text("Why this case came to you")).to_be_visible()
    await expect(page.locator(".arbiter-member").first).to_contain_text("CART")
    for place in ("Patient", "You sign for patient"):
        group = page.locator(".arbiter-patient").filter(has=page.get_by_text(place, exact=True))
        await expect(group.get_by_text(SUBJECT)).to_be_visible()
    await visited.look("panel")
    await page.get_by_text("The certificate in plain words").click()
    await page.get_by_text("The facts of this case").click()
    await visited.look("panel, all opened")
    await page.get_by_label("Urgent review by a clinician").check()
    await page.get_by_label("Reason").fill("The dissent convinces me.")
    await page.get_by_label("Your login, once more").fill("anna")
    await page.get_by_label("Your password, once more").fill("not my password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Login or password is wrong")
    await visited.look("panel, with mistakes")
    await expect(page.get_by_label("Reason")).to_have_value("The dissent convinces me.")
    await page.get_by_label("Your login, once more").fill("anna")
    await page.get_by_label("Your password, once more").fill(PASSWORD)
    await visited.press("Sign the decision")
    await page.wait_for_url(f"**/cases/{case}/done*")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Decision released")
    await visited.look("done")
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Decision released")
    await visited.press("Log out")
    await page.wait_for_url("**/login")


@both_ways
async def test_a_reviewer_takes_a_case_from_the_list_to_its_decision(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as visited:
        await the_way_in(visited, case)
        await the_blind_part(visited)
        await the_decision(visited, case)


@both_ways
async def test_a_reviewer_reads_a_decision_from_the_list_to_the_locked_opinion_with_the_keyboard(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.drawn()
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await log_in(visited)
        await visited.look("work list with a decision to read")
        await page.get_by_role("button", name=f"Claim case {case}", exact=True).press("Enter")
        await expect(page.get_by_text("Age as of")).to_be_visible()
        await visited.look("decision to read")
        twin = Visit(await page.context.new_page(), address, scripted)
        await twin.go(f"/cases/{case}")
        await page.get_by_label("Urgent review by a clinician").press("Space")
        await page.get_by_label("Respiratory rate: 15").press("Space")
        await page.get_by_label("How sure are you?").fill("60")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/cases/{case}/read")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Your opinion is locked")
        await expect(page.get_by_text("independent check")).to_be_visible()
        await visited.look("decision that was read")

        await twin.page.get_by_label("Continue monitoring as planned").check()
        await twin.page.get_by_label("Respiratory rate: 15").check()
        await twin.page.get_by_label("How sure are you?").fill("90")
        await twin.press("Lock my opinion")
        await expect(twin.page.get_by_text("was locked already; it is unchanged")).to_be_visible()
        await twin.look("decision that was read, and another opinion")
        await page.go_back()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("This case waits for a reviewer")
        await page.get_by_role("navigation", name="Back").get_by_role("link", name="Work list").press("Enter")
        await expect(page.get_by_role("button", name=f"Claim case {case}", exact=True)).to_be_visible()


async def test_the_pages_that_say_what_went_wrong_are_fit_to_read(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    held = await ward.case()
    await ward.claimed(held, "ben")
    async with visit(chromium, address) as visited:
        await log_in(visited)
        for path, heading in (
            ("/nowhere", "Page not found"),
            (f"/cases/{held}", "Someone else holds this case"),
        ):
            await visited.go(path)
            await expect(visited.page.get_by_role("heading", level=1)).to_contain_text(heading)
            await visited.look(heading)
        visited.complaints = [text for text in visited.complaints if "status of 4" not in text]


async def test_the_list_refreshes_itself_keeps_the_focus_and_says_when_it_cannot(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    first = await ward.case()
    async with visit(chromium, address) as visited:
        page = visited.page
        await page.clock.install()
        # Without the stream of events: `test_live_list` hears that one.
        await page.route("**/worklist/events", lambda route: route.abort())
        await log_in(visited)
        button = page.get_by_role("button", name=f"Claim case {first}", exact=True)
        await button.focus()
        second = await ward.case()
        other = page.get_by_role("button", name=f"Claim case {second}", exact=True)
        await expect(other).to_have_count(0)
        await page.clock.run_for(21_000)
        await expect(other).to_be_visible()
        await expect(button).to_be_focused()

        notice = page.get_by_text("The list could not be refreshed")
        await page.route("**/worklist/list", lambda route: route.abort())
        await page.clock.run_for(21_000)
        await expect(notice).to_be_visible()
        await expect(other).to_be_visible()
        await page.unroute("**/worklist/list")
        await page.route("**/worklist/list", lambda route: route.fulfill(status=500, body="<p>broken</p>"))
        await page.clock.run_for(21_000)
        await expect(page.get_by_text("broken")).to_have_count(0)
        await page.unroute("**/worklist/list")
        await page.clock.run_for(21_000)
        await expect(notice).to_be_hidden()

        await page.context.clear_cookies()
        await page.clock.run_for(21_000)
        await page.wait_for_url("**/login")
        visited.complaints = [
            text
            for text in visited.complaints
            if "Content Security Policy" in text or "left the house" in text
        ]


async def test_the_keyboard_skips_to_the_content_and_lands_on_mistakes(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case()
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()
        await visited.press(f"Claim case {case}")
        await page.get_by_label("How sure are you?").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        assert await page.title() == "Error: Your opinion \N{EN DASH} Arbiter"


@both_ways
async def test_a_reviewer_breaks_the_glass_and_finds_the_ordinary_case(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    if "south" not in {site for site, _ in await ward.house.identities.sites()}:
        await add_site(ward.house.identities, "south", "South Hospital")
        await ward.person("dora", site="south", also=frozenset({Role.EMERGENCY_ACCESS}))
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await log_in(visited, "dora")
        await page.get_by_role("link", name="Open another site").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Break the glass")
        await visited.look("glass")
        await visited.press("Break the glass")
        await expect(page.get_by_role("alert")).to_contain_text("Enter the id of the case")
        await visited.look("glass, with mistakes")
        await page.get_by_label("Case id").fill("c_nobody")
        await page.get_by_label("Why you must open it").fill("Brought to us unconscious.")
        await visited.press("Break the glass")
        await expect(page.get_by_role("alert")).to_contain_text("There is no case with this id")
        await expect(page.get_by_label("Why you must open it")).to_have_value("Brought to us unconscious.")
        await page.get_by_label("Case id").fill(case)
        await visited.press("Break the glass")
        await page.wait_for_url(f"**/cases/{case}")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("This case waits for a reviewer")
        await visited.press("Claim this case")
        await the_blind_part(visited)
        await visited.press("Show the panel")
        await expect(page.get_by_text("Why this case came to you")).to_be_visible()


async def test_a_lost_database_is_a_page_fit_to_read(
    ward: Ward,
    address: str,
    chromium: Chromium,
    server: EmbeddedPostgres,
    module_database: Database,
) -> None:
    async with visit(chromium, address) as visited:
        await log_in(visited)
        async with no_database(ward, server, module_database):
            await visited.go("/worklist")
            await expect(visited.page.get_by_role("heading", level=1)).to_have_text(
                "Arbiter cannot be used just now"
            )
            await visited.look("downtime")
        visited.complaints = [text for text in visited.complaints if "status of 503" not in text]
