"""One ask of a server: at which replica, when at another, when at two at once, and when no further.

This is the one place that asks again. What failed fast (no connection, broken off, 5xx, 429) goes on to a replica that was not
asked yet; what is slow may be asked at a second one, whose loser is hung up on; an answer that came is never asked for again,
whatever it says. Every further request is made only while enough of the case's time is left for it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from arbiter.model import RerouteCause, RiskClass
from arbiter.panels.member import Reroute
from arbiter.panels.vllm.breaker import Fault
from arbiter.panels.vllm.exchange import Attempt, Ending, Exchange
from arbiter.panels.vllm.hedging import ENOUGH, Allowance
from arbiter.panels.vllm.latency import Sketch
from arbiter.panels.vllm.places import NoPlace, Places
from arbiter.panels.vllm.replica import CHAT_PATH, OK, ServingReplica
from arbiter.panels.vllm.room import Place
from arbiter.panels.vllm.wire import Talk
from arbiter.telemetry import fleet as telling

KEPT_OF_TOO_LARGE: Final = 64 * 1024
LEAST_SECONDS: Final = 0.05
"""So much time is left at least for a further request, also where no reply is known that could say more."""
_HELD_SECONDS: Final = 0.25
"""For so long a replica that has too much to do is asked nothing, where it does not say for how long."""
_PATIENT_SECONDS: Final = 1.0
"""A request that was waited for less than that, and less than replies usually take, tells nothing by not being answered."""
_TOO_MANY: Final = 429
_FIRST_SERVER_ERROR: Final = 500
_OWN_FAULTS: Final = frozenset({400, 413, 422, _TOO_MANY})
"""What a server says of the request, or of its load; none of it speaks against the replica."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: for which model, with which bytes, how long the reply may be, and how grave the case is.

    `barred` names the replicas that must not be asked for it.
    """

    model: str
    content: bytes
    limit: int
    risk_class: RiskClass
    id: str
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Told:
    """What came of an ask: the exchange that counts and the replica it was with, or why there was none."""

    exchange: Exchange | None
    replica: ServingReplica | None
    refused: NoPlace | None
    reroutes: tuple[Reroute, ...]


@dataclass(eq=False, slots=True)
class _Try:
    place: Place
    talk: Talk
    settled: bool = False

    @property
    def replica(self) -> ServingReplica:
        return self.place.replica


@dataclass(eq=False, slots=True)
class Asking:
    """One ask under way; `run` it once."""

    places: Places
    allowance: Allowance
    request: Request
    ends_at: float
    tries: list[_Try] = field(default_factory=list)
    reroutes: list[Reroute] = field(default_factory=list)
    hedge_at: float | None = None
    hedge: _Try | None = None
    waited: bool = False

    async def run(self) -> Told:
        """Return what came of it, at the latest at `ends_at` (seconds of perf_counter)."""
        self.allowance.called()
        request = self.request
        place = self.places.take(request.model, request.barred) or await self.places.acquire(
            request.model, request.barred, request.risk_class, self.ends_at
        )
        if isinstance(place, NoPlace):
            return Told(None, None, place, ())
        try:
            self._begin(place)
            self.hedge_at = self._hedge_time(place.replica)
            return await self._until_told()
        finally:
            for attempt in self.tries:
                self._give_up(attempt)

    async def _until_told(self) -> Told:
        while True:
            over = await self._next_over()
            if over is None:
                return self._out_of_time()
            if not _failed_fast(over.talk):
                return self._told(over)
            if any(not attempt.settled for attempt in self.tries):
                continue  # the other of two is still under way
            place = await self._another()
            if place is None:
                return self._told(over)
            self._reroute(over.replica, place, _cause(over.talk))

    async def _next_over(self) -> _Try | None:
        """Return the next attempt that is over, its place given back, or None when the time is."""
        while True:
            running = [attempt for attempt in self.tries if not attempt.settled]
            over = next((attempt for attempt in running if attempt.talk.done.done()), None)
            if over is not None:
                self._settle(over)
                return over
            now = time.perf_counter()
            if now >= self.ends_at:
                return None
            if self.hedge_at is not None and now >= self.hedge_at:
                self._hedge(running[0])
                continue
            until = self.ends_at if self.hedge_at is None else min(self.hedge_at, self.ends_at)
            await asyncio.wait(
                [attempt.talk.done for attempt in running],
                timeout=until - now,
                return_when=asyncio.FIRST_COMPLETED,
            )

    # --- further requests

    def _begin(self, place: Place) -> _Try:
        request = self.request
        place.replica.look_up_version()
        talk = place.replica.wire.begin("POST", CHAT_PATH, request.content, request.limit, request.id)
        attempt = _Try(place, talk)
        self.tries.append(attempt)
        return attempt

    def _reroute(self, origin: ServingReplica, place: Place, cause: RerouteCause) -> _Try:
        if place.replica is not origin:
            self.reroutes.append(Reroute(origin.name, place.replica.name, cause))
            telling.rerouted(self.places.server.name, cause)
        return self._begin(place)

    async def _another(self) -> Place | None:
        """Return a place for the next request, or None where there is to be none."""
        request = self.request
        if not self._enough_left(request.model, 0.0):
            return None
        tried = request.barred | {attempt.replica.name for attempt in self.tries}
        if self.places.closed(request.model, tried):
            place = await self.places.acquire(request.model, tried, request.risk_class, self.ends_at)
            if isinstance(place, Place):
                return place
        return await self._later(tried)

    async def _later(self, tried: frozenset[str]) -> Place | None:
        """Wait as long as a replica that has too much to do said, once, and return a place there."""
        said = [(a.talk.retry_after, a.replica.name) for a in self.tries if a.talk.status == _TOO_MANY]
        told = [(pause, name) for pause, name in said if pause is not None]
        if self.waited or not told:
            return None
        pause, name = min(told)
        if not self._enough_left(self.request.model, pause):
            return None
        self.waited = True
        await asyncio.sleep(pause)
        place = await self.places.acquire(
            self.request.model, tried - {name}, self.request.risk_class, self.ends_at
        )
        return place if isinstance(place, Place) else None

    def _enough_left(self, model: str, pause: float) -> bool:
        """Return whether a request that begins after `pause` may still be answered in time."""
        known = [
            sketch.quantile(0.5) / 1_000_000
            for replica in self.places.replicas
            if (sketch := replica.record(model).sketch).known >= ENOUGH
        ]
        left = self.ends_at - time.perf_counter() - pause
        return left >= max(LEAST_SECONDS, min(known, default=0.0))

    # --- two at once

    def _hedge_time(self, first: ServingReplica) -> float | None:
        """Return when the request counts as slow, or None where no second one may follow it."""
        places, model = self.places, self.request.model
        if not places.server.hedge or len(places.replicas) == 1:
            return None
        known = [
            sketch.quantile(0.95)
            for replica in places.replicas
            if (sketch := replica.record(model).sketch).known >= ENOUGH
        ]
        del first
        return time.perf_counter() + min(known) / 1_000_000 if known else None

    def _hedge(self, slow: _Try) -> None:
        """Ask a second replica, if one is fit and has room, the time is left, and the cap allows it."""
        self.hedge_at = None
        model = self.request.model
        tried = self.request.barred | {attempt.replica.name for attempt in self.tries}
        if not self._enough_left(model, 0.0):
            return
        place = self.places.take(model, tried)
        if place is None:
            return
        if not self.allowance.take():
            self.places.give_back(place)
            return
        self.hedge = self._reroute(slow.replica, place, RerouteCause.SLOW)

    # --- what came of them

    def _settle(self, attempt: _Try) -> None:
        """Take in what the end says of the replica, and then give the place back: whoever gets it profits from that."""
        attempt.settled = True
        self._take_in(attempt)
        self.places.give_back(attempt.place)

    def _take_in(self, attempt: _Try) -> None:
        replica, talk, model = attempt.replica, attempt.talk, self.request.model
        assert talk.ending is not None
        complete = talk.ending is Ending.COMPLETE
        replica.outcomes[
            f"status-{talk.status}" if complete and talk.status != OK else talk.ending.value
        ] += 1
        if complete and talk.status == OK:
            # Whether it counts as answered is said by whoever reads it.
            took = talk.ended - talk.started
            record = replica.record(model)
            record.sketch.add(round(took * 1_000_000))
            record.took(took, talk.ended)
            if attempt is self.hedge:
                self.allowance.won += 1
            return
        if talk.status == _TOO_MANY and complete:
            self.places.hold(replica, _HELD_SECONDS if talk.retry_after is None else talk.retry_after)
        fault = _fault(talk, replica.record(model).sketch)
        if fault is not None:
            self.places.failed(replica, model, fault)

    def _give_up(self, attempt: _Try) -> None:
        """Hang up on an attempt that nobody waits for any more; what it took so far tells that the replica is slow."""
        if attempt.settled:
            return
        attempt.talk.hang_up(Ending.GIVEN_UP)
        ended = attempt.talk.ended
        attempt.replica.record(self.request.model).outlasted(ended - attempt.talk.started, ended)
        self._settle(attempt)

    def _out_of_time(self) -> Told:
        running = [attempt for attempt in self.tries if not attempt.settled]
        for attempt in running:
            attempt.talk.hang_up(Ending.OUT_OF_TIME)
            self._settle(attempt)
        return self._told(running[0] if running else self.tries[-1])

    def _told(self, told: _Try) -> Told:
        for attempt in self.tries:
            self._give_up(attempt)
        talk = told.talk
        assert talk.ending is not None
        kept = KEPT_OF_TOO_LARGE if talk.ending is Ending.TOO_LARGE else talk.limit
        exchange = Exchange(
            server=self.places.server.name,
            path=CHAT_PATH,
            request=self.request.content,
            status=talk.status,
            reply=bytes(talk.body[:kept]),
            reply_bytes=talk.seen,
            ending=talk.ending,
            head_after_us=None if talk.head is None else _microseconds(talk.head - talk.started),
            ended_after_us=_microseconds(talk.ended - talk.started),
            replica=told.replica.name,
            attempts=self._attempts() if len(self.tries) > 1 else (),
        )
        return Told(exchange, told.replica, None, tuple(self.reroutes))

    def _attempts(self) -> tuple[Attempt, ...]:
        began = self.tries[0].talk.started
        return tuple(
            Attempt(
                attempt.replica.name,
                attempt.talk.ending or Ending.GIVEN_UP,
                attempt.talk.status,
                _microseconds(attempt.talk.started - began),
                _microseconds(attempt.talk.ended - began),
            )
            for attempt in self.tries
        )


def _failed_fast(talk: Talk) -> bool:
    """Return whether no answer came, and at once: then another replica is asked."""
    if talk.ending in {Ending.NOT_CONNECTED, Ending.BROKEN}:
        return True
    return talk.ending is Ending.COMPLETE and (talk.status == _TOO_MANY or _is_server_error(talk.status))


def _is_server_error(status: int | None) -> bool:
    return status is not None and status >= _FIRST_SERVER_ERROR


def _cause(talk: Talk) -> RerouteCause:
    """Return why another replica is asked, of a talk that failed fast."""
    match talk.ending:
        case Ending.NOT_CONNECTED:
            return RerouteCause.NOT_CONNECTED
        case Ending.BROKEN:
            return RerouteCause.BROKEN
        case _:
            busy = talk.status == _TOO_MANY
            return RerouteCause.TOO_MANY_REQUESTS if busy else RerouteCause.SERVER_ERROR


_FAULTS: Final = {
    Ending.NOT_CONNECTED: Fault.NOT_CONNECTED,
    Ending.BROKEN: Fault.BROKEN,
    Ending.TOO_LARGE: Fault.TOO_LARGE,
}


def _fault(talk: Talk, sketch: Sketch) -> Fault | None:
    """Return what the end of a talk says against the replica; `sketch` is of its replies so far."""
    match talk.ending:
        case Ending.OUT_OF_TIME:
            patient = sketch.quantile(0.99) / 1_000_000 if sketch.known >= ENOUGH else _PATIENT_SECONDS
            return Fault.NO_ANSWER if talk.ended - talk.started >= patient else None
        case Ending.COMPLETE:
            if talk.status is None or talk.status in _OWN_FAULTS:
                return None
            return Fault.SERVER_ERROR if _is_server_error(talk.status) else Fault.REFUSED
        case _:
            return None if talk.ending is None else _FAULTS.get(talk.ending)


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000_000))
