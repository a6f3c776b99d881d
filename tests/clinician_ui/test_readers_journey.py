"""Two readers, an arbiter and a correction in a real browser, with and without JavaScript; every page checked by axe."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.model import CaseId
from tests.clinician_ui.conftest import Ward
from tests.clinician_ui.test_second_reader import people, twice_read
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, log_in, visit
from tests.houses import PASSWORD, types_of

__all__ = ["address", "chromium", "people"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def judge(visited: Visit, case: CaseId, login: str, answer: str) -> None:
    """From the list to the locked opinion."""
    page = visited.page
    await log_in(visited, login)
    await visited.go(f"/cases/{case}")
    await visited.press("Claim this case")
    lock = page.get_by_role("button", name="Lock my opinion")
    await expect(lock).to_be_visible()
    await sees_nothing_of_other_readers(visited, login)
    await page.get_by_label(answer).check()
    await page.get_by_label("How sure are you?").fill("70")
    await page.locator("#note").fill(f"{login} thinks so")
    await lock.click()
    await expect(lock).to_have_count(0)
    await sees_nothing_of_other_readers(visited, login)


async def sees_nothing_of_other_readers(visited: Visit, login: str) -> None:
    """Who read the case before, and what they think, is nowhere until the panel is shown."""
    page = await visited.content()
    others = {"anna", "ben", "clara"} - {login}
    assert [other for other in others if f"{other} thinks so" in page] == []
    assert [other for other in others if other.capitalize() in page] == []
    assert "Second reader" not in page


async def decide(visited: Visit, case: CaseId, login: str, answer: str, reason: str = "") -> None:
    page = visited.page
    await page.get_by_role("radio", name=answer).check()
    await page.locator("#reason").fill(reason)
    await page.get_by_label("Your login, once more").fill(login)
    await page.get_by_label("Your password, once more").fill(PASSWORD)
    await visited.press("Sign the decision")
    await page.wait_for_url(f"**/cases/{case}/done*")


@both_ways
async def test_two_readers_differ_an_arbiter_decides_and_corrects_it(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await twice_read(ward)
    async with visit(chromium, address, scripted=scripted) as visited:
        await judge(visited, case, "anna", "Assess further before deciding")
        await expect(visited.page.get_by_role("heading", level=1)).to_contain_text("another clinician reads")
        await visited.look("read; another reads it next")
    async with visit(chromium, address, scripted=scripted) as visited:
        await judge(visited, case, "ben", "Optimise what can be changed")
        await expect(visited.page.get_by_role("heading", level=1)).to_contain_text("another clinician reads")
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await judge(visited, case, "clara", "Assess further before deciding")
        await visited.look("locked opinion of an arbiter")
        await visited.press("Show the panel")
        await expect(page.get_by_text("Second reader: Ben")).to_be_visible()
        for form in ("Refer it to", "Set it aside", "Ask the hospital", "Declare a", "Record who"):
            await page.locator("summary", has_text=form).click()
        await visited.look("panel, readers and all forms")
        await visited.press("Record who attends")
        await expect(page.get_by_role("alert")).to_contain_text("Enter at least one login")
        await visited.look("attendance, with mistakes")
        await decide(visited, case, "clara", "Assess further before deciding")
        await visited.look("done by an arbiter")
        await page.locator("summary", has_text="Correct this decision").click()
        await page.get_by_label("What is wrong with it?").fill("Another patient's echo")
        await visited.press("Take the decision back")
        await expect(page.get_by_text("is being corrected")).to_be_visible()
        await visited.look("under correction")
        await decide(visited, case, "clara", "Reconsider the plan", "Another patient's echo")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Decision released")
        await expect(page.locator(".nhsuk-panel")).to_contain_text("Reconsider the plan")
    kinds = await types_of(ward.house, case)
    assert [kinds.count(kind) for kind in ("review.committed", "decision.signed", "decision.corrected")] == [
        3,
        2,
        1,
    ]


@both_ways
async def test_two_readers_agree_and_the_second_signs_knowing_of_the_first_only_then(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    # given: Anna has read the case
    case = await twice_read(ward)
    async with (
        visit(chromium, address, scripted=scripted) as anna,
        visit(chromium, address, scripted=scripted) as ben,
    ):
        await judge(anna, case, "anna", "Assess further before deciding")
        # when: Ben reads it without knowing what she thinks
        await judge(ben, case, "ben", "Assess further before deciding")
        # then: the panel shows him both, and they agree
        await ben.press("Show the panel")
        others = ben.page.get_by_role("region", name="Other clinicians on this case")
        await expect(others.get_by_role("heading", name="First reader: Anna")).to_be_visible()
        await expect(others).to_contain_text("anna thinks so")
        await decide(ben, case, "ben", "Assess further before deciding")
        await ben.look("signed by the second reader")
        # and: Anna, who read it, finds no panel, no form and nothing to claim
        await anna.go(f"/cases/{case}")
        await expect(anna.page.get_by_role("heading", level=1)).to_contain_text("another clinician reads")
        await expect(anna.page.get_by_role("button", name="Show the panel")).to_have_count(0)
        await anna.go("/worklist")
        await expect(anna.page.get_by_text(case)).to_have_count(0)
    assert (await types_of(ward.house, case)).count("decision.signed") == 1
