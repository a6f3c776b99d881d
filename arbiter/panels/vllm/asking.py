"""One ask of a server: at which replica, when at another, when at two at once, and when no further.

This is the one place that asks again. What failed fast (no connection, broken off, 5xx, 429) goes on to a replica that was not
asked yet; what is slow may be asked at a second one, whose loser is hung up on; an answer that came is never asked for again,
whatever it says. Every further request is made only while enough of the case's time is left for it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from arbiter.model import RerouteCause
from arbiter.panels.member import Reroute
from arbiter.panels.vllm.endings import answered, came_to_nothing, cause_of, failed_fast
from arbiter.panels.vllm.exchange import Exchange
from arbiter.panels.vllm.hedging import ENOUGH, Allowance
from arbiter.panels.vllm.places import NoPlace, Places
from arbiter.panels.vllm.replica import ServingReplica
from arbiter.panels.vllm.room import Place
from arbiter.panels.vllm.tries import Request, Tries, Try
from arbiter.telemetry import fleet as telling

LEAST_SECONDS: Final = 0.05
"""So much time is left at least for a further request, also where no reply is known that could say more."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of an ask: the exchange that counts and the replica it was with, or why there was none."""

    exchange: Exchange | None
    replica: ServingReplica | None
    refused: NoPlace | None
    reroutes: tuple[Reroute, ...]


class Asking:
    """One ask under way; `run` it once."""

    def __init__(self, places: Places, allowance: Allowance, request: Request, ends_at: float) -> None:
        self._places = places
        self._allowance = allowance
        self._request = request
        self._ends_at = ends_at
        self._tries = Tries(places, request)
        self._reroutes: list[Reroute] = []
        self._hedge_at: float | None = None
        self._hedge: Try | None = None
        self._waited = False

    async def run(self) -> Told:
        """Return what came of it, at the latest at `ends_at` (seconds of perf_counter)."""
        place = await self._acquire()
        if isinstance(place, NoPlace):
            return Told(None, None, place, ())
        # Counted where a request is made of it: what reached no replica pays for no second one.
        self._allowance.called()
        try:
            self._tries.begin(place)
            self._hedge_at = self._hedge_time(place.replica)
            return await self._until_told()
        finally:
            self._tries.give_up()

    async def _until_told(self) -> Told:
        while True:
            over = await self._next_over()
            if over is None:
                return self._told(self._tries.run_out(self._ends_at))
            if self._tries.running and came_to_nothing(over.talk):
                continue  # the other of two may still answer
            if not failed_fast(over.talk):
                return self._told(over)
            place = await self._another()
            if place is None:
                return self._told(over)
            self._reroute(over.replica, place, cause_of(over.talk))

    async def _next_over(self) -> Try | None:
        """Return the next request that is over, its place given back, or None when the time is."""
        while True:
            running = self._tries.running
            over = next((attempt for attempt in running if attempt.talk.done.done()), None)
            if over is not None:
                self._tries.settle(over)
                return over
            now = time.perf_counter()
            if now >= self._ends_at:
                return None
            if self._hedge_at is not None and now >= self._hedge_at:
                self._begin_hedge(running[0])
                continue
            until = self._ends_at if self._hedge_at is None else min(self._hedge_at, self._ends_at)
            await asyncio.wait(
                [attempt.talk.done for attempt in running],
                timeout=until - now,
                return_when=asyncio.FIRST_COMPLETED,
            )

    def _told(self, told: Try) -> Told:
        self._tries.give_up()
        if told is self._hedge and answered(told.talk):
            self._allowance.won += 1
        return Told(self._tries.exchange(told), told.replica, None, tuple(self._reroutes))

    # --- further requests

    def _shunned(self) -> frozenset[str]:
        return self._tries.replicas.union(self._request.barred())

    async def _acquire(self) -> Place | NoPlace:
        request = self._request
        return await self._places.acquire(request.model, self._shunned, request.risk_class, self._ends_at)

    def _reroute(self, origin: ServingReplica, place: Place, cause: RerouteCause) -> Try:
        if place.replica is not origin:
            self._reroutes.append(Reroute(origin.name, place.replica.name, cause))
            telling.rerouted(self._places.server.name, cause)
        return self._tries.begin(place)

    async def _another(self) -> Place | None:
        """Return a place for the next request, or None where there is to be none."""
        if not self._enough_left(0.0):
            return None
        place = await self._acquire()
        return place if isinstance(place, Place) else await self._later()

    async def _later(self) -> Place | None:
        """Wait as long as a replica that has too much to do said, once, and return a place there."""
        pauses = self._tries.pauses()
        if self._waited or not pauses:
            return None
        pause, name = min(pauses)
        if not self._enough_left(pause):
            return None
        self._waited = True
        await asyncio.sleep(pause)
        request, tried = self._request, self._tries.replicas - {name}
        place = await self._places.acquire(
            request.model, lambda: tried.union(request.barred()), request.risk_class, self._ends_at
        )
        return place if isinstance(place, Place) else None

    def _enough_left(self, pause: float) -> bool:
        """Return whether a request that begins after `pause` may still be answered in time."""
        left = self._ends_at - time.perf_counter() - pause
        return left >= max(LEAST_SECONDS, self._fastest(0.5) or 0.0)

    def _fastest(self, share: float) -> float | None:
        """Return within how many seconds the fastest replica gives that share of its replies, where enough is known."""
        sketches = (replica.record(self._request.model).sketch for replica in self._places.replicas)
        known = [sketch.quantile(share) for sketch in sketches if sketch.known >= ENOUGH]
        return min(known) / 1_000_000 if known else None

    # --- two at once

    def _hedge_time(self, asked: ServingReplica) -> float | None:
        """Return when the request counts as slow, or None where no second one may follow it.

        A replica that was slow, and is tried again, gets less time: the case does not pay for finding out.
        """
        if not self._places.server.hedge or len(self._places.replicas) == 1:
            return None
        usual = self._fastest(0.5 if asked.pace.is_doubtful else 0.95)
        return None if usual is None else time.perf_counter() + usual

    def _begin_hedge(self, slow: Try) -> None:
        """Ask a second replica, if one is fit and has room, the time is left, and the cap allows it."""
        self._hedge_at = None
        if not self._enough_left(0.0):
            return
        place = self._places.take(self._request.model, self._shunned())
        if place is None:
            return
        if not self._allowance.take(silent=slow.replica.is_silent_since(slow.talk.started)):
            self._places.give_back(place)
            return
        self._hedge = self._reroute(slow.replica, place, RerouteCause.SLOW)
