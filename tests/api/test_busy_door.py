"""When enough routine cases wait at the door: the next is turned away unread by every dialect, the graver let in."""

from __future__ import annotations

from typing import Any

import pytest

from arbiter.workflow.admission import Admission
from tests.api.bundles import PARAMETERS, send, stable_bundle
from tests.api.conftest import Caller, new_key, stable_case

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def full_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Admission, "door_is_full", property(lambda _: True))


@pytest.mark.usefixtures("full_door")
@pytest.mark.parametrize("more", [{"risk_class": "routine"}, {"risk_class": "urgent", "training": True}])
async def test_a_routine_case_is_told_when_to_come_again(caller: Caller, more: dict[str, Any]) -> None:
    reply = await caller.post("/v1/cases", stable_case() | more, Idempotency_Key=new_key())
    assert reply.status_code == 429, reply.text
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.usefixtures("full_door")
@pytest.mark.parametrize("more", [{"risk-class": "routine"}, {"risk-class": "urgent", "training": "true"}])
async def test_a_routine_bundle_is_told_so_as_fhir_tells(caller: Caller, more: dict[str, str]) -> None:
    reply = await send(caller, stable_bundle(), parameters=PARAMETERS | more)
    assert reply.status_code == 429, reply.text
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.json()["resourceType"] == "OperationOutcome"
    assert reply.json()["issue"][0]["code"] == "throttled"


@pytest.mark.usefixtures("full_door")
async def test_not_even_a_body_that_is_no_json_is_read(caller: Caller) -> None:
    reply = await caller.submit_bytes(b'{"risk_class": "routine", "facts": {{{')
    assert reply.status_code == 429


@pytest.mark.usefixtures("full_door")
@pytest.mark.parametrize("risk_class", ["urgent", "emergency"])
async def test_a_graver_case_passes_by_either_door(caller: Caller, risk_class: str) -> None:
    assert (await caller.submit(stable_case() | {"risk_class": risk_class})).status_code in {200, 201, 202}
    reply = await send(caller, stable_bundle(), parameters=PARAMETERS | {"risk-class": risk_class})
    assert reply.status_code in {200, 201, 202}, reply.text
