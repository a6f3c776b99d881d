"""The browser and the checker of accessibility that pages are looked at with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, ViewportSize, async_playwright

from clinician_ui.assets import STATIC
from tests.clinician_ui.conftest import missing_tool

CHROMIUM: Final = Path("/usr/bin/chromium")
AXE: Final = STATIC.parent / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW, WIDE = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=900)
MAGNIFIED = ViewportSize(width=320, height=640)
"""1,280 pixels at 400%: Web Content Accessibility Guidelines (WCAG) 2.2, success criterion 1.4.10."""
TABLET = ViewportSize(width=768, height=1024)
"""What stands on wards."""


@asynccontextmanager
async def a_chromium() -> AsyncIterator[Browser]:
    """Yield a browser; skips, or fails where the tools are required, without one."""
    if not CHROMIUM.exists():
        missing_tool(f"{CHROMIUM} is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), headless=True, args=list(ARGUMENTS)
        )
        yield browser
        await browser.close()


def axe() -> Path:
    """Return axe's script; skips, or fails where the tools are required, without it."""
    if not AXE.exists():
        missing_tool("axe-core is not installed in clinician_ui/node_modules")
    return AXE
