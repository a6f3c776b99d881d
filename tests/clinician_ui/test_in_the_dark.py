"""What has the focus is read in the dark as in the light: it stands on yellow in both."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from tests.clinician_ui.conftest import SPLIT, Ward
from tests.clinician_ui.visits import address, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

INK, YELLOW = "rgb(33, 43, 50)", "rgb(255, 235, 59)"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a_summary_with_the_focus_is_dark_on_yellow(
    ward: Ward, address: str, chromium: Chromium, dark: bool
) -> None:
    case = await ward.case(SPLIT)
    await ward.claimed(case)
    async with visit(chromium, address) as visited:
        await log_in(visited)
        await visited.page.emulate_media(color_scheme="dark" if dark else "light")
        await visited.go(f"/cases/{case}")
        summary = visited.page.locator(".nhsuk-details__summary").first
        words = summary.locator(".nhsuk-details__summary-text")
        await summary.focus()
        await expect(summary).to_have_css("background-color", YELLOW)
        await expect(words).to_have_css("color", INK)
        await summary.blur()
        await expect(words).not_to_have_css("color", INK)


async def test_addresses_of_links_are_not_printed(ward: Ward, address: str, chromium: Chromium) -> None:
    async with visit(chromium, address) as visited:
        await log_in(visited)
        await visited.page.emulate_media(media="print")
        told = await visited.page.evaluate(
            "[...document.links].map(each => getComputedStyle(each, '::after').content)"
        )
        assert told
        assert not [content for content in told if "/" in content or "Link" in content]
