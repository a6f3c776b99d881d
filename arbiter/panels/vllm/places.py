"""Which replica an ask goes to: the least loaded that is fit and has room; else the ask waits, or is turned away at once.

Guarantees: only replicas whose breaker for that model is closed are given; none works on more than `concurrency` requests of
this process; at most `queue` asks a replica wait; an ask that could not be answered in time is not let in to wait, and where
not all can wait, the least grave are turned away first.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from arbiter.fleet.fleet import Server
from arbiter.fleet.state import Position
from arbiter.model import MemberStatus, RiskClass
from arbiter.panels.member import Failed
from arbiter.panels.vllm import breaker as breakers
from arbiter.panels.vllm.breaker import Breaker, Fault
from arbiter.panels.vllm.moves import Move, Moves
from arbiter.panels.vllm.pace import Pace
from arbiter.panels.vllm.replica import Record, ServingReplica
from arbiter.panels.vllm.room import Place, Shunned, Waiter, WaitingRoom
from arbiter.ports import Clock
from arbiter.telemetry import fleet as telling

_FULL: Final = 4.0
"""A full replica is thought so many times slower than an idle one, beyond what its last replies say."""
LONGEST_HELD_SECONDS: Final = 30.0
"""No longer than that is a replica left alone for having said that it has too much to do, whatever it said."""
_GONE: Final = frozenset({Fault.NOT_CONNECTED, Fault.BROKEN})
"""What says that the process at the other end may have ended."""
_UNHEARD_SECONDS: Final = 0.02
"""What a reply is thought to take before any has come: where one is under way for longer, another replica goes first."""


@dataclass(frozen=True, slots=True)
class NoPlace:
    """Why an ask reached no replica, in fixed words, and the state that leaves its member in."""

    status: Failed
    cause: str


ALL_OPEN: Final = NoPlace(MemberStatus.DOWN, "no replica of the model server is fit to be asked")
NO_ROOM: Final = NoPlace(MemberStatus.DOWN, "the model server has no room for a further request")
NO_ROOM_IN_TIME: Final = NoPlace(MemberStatus.TIMED_OUT, "the model server had no room in time")


class Places:
    """The replicas of one server, and who waits for them."""

    def __init__(
        self, server: Server, replicas: Iterable[ServingReplica], clock: Clock, moves: Moves
    ) -> None:
        self.server = server
        self.replicas = tuple(replicas)
        self.shed = 0
        self._clock = clock
        self._moves = moves
        self._room = WaitingRoom(server.queue * len(self.replicas))
        self._turn = 0
        self._chance = random.Random()  # noqa: S311 - it spreads waits, and guards nothing
        self.when_opened: Callable[[], None] = lambda: None
        self.doubt: Callable[[str, str | None], None] = lambda _replica, _model: None

    # --- places

    def take(self, model: str, shunned: Collection[str]) -> Place | None:
        """Return a place at the least loaded fit replica with room, or None where there is none now."""
        now = time.perf_counter()
        fit = [replica for replica in self._fit(model, shunned) if self._has_room(replica, now)]
        if not fit:
            return None
        chosen = fit[0] if len(fit) == 1 else self._least_loaded(fit, model, now)
        return Place(chosen, chosen.take())

    async def acquire(
        self, model: str, shunned: Shunned, risk_class: RiskClass, ends_at: float
    ) -> Place | NoPlace:
        """Return a place, waiting for one until `ends_at` (seconds of perf_counter) if it may be worth it."""
        place = self.take(model, shunned())
        if place is not None:
            return place
        fit = self._fit(model, shunned())
        if not fit:
            return ALL_OPEN
        if self._too_late(fit, model, risk_class, ends_at):
            return self._turned_away(risk_class)
        waiter = Waiter(model, risk_class, shunned, at=min(fit, key=lambda replica: replica.in_flight))
        leaves = self._room.enter(waiter)
        if leaves is not None:
            self._send_away(leaves)
        return await self._wait(waiter, ends_at)

    def give_back(self, place: Place) -> None:
        """Give a place back; whoever waits longest for one gets it."""
        place.replica.give_back(place.number)
        self._fill(place.replica)

    def look_again(self) -> None:
        """Let those who wait go where they may go now, as nobody else wakes them: what is proven has changed."""
        self._tell_the_hopeless()
        for replica in self.replicas:
            self._fill(replica)

    def hold(self, replica: ServingReplica, seconds: float) -> None:
        """Ask nothing of a replica for so long, within reason: it said that it has too much to do."""
        until = time.perf_counter() + min(seconds, LONGEST_HELD_SECONDS)
        if until > replica.held_until:
            replica.held_until = until
            self._let_go(replica)

    def _let_go(self, replica: ServingReplica) -> None:
        """Give out the places of a replica that is held, when its time is over."""
        left = replica.held_until - time.perf_counter()
        if left > 0:
            # INVARIANT: looked at again, for a loop's timer may be a little early, and nobody else wakes those who wait.
            asyncio.get_running_loop().call_later(left, self._let_go, replica)
        else:
            self._fill(replica)

    def floor(self, model: str) -> float | None:
        """Return how many seconds a reply of the fastest replica takes, or None where none has come."""
        usual = (replica.record(model).usual for replica in self.replicas)
        return min((seconds for seconds in usual if seconds is not None), default=None)

    # --- how breakers move

    def succeeded(self, replica: ServingReplica, model: str) -> None:
        """Count a reply that can be believed to be one."""
        record = replica.record(model)
        record.breaker = breakers.succeeded(record.breaker)

    def failed(self, replica: ServingReplica, model: str, fault: Fault) -> None:
        """Count a failure; the breaker may open."""
        if fault in _GONE:
            # It may have been started anew, and with something else.
            replica.forget_version()
            self.doubt(replica.name, None)
            self._tell_the_hopeless()
        record = replica.record(model)
        after = breakers.failed(record.breaker, fault, time.perf_counter(), self._chance.random())
        self._move(replica, model, record, after)

    def due(self) -> list[tuple[ServingReplica, str]]:
        """Return the replicas and models whose breakers have waited long enough for a probe."""
        now = time.perf_counter()
        return [
            (replica, model)
            for replica in self.replicas
            for model in replica.models
            if breakers.due(replica.record(model).breaker, now)
        ]

    def next_due(self) -> float | None:
        """Return when (seconds of perf_counter) the next open breaker has waited long enough."""
        ends = [
            replica.record(model).breaker.until
            for replica in self.replicas
            for model in replica.models
            if replica.record(model).breaker.position is Position.OPEN
        ]
        return min(ends, default=None)

    def probing(self, replica: ServingReplica, model: str) -> None:
        """Let a probe pass."""
        record = replica.record(model)
        self._move(replica, model, record, breakers.probed(record.breaker, time.perf_counter()))

    def probed(self, replica: ServingReplica, model: str, fault: Fault | None) -> None:
        """Take in what became of a probe."""
        record = replica.record(model)
        now = time.perf_counter()
        if fault is None:
            replica.forget_version()
            record.usual = None
            replica.pace = Pace()
            after = breakers.recovered(record.breaker, now)
        else:
            after = breakers.failed_again(record.breaker, fault, now, self._chance.random())
        self._move(replica, model, record, after)

    def _move(self, replica: ServingReplica, model: str, record: Record, after: Breaker) -> None:
        before, record.breaker = record.breaker, after
        if before.position is after.position:
            return
        now = self._clock.now()
        if Position.CLOSED in {before.position, after.position}:
            # Between open and half-open nothing flows all along: since when is what those who watch ask.
            record.moved_at = now
        self._moves.note(
            Move(
                self.server.name,
                replica.name,
                model,
                before.position,
                after.position,
                after.cause,
                now,
            )
        )
        telling.breaker_moved(self.server.name, replica.name, model, after.position)
        if after.position is Position.OPEN:
            self.doubt(replica.name, model)
            self._tell_the_hopeless()
            self.when_opened()
        elif after.position is Position.CLOSED:
            self._fill(replica)

    # --- choosing and waiting

    def _fit(self, model: str, shunned: Collection[str]) -> list[ServingReplica]:
        """Return the replicas that may be asked for the model, but those to be shunned."""
        return [
            replica
            for replica in self.replicas
            if replica.name not in shunned and replica.record(model).breaker.position is Position.CLOSED
        ]

    def _has_room(self, replica: ServingReplica, now: float) -> bool:
        return replica.in_flight < self.server.concurrency and replica.held_until <= now

    def _least_loaded(self, fit: list[ServingReplica], model: str, now: float) -> ServingReplica:
        """Return the one that is expected to be through soonest, each in turn where several are level."""
        floor = self.floor(model) or _UNHEARD_SECONDS
        self._turn += 1
        turned = [*fit[self._turn % len(fit) :], *fit[: self._turn % len(fit)]]
        return min(turned, key=lambda replica: self._cost(replica, replica.expected(floor, now)))

    def _cost(self, replica: ServingReplica, expected: float) -> float:
        """Return how unwelcome a further request is: replicas batch, so one that is half full is not twice as slow."""
        return expected * (1.0 + _FULL * replica.in_flight / self.server.concurrency)

    def _too_late(self, fit: list[ServingReplica], model: str, risk_class: RiskClass, ends_at: float) -> bool:
        """Return whether waiting for a place would take so long that no answer could come in time."""
        begins_at = max(time.perf_counter(), min(replica.held_until for replica in fit))
        known = [usual for replica in fit if (usual := replica.record(model).usual) is not None]
        rounds = self._room.ahead_of(risk_class) / (self.server.concurrency * len(fit))
        return begins_at + (rounds + 1) * min(known, default=0.0) > ends_at

    def _turned_away(self, risk_class: RiskClass) -> NoPlace:
        self.shed += 1
        telling.shed(self.server.name, risk_class)
        return NO_ROOM

    def _send_away(self, waiter: Waiter) -> None:
        waiter.turned_away = True
        _settle(waiter, None)

    def _tell_the_hopeless(self) -> None:
        """Let go of whoever waits and can be asked nowhere any more."""
        for waiter in self._room:
            if not self._fit(waiter.model, waiter.shunned()):
                self._room.leave(waiter)
                _settle(waiter, None)

    async def _wait(self, waiter: Waiter, ends_at: float) -> Place | NoPlace:
        waiter.at.waiting += 1
        try:
            await asyncio.wait({waiter.given}, timeout=max(0.0, ends_at - time.perf_counter()))
        except asyncio.CancelledError:
            if waiter.given.done() and (place := waiter.given.result()) is not None:
                self.give_back(place)
            raise
        finally:
            waiter.at.waiting -= 1
            self._room.leave(waiter)
        if not waiter.given.done():
            return NO_ROOM_IN_TIME
        place = waiter.given.result()
        if place is None:
            return self._turned_away(waiter.risk_class) if waiter.turned_away else ALL_OPEN
        return place

    def _fill(self, replica: ServingReplica) -> None:
        """Give what room a replica has to those who wait."""
        while self._has_room(replica, time.perf_counter()):
            waiter = self._room.next_for(lambda waiter: replica in self._fit(waiter.model, waiter.shunned()))
            if waiter is None:
                return
            _settle(waiter, Place(replica, replica.take()))


def _settle(waiter: Waiter, place: Place | None) -> None:
    if not waiter.given.done():
        waiter.given.set_result(place)
