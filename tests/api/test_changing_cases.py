"""What a hospital system may still do to a case that is in: amend, cancel, contest, retract and supersede it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.cases import settled
from tests.api.conftest import Caller, excluded_case, fact, incomplete_case, stable_case

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_case_that_lacks_facts_asks_for_them_and_goes_on_when_they_come(caller: Caller) -> None:
    made = await settled(caller, incomplete_case())
    assert made["phase"] == "awaiting-facts"
    reply = await caller.post(
        f"/v1/cases/{made['id']}/facts", {"facts": {"temperature": fact(36.8, "Cel")}}, Prefer="wait=20"
    )
    amended = reply.json()
    assert reply.status_code == 200
    assert (amended["phase"], amended["facts_version"], amended["id"]) == ("released", 2, made["id"])


async def test_an_amendment_without_waiting_is_accepted(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/facts", {"facts": {"pregnant": fact(value=False)}})
    assert reply.status_code == 202
    assert reply.headers["location"] == f"/v1/cases/{made['id']}"
    assert reply.headers["retry-after"] == "1"


async def test_a_released_case_takes_no_new_facts(caller: Caller) -> None:
    made = await settled(caller, stable_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/facts", {"facts": {"spo2": fact(80, "%")}})
    assert reply.status_code == 409
    assert reply.json()["type"] == "urn:problem-type:arbiter:illegal-move"


async def test_a_case_is_cancelled_once(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "the patient went home"})
    assert (reply.status_code, reply.json()["phase"]) == (200, "cancelled")
    assert "went home" not in reply.text
    again = await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "the patient went home"})
    assert again.status_code == 409


async def test_a_released_decision_cannot_be_cancelled_but_contested(caller: Caller) -> None:
    made = await settled(caller, stable_case())
    assert (await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "too late"})).status_code == 409
    reply = await caller.post(f"/v1/cases/{made['id']}/contest", {"reason": "she looks ill"})
    assert (reply.status_code, reply.json()["phase"]) == (200, "escalated")
    assert (await caller.get(f"/v1/cases/{made['id']}/decision")).status_code == 409


async def test_an_undecided_case_cannot_be_contested(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    assert (await caller.post(f"/v1/cases/{made['id']}/contest", {"reason": "?"})).status_code == 409


async def test_a_case_entered_in_error_is_retracted_even_when_released(caller: Caller) -> None:
    made = await settled(caller, stable_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/retract", {"reason": "another patient's numbers"})
    assert (reply.status_code, reply.json()["phase"]) == (200, "entered-in-error")
    assert (await caller.get(f"/v1/cases/{made['id']}/decision")).status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"training": True},
        {"subject": {"system": "https://hospital.example/mrn", "value": "M-somebody-else"}},
    ],
    ids=["practice", "another patient"],
)
async def test_nothing_but_the_same_patients_case_takes_a_case_off_the_list(
    caller: Caller, change: dict[str, Any]
) -> None:
    old = await settled(caller, excluded_case())
    reply = await caller.submit(excluded_case() | change | {"supersedes": old["id"]})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["pointer"] == "/supersedes"
    assert (await caller.get(f"/v1/cases/{old['id']}")).json()["phase"] == "escalated"


async def test_a_case_supersedes_another(caller: Caller) -> None:
    old = await settled(caller, stable_case())
    new = await settled(caller, stable_case() | {"supersedes": old["id"]})
    replaced = (await caller.get(f"/v1/cases/{old['id']}")).json()
    assert (replaced["phase"], replaced["successor"]) == ("superseded", new["id"])


@pytest.mark.parametrize("action", ["cancel", "contest", "retract"])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"reason": ""}', b'{"reason": "a", "extra": 1}', b'{"reason": 5}']
)
async def test_an_act_without_a_fit_reason_is_refused(caller: Caller, action: str, body: bytes) -> None:
    reply = await caller.http.post(
        f"/v1/cases/c_1/{action}", content=body, headers=caller.headers(Content_Type="application/json")
    )
    assert reply.status_code in {400, 422}
