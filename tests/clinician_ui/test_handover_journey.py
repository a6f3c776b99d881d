"""A shift ends with two cases open: Anna hands them to Ben with sealed notes, which he reads only after he has judged for himself."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward, phase
from tests.clinician_ui.steps import (
    URGENT,
    claims,
    decides,
    finds_it_locked,
    finds_it_signed,
    goes_as_far_as_the_panel,
    has_the_panel_shown,
    locks_the_opinion,
    sees_nothing_of_the_panel,
    signs,
    times,
    types_an_opinion,
)
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BEGUN = "Bloods are on their way, bleep 0417."
JUDGED = "CART alone shouts, and I side with it."


async def holds_two_cases(anna: Visit, begun: CaseId, judged: CaseId) -> None:
    """One only claimed, of the other the panel is shown already."""
    await claims(anna, begun)
    await goes_as_far_as_the_panel(anna, judged)


async def prints_the_sheet_that_goes_along(anna: Visit, *cases: CaseId) -> None:
    page = anna.page
    await anna.go("/duty/handover")
    await page.get_by_role("link", name="Handover sheet for printing").click()
    held = page.get_by_role("table", name="2 cases held")
    for case in cases:
        await expect(held.get_by_role("rowheader", name=case)).to_be_visible()
    await anna.look("the sheet for two cases")
    await page.emulate_media(media="print")
    await expect(held).to_be_visible()
    await expect(page.get_by_role("link")).to_have_count(0)
    await expect(page.get_by_role("button")).to_have_count(0)
    await expect(page.get_by_text("Print this page with your browser")).to_be_hidden()
    for words in (SUBJECT, BEGUN, JUDGED):
        await expect(page.get_by_text(words)).to_have_count(0)
    await page.emulate_media(media="screen")


async def hands_them_over(anna: Visit, to: str, notes: dict[CaseId, str]) -> None:
    page = anna.page
    await anna.go("/duty/handover")
    for case, note in notes.items():
        await expect(page.get_by_role("checkbox", name=f"case {case}")).to_be_checked()
        await page.get_by_label(f"Note for whoever takes it next, case {case}").fill(note)
    await page.get_by_label("Who takes over").select_option(to)
    await anna.look("two cases to hand over")
    await anna.press("Hand over")
    await expect(page.get_by_text("The cases are back with the duty group")).to_be_visible()
    await expect(page.get_by_text("You hold no case.")).to_be_visible()


async def takes_over(ben: Visit, *cases: CaseId) -> None:
    page = ben.page
    await ben.go("/duty")
    await expect(page.get_by_role("heading", name="Handed to you")).to_be_visible()
    for case in cases:
        await expect(page.locator(f"#call-{case}")).to_contain_text("Handed to you by Anna")
    await reads_no_note(ben)
    await ben.press("I have taken over")
    await expect(page.get_by_text("The calls you saw are acknowledged")).to_be_visible()


async def reads_no_note(ben: Visit) -> None:
    page = await ben.content()
    assert [note for note in (BEGUN, JUDGED, "Handed over with a note") if note in page] == []


async def reads_the_note_beside_the_panel(ben: Visit, note: str, other: str) -> None:
    told = ben.page.get_by_role("region", name="Handed over with a note")
    await expect(told).to_contain_text(note)
    await expect(told).to_contain_text("Anna")
    await expect(ben.page.get_by_text(other)).to_have_count(0)


@both_ways
async def test_two_cases_change_hands_and_their_notes_wait_for_the_own_opinion(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    begun, judged = await ward.case(SPLIT), await ward.case(SPLIT)
    async with (
        visit(chromium, address, scripted=scripted) as anna,
        visit(chromium, address, scripted=scripted) as ben,
    ):
        # given: Anna's shift ends with two cases open
        await log_in(anna)
        await holds_two_cases(anna, begun, judged)
        # when
        await prints_the_sheet_that_goes_along(anna, begun, judged)
        await hands_them_over(anna, "ben", {begun: BEGUN, judged: JUDGED})
        # then: neither is hers any more, and Ben finds both first
        assert [await phase(ward, case) for case in (begun, judged)] == [Phase.ESCALATED] * 2
        await log_in(ben, "ben")
        await takes_over(ben, begun, judged)
        for case, note, other in ((judged, JUDGED, BEGUN), (begun, BEGUN, JUDGED)):
            # and: he judges each from the start, without the note and without what Anna thinks
            await claims(ben, case)
            await reads_no_note(ben)
            await sees_nothing_of_the_panel(ben)
            await types_an_opinion(ben, URGENT)
            await locks_the_opinion(ben)
            await finds_it_locked(ben)
            await reads_no_note(ben)
            await sees_nothing_of_the_panel(ben)
            # and: then he reads what she wrote of this case
            await has_the_panel_shown(ben)
            await reads_the_note_beside_the_panel(ben, note, other)
        await ben.look("the panel with a note")
        await decides(ben, URGENT)
        await signs(ben, "ben")
        await finds_it_signed(ben, begun)
        assert await times(ward, begun, "decision.signed") == 1
