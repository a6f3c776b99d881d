"""A safety officer's look at what became of cases: chosen days, every plot with its table, every table as a file, and no person in it."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Locator, expect

from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.steps import enters_login_and_password
from tests.clinician_ui.test_oversight_page import REVIEWS, practised
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, log_in, visit

__all__ = ["address", "chromium", "practised"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def comes_from_the_log_in(paula: Visit) -> None:
    await paula.go("/oversight")
    await enters_login_and_password(paula, "paula")
    await paula.page.wait_for_url("**/oversight")
    here = paula.page.get_by_role("navigation", name="Places").get_by_role("link", name="Oversight")
    await expect(here).to_have_attribute("aria-current", "page")


async def chooses(paula: Visit, protocol: str, first: datetime, last: datetime) -> None:
    page = paula.page
    await page.get_by_label("Protocol").select_option(label=protocol)
    await page.get_by_label("First day").fill(f"{first:%Y-%m-%d}")
    await page.get_by_label("Last day").fill(f"{last:%Y-%m-%d}")
    await paula.press("Show")
    await expect(page.get_by_label("First day")).to_have_value(f"{first:%Y-%m-%d}")


async def has_its_words_before_its_numbers(figure: Locator) -> None:
    """A picture, where there is one, is one thing to a screen reader: a name, and what it shows."""
    picture = figure.get_by_role("img")
    if await picture.count():
        title = await figure.get_by_role("heading").inner_text()
        sentence = await figure.locator("p").first.inner_text()
        assert sentence
        await expect(picture).to_have_accessible_name(f"{title} {sentence}")
    await expect(figure.get_by_role("table")).to_be_hidden()


async def opens_its_table(figure: Locator, title: str) -> tuple[list[str], int]:
    await figure.locator("summary").click()
    table = figure.get_by_role("table", name=title)
    await expect(table).to_be_visible()
    columns = await table.get_by_role("columnheader").all_inner_texts()
    rows = await table.locator("tbody tr").count()
    assert await table.get_by_role("rowheader").count() == rows
    return columns, rows


async def takes_it_home(paula: Visit, figure: Locator, folder: Path) -> list[dict[str, str]]:
    async with paula.page.expect_download() as downloading:
        await figure.get_by_role("link", name="Download as CSV").click()
    download = await downloading.value
    assert download.suggested_filename.endswith(".csv")
    file = folder / download.suggested_filename
    await download.save_as(file)
    text = file.read_text("utf-8")
    assert [word for word in (SUBJECT, "Anna", "anna", "Ben", "c_") if word in text] == []
    return list(csv.DictReader(text.splitlines()))


@both_ways
async def test_a_safety_officer_reads_every_figure_opens_its_table_and_takes_it_home(
    practised: Ward, address: str, chromium: Chromium, scripted: bool, tmp_path: Path
) -> None:
    today = datetime.now(UTC)
    async with visit(chromium, address, scripted=scripted) as paula:
        # given: seven reviews of one protocol in the last days
        await comes_from_the_log_in(paula)
        await chooses(
            paula, "Deterioration on the ward", today - timedelta(days=2), today + timedelta(days=1)
        )
        # when: she goes from figure to figure
        figures = await paula.page.locator("section.arbiter-figure").all()
        assert len(figures) > 5
        taken: dict[str, list[dict[str, str]]] = {}
        for figure in figures:
            title = await figure.get_by_role("heading").inner_text()
            await has_its_words_before_its_numbers(figure)
            columns, rows = await opens_its_table(figure, title)
            taken[title] = await takes_it_home(paula, figure, tmp_path)
            # then: the file holds the table that she saw
            assert len(taken[title]) == rows, title
            assert not rows or len(taken[title][0]) == len(columns), title
        # and: what it counts is what was done, and it names nobody
        assert sum(int(row["of"] or 0) for row in taken["Escalation rate"]) == len(REVIEWS)
        assert {int(row["of"]) for row in taken["Reasons of escalation"]} == {len(REVIEWS)}
        page = await paula.page.get_by_role("main").inner_text()
        assert [word for word in (SUBJECT, "Anna", "Ben", "c_") if word in page] == []
        await paula.look("every table open")


@both_ways
async def test_days_without_a_case_show_no_share_and_a_mistake_shows_no_figure(
    practised: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    assert practised.people
    async with visit(chromium, address, scripted=scripted) as paula:
        await comes_from_the_log_in(paula)
        begun = datetime(2020, 1, 1, tzinfo=UTC)
        await chooses(paula, "Deterioration on the ward", begun, begun + timedelta(days=30))
        await expect(paula.page.get_by_text("No case concluded.").first).to_be_visible()
        await chooses(paula, "Deterioration on the ward", begun, begun - timedelta(days=30))
        await expect(paula.page.get_by_role("alert")).to_contain_text("must not be before the first")
        await paula.page.get_by_role("alert").get_by_role("link").click()
        await expect(paula.page.locator("section.arbiter-figure")).to_have_count(0)


async def test_a_reviewer_is_shown_no_way_there_and_gets_no_figure(
    practised: Ward, address: str, chromium: Chromium
) -> None:
    assert practised.people
    async with visit(chromium, address) as anna:
        await log_in(anna)
        places = anna.page.get_by_role("navigation", name="Places")
        await expect(places.get_by_role("link", name="Oversight")).to_have_count(0)
        await anna.go("/oversight")
        await expect(anna.page.get_by_role("heading", level=1)).to_have_text("You may not do this")
        await expect(anna.page.get_by_role("img")).to_have_count(0)
        anna.complaints = [line for line in anna.complaints if "status of 403" not in line]
