"""The asks that wait for a replica to have room: bounded, graver cases first, and the least grave turned away first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from arbiter.model import RiskClass
from arbiter.panels.vllm.replica import ServingReplica

_GRAVEST_FIRST: Final = (RiskClass.EMERGENCY, RiskClass.URGENT, RiskClass.ROUTINE)


Shunned: TypeAlias = Callable[[], Collection[str]]
"""Says which replicas an ask must not go to as things stand: those it was sent to, and those where its model is not proven."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place at a replica; given back when the request is over."""

    replica: ServingReplica
    number: int


@dataclass(eq=False, slots=True)
class Waiter:
    """One ask that waits: `given` becomes its place, or None when there will be none."""

    model: str
    risk_class: RiskClass
    shunned: Shunned
    at: ServingReplica
    """Where it would have gone, had there been room: for those who watch."""
    given: asyncio.Future[Place | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    turned_away: bool = False


class WaitingRoom:
    """At most `limit` waiters, first come first served within a risk class."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: dict[RiskClass, OrderedDict[Waiter, None]] = {
            risk_class: OrderedDict() for risk_class in _GRAVEST_FIRST
        }

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __iter__(self) -> Iterator[Waiter]:
        """Every waiter in the order in which they are let go."""
        for risk_class in _GRAVEST_FIRST:
            yield from list(self._lines[risk_class])

    def ahead_of(self, risk_class: RiskClass) -> int:
        """How many a newcomer of that class would wait behind."""
        return sum(
            len(self._lines[other]) for other in _GRAVEST_FIRST[: _GRAVEST_FIRST.index(risk_class) + 1]
        )

    def enter(self, waiter: Waiter) -> Waiter | None:
        """Let a waiter in and return who had to leave for it, itself where everybody waiting is as grave."""
        leaves = None
        if len(self) >= self._limit:
            leaves = self._least_grave_below(waiter.risk_class)
            if leaves is None:
                return waiter
            self.leave(leaves)
        self._lines[waiter.risk_class][waiter] = None
        return leaves

    def leave(self, waiter: Waiter) -> None:
        """Take a waiter out, if it is still there."""
        self._lines[waiter.risk_class].pop(waiter, None)

    def next_for(self, fits: Callable[[Waiter], bool]) -> Waiter | None:
        """Take out and return the first waiter whom that fits."""
        for waiter in self:
            if fits(waiter):
                self.leave(waiter)
                return waiter
        return None

    def _least_grave_below(self, risk_class: RiskClass) -> Waiter | None:
        """Return who came last of the least grave, if less grave than that class."""
        for other in reversed(_GRAVEST_FIRST[_GRAVEST_FIRST.index(risk_class) + 1 :]):
            if self._lines[other]:
                return next(reversed(self._lines[other]))
        return None
