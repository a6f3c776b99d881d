"""Reports of the shipped protocols over invented cases, made once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.page import render
from tests.chromium import a_chromium
from tests.evaluation.small import reported


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a panel that votes."""
    return reported("deterioration", 1200, tmp_path_factory.mktemp("ward"))


@pytest.fixture(scope="session")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a panel on which nobody votes."""
    return reported("surgery-readiness", 150, tmp_path_factory.mktemp("theatre"))


@pytest.fixture(scope="session")
def pages(ward: Report, theatre: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both reports as pages."""
    folder = tmp_path_factory.mktemp("pages")
    for name, report in (("ward", ward), ("theatre", theatre)):
        (folder / f"{name}.html").write_text(render(report), encoding="utf-8")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with a_chromium() as browser:
        yield browser
