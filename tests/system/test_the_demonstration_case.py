"""The demonstration as a reviewer meets it, in a real browser: from the work list to a signed decision in eight interactions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Locator, Page, expect

from tests.chromium import WIDE, a_chromium
from tests.clinician_ui.visits import both_ways
from tests.system.test_demonstration import SUMMARY, Run, a_demonstration

pytestmark = pytest.mark.timeout(300)

MOST_INTERACTIONS = 8


@dataclass
class Hands:
    """What somebody does with a page, and how often they have had to: a click, a field filled in."""

    page: Page
    interactions: int = 0

    async def press(self, name: str | re.Pattern[str]) -> None:
        self.interactions += 1
        await self.page.get_by_role("button", name=name).click()

    async def choose(self, box: Locator) -> None:
        self.interactions += 1
        await box.check()

    async def type(self, label: str, text: str) -> None:
        self.interactions += 1
        await self.page.get_by_label(label).fill(text)


@pytest.fixture(scope="module")
def running() -> Iterator[Run]:
    with a_demonstration() as demonstration, demonstration.run() as run:
        run.until_said(SUMMARY)
        yield run


def password_of(run: Run, login: str) -> str:
    """The password that the demonstration printed."""
    found = re.search(rf"{login} +password (\S+)", run.said)
    assert found is not None, run.said
    return found[1]


@both_ways
async def test_a_reviewer_finishes_a_case_in_eight_interactions(running: Run, *, scripted: bool) -> None:
    login = "anna"
    password = password_of(running, login)
    async with a_chromium() as browser:
        context = await browser.new_context(java_script_enabled=scripted, viewport=WIDE)
        page = await context.new_page()
        await page.goto(f"{running.url}/worklist")
        await page.get_by_label("Login", exact=True).fill(login)
        await page.get_by_label("Password", exact=True).fill(password)
        await page.get_by_role("button", name="Log in").click()

        hands = Hands(page)
        await hands.press("Next case")
        await hands.choose(page.get_by_role("group", name="Your answer").get_by_role("radio").first)
        await hands.type("How sure are you?", "80")
        await hands.choose(page.locator("[name=rests_on]").first)
        await hands.press("Lock and show the panel")
        await expect(page.get_by_role("heading", name="Why this case came to you")).to_be_visible()
        await hands.type("Your login, once more", login)
        await hands.type("Your password, once more", password)
        await hands.press(re.compile("^Keep .+ and sign$"))

        await expect(page.get_by_role("heading", level=1)).to_have_text("Decision released")
        assert hands.interactions <= MOST_INTERACTIONS
        await context.close()
