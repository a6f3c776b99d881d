"""The moves of breakers that are still to be entered in the log: kept in order, bounded, and what is lost is counted."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from arbiter.fleet.state import Position

KEPT: Final = 512


@dataclass(frozen=True, slots=True)
class Move:
    """One breaker moved: which, from where to where, why in fixed words, and when (aware UTC)."""

    server: str
    replica: str
    model: str
    from_position: Position
    to_position: Position
    cause: str
    at: datetime


class Moves:
    """What breakers did since somebody last looked; past `KEPT` of them the oldest are dropped and counted."""

    def __init__(self) -> None:
        self._moves: deque[Move] = deque()
        self._dropped = 0
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._moves)

    def note(self, move: Move) -> None:
        """Keep a move."""
        self._moves.append(move)
        if len(self._moves) > KEPT:
            self._moves.popleft()
            self._dropped += 1
        self._some.set()

    async def some(self) -> None:
        """Return once there is a move."""
        await self._some.wait()

    def first(self, limit: int) -> tuple[tuple[Move, ...], int]:
        """Return the oldest moves and how many before them were dropped; they stay until `told` says they are kept."""
        return tuple(self._moves)[:limit], self._dropped

    def told(self, moves: tuple[Move, ...], dropped: int) -> None:
        """Forget what was entered; what was dropped meanwhile and stands in no entry is for the next to tell."""
        gone = self._dropped - dropped
        for _ in range(len(moves) - gone):
            self._moves.popleft()
        self._dropped = max(0, gone - len(moves))
        if not self._moves:
            self._some.clear()
