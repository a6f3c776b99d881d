"""Following a case over real HTTP: a serving process of its own, this process's house beside it on one database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from arbiter.api import events
from arbiter.settings import Settings
from arbiter.workflow.house import House
from tests.api.conftest import Caller, excluded_case, stable_case, token_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Event:
    """What a browser's EventSource would make of one block of the stream."""

    id: str | None
    type: str | None
    data: Any


async def events_in(reply: httpx.Response) -> AsyncGenerator[Event]:
    """Read a stream as HTML's server-sent events chapter says; comments and empty blocks make no event."""
    fields: dict[str, str] = {}
    async for line in reply.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield Event(fields.get("id"), fields.get("event"), json.loads(fields["data"]))
        fields = {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(house: House, settings: Settings) -> AsyncIterator[Caller]:
    """A client of a second process that serves the same database."""
    assert settings.database_url is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.api.serve", str(settings.data), settings.database_url,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 30))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            yield Caller(http, await token_of(house))
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def test_every_entry_of_a_case_is_told_in_order_until_it_ends(served: Caller) -> None:
    made = (await served.submit(stable_case(), Prefer="wait=20")).json()
    seen = []
    async with served.http.stream("GET", f"/v1/cases/{made['id']}/events", headers=served.headers()) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-accel-buffering"] == "no"
        seen = [event async for event in events_in(reply)]
    assert [event.id for event in seen] == [str(number) for number in range(made["entries"])]
    assert [event.data["seq"] for event in seen] == list(range(made["entries"]))
    assert [event.type for event in seen] == [event.data["type"] for event in seen]
    assert (seen[0].type, seen[-1].type) == ("case.received", "case.released")
    assert set(seen[0].data) == {"seq", "type", "at"}


async def test_a_stream_resumes_after_the_last_event_seen(served: Caller) -> None:
    made = (await served.submit(stable_case(), Prefer="wait=20")).json()
    headers = served.headers(Last_Event_ID=str(made["entries"] - 3))
    async with served.http.stream("GET", f"/v1/cases/{made['id']}/events", headers=headers) as reply:
        seen = [event async for event in events_in(reply)]
    assert [event.id for event in seen] == [str(made["entries"] - 2), str(made["entries"] - 1)]


async def test_who_has_seen_the_end_is_told_not_to_come_back(served: Caller) -> None:
    made = (await served.submit(stable_case(), Prefer="wait=20")).json()
    reply = await served.get(f"/v1/cases/{made['id']}/events", Last_Event_ID=str(made["entries"] - 1))
    assert (reply.status_code, reply.content) == (204, b"")


async def test_what_happens_elsewhere_reaches_a_follower_here(served: Caller, caller: Caller) -> None:
    made = (await served.submit(excluded_case(), Prefer="wait=20")).json()
    path = f"/v1/cases/{made['id']}/events"
    async with (
        served.http.stream("GET", path, headers=served.headers()) as reply,
        aclosing(events_in(reply)) as stream,
    ):
        first = [await asyncio.wait_for(anext(stream), 10) for _ in range(made["entries"])]
        assert first[-1].type == "case.escalated"
        await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "the patient went home"})
        rest = [event async for event in stream]
    assert [event.type for event in rest] == ["case.cancelled"]


async def test_a_follower_who_leaves_is_let_go(served: Caller) -> None:
    made = (await served.submit(excluded_case(), Prefer="wait=20")).json()
    for _ in range(5):
        async with served.http.stream(
            "GET", f"/v1/cases/{made['id']}/events", headers=served.headers()
        ) as reply:
            await anext(reply.aiter_bytes())
    assert (await served.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9999999999"])
async def test_an_event_id_that_was_never_sent_is_refused(served: Caller, last: str) -> None:
    reply = await served.get("/v1/cases/c_1/events", Last_Event_ID=last)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"] == "header:Last-Event-ID"


async def test_strangers_and_unknown_cases_get_a_problem_and_no_stream(served: Caller, house: House) -> None:
    made = (await served.submit(stable_case(), Prefer="wait=20")).json()
    stranger = Caller(served.http, await token_of(house, sites=("far-away",)))
    for reply in (
        await stranger.get(f"/v1/cases/{made['id']}/events"),
        await served.get("/v1/cases/c_unknown/events"),
    ):
        assert reply.status_code == 404
        assert reply.headers["content-type"] == "application/problem+json"
    assert (await served.http.get(f"/v1/cases/{made['id']}/events")).status_code == 401


async def test_head_of_a_stream_ends_at_once(served: Caller) -> None:
    made = (await served.submit(excluded_case(), Prefer="wait=20")).json()
    reply = await served.http.head(f"/v1/cases/{made['id']}/events", headers=served.headers())
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-type"].startswith("text/event-stream")


async def test_silence_is_filled_and_every_stream_ends(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEEPALIVE_SECONDS", 0.05)
    monkeypatch.setattr(events, "STREAM_SECONDS", 1.0)
    made = (await caller.submit(excluded_case(), Prefer="wait=20")).json()
    text = (await caller.get(f"/v1/cases/{made['id']}/events")).text
    assert text.startswith("retry: 2000\n\n")
    assert text.count(": ping\n\n") >= 5
    assert not events._open_streams


async def test_streams_beyond_the_limit_are_refused(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_LIMIT", 0)
    made = (await caller.submit(stable_case(), Prefer="wait=20")).json()
    reply = await caller.get(f"/v1/cases/{made['id']}/events")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "10")


async def test_head_has_the_length_of_get_over_real_http(served: Caller) -> None:
    async with httpx.AsyncClient(base_url=served.http.base_url) as http:
        get, head = await http.get("/openapi.json"), await http.head("/openapi.json")
        assert (await http.get("/healthz")).status_code == 200
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
    assert "server" not in head.headers


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
async def test_an_oversized_body_gets_its_refusal_while_it_is_still_being_sent(
    served: Caller, *, declared: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    headers = served.headers(Content_Type="application/json", Idempotency_Key="large")
    if declared:
        headers["Content-Length"] = str(40 * 65_536)
    reply = await served.http.post("/v1/cases", content=pieces(), headers=headers)
    assert reply.status_code == 413
    assert reply.headers["connection"] == "close"
    assert reply.json()["errors"][0]["code"] == "body-too-large"


async def test_an_endless_body_is_cut_off(served: Caller) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 200_000_000:
            sent += 65_536
            yield b" " * 65_536

    headers = served.headers(Content_Type="application/json", Idempotency_Key="endless")
    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        assert (await served.http.post("/v1/cases", content=endless(), headers=headers)).status_code == 413
    assert sent < 50_000_000
