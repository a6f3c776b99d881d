"""One reviewer, one case, two tabs: the first opinion and the first signature stand, and no tab shows more than the case allows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactStatus
from arbiter.protocols.intake import RawFact
from arbiter.workflow.amending import amend
from tests.chromium import ARGUMENTS, CHROMIUM, WIDE
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward, phase
from tests.clinician_ui.steps import (
    CONTINUE,
    URGENT,
    claims,
    decides,
    enters_login_and_password,
    finds_it_locked,
    finds_it_signed,
    goes_as_far_as_the_panel,
    has_the_panel_shown,
    locks_the_opinion,
    sees_nothing_of_the_panel,
    sees_the_panel,
    signs,
    times,
    types_an_opinion,
)
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, log_in, visit
from tests.houses import settle

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SIGNED_BEFORE = "You had signed this case already; that signature stands."


async def second_tab(visited: Visit, case: CaseId) -> Visit:
    """Open the case once more, in the same browser."""
    tab = Visit(await visited.page.context.new_page(), visited.address, visited.scripted)
    await tab.go(f"/cases/{case}")
    return tab


async def the_facts_are_amended(ward: Ward, case: CaseId) -> None:
    fresh = RawFact(Decimal(26), "/min", ward.clock.now(), FactStatus.FINAL.value, "test")
    await amend(ward.house, ward.client, case, {"respiratory_rate": fresh})
    await settle(ward.house)


async def is_told_that_the_first_opinion_stands(tab: Visit) -> None:
    said = tab.page.get_by_text("Your opinion was locked already; it is unchanged.")
    await expect(said).to_be_visible()
    await expect(tab.page.get_by_text("What you have just sent differs from it")).to_be_visible()


@both_ways
async def test_another_opinion_from_the_other_tab_is_dropped_and_said_to_be(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: two tabs with another opinion in each
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as first:
        await log_in(first)
        await claims(first, case)
        second = await second_tab(first, case)
        await types_an_opinion(first, CONTINUE, "70")
        await types_an_opinion(second, URGENT, "95")
        # when: both are locked, one after the other
        await locks_the_opinion(first)
        await finds_it_locked(first)
        await locks_the_opinion(second)
        # then
        await is_told_that_the_first_opinion_stands(second)
        await second.look("another opinion was dropped")
        assert await times(ward, case, "review.committed") == 1
        # and: beside the panel stands the first
        await has_the_panel_shown(second)
        own = second.page.get_by_role("region", name="Your opinion, before the panel")
        await expect(own).to_contain_text(CONTINUE)
        await expect(own).to_contain_text("70% sure")


@both_ways
async def test_signed_in_both_tabs_it_is_signed_once_and_both_lead_to_what_was_signed(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: the form that signs in two tabs, with another decision in each
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as first:
        await log_in(first)
        await goes_as_far_as_the_panel(first, case)
        second = await second_tab(first, case)
        await decides(first, URGENT, "The dissent convinces me.")
        await decides(second, CONTINUE)
        # when
        await signs(first)
        await finds_it_signed(first, case, URGENT)
        await signs(second)
        # then: the second tab shows the first decision, not its own, and says why
        await finds_it_signed(second, case, URGENT)
        await expect(second.page.get_by_text(SIGNED_BEFORE)).to_be_visible()
        await expect(first.page.get_by_text(SIGNED_BEFORE)).to_have_count(0)
        told = [await tab.page.locator(".nhsuk-summary-list").inner_text() for tab in (first, second)]
        assert told[0] == told[1]
        assert await times(ward, case, "decision.signed") == 1
        await second.look("signed before, in another tab")


@both_ways
async def test_a_step_back_in_one_tab_shows_no_more_than_the_case_allows(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: one tab on the blind case, the panel shown in the other
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as first:
        await log_in(first)
        await claims(first, case)
        second = await second_tab(first, case)
        await sees_nothing_of_the_panel(second)
        await types_an_opinion(first)
        await locks_the_opinion(first)
        await finds_it_locked(first)
        await sees_nothing_of_the_panel(first)
        await has_the_panel_shown(first)
        # when: the facts are amended, so that everybody judges anew, and she claims the case again
        await the_facts_are_amended(ward, case)
        await claims(second, case)
        # then: neither a step back nor a reload shows the panel that was
        await first.go("/worklist")
        await first.page.go_back()
        await sees_nothing_of_the_panel(first)
        await first.page.reload()
        await sees_nothing_of_the_panel(first)
        await expect(first.page.get_by_role("heading", name="Your opinion", exact=True)).to_be_visible()
        # and: once she has judged anew in the other tab, a reload leads on
        await types_an_opinion(second)
        await locks_the_opinion(second)
        await has_the_panel_shown(second)
        await first.page.reload()
        await sees_the_panel(first)


# --- what the browser keeps --------------------------------------------------------------------------------------


@asynccontextmanager
async def a_browser_that_remembers(chromium: Chromium, address: str) -> AsyncIterator[Visit]:
    """Keep left pages alive, as browsers on wards do and a test's does not unless it is asked to."""
    alive = await chromium.browser_type.launch(
        executable_path=str(CHROMIUM),
        args=list(ARGUMENTS),
        ignore_default_args=["--disable-back-forward-cache"],
    )
    try:
        yield Visit(await (await alive.new_context(viewport=WIDE)).new_page(), address, scripted=True)
    finally:
        await alive.close()


async def test_after_a_log_out_a_step_back_shows_the_next_person_nothing(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case(SPLIT)
    await ward.person("bela")
    async with a_browser_that_remembers(chromium, address) as anna:
        page = anna.page
        await log_in(anna)
        await goes_as_far_as_the_panel(anna, case)
        # when: she logs out, and somebody steps back at the same computer
        await anna.press("Log out")
        await page.wait_for_url("**/login")
        await page.go_back(wait_until="commit")
        # then: the log-in stands there, and whoever logs in sees no more
        await page.wait_for_url("**/login?next=**")
        await sees_nothing_of_the_panel(anna)
        await expect(page.get_by_text(SUBJECT)).to_have_count(0)
        await enters_login_and_password(anna, "bela")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Someone else holds this case")
        await sees_nothing_of_the_panel(anna)
        assert await phase(ward, case) is Phase.REVEALED


async def test_a_page_that_the_browser_remembers_is_asked_for_anew_before_it_is_seen(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case(SPLIT)
    async with a_browser_that_remembers(chromium, address) as anna:
        # given: the panel, left for another page; then the facts change, and she judges anew in another tab
        await log_in(anna)
        await goes_as_far_as_the_panel(anna, case)
        await anna.go(f"/cases/{case}")
        await anna.page.evaluate("window.remembered = document.documentElement")
        await anna.go("/account")
        await the_facts_are_amended(ward, case)
        second = await second_tab(anna, case)
        await claims(second, case)
        # when
        await anna.page.go_back(wait_until="commit")
        # then
        await expect(anna.page.get_by_role("heading", name="Your opinion", exact=True)).to_be_visible()
        await sees_nothing_of_the_panel(anna)
        assert await anna.page.evaluate("window.remembered") is None
