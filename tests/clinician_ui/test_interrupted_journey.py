"""What breaks off in the middle: the line while somebody signs, and the session while somebody writes. Nothing is done twice or lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Route, expect

from arbiter.identity.sessions import IDLE
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.deadlines import expire_due
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward, phase
from tests.clinician_ui.steps import (
    CONTINUE,
    URGENT,
    claims,
    decides,
    draft_is_saved,
    enters_login_and_password,
    finds_it_locked,
    finds_it_signed,
    finds_the_opinion_as_typed,
    forgives,
    goes_as_far_as_the_panel,
    locks_the_opinion,
    sees_nothing_of_the_panel,
    signs,
    times,
    types_an_opinion,
)
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

REASON = "The dissent & the trend convince me."
NOTE = "Pale, and afraid of the night."


# --- the line is lost ----------------------------------------------------------------------------------------------


async def the_line_breaks(visited: Visit, case: CaseId, *, after_it_arrived: bool) -> None:
    """Let the next signature reach the server, or not; no answer to it ever comes back."""

    async def lose(route: Route) -> None:
        if after_it_arrived:
            await route.fetch(max_redirects=0)
        await route.abort("connectionreset")

    await visited.page.route(f"**/cases/{case}/sign", lose)


async def the_line_is_back(visited: Visit, case: CaseId) -> None:
    await visited.page.wait_for_url("chrome-error://**")
    await visited.page.unroute(f"**/cases/{case}/sign")
    await visited.page.context.set_offline(False)
    forgives(visited, "ERR_", "chrome-error")


async def is_at_the_form_that_signs_with_what_was_typed(visited: Visit) -> None:
    page = visited.page
    await expect(page.get_by_text("This is your draft of")).to_be_visible()
    await expect(page.get_by_role("radio", name=URGENT)).to_be_checked()
    await expect(page.get_by_label("Reason", exact=True)).to_have_value(REASON)
    await expect(page.get_by_label("Your password, once more")).to_have_value("")


@both_ways
async def test_a_line_lost_before_the_signature_arrives_signs_nothing_and_keeps_what_was_typed(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as anna:
        # given: a decision with its reason, saved as a draft on the way
        await log_in(anna)
        await goes_as_far_as_the_panel(anna, case)
        await decides(anna, URGENT, REASON)
        await draft_is_saved(anna)
        # when
        await the_line_breaks(anna, case, after_it_arrived=False)
        await signs(anna)
        await the_line_is_back(anna, case)
        # then
        assert await phase(ward, case) is Phase.REVEALED
        await anna.go(f"/cases/{case}")
        await is_at_the_form_that_signs_with_what_was_typed(anna)
        await anna.look("the form that signs, with a draft")
        # and: signing it again signs it
        await signs(anna)
        await finds_it_signed(anna, case)
        assert await times(ward, case, "decision.signed") == 1


@both_ways
async def test_a_line_lost_before_the_answer_comes_leaves_it_signed_once_and_shows_that_it_is(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as anna:
        # given
        await log_in(anna)
        await goes_as_far_as_the_panel(anna, case)
        await decides(anna, URGENT, REASON)
        # when: the server has signed, and nobody hears of it
        await the_line_breaks(anna, case, after_it_arrived=True)
        await signs(anna)
        await the_line_is_back(anna, case)
        # then: one step back, or the case's own address, leads to what was signed
        await anna.page.go_back()
        await finds_it_signed(anna, case)
        await anna.go(f"/cases/{case}")
        await finds_it_signed(anna, case)
        # and: so does the list of one's own decisions, and it was signed once
        await anna.go("/mine")
        await expect(anna.page.locator(f'a[href="/cases/{case}/done"]')).to_be_visible()
        assert await times(ward, case, "decision.signed") == 1


async def test_without_any_connection_a_typed_reason_waits_until_there_is_one(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address) as anna:
        # given: the ward's network is gone while the reason is typed
        await log_in(anna)
        await goes_as_far_as_the_panel(anna, case)
        await anna.page.context.set_offline(True)
        await decides(anna, URGENT, REASON)
        status = anna.page.locator("[data-draft-status]")
        await expect(status).to_contain_text("there is no connection")
        await anna.look("a reason that is not saved yet")
        # when: it comes back, and before she signs the network goes once more
        await anna.page.context.set_offline(False)
        await expect(status).to_contain_text("Draft saved at", timeout=10_000)
        await anna.page.context.set_offline(True)
        await signs(anna)
        await the_line_is_back(anna, case)
        # then
        assert await phase(ward, case) is Phase.REVEALED
        await anna.go(f"/cases/{case}")
        await is_at_the_form_that_signs_with_what_was_typed(anna)


# --- the session ends ----------------------------------------------------------------------------------------------


async def the_session_is_gone(visited: Visit) -> None:
    await visited.page.context.clear_cookies()


async def the_session_expires_and_with_it_the_lease(ward: Ward) -> None:
    ward.clock.advance(IDLE + timedelta(seconds=1))
    await expire_due(ward.house)


async def is_led_to_the_log_in(visited: Visit, case: CaseId) -> None:
    await visited.page.wait_for_url(f"**/login?next=/cases/{case}")
    await expect(visited.page.get_by_role("heading", level=1)).to_have_text("Log in")
    await expect(visited.page.get_by_text(SUBJECT)).to_have_count(0)
    await sees_nothing_of_the_panel(visited)


@both_ways
async def test_an_opinion_half_typed_when_the_session_is_gone_is_there_after_the_log_in(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as anna:
        # given
        await log_in(anna)
        await claims(anna, case)
        await types_an_opinion(anna, CONTINUE, "55", NOTE)
        await draft_is_saved(anna)
        # when
        await the_session_is_gone(anna)
        await locks_the_opinion(anna)
        # then
        await is_led_to_the_log_in(anna, case)
        assert await times(ward, case, "review.committed") == 0
        await enters_login_and_password(anna)
        await anna.page.wait_for_url(f"**/cases/{case}")
        await finds_the_opinion_as_typed(anna, CONTINUE, "55", NOTE)
        await anna.look("an opinion's draft after a log-in")
        await locks_the_opinion(anna)
        await finds_it_locked(anna)


@both_ways
async def test_a_session_that_expires_takes_the_lease_along_and_the_draft_waits_for_its_writer(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as anna:
        # given
        await log_in(anna)
        await claims(anna, case)
        await types_an_opinion(anna, CONTINUE, "55", NOTE)
        await draft_is_saved(anna)
        # when: she is called away for half an hour
        await the_session_expires_and_with_it_the_lease(ward)
        await locks_the_opinion(anna)
        # then: the log-in says why, and leads to the case, which waits for anybody
        await is_led_to_the_log_in(anna, case)
        await expect(anna.page.get_by_text("your session has ended")).to_be_visible()
        await anna.look("log in after a session has ended")
        await enters_login_and_password(anna)
        await expect(anna.page.get_by_role("heading", level=1)).to_contain_text("waits for a reviewer")
        await claims(anna, case)
        await finds_the_opinion_as_typed(anna, CONTINUE, "55", NOTE)


@both_ways
async def test_a_reason_typed_when_the_session_is_gone_is_there_after_the_log_in_and_nothing_is_signed(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as anna:
        # given
        await log_in(anna)
        await goes_as_far_as_the_panel(anna, case)
        await decides(anna, URGENT, REASON)
        await draft_is_saved(anna)
        # when
        await the_session_is_gone(anna)
        await signs(anna)
        # then
        await is_led_to_the_log_in(anna, case)
        assert await phase(ward, case) is Phase.REVEALED
        await enters_login_and_password(anna)
        await anna.page.wait_for_url(f"**/cases/{case}")
        await is_at_the_form_that_signs_with_what_was_typed(anna)
        await signs(anna)
        await finds_it_signed(anna, case)
