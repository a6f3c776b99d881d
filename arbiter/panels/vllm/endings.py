"""What the end of one request says: of the ask, whether another replica is asked for it; of the replica, whether it is at fault."""

from __future__ import annotations

from typing import Final

from arbiter.model import RerouteCause
from arbiter.panels.vllm.breaker import Fault
from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.hedging import ENOUGH
from arbiter.panels.vllm.latency import Sketch
from arbiter.panels.vllm.replica import OK
from arbiter.panels.vllm.wire import Talk

_TOO_MANY: Final = 429
_FIRST_SERVER_ERROR: Final = 500
_OWN_FAULTS: Final = frozenset({400, 413, 422, _TOO_MANY})
"""What a server says of the request, or of its load; none of it speaks against the replica."""
_TOLD: Final = frozenset({*_OWN_FAULTS, 401, 403, 404, 500, 502, 503, 504})
"""Statuses that are counted each for itself: what watches a process refuses more kinds of endings than it knows of."""
_PATIENT_SECONDS: Final = 1.0
"""A request that was waited for less than that, and less than replies usually take, tells nothing by not being answered."""
_FAULTS: Final = {
    Ending.NOT_CONNECTED: Fault.NOT_CONNECTED,
    Ending.BROKEN: Fault.BROKEN,
    Ending.TOO_LARGE: Fault.TOO_LARGE,
}


def answered(talk: Talk) -> bool:
    """Return whether a whole reply came with status 200; whether it is one to the ask is said by whoever reads it."""
    return talk.ending is Ending.COMPLETE and talk.status == OK


def came_to_nothing(talk: Talk) -> bool:
    """Return whether no reply came that anybody could read: it failed, or the server said no."""
    return not answered(talk) and talk.ending is not Ending.TOO_LARGE


def had_too_much_to_do(talk: Talk) -> bool:
    """Return whether the server said that it has too much to do."""
    return talk.ending is Ending.COMPLETE and talk.status == _TOO_MANY


def failed_fast(talk: Talk) -> bool:
    """Return whether no answer came, and at once: then another replica is asked."""
    if talk.ending is Ending.COMPLETE:
        return talk.status == _TOO_MANY or _is_server_error(talk.status)
    return talk.ending in {Ending.NOT_CONNECTED, Ending.BROKEN}


def cause_of(talk: Talk) -> RerouteCause:
    """Return why another replica is asked, of a talk that failed fast."""
    match talk.ending:
        case Ending.NOT_CONNECTED:
            return RerouteCause.NOT_CONNECTED
        case Ending.BROKEN:
            return RerouteCause.BROKEN
        case _:
            busy = talk.status == _TOO_MANY
            return RerouteCause.TOO_MANY_REQUESTS if busy else RerouteCause.SERVER_ERROR


def fault_of(talk: Talk, sketch: Sketch) -> Fault | None:
    """Return what the end of a talk says against the replica; `sketch` is of its replies so far."""
    match talk.ending:
        case Ending.OUT_OF_TIME:
            patient = sketch.quantile(0.99) / 1_000_000 if sketch.known >= ENOUGH else _PATIENT_SECONDS
            return Fault.NO_ANSWER if talk.ended - talk.started >= patient else None
        case Ending.COMPLETE:
            if talk.status is None or talk.status == OK or talk.status in _OWN_FAULTS:
                return None
            return Fault.SERVER_ERROR if _is_server_error(talk.status) else Fault.REFUSED
        case _:
            return None if talk.ending is None else _FAULTS.get(talk.ending)


def told_of(talk: Talk) -> str:
    """Return the word under which those who watch a replica count how a request to it ended.

    However many statuses a server thinks of, there are few words: `status-503`, or `status-4xx` for one that tells little.
    """
    if talk.ending is None:
        return "under-way"
    if talk.ending is not Ending.COMPLETE or talk.status is None or talk.status == OK:
        return talk.ending.value
    return f"status-{talk.status}" if talk.status in _TOLD else f"status-{talk.status // 100}xx"


def _is_server_error(status: int | None) -> bool:
    return status is not None and status >= _FIRST_SERVER_ERROR
