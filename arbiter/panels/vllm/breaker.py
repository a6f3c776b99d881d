"""A circuit breaker as a pure machine: what one model on one replica did so far, and whether it may be asked now.

Guarantees: after `CONSECUTIVE` failures in a row, or a share of `TOO_MANY` among the last `WINDOW`, nothing is asked until a
probe has succeeded; each opening without a steady time in between waits twice as long as the last, up to a limit, and
never exactly as long as another breaker, so that replicas that failed together are not all probed at one instant.
Time and chance are arguments: seconds of any steady clock, and a number from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from arbiter.fleet.state import Position

CONSECUTIVE: Final = 3
WINDOW: Final = 20
FEWEST: Final = 10
"""So many outcomes are known before a share of them says anything."""
TOO_MANY: Final = 0.5
STEADY: Final = 20
"""So many successes in a row, once closed, and the next opening waits as long as the first."""
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 30.0
_LEAST_SHARE: Final = 0.75
_MASK: Final = (1 << WINDOW) - 1


class Fault(StrEnum):
    """Why a request counts against the replica, in fixed words."""

    NOT_CONNECTED = "not-connected"
    BROKEN = "broken"
    NO_ANSWER = "no-answer-in-time"
    SERVER_ERROR = "server-error"
    REFUSED = "refused-status"
    TOO_LARGE = "reply-too-large"
    UNREADABLE = "unreadable-reply"
    OTHER_MODEL = "another-model"
    OTHER_REQUEST = "reply-to-another-request"


NEVER: Final = "never-opened"
PROBE_ANSWERED: Final = "probe-answered"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Where a breaker stands.

    `since` is when it came there, `until` the end of an open one's wait. `failures` counts those in a row, `outcomes` and
    `known` hold the last ones as bits (1: failed), `successes` counts those in a row since it closed. `openings` is how often
    it opened without a steady time in between, `probes` how many probes were sent since it opened.
    """

    position: Position = Position.CLOSED
    since: float = 0.0
    cause: str = NEVER
    failures: int = 0
    outcomes: int = 0
    known: int = 0
    successes: int = 0
    openings: int = 0
    probes: int = 0
    until: float = 0.0


FRESH: Final = Breaker()


def succeeded(breaker: Breaker) -> Breaker:
    """Return the breaker after a request that was answered. One that is not closed is moved by its probe alone."""
    if breaker.position is not Position.CLOSED:
        return breaker
    if not breaker.outcomes and not breaker.openings and breaker.known >= FEWEST:
        return breaker  # nothing on record to forget: the path of every good day
    successes = min(breaker.successes + 1, STEADY)
    return replace(
        breaker,
        failures=0,
        successes=successes,
        openings=0 if successes >= STEADY else breaker.openings,
        outcomes=breaker.outcomes << 1 & _MASK,
        known=min(breaker.known + 1, WINDOW),
    )


def failed(breaker: Breaker, fault: Fault, now: float, chance: float) -> Breaker:
    """Return the breaker after a request that failed; `chance` (0 to 1) makes the wait its own."""
    if breaker.position is not Position.CLOSED:
        return breaker
    worse = replace(
        breaker,
        failures=breaker.failures + 1,
        successes=0,
        outcomes=(breaker.outcomes << 1 | 1) & _MASK,
        known=min(breaker.known + 1, WINDOW),
    )
    share = worse.outcomes.bit_count() / worse.known
    if worse.failures >= CONSECUTIVE or (worse.known >= FEWEST and share >= TOO_MANY):
        return _opened(worse, fault, now, chance)
    return worse


def due(breaker: Breaker, now: float) -> bool:
    """Return whether an open breaker has waited long enough for a probe."""
    return breaker.position is Position.OPEN and now >= breaker.until


def probed(breaker: Breaker, now: float) -> Breaker:
    """Return the breaker with its probe on the way; only one that is due lets it pass."""
    if not due(breaker, now):
        raise ValueError("expected a breaker that has waited long enough")
    return replace(breaker, position=Position.HALF_OPEN, since=now, probes=breaker.probes + 1)


def recovered(breaker: Breaker, now: float) -> Breaker:
    """Return the breaker after its probe generated a token: closed, nothing held against it but how often it opened."""
    if breaker.position is not Position.HALF_OPEN:
        return breaker
    return Breaker(Position.CLOSED, now, PROBE_ANSWERED, openings=breaker.openings)


def failed_again(breaker: Breaker, fault: Fault, now: float, chance: float) -> Breaker:
    """Return the breaker after its probe failed: open again, for longer."""
    if breaker.position is not Position.HALF_OPEN:
        return breaker
    return _opened(breaker, fault, now, chance)


def wait_seconds(openings: int, chance: float) -> float:
    """Return how long a breaker waits that has opened so often: doubled each time, capped, and shortened by chance."""
    longest = min(FIRST_WAIT_SECONDS * 2.0 ** min(openings - 1, 16), LONGEST_WAIT_SECONDS)
    return longest * (_LEAST_SHARE + (1.0 - _LEAST_SHARE) * chance)


def _opened(breaker: Breaker, fault: Fault, now: float, chance: float) -> Breaker:
    openings = breaker.openings + 1
    return replace(
        breaker,
        position=Position.OPEN,
        since=now,
        cause=fault.value,
        openings=openings,
        probes=breaker.probes if breaker.position is Position.HALF_OPEN else 0,
        until=now + wait_seconds(openings, chance),
    )
