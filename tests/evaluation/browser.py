"""Looking at reports in a real browser: what they load, what axe finds, and whether each plot can be had as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page

from tests.chromium import WIDE, axe

_SHORTEST_NAME: Final = 15
"""Characters of a name that can say what a plot shows."""


async def opened(chromium: Browser, page: Path, complaints: list[str], **options: Any) -> Page:
    """Open a page; `complaints` hears of errors and of whatever else it asks for."""
    # The page's own policy forbids scripts; axe is one.
    context = await chromium.new_context(bypass_csp=True, viewport=WIDE, **options)
    shown = await context.new_page()
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on(
        "request", lambda request: complaints.append(request.url) if request.url != page.as_uri() else None
    )
    await shown.goto(page.as_uri())
    return shown


async def open_details(shown: Page) -> None:
    """Open what is folded."""
    await shown.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


async def violations(shown: Page) -> list[tuple[str, list[str]]]:
    """Return what axe finds: each rule with the elements that break it."""
    await shown.evaluate(axe().read_text(encoding="utf-8"))
    found = await shown.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]


async def plots_without_text(shown: Page) -> list[str]:
    """Return the plots that cannot be had as text, and what each lacks: a name, a caption, or a table with numbers.

    Names are those that the browser tells a screen reader; two plots of one name are told apart by nobody.
    """
    lacking, names = [], []
    for figure in await shown.locator("figure:has(svg)").all():
        image = figure.get_by_role("img")
        name = await image.first.get_attribute("aria-label") if await image.count() == 1 else None
        names.append(name or "")
        if not name or len(name) < _SHORTEST_NAME:
            lacking.append(f"{name}: a name that says what it shows")
        if not (await figure.locator("figcaption").inner_text()).startswith("How to read it."):
            lacking.append(f"{name}: how to read it")
        behind = figure.locator("xpath=following-sibling::*[1][self::details]")
        cells = await behind.locator("table td").all_text_contents()
        if not any(character.isdigit() for cell in cells for character in cell):
            lacking.append(f"{name}: the numbers behind it")
    stray = await shown.locator("svg:not(figure svg)").count()
    lacking += [f"{stray} drawings outside a figure"] * bool(stray)
    return lacking + [f"{name}: twice" for name in sorted(set(names)) if names.count(name) > 1]
