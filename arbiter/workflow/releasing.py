"""Releases decisions that a committed checkpoint covers. Called after every seal, by whichever process sealed."""

from __future__ import annotations

from collections.abc import Sequence

from arbiter.lifecycle.events import Release
from arbiter.store.cases.heads import CaseRow, load_sealed_decisions
from arbiter.store.cases.steps import save_steps
from arbiter.telemetry.catalogue import RELEASE, RELEASED
from arbiter.telemetry.spans import say, spanned
from arbiter.workflow import figures
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
        with spanned(RELEASE) as span:
            moved = await _release(house, rows)
            say(span, {RELEASED: moved})
        released += moved
        if len(rows) < BATCH:
            return released


async def _release(house: House, rows: Sequence[CaseRow]) -> int:
    now = house.clock.now()
    dockets = []
    for row in rows:
        shelved = await house.shelf.fetch(house.store, row.protocol_hash)
        docket = docket_of(row, shelved.protocol.policy_hash)
        dockets.append(advance(house, docket, Release(), actor=ARBITER, now=now))
    moved = await save_steps(house.store, [docket.write() for docket in dockets], now, durable=False)
    for row, docket in zip(rows, dockets, strict=True):
        if docket.case in moved:
            perform(house, docket.case, docket.effects)
            figures.released(row, now)
    return len(moved)
