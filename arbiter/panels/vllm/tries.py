"""Every request that was made for one ask: each at a place of its own, which is given back once, however the request ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from arbiter.fleet.probing import CHAT_PATH
from arbiter.model import RiskClass
from arbiter.panels.vllm.endings import answered, fault_of, had_too_much_to_do, told_of
from arbiter.panels.vllm.exchange import Attempt, Ending, Exchange
from arbiter.panels.vllm.places import Places
from arbiter.panels.vllm.replica import ServingReplica
from arbiter.panels.vllm.room import Place
from arbiter.panels.vllm.wire import Talk

KEPT_OF_TOO_LARGE: Final = 64 * 1024
_HELD_SECONDS: Final = 0.25
"""For so long a replica that has too much to do is asked nothing, where it does not say for how long."""

_AWAY_SECONDS: Final = 0.5
"""Who looks so much later than the time was over did not run meanwhile: what did not come then speaks against no replica."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: for which model, with which bytes, how long the reply may be, and how grave the case is.

    `barred` names the replicas that must not be asked for it now; it is looked at anew for every request that is made.
    """

    model: str
    content: bytes
    limit: int
    risk_class: RiskClass
    id: str
    barred: Callable[[], Collection[str]]


@dataclass(eq=False, slots=True)
class Try:
    """One request; `settled` once what its end says is taken in and its place given back."""

    place: Place
    talk: Talk
    settled: bool = False

    @property
    def replica(self) -> ServingReplica:
        """Whom it was made to."""
        return self.place.replica


class Tries:
    """The requests of one ask, in the order in which they began."""

    def __init__(self, places: Places, request: Request) -> None:
        self._places = places
        self._request = request
        self._all: list[Try] = []
        self._was_away = False

    @property
    def running(self) -> list[Try]:
        """Those whose end nobody has taken in yet."""
        return [attempt for attempt in self._all if not attempt.settled]

    @property
    def replicas(self) -> frozenset[str]:
        """The names of the replicas that were asked."""
        return frozenset(attempt.replica.name for attempt in self._all)

    def pauses(self) -> list[tuple[int, str]]:
        """Return for how many seconds the replicas that have too much to do want to be left, where they said so."""
        return [
            (attempt.talk.retry_after, attempt.replica.name)
            for attempt in self._all
            if had_too_much_to_do(attempt.talk) and attempt.talk.retry_after is not None
        ]

    def begin(self, place: Place) -> Try:
        """Make a request at a place."""
        request = self._request
        place.replica.look_up_version()
        talk = place.replica.wire.begin("POST", CHAT_PATH, request.content, request.limit, request.id)
        attempt = Try(place, talk)
        self._all.append(attempt)
        return attempt

    def settle(self, attempt: Try) -> None:
        """Take in what the end says of the replica, and then give the place back: whoever gets it profits from that."""
        attempt.settled = True
        self._take_in(attempt)
        self._places.give_back(attempt.place)

    def give_up(self) -> None:
        """Hang up on whatever nobody waits for any more."""
        self._hang_up(Ending.GIVEN_UP)

    def run_out(self, ends_at: float) -> Try:
        """Hang up on whatever did not end by `ends_at`, and return the request that has waited longest."""
        running = self.running
        self._was_away = time.perf_counter() > ends_at + _AWAY_SECONDS
        self._hang_up(Ending.OUT_OF_TIME)
        return running[0] if running else self._all[-1]

    def exchange(self, told: Try) -> Exchange:
        """Return what went over the wire, told of that one of them."""
        talk = told.talk
        assert talk.ending is not None
        kept = KEPT_OF_TOO_LARGE if talk.ending is Ending.TOO_LARGE else talk.limit
        return Exchange(
            server=self._places.server.name,
            path=CHAT_PATH,
            request=self._request.content,
            status=talk.status,
            reply=bytes(talk.body[:kept]),
            reply_bytes=talk.seen,
            ending=talk.ending,
            head_after_us=None if talk.head is None else _microseconds(talk.head - talk.started),
            ended_after_us=_microseconds(talk.ended - talk.started),
            replica=told.replica.name,
            attempts=self._attempts() if len(self._all) > 1 else (),
        )

    def _hang_up(self, ending: Ending) -> None:
        for attempt in self.running:
            attempt.talk.hang_up(ending)
            if attempt.talk.ending is ending and not self._was_away:
                # What it took so far tells that the replica is slow, whether or not it speaks against it.
                began, ended = attempt.talk.started, attempt.talk.ended
                attempt.replica.pace.outlasted(self._ratio(ended - began), ended)
            self.settle(attempt)

    def _ratio(self, seconds: float) -> float:
        """Return how many times as long as the fastest replica's replies that is."""
        floor = self._places.floor(self._request.model)
        return seconds / floor if floor else 1.0

    def _take_in(self, attempt: Try) -> None:
        replica, talk, model = attempt.replica, attempt.talk, self._request.model
        record = replica.record(model)
        replica.outcomes[told_of(talk)] += 1
        if answered(talk):
            seconds = talk.ended - talk.started
            replica.answered_at = talk.ended
            replica.pace.took(self._ratio(seconds), talk.ended)
            record.took(seconds)
            return
        if had_too_much_to_do(talk):
            self._places.hold(replica, _HELD_SECONDS if talk.retry_after is None else talk.retry_after)
        fault = fault_of(talk, record.sketch)
        if fault is not None and not self._was_away:
            self._places.failed(replica, model, fault)

    def _attempts(self) -> tuple[Attempt, ...]:
        began = self._all[0].talk.started
        return tuple(
            Attempt(
                attempt.replica.name,
                attempt.talk.ending or Ending.GIVEN_UP,
                attempt.talk.status,
                _microseconds(attempt.talk.started - began),
                _microseconds(attempt.talk.ended - began),
            )
            for attempt in self._all
        )


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000_000))
