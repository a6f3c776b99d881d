"""One replica as this process knows it: its connections, what is under way on it, and what its replies were like."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Final

from arbiter.fleet.fleet import Replica
from arbiter.fleet.probing import VERSION_PATH
from arbiter.fleet.state import UNKNOWN_VERSION, BreakerState, ReplicaState, Withheld
from arbiter.panels.vllm.breaker import FRESH, Breaker
from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.latency import Sketch
from arbiter.panels.vllm.pace import Pace
from arbiter.panels.vllm.wire import Wire

OK: Final = 200

_VERSION_LIMIT: Final = 4 * 1024
_VERSION_SECONDS: Final = 1.0
_VERSION_HOLDS_SECONDS: Final = 60.0
_UNKNOWN_HOLDS_SECONDS: Final = 5.0
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}")
_SMOOTHING: Final = 0.2
"""What a reply adds to the time that the next is expected to take."""


@dataclass(slots=True)
class Record:
    """What is known of one model on one replica. `moved_at` is when its breaker last closed or ceased to be closed."""

    breaker: Breaker = FRESH
    moved_at: datetime | None = None
    sketch: Sketch = field(default_factory=Sketch)
    usual: float | None = None

    def took(self, seconds: float) -> None:
        """Take in how long a reply took."""
        self.sketch.add(round(seconds * 1_000_000))
        self.usual = seconds if self.usual is None else self.usual + _SMOOTHING * (seconds - self.usual)


class ServingReplica:
    """One process that serves, as seen from this one."""

    def __init__(self, replica: Replica, token: str | None) -> None:
        self.name = replica.name
        self.url = replica.url
        self.wire = Wire(replica.url, token)
        self.held_until = 0.0
        self.waiting = 0
        self.outcomes: Counter[str] = Counter()
        self.pace = Pace()
        self.answered_at = 0.0
        self._records: dict[str, Record] = {}
        self._places = count()
        # In the order in which they began, so that the first is the oldest.
        self._under_way: dict[int, float] = {}
        self._version: asyncio.Task[str] | None = None
        self._version_until = 0.0

    # --- what is under way

    @property
    def in_flight(self) -> int:
        """How many requests are under way, a place that is taken and not used yet counted in."""
        return len(self._under_way)

    def record(self, model: str) -> Record:
        """Return what is known of a model here."""
        found = self._records.get(model)
        if found is None:
            found = self._records[model] = Record()
        return found

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were ever asked for here."""
        return tuple(self._records)

    def take(self) -> int:
        """Take a place and return its number."""
        place = next(self._places)
        self._under_way[place] = time.perf_counter()
        return place

    def give_back(self, place: int) -> None:
        """Give a place back."""
        self._under_way.pop(place, None)

    def is_silent_since(self, started: float) -> bool:
        """Return whether no reply came for at least half of the time since then (seconds of perf_counter)."""
        now = time.perf_counter()
        return now - self.answered_at >= (now - started) / 2

    def expected(self, floor: float, now: float) -> float:
        """Return how long a reply is expected to take, in seconds; `floor` is what the fastest replica takes.

        What has been under way for longer than that tells already that it will take longer.
        """
        oldest = next(iter(self._under_way.values()), now)
        return max(floor * self.pace.expected(now, busy=bool(self._under_way)), now - oldest)

    # --- what it is

    def look_up_version(self) -> asyncio.Task[str]:
        """Return the running or finished look at the server's version; a new one at most once a minute.

        Its result is `unknown` where the server did not tell. It is shared: wait for it, never cancel it.
        """
        now = time.perf_counter()
        looked = self._version
        if looked is None or now >= self._version_until:
            looked = self._version = asyncio.create_task(self._ask_version())
            self._version_until = now + _VERSION_HOLDS_SECONDS
        elif looked.done() and self.version == UNKNOWN_VERSION:
            self._version_until = min(self._version_until, now + _UNKNOWN_HOLDS_SECONDS)
        return looked

    def forget_version(self) -> None:
        """Look anew the next time: it may have been started anew."""
        self._version_until = 0.0

    @property
    def version(self) -> str:
        """The version as far as it is known."""
        looked = self._version
        return (
            looked.result()
            if looked is not None and looked.done() and not looked.cancelled()
            else UNKNOWN_VERSION
        )

    async def _ask_version(self) -> str:
        talk = self.wire.begin("GET", VERSION_PATH, b"", _VERSION_LIMIT)
        try:
            await asyncio.wait({talk.done}, timeout=_VERSION_SECONDS)
        finally:
            talk.hang_up(Ending.OUT_OF_TIME)
        if talk.ending is not Ending.COMPLETE or talk.status != OK:
            return UNKNOWN_VERSION
        try:
            document = json.loads(bytes(talk.body))
        except (ValueError, RecursionError):
            return UNKNOWN_VERSION
        version = document.get("version") if isinstance(document, dict) else None
        return version if isinstance(version, str) and _VERSION.fullmatch(version) else UNKNOWN_VERSION

    def state(self, began: datetime, withheld: Iterable[Withheld] = ()) -> ReplicaState:
        """Return what is known of it, and what is withheld here, for those who watch."""
        sketch = Sketch()
        for record in self._records.values():
            sketch = sketch.merged_with(record.sketch)
        return ReplicaState(
            name=self.name,
            url=self.url,
            engine=f"vllm {self.version}",
            in_flight=self.in_flight,
            waiting=self.waiting,
            outcomes=tuple(sorted(self.outcomes.items())),
            latency=sketch.told(),
            breakers=tuple(
                BreakerState(
                    model=model,
                    position=record.breaker.position,
                    since=record.moved_at or began,
                    cause=record.breaker.cause,
                    failures=record.breaker.failures,
                    probes=record.breaker.probes,
                )
                for model, record in sorted(self._records.items())
            ),
            withheld=tuple(dict.fromkeys(withheld)),
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._version is not None:
            self._version.cancel()
            await asyncio.wait({self._version})
        await self.wire.close()
