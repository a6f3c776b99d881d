"""Cases at the REST door: settled while the caller waits, and what they leave behind in the log and the tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from arbiter.audit.entry import Entry
from arbiter.store import tables
from arbiter.store.log.chains import load_entries
from arbiter.workflow.house import House
from tests.api.conftest import Caller


async def settled(caller: Caller, case: dict[str, Any]) -> dict[str, Any]:
    reply = await caller.submit(case, Prefer="wait=20")
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def entries_of(house: House, case: str) -> list[Entry]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]


async def rows(house: House) -> dict[str, int]:
    """How many rows every table holds that a case would write to."""
    counted = {}
    async with house.store.read() as transaction:
        for table in (
            tables.case_file,
            tables.subject,
            tables.entry,
            tables.sealed_document,
            tables.idempotency,
        ):
            counted[table.name] = (
                await transaction.execute(select(func.count()).select_from(table))
            ).scalar_one()
    return counted
