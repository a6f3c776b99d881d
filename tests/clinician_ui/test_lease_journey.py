"""A reviewer's time with a case runs out: what they send then is not recorded, is not lost to them, and a colleague goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.review import LEASE
from tests.clinician_ui.conftest import SPLIT, Ward, phase
from tests.clinician_ui.steps import (
    CONTINUE,
    URGENT,
    claims,
    decides,
    draft_is_saved,
    finds_it_locked,
    finds_it_signed,
    finds_the_opinion_as_typed,
    forgives,
    goes_as_far_as_the_panel,
    goes_back_to_the_list,
    has_the_panel_shown,
    is_told_that_the_case_is_not_theirs,
    locks_the_opinion,
    signs,
    times,
    types_an_opinion,
)
from tests.clinician_ui.visits import address, both_ways, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

NOTE = "Comfortable, <b>talks</b> in sentences."


async def the_lease_runs_out(ward: Ward) -> None:
    ward.clock.advance(LEASE + timedelta(seconds=1))
    await expire_due(ward.house)


async def ben_has_taken(ward: Ward, case: CaseId) -> None:
    await ward.claimed(case, "ben")


@both_ways
async def test_an_opinion_sent_after_a_colleague_took_the_case_is_refused_and_its_words_are_shown(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: Anna has typed her opinion, her lease ran out, and Ben holds the case now
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as anna:
        await log_in(anna)
        await claims(anna, case)
        await types_an_opinion(anna, CONTINUE, "70", NOTE)
        await the_lease_runs_out(ward)
        await ben_has_taken(ward, case)
        # when
        await locks_the_opinion(anna)
        # then: nothing is recorded, she is told so, and what she wrote is there to be copied
        await is_told_that_the_case_is_not_theirs(anna)
        assert await times(ward, case, "review.committed") == 0
        await expect(anna.page.get_by_role("heading", name="What you had written")).to_be_visible()
        await expect(anna.page.get_by_text(NOTE)).to_be_visible()
        await anna.look("a case that a colleague has taken")
        await goes_back_to_the_list(anna)
        await expect(anna.page.get_by_text(case)).to_have_count(0)
        forgives(anna, "status of 409")


@both_ways
async def test_a_draft_of_before_the_lease_ran_out_is_there_when_the_case_is_hers_again(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: a draft is kept, the lease ran out, Ben took the case and handed it back
    case = await ward.case()
    async with visit(chromium, address, scripted=scripted) as anna:
        await log_in(anna)
        await claims(anna, case)
        await types_an_opinion(anna, CONTINUE, "55", NOTE)
        await draft_is_saved(anna)
        await the_lease_runs_out(ward)
        ben = await ward.claimed(case, "ben")
        assert NOTE not in (await ben.get(f"/cases/{case}")).text
        await ben.send(f"/cases/{case}/hand-back")
        # when
        await claims(anna, case)
        # then
        await finds_the_opinion_as_typed(anna, CONTINUE, "55", NOTE)
        await locks_the_opinion(anna)
        await finds_it_locked(anna)


@both_ways
async def test_a_signature_sent_after_the_lease_ran_out_signs_nothing_and_ben_decides(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: Anna has seen the panel, her lease ran out
    case = await ward.case(SPLIT)
    async with (
        visit(chromium, address, scripted=scripted) as anna,
        visit(chromium, address, scripted=scripted) as ben,
    ):
        await log_in(anna)
        await goes_as_far_as_the_panel(anna, case)
        await decides(anna, URGENT, NOTE)
        await the_lease_runs_out(ward)
        # when
        await signs(anna)
        # then: it waits for anybody again, unsigned
        await is_told_that_the_case_is_not_theirs(anna)
        await expect(anna.page.get_by_text(NOTE)).to_be_visible()
        assert await phase(ward, case) is Phase.ESCALATED
        # and: Ben takes it from the start, and his signature is the only one
        await log_in(ben, "ben")
        await claims(ben, case)
        await types_an_opinion(ben, URGENT)
        await locks_the_opinion(ben)
        await has_the_panel_shown(ben)
        await decides(ben, URGENT)
        await signs(ben, "ben")
        await finds_it_signed(ben, case)
        assert await times(ward, case, "decision.signed") == 1
        # and: Anna, with her old page, is told that it is over
        await anna.page.go_back()
        await is_told_that_the_case_is_not_theirs(anna)
        await goes_back_to_the_list(anna)
        forgives(anna, "status of 409")


@both_ways
async def test_whoever_holds_it_for_longer_keeps_it_past_the_first_lease(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: Anna asked for longer when ten of her fifteen minutes were over
    case = await ward.case(SPLIT)
    async with visit(chromium, address, scripted=scripted) as anna:
        await log_in(anna)
        await claims(anna, case)
        await types_an_opinion(anna, CONTINUE, "70", NOTE)
        ward.clock.advance(timedelta(minutes=10))
        await anna.press("Hold it for longer")
        # when: the first lease would be over
        ward.clock.advance(timedelta(minutes=10))
        await expire_due(ward.house)
        # then: nobody else gets it, and what she typed is still there to be locked
        ben = await ward.logged_in("ben")
        await ben.get("/worklist")
        assert (await ben.send(f"/worklist/{case}/claim")).status_code == 409
        await finds_the_opinion_as_typed(anna, CONTINUE, "70", NOTE)
        await locks_the_opinion(anna)
        await finds_it_locked(anna)
        # and: so it is while she decides
        await has_the_panel_shown(anna)
        await decides(anna, URGENT, "The dissent.")
        ward.clock.advance(timedelta(minutes=3))
        await anna.press("Hold it for longer")
        ward.clock.advance(timedelta(minutes=10))
        await expire_due(ward.house)
        await expect(anna.page.get_by_label("Reason", exact=True)).to_have_value("The dissent.")
        await signs(anna)
        await finds_it_signed(anna, case)
