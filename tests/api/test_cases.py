from __future__ import annotations

from tests.api.conftest import Caller, stable_case


async def test_a_case_goes_in(caller: Caller) -> None:
    reply = await caller.submit(stable_case(), Prefer="wait=10")
    print(reply.status_code, reply.headers, reply.text)
    assert reply.status_code == 201
