"""Whatever bytes come, the door answers with a client's error or takes a good case; it never fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arbiter.api.strict_json import MalformedJsonError, parse
from tests.api.conftest import Caller, fact, stable_case

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "alert",
            "/min",
            "2026-03-01T11:00:00Z",
            "final",
            "urgent",
            "\x00",
            "\ud800",
            "1e999",
            "",
            "__proto__",
        ]
    )
)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))


PLACES = list(places(stable_case()))


def replaced(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    case = stable_case()
    place: Any = case
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return case


mutated_cases = st.builds(replaced, st.sampled_from(PLACES), _json).map(
    lambda case: json.dumps(case).encode("utf-8", "surrogatepass")
)


@st.composite
def mangled_bytes(draw: st.DrawFn) -> bytes:
    """A good case's bytes, damaged; nothing drawn depends on how long this moment's timestamps happen to be."""
    body = bytearray(json.dumps(stable_case()).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, 9999)) % len(body)
        match draw(st.sampled_from(["flip", "cut", "insert", "repeat"])):
            case "flip":
                body[at] = draw(st.integers(0, 255))
            case "cut":
                del body[at : at + draw(st.integers(1, 40))]
            case "insert":
                body[at:at] = draw(st.binary(max_size=6))
            case "repeat":
                body[at:at] = body[at : at + draw(st.integers(1, 60))]
        if not body:
            break
    return bytes(body)


REQUESTS = 250


@pytest.mark.asyncio(loop_scope="module")
async def test_no_body_makes_the_door_fail(caller: Caller) -> None:
    """Hypothesis is synchronous and the house lives on this loop: the bodies are drawn in a thread, sent from here."""
    loop = asyncio.get_running_loop()
    statuses: list[int] = []

    async def send(body: bytes) -> None:
        reply = await caller.submit_bytes(body)
        statuses.append(reply.status_code)
        assert reply.status_code in {201, 202, 400, 422}, (reply.status_code, body)
        if reply.status_code >= 400:
            assert reply.headers["content-type"] == "application/problem+json"
            assert reply.json()["status"] == reply.status_code

    @given(mutated_cases | mangled_bytes() | st.binary(max_size=80))
    @settings(max_examples=REQUESTS, deadline=None, suppress_health_check=list(HealthCheck))
    def attack(body: bytes) -> None:
        asyncio.run_coroutine_threadsafe(send(body), loop).result(30)

    await asyncio.to_thread(attack)
    assert {400, 422} <= set(statuses)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_amendment_or_reason_makes_the_door_fail(caller: Caller) -> None:
    made = (await caller.submit(stable_case(), Prefer="wait=20")).json()
    loop = asyncio.get_running_loop()

    async def send(action: str, value: Any) -> None:
        body = json.dumps(value).encode("utf-8", "surrogatepass")
        reply = await caller.http.post(
            f"/v1/cases/{made['id']}/{action}",
            content=body,
            headers=caller.headers(Content_Type="application/json"),
        )
        assert reply.status_code in {400, 409, 422}, (reply.status_code, body)

    facts = st.dictionaries(
        st.sampled_from(["spo2", "lactate", "x"]), _json | st.just(fact(5, "mmol/L")), max_size=2
    )
    bodies = (
        _json | st.fixed_dictionaries({"facts": facts | _json}) | st.fixed_dictionaries({"reason": _json})
    )

    @given(st.sampled_from(["facts", "contest-not", "cancel"]), bodies)
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def attack(action: str, value: Any) -> None:
        if action == "contest-not":
            action = "facts"
        asyncio.run_coroutine_threadsafe(send(action, value), loop).result(30)

    await asyncio.to_thread(attack)


@given(mangled_bytes())
@settings(max_examples=300, deadline=None)
def test_the_parser_agrees_with_the_standard_librarys_on_what_is_json(body: bytes) -> None:
    try:
        value = parse(body)
    except MalformedJsonError:
        return
    assert json.loads(body) == json.loads(json.dumps(value, default=float))
