"""While the log is refused the door takes no case and tells of none; what is public about the log can still be read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from arbiter.workflow.house import House
from arbiter.workflow.log.faults import Fault
from arbiter.workflow.log.guard import Refusal
from tests.api.bundles import send, stable_bundle
from tests.api.conftest import Caller, stable_case

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def refused(house: House) -> Iterator[None]:
    """The guard's verdict alone; what leads to it is tested where the guard is."""
    house.guard.refusal = Refusal(Fault.BEHIND, "found", "told to operators, with /a/path")
    yield
    house.guard.refusal = None


@pytest.mark.usefixtures("refused")
async def test_no_case_is_taken_in_or_told_of_and_the_caller_is_told_what_to_do(caller: Caller) -> None:
    for reply in (
        await caller.submit(stable_case()),
        await caller.get("/v1/cases"),
        await caller.get("/v1/cases/c_1"),
        await caller.get("/v1/cases/c_1/decision"),
        await caller.post("/v1/cases/c_1/cancel", {}),
        await caller.get("/v1/protocols"),
    ):
        assert reply.status_code == 503, reply.text
        assert reply.json()["type"] == "urn:problem-type:arbiter:log-unfit"
        assert reply.headers["retry-after"] == "60"
        assert "Follow your local downtime procedure" in reply.json()["detail"]
        assert "/a/path" not in reply.text


@pytest.mark.usefixtures("refused")
async def test_a_fhir_caller_is_told_so_in_fhir(caller: Caller) -> None:
    reply = await send(caller, stable_bundle())
    assert reply.status_code == 503
    assert reply.json()["resourceType"] == "OperationOutcome"


@pytest.mark.usefixtures("refused")
async def test_a_stranger_learns_nothing_more(caller: Caller) -> None:
    reply = await caller.http.get("/v1/cases", headers={"Authorization": "Bearer arb_nobody"})
    assert reply.status_code == 503
    assert "/a/path" not in reply.text


@pytest.mark.usefixtures("refused")
async def test_readiness_fails_with_the_reason_and_the_process_is_alive(caller: Caller) -> None:
    ready = await caller.http.get("/readyz")
    assert ready.status_code == 503
    assert [(check["name"], check["detail"]) for check in ready.json()["checks"]] == [
        ("signed log", "refused: behind; operators were told")
    ]
    assert (await caller.http.get("/healthz")).status_code == 200


@pytest.mark.usefixtures("refused")
async def test_the_public_part_of_the_log_stays_public(caller: Caller) -> None:
    assert (await caller.http.get("/v1/audit/keys")).status_code == 200


async def test_afterwards_a_case_is_taken_in_as_before(caller: Caller) -> None:
    reply = await caller.submit(stable_case(), Prefer="wait=20")
    assert (reply.status_code, reply.json()["phase"]) == (201, "released")
    ready = (await caller.http.get("/readyz")).json()
    assert ("signed log", True) in {(check["name"], check["ok"]) for check in ready["checks"]}
