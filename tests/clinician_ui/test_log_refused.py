"""While the log is refused every page is the one for a downtime, and the list of before stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from arbiter.workflow.log.faults import Fault
from arbiter.workflow.log.guard import Refusal
from clinician_ui.downtime import DowntimeFile
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import ORIGIN, Browser, Ward
from tests.clinician_ui.test_sites_and_roles import BODIES, GUARDED

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def refused(ward: Ward) -> Iterator[None]:
    """The guard's verdict alone; what leads to it is tested where the guard is."""
    ward.house.guard.refusal = Refusal(Fault.FORKED, "found", "told to operators")
    yield
    ward.house.guard.refusal = None


async def test_every_page_is_the_downtime_page_and_shows_no_case(ward: Ward, refused: None) -> None:
    transport = httpx.ASGITransport(create_pages(ward.house), raise_app_exceptions=False)
    browser = Browser(httpx.AsyncClient(transport=transport, base_url=ORIGIN))
    for method, path in (*GUARDED, ("GET", "/login"), ("GET", "/")):
        address = path.replace("{case}", "c_aaaa")
        sent = BODIES.get(path, {})
        answer = await (browser.get(address) if method == "GET" else browser.http.post(address, data=sent))
        page = unescape(answer.text)
        assert answer.status_code == 503, (method, path)
        assert "Follow your local downtime procedure" in page
        assert "c_aaaa" not in page
        assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_the_list_of_before_stays(ward: Ward, refused: None) -> None:
    ward.house.guard.refusal, verdict = None, ward.house.guard.refusal
    case = await ward.case()
    downtime = DowntimeFile(ward.house)
    await downtime.write()
    before = downtime.path.read_bytes()
    assert case.encode() in before
    await ward.case()
    ward.house.guard.refusal = verdict
    await downtime.write()
    assert downtime.path.read_bytes() == before


async def test_afterwards_the_pages_are_there_again(ward: Ward) -> None:
    browser = await ward.logged_in("anna")
    assert (await browser.get("/worklist")).status_code == 200
