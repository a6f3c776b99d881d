"""The list of cases: its pages follow one another, its filters are taken as they are named or refused."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from tests.api.cases import settled
from tests.api.conftest import Caller, excluded_case, stable_case
from tests.conftest import SettableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_pages_follow_one_another_without_gap_or_repeat(
    caller: Caller, module_clock: SettableClock
) -> None:
    made = []
    for _ in range(7):
        module_clock.advance(timedelta(milliseconds=1))
        made.append((await settled(caller, excluded_case()))["id"])
    seen: list[str] = []
    path = "/v1/cases?limit=2&phase=escalated&risk_class=urgent&protocol=deterioration&site=st-elsewhere"
    for _ in range(3):
        reply = await caller.get(path)
        page = reply.json()
        assert len(page["cases"]) == 2
        assert {case["phase"] for case in page["cases"]} == {"escalated"}
        seen += [case["id"] for case in page["cases"]]
        link = reply.headers["link"]
        assert link.endswith('>; rel="next"')
        path = link[1 : link.index(">")]
        assert f"cursor={page['next_cursor']}" in path
    assert seen == made[:0:-1], "the newest first, and the oldest of all is behind the third page's link"
    assert len(set(seen)) == 6


async def test_a_list_that_has_not_changed_is_not_sent_again(caller: Caller) -> None:
    await settled(caller, stable_case())
    page = await caller.get("/v1/cases?limit=200")
    held = await caller.get("/v1/cases?limit=200", If_None_Match=page.headers["etag"])
    assert (held.status_code, held.content) == (304, b"")
    await settled(caller, stable_case())
    newer = await caller.get("/v1/cases?limit=200", If_None_Match=page.headers["etag"])
    assert newer.status_code == 200
    assert newer.headers["etag"] != page.headers["etag"]


async def test_the_last_page_leads_nowhere(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "the patient went home"})
    reply = await caller.get("/v1/cases?phase=cancelled&limit=200")
    assert [case["id"] for case in reply.json()["cases"]] == [made["id"]]
    assert reply.json()["next_cursor"] is None
    assert "link" not in reply.headers


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "query:limit"),
        ("limit=201", "query:limit"),
        ("limit=ten", "query:limit"),
        ("limit=5&limit=6", "query:limit"),
        ("limit=5&limit=5", "query:limit"),
        ("riskClass=urgent", "query:riskClass"),
        ("Mrs%20Jones=1", "query:?"),
        ("limit=1e2", "query:limit"),
        ("phase=dreaming", "query:phase"),
        ("risk_class=severe", "query:risk_class"),
        ("site=" + "x" * 65, "query:site"),
        ("protocol=" + "x" * 65, "query:protocol"),
        ("cursor=" + "x" * 301, "query:cursor"),
        ("cursor=x", "query:cursor"),
        ("cursor=zzzz", "query:cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"2026-03-01T12:00:00 c_1").decode(), "query:cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"yesterday c_1").decode(), "query:cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"2026-03-01T12:00:00+00:00 c\x00").decode(), "query:cursor"),
    ],
)
async def test_an_unfit_filter_is_refused(caller: Caller, query: str, pointer: str) -> None:
    reply = await caller.get(f"/v1/cases?{query}")
    assert reply.status_code == 400, reply.text
    assert reply.json()["errors"][0]["pointer"] == pointer
    value = query.partition("=")[2]
    assert len(value) < 4 or value not in reply.text


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+00:00"]
)
async def test_a_cursor_from_the_ends_of_time_breaks_nothing(caller: Caller, at: str) -> None:
    cursor = base64.urlsafe_b64encode(f"{at} c_1".encode()).decode().rstrip("=")
    assert (await caller.get(f"/v1/cases?cursor={cursor}")).status_code in {200, 400}
