"""The work list's filters, its next case and its events through the doors, as an attacker would try them, and in a real browser."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import httpx
import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Route, expect

from arbiter.identity.sessions import IDLE
from arbiter.lifecycle.states import Phase
from arbiter.model import RiskClass
from clinician_ui.routes import live
from tests.clinician_ui.conftest import Browser, Ward, phase
from tests.clinician_ui.visits import address, both_ways, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


# --- filters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("risk=grave", 400),
        ("risk=urgent&risk=routine", 400),
        ("order=reason", 400),
        ("overdue=yes", 400),
        ("protocol=%27%20or%201=1", 400),
        ("page=0", 400),
        ("page=-1", 400),
        ("page=99999", 400),
        ("said=anything", 400),
        ("x" * 501, 400),
        ("protocol=%ff", 400),
        ("site=south", 404),
        ("site=nowhere", 404),
    ],
)
@pytest.mark.parametrize("path", ["/worklist", "/worklist/list"])
async def test_a_query_that_no_page_makes_is_refused(ward: Ward, path: str, query: str, status: int) -> None:
    answer = await (await ward.logged_in()).get(f"{path}?{query}")
    assert answer.status_code == status
    assert "grave" not in answer.text


async def test_a_filter_stays_in_every_form_and_link_of_its_list(ward: Ward) -> None:
    urgent, routine = await ward.case(risk=RiskClass.URGENT), await ward.case()
    browser = await ward.logged_in()
    for path in ("/worklist", "/worklist/list"):
        page = (await browser.get(f"{path}?risk=urgent&site=north&unacknowledged=1")).text
        assert urgent in page
        assert routine not in page
        kept = re.findall(r'name="list" value="([^"]*)"', page)
        assert set(kept) == {"risk=urgent&amp;site=north&amp;unacknowledged=1"}
    assert 'hx-get="/worklist/list?risk=urgent' in (await browser.get("/worklist?risk=urgent")).text


async def test_who_comes_too_late_is_led_back_to_the_list_they_had(ward: Ward) -> None:
    case = await ward.case()
    await ward.claimed(case, "ben")
    anna = await ward.logged_in()
    await anna.get("/worklist")
    answer = await anna.send(f"/worklist/{case}/claim", list="risk=routine&page=2")
    assert answer.headers["location"] == "/worklist?risk=routine&page=2&said=taken"
    page = (await anna.get(answer.headers["location"])).text
    assert "a colleague was faster" in page
    assert "Ben" not in page
    for forged in ("risk=x", "said=evil", "//evil.example", "site=south"):
        assert (await anna.send("/worklist/next", list=forged)).status_code in {400, 404}
    assert await phase(ward, case) is Phase.CLAIMED


async def test_an_acknowledgement_leads_back_to_its_filter(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.logged_in()
    await anna.get("/worklist")
    answer = await anna.send(f"/worklist/{case}/acknowledge", list="unacknowledged=1")
    assert answer.headers["location"] == "/worklist?unacknowledged=1"
    assert case not in (await anna.get("/worklist?unacknowledged=1")).text


# --- next case -----------------------------------------------------------------------------------------------------


async def test_the_next_case_without_a_token_or_from_another_site_is_nobodys(ward: Ward) -> None:
    case = await ward.case(risk=RiskClass.EMERGENCY)
    anna = await ward.logged_in()
    await anna.get("/worklist")
    for answer in (
        await anna.send_raw("/worklist/next", {}),
        await anna.send_raw("/worklist/next", {"csrf_token": "A" * 43}),
        await anna.send_raw("/worklist/next", {"csrf_token": anna.token}, sec_fetch_site="cross-site"),
    ):
        assert answer.status_code == 403
    assert (await anna.get("/worklist/next")).status_code == 405
    assert await phase(ward, case) is Phase.ESCALATED
    answer = await anna.send("/worklist/next")
    assert answer.headers["location"] == f"/cases/{case}"
    assert await phase(ward, case) is Phase.CLAIMED


async def test_when_nothing_is_left_the_list_says_so(ward: Ward) -> None:
    anna = await ward.logged_in()
    await anna.get("/worklist")
    answer = await anna.send("/worklist/next", list="protocol=surgery-readiness")
    assert answer.headers["location"] == "/worklist?protocol=surgery-readiness&said=none"
    assert "no case left here for you to take" in (await anna.get(answer.headers["location"])).text


# --- events --------------------------------------------------------------------------------------------------------


CHANGED = b"event: changed\ndata: changed\n\n"
BEGINS = b"retry: 5000\n\n" + CHANGED


async def heard(address: str, browser: Browser, until: bytes, begun: asyncio.Event | None = None) -> bytes:
    """Listen on the real server until that is heard, or the stream ends; `begun` is set once changes are told."""
    async with (
        httpx.AsyncClient(base_url=address, cookies=browser.http.cookies) as client,
        client.stream("GET", "/worklist/events") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        text = b""
        async for part in answer.aiter_raw():
            text += part
            if begun is not None and text.startswith(BEGINS):
                begun.set()
            if until in text:
                break
        return text


@pytest.mark.parametrize("kind", ["escalation", "audit"])
async def test_an_event_says_that_something_changed_and_no_more(
    ward: Ward, address: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.workflow.list_changes.LOOK_SECONDS", 0.05)
    anna = await ward.logged_in()
    begun = asyncio.Event()
    listening = asyncio.create_task(heard(address, anna, CHANGED * 2, begun))
    async with asyncio.timeout(10):
        await begun.wait()
        await (ward.case() if kind == "escalation" else ward.drawn())
        assert await listening == BEGINS + CHANGED


async def test_a_stream_that_begins_has_its_page_ask_once(ward: Ward, address: str) -> None:
    """What moved between the page and its stream, or between two streams, is told by no later change."""
    anna = await ward.logged_in()
    async with asyncio.timeout(10):
        for _ in ("the first", "the next, after a line was lost"):
            assert await heard(address, anna, CHANGED) == BEGINS


async def test_a_stream_is_no_use_of_its_session_and_ends_with_it(
    ward: Ward, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    anna = await ward.logged_in()
    ward.clock.advance(IDLE - timedelta(minutes=1))
    try:
        assert await heard(address, anna, b": \n\n")
        ward.clock.advance(timedelta(minutes=1))
        assert (await anna.get("/worklist/events")).status_code == 303
        ward.clock.advance(-timedelta(minutes=1))
        begun = asyncio.Event()
        listening = asyncio.create_task(heard(address, anna, b"never said", begun))
        async with asyncio.timeout(10):
            await begun.wait()
            assert not listening.done()
            ward.clock.advance(timedelta(minutes=1))
            text = await listening
        assert text.removeprefix(BEGINS).endswith(CHANGED), "the page is led to the log-in"
    finally:
        ward.clock.advance(-IDLE)


async def test_a_session_and_a_process_have_so_many_streams(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await ward.logged_in()
    for limit in ("MOST_OF_A_SESSION", "MOST_STREAMS"):
        with monkeypatch.context() as patched:
            patched.setattr(live, limit, 0)
            answer = await anna.get("/worklist/events")
            assert (answer.status_code, answer.text) == (429, "")


# --- in a browser --------------------------------------------------------------------------------------------------


@both_ways
async def test_a_reviewer_filters_and_takes_the_next_case(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    await ward.case(risk=RiskClass.EMERGENCY)
    case = await ward.case(risk=RiskClass.URGENT)
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await log_in(visited)
        await page.get_by_label("Risk class").select_option("urgent")
        await visited.press("Filter")
        await page.wait_for_url("**/worklist?risk=urgent**")
        await expect(page.get_by_role("button", name=f"Claim case {case}", exact=True)).to_be_visible()
        await visited.look("a filtered list")
        await page.get_by_label("Only yours").check()
        await visited.press("Filter")
        await visited.look("only one's own")
        await visited.go("/worklist?risk=urgent")
        await visited.press("Next case")
        await page.wait_for_url("**/cases/c_*")
        await expect(page.get_by_text("Age as of")).to_be_visible()
        await visited.go("/worklist?protocol=surgery-readiness&said=none")
        await visited.look("nothing that fits")


async def test_an_open_list_hears_of_a_case_keeps_its_filter_and_leaves_the_focus(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await visited.go("/worklist?risk=urgent")
        field = page.get_by_label("Risk class")
        await field.focus()
        urgent, routine = await ward.case(risk=RiskClass.URGENT), await ward.case()
        shown = page.get_by_role("button", name=f"Claim case {urgent}", exact=True)
        await expect(shown).to_be_visible(timeout=15_000)
        await expect(page.get_by_role("button", name=f"Claim case {routine}", exact=True)).to_have_count(0)
        await expect(field).to_be_focused()
        await expect(field).to_have_value("urgent")
        await expect(page.locator("[data-waits]")).to_have_text(re.compile(r"\d+ cases wait\."))


async def test_a_list_shows_what_came_while_nobody_could_tell_it_yet(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        asked, told = asyncio.Event(), asyncio.Event()

        async def a_slow_line(route: Route) -> None:
            asked.set()
            await told.wait()
            await route.continue_()

        await page.route("**/worklist/events", a_slow_line)
        await visited.go("/worklist")
        await asked.wait()
        urgent = await ward.case(risk=RiskClass.URGENT)
        shown = page.get_by_role("button", name=f"Claim case {urgent}", exact=True)
        await expect(shown).to_have_count(0)
        told.set()
        await expect(shown).to_be_visible(timeout=15_000)


async def test_a_list_that_is_refreshed_leaves_the_browsers_history_alone(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await page.add_init_script(
            "addEventListener('htmx:after:swap', () => document.body.setAttribute('data-refreshed', ''))"
        )
        await visited.go("/worklist")
        entries = await page.evaluate("history.length")
        await expect(page.locator("body[data-refreshed]")).to_be_visible()
        assert await page.evaluate("[history.state, history.length]") == [None, entries]
