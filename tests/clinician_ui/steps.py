"""What people do on the pages, step by step: the words that the journeys are told in."""

from __future__ import annotations

from typing import Final

from playwright.async_api import expect

from arbiter.model import CaseId
from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.visits import Visit
from tests.houses import PASSWORD, types_of

URGENT: Final = "Urgent review by a clinician"
CONTINUE: Final = "Continue monitoring as planned"
# What a page says only once the panel is shown.
OF_THE_PANEL: Final = ("Why this case came to you", "The panel leant to", "CART")


async def enters_login_and_password(visited: Visit, login: str = "anna") -> None:
    await visited.page.get_by_label("Login", exact=True).fill(login)
    await visited.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await visited.press("Log in")


async def claims(visited: Visit, case: CaseId) -> None:
    await visited.go(f"/cases/{case}")
    await visited.press("Claim this case")
    await expect(visited.page.get_by_role("heading", name="Your opinion", exact=True)).to_be_visible()


async def types_an_opinion(
    visited: Visit, answer: str = CONTINUE, sure: str = "70", note: str = "As I see it."
) -> None:
    page = visited.page
    await page.get_by_role("radio", name=answer).check()
    await page.get_by_label("How sure are you?").fill(sure)
    await page.get_by_label("Note (optional)").fill(note)


async def finds_the_opinion_as_typed(visited: Visit, answer: str, sure: str, note: str) -> None:
    page = visited.page
    await expect(page.get_by_role("radio", name=answer)).to_be_checked()
    await expect(page.get_by_label("How sure are you?")).to_have_value(sure)
    await expect(page.get_by_label("Note (optional)")).to_have_value(note)


async def locks_the_opinion(visited: Visit) -> None:
    await visited.press("Lock my opinion")


async def finds_it_locked(visited: Visit) -> None:
    heading = visited.page.get_by_role("heading", level=1)
    await expect(heading).to_contain_text("Your opinion is locked")


async def has_the_panel_shown(visited: Visit) -> None:
    await visited.press("Show the panel")
    await sees_the_panel(visited)


async def sees_the_panel(visited: Visit) -> None:
    await expect(visited.page.get_by_role("heading", name="Why this case came to you")).to_be_visible()


async def sees_nothing_of_the_panel(visited: Visit) -> None:
    page = await visited.content()
    assert [words for words in OF_THE_PANEL if words in page] == []


async def goes_as_far_as_the_panel(visited: Visit, case: CaseId) -> None:
    """From the claim over an opinion of one's own to the form that signs."""
    await claims(visited, case)
    await types_an_opinion(visited)
    await locks_the_opinion(visited)
    await has_the_panel_shown(visited)


async def decides(visited: Visit, answer: str = URGENT, reason: str = "") -> None:
    await visited.page.get_by_role("radio", name=answer).check()
    await visited.page.get_by_label("Reason", exact=True).fill(reason)


async def signs(visited: Visit, login: str = "anna") -> None:
    await visited.page.get_by_label("Your login, once more").fill(login)
    await visited.page.get_by_label("Your password, once more").fill(PASSWORD)
    await visited.press("Sign the decision")


async def finds_it_signed(visited: Visit, case: CaseId, answer: str = URGENT) -> None:
    page = visited.page
    await page.wait_for_url(f"**/cases/{case}/done*")
    await expect(page.get_by_role("heading", name="Decision released")).to_be_visible()
    await expect(page.locator(".nhsuk-panel")).to_contain_text(answer)


async def is_told_that_the_case_is_not_theirs(visited: Visit) -> None:
    page = visited.page
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Someone else holds this case")
    await expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    await expect(page.get_by_text(SUBJECT)).to_have_count(0)
    await sees_nothing_of_the_panel(visited)


async def goes_back_to_the_list(visited: Visit) -> None:
    await visited.page.get_by_role("main").get_by_role("link", name="work list").click()
    await expect(visited.page.get_by_role("heading", level=1)).to_have_text("Work list")


async def draft_is_saved(visited: Visit) -> None:
    """Wait until it is kept by itself, or press the button that keeps it where there is no script."""
    if visited.scripted:
        await expect(visited.page.locator("[data-draft-status]")).to_contain_text("Draft saved at")
    else:
        await visited.press("Save and go on later")


def forgives(visited: Visit, *words: str) -> None:
    """Drop the console's lines about what this journey breaks on purpose."""
    visited.complaints[:] = [line for line in visited.complaints if not any(word in line for word in words)]


async def times(ward: Ward, case: CaseId, kind: str) -> int:
    """Return how many entries of this kind the case has in the log."""
    return (await types_of(ward.house, case)).count(kind)
