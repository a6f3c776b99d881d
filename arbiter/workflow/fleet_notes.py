"""Breakers that moved, entered in the installation's own chain: the log says when a model could not be asked, and why.

Guarantees: while the database is there, a move stands in the log about a second after it was made, in the order of the moves;
one entry a second holds up to `MOVES_AN_ENTRY` of them, so that replicas that flap cannot flood the log. While the database
is away moves are kept, as many as `arbiter.panels.vllm.moves.KEPT`; beyond that the oldest go, and the next entry tells how many.
A process that is stopped in good order enters what it has left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from arbiter.documents.canonical import encode
from arbiter.errors import StaleStateError
from arbiter.panels.vllm.moves import Move
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.workflow.docket import ARBITER
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house

log = logging.getLogger(__name__)

BREAKERS_MOVED: Final = "breakers.moved"
DOCUMENT: Final = "breakers"
MOVES_AN_ENTRY: Final = 64
PAUSE_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 5.0
LAST_SECONDS: Final = 5.0


async def note_breakers(house: House) -> None:
    """Enter every move as it comes, until cancelled."""
    while True:
        await house.fleet.moves.some()
        try:
            await note_moves(house)
        except (StaleStateError, *DATABASE_ERRORS) as error:
            log.warning("breakers that moved are not in the log yet: %s", type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            # Moves come in swarms: what happens within this pause is one entry.
            await asyncio.sleep(PAUSE_SECONDS)


async def note_the_rest(house: House) -> None:
    """Enter what is left when a process stops; a database that is away keeps nobody from stopping."""
    try:
        async with asyncio.timeout(LAST_SECONDS):
            while len(house.fleet.moves):
                await note_moves(house)
    except (StaleStateError, TimeoutError, *DATABASE_ERRORS) as error:
        log.warning("breakers that moved are in no entry: %s", type(error).__name__)


async def note_moves(house: House) -> None:
    """Enter the oldest moves that are not entered, in one entry; none where there is none.

    Raises:
        StaleStateError: or an error of the database, when nothing was entered; the moves stay.
    """
    moves, dropped = house.fleet.moves.first(MOVES_AN_ENTRY)
    if not moves:
        return
    content = encode(moves_document(moves, dropped))
    await note_in_house(house, house.store, BREAKERS_MOVED, ARBITER, {DOCUMENT: content})
    house.fleet.moves.told(moves, dropped)


def moves_document(moves: Sequence[Move], dropped: int) -> dict[str, Any]:
    """Return the document: names from the fleet file and the protocols, and fixed words; nothing of any case."""
    told = [
        {
            "server": move.server,
            "replica": move.replica,
            "model": move.model,
            "from": move.from_position.value,
            "to": move.to_position.value,
            "cause": move.cause,
            "at": move.at.isoformat(),
        }
        for move in moves
    ]
    return {"moves": told, "dropped": dropped}
