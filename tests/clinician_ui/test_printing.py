"""The pages on paper, by a real browser: what is printed of a case, of the list and of the file for a downtime, on A4 and in black."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, ViewportSize, expect

from clinician_ui.downtime import DowntimeFile
from tests.chromium import WIDE
from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.visits import address, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def test_on_paper_a_case_is_its_content_alone(ward: Ward, address: str, chromium: Chromium) -> None:
    case = await ward.case()
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await visited.press(f"Claim case {case}")
        await page.emulate_media(media="print")
        await expect(page.get_by_text(SUBJECT)).to_be_visible()
        for control in ("Log out", "Hold it for longer", "Hand the case back", "Lock my opinion"):
            await expect(page.get_by_role("button", name=control)).to_be_hidden()


async def test_the_list_goes_on_a4_with_nothing_cut_in_two(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    cases = [await ward.case(training=number == 3) for number in range(25)]
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await page.get_by_role("link", name="List for printing").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Work list of")
        await expect(page.get_by_role("row").filter(has_text=cases[3])).to_contain_text("Training")
        await visited.look("printable list")
        await page.set_viewport_size(WIDE)
        await page.emulate_media(media="print")
        await expect(page.get_by_text("Not to be used after")).to_be_visible()
        for screen_only in (page.get_by_role("button", name="Log out"), page.get_by_text("on A4, landscape")):
            await expect(screen_only).to_be_hidden()
        await expect(page.get_by_role("link", name="Work list")).to_be_hidden()
        await fits_on_paper(page)
        assert a4_pages(await page.pdf(prefer_css_page_size=True)) >= 3


async def fits_on_paper(page: Page) -> None:
    """The table is no wider than the paper, is black on white, and no row of it may be divided."""
    # 297 mm less the margins, in CSS pixels of 1/96 inch.
    await page.set_viewport_size(ViewportSize(width=round((297 - 24) / 25.4 * 96), height=700))
    table = page.get_by_role("table").first
    assert await table.evaluate("it => it.scrollWidth <= document.documentElement.clientWidth")
    assert await table.evaluate("it => getComputedStyle(it.tHead).display") == "table-header-group"
    rows = await table.evaluate(
        "it => [...it.tBodies[0].rows].map(row => [getComputedStyle(row).breakInside, getComputedStyle(row).color])"
    )
    assert {tuple(row) for row in rows} == {("avoid", "rgb(0, 0, 0)")}


def a4_pages(pdf: bytes) -> int:
    """Return how many pages a PDF has, each of them A4 on its side (842 by 595 points)."""
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    sizes = {(round(float(width)), round(float(height))) for width, height in boxes}
    assert sizes == {(842, 595)}
    return len(boxes)


async def test_the_file_for_a_downtime_is_fit_to_read_and_print(
    ward: Ward, chromium: Chromium, address: str
) -> None:
    kept = DowntimeFile(ward.house)
    case = await ward.case()
    await kept.write()
    async with visit(chromium, "file://") as visited:
        await visited.go(str(kept.path))
        await expect(visited.page.get_by_role("rowheader", name=case)).to_be_visible()
        await visited.look("downtime file")
        await visited.page.emulate_media(media="print")
        await fits_on_paper(visited.page)
        assert a4_pages(await visited.page.pdf(prefer_css_page_size=True)) >= 1
