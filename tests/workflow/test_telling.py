"""People and systems are told: signed, in order, once each, whatever the other side does in the meantime."""

from __future__ import annotations

from pathlib import Path

from arbiter.identity.principals import Principal
from arbiter.model import CaseId
from arbiter.store.database import Database
from arbiter.workflow import intake
from arbiter.workflow.endpoints import register_endpoint
from arbiter.workflow.house import House
from tests.houses import a_client, a_house, settle, submission
from tests.receivers import Receiver, a_receiver
from tests.system.service import until


async def subscribed(house: House, receiver: Receiver, client: str) -> str:
    """Register the receiver for a client and hand it its secret; return the endpoint's id."""
    registered = await register_endpoint(house, receiver.url, client=client)
    receiver.secret = registered.secret
    return registered.id


async def a_case(house: House, principal: Principal, key: str = "key-1", **changes: object) -> CaseId:
    handed_in = submission(house.clock.now(), **changes)  # type: ignore[arg-type]
    made = await intake.submit(house, principal, handed_in, key, key.encode())
    return made.case


async def test_a_released_decision_reaches_the_clients_endpoint_signed(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house, a_receiver() as receiver:
        client, _ = await a_client(house)
        await subscribed(house, receiver, client.id)
        case = await a_case(house, client)
        await settle(house)

        async def told() -> bool:
            return bool(receiver.arrived)

        await until(told, seconds=10)
        (arrived,) = receiver.verified()
        assert arrived.document["type"] == "case.released"
        assert arrived.document["data"] == {
            "case": case,
            "protocol": "deterioration",
            "site": "north",
            "risk_class": "urgent",
            "phase": "released",
            "due_at": None,
        }
