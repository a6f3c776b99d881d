"""Releases decisions that a committed checkpoint covers. Called after every seal, by whichever process sealed.

Where the installation asks witnesses for a risk class, a panel's decision is released once enough of them have cosigned,
and a reviewer's at once, marked as unwitnessed until they have.
"""

from __future__ import annotations

from collections.abc import Sequence

from arbiter.lifecycle.events import Event, Release, Witness
from arbiter.lifecycle.states import DecidedBy
from arbiter.store.cases.heads import CaseRow, load_caught_up, load_sealed_decisions
from arbiter.store.cases.steps import save_steps
from arbiter.telemetry.catalogue import RELEASE, RELEASED
from arbiter.telemetry.spans import say, spanned
from arbiter.workflow import figures
from arbiter.workflow.docket import ARBITER, advance, docket_of
from arbiter.workflow.house import House
from arbiter.workflow.log.cosigned import cosigned_sizes, witnessed_sizes
from arbiter.workflow.saving import perform

BATCH = 500


async def release_sealed(house: House) -> int:
    """Release every decision whose entry is under a checkpoint; return how many this call released.

    Its commit waits for no disk: were it lost in a crash, the decision would still be sealed, and the
    next round would release it again.
    """
    cosigned = await cosigned_sizes(house)
    released = 0
    while True:
        rows = await load_sealed_decisions(house.store.ahead, BATCH, cosigned)
        if not rows:
            break
        with spanned(RELEASE) as span:
            moved = await _move(house, [(row, _release_of(house, row)) for row in rows])
            say(span, {RELEASED: len(moved)})
        for row in moved:
            figures.released(row, house.clock.now())
        released += len(moved)
        if len(rows) < BATCH:
            break
    if cosigned is not None:
        await _catch_up(house)
    return released


def _release_of(house: House, row: CaseRow) -> Release:
    state = row.state
    by_reviewer = state.decided_by is DecidedBy.REVIEWER
    return Release(witnessed=not by_reviewer or house.circle.needed(state.risk_class) == 0)


async def _catch_up(house: House) -> None:
    """Take the mark off decisions that enough witnesses have come to cover since they were released."""
    witnessed = witnessed_sizes(house)
    while rows := await load_caught_up(house.store.ahead, BATCH, witnessed):
        await _move(house, [(row, Witness()) for row in rows])
        if len(rows) < BATCH:
            return


async def _move(house: House, moves: Sequence[tuple[CaseRow, Event]]) -> tuple[CaseRow, ...]:
    """Make these moves; return the rows that were moved: the others somebody else moved first."""
    now = house.clock.now()
    dockets = []
    for row, event in moves:
        shelved = await house.shelf.fetch(house.store.ahead, row.protocol_hash)
        docket = docket_of(row, shelved.protocol.policy_hash)
        dockets.append(advance(house, docket, event, actor=ARBITER, now=now))
    moved = await save_steps(house.store.ahead, [docket.write(now) for docket in dockets], durable=False)
    for docket in dockets:
        if docket.case in moved:
            perform(house, docket.case, docket.effects)
    return tuple(row for row, _ in moves if row.id in moved)
