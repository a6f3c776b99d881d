"""Releases decisions that a committed checkpoint covers. Called after every seal, by whichever process sealed."""

from __future__ import annotations

from arbiter.lifecycle import Release
from arbiter.store.cases import load_sealed_decisions, save_steps
from arbiter.workflow.docket import ARBITER, advance, docket_of
from arbiter.workflow.house import House
from arbiter.workflow.saving import perform

BATCH = 500


async def release_sealed(house: House) -> int:
    """Release every decision whose entry is under a checkpoint; return how many this call released.

    Its commit waits for no disk: were it lost in a crash, the decision would still be sealed, and the
    next round would release it again.
    """
    released = 0
    while True:
        rows = await load_sealed_decisions(house.store, BATCH)
        if not rows:
            return released
        now = house.clock.now()
        dockets = []
        for row in rows:
            shelved = await house.shelf.fetch(house.store, row.protocol_hash)
            docket = docket_of(row, shelved.protocol.policy_hash)
            dockets.append(advance(house, docket, Release(), actor=ARBITER, now=now))
        moved = await save_steps(house.store, [docket.write() for docket in dockets], now, durable=False)
        for docket in dockets:
            if docket.case in moved:
                perform(house, docket.case, docket.effects)
        released += len(moved)
        if len(rows) < BATCH:
            return released
