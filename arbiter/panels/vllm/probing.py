"""Asks replicas whose breakers are open for one token, in the background: no patient's case finds out whether they are back."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any, Final

from arbiter.fleet.probing import CHAT_PATH
from arbiter.panels.vllm.breaker import Fault
from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.places import Places
from arbiter.panels.vllm.reading import FalseReplyError, choices_of
from arbiter.panels.vllm.replica import OK, ServingReplica
from arbiter.telemetry import fleet as telling

PROBE_SECONDS: Final = 5.0
_REPLY_LIMIT: Final = 64 * 1024
_LOOK_AGAIN_SECONDS: Final = 1.0


def probe_request(model: str, request_id: str) -> bytes:
    """Return the body that asks a model for one token; nothing of any case is in it."""
    document: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "Say yes."}],
        "n": 1,
        "temperature": 0.0,
        "max_tokens": 1,
        "request_id": request_id,
        "stream": False,
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii")


async def probe(replica: ServingReplica, model: str, seconds: float = PROBE_SECONDS) -> Fault | None:
    """Ask a replica for a token of that model and return what was wrong, or None when it came."""
    request_id = secrets.token_hex(16)
    talk = replica.wire.begin("POST", CHAT_PATH, probe_request(model, request_id), _REPLY_LIMIT, request_id)
    try:
        await asyncio.wait({talk.done}, timeout=seconds)
    finally:
        talk.hang_up(Ending.OUT_OF_TIME)
    match talk.ending:
        case Ending.NOT_CONNECTED:
            return Fault.NOT_CONNECTED
        case Ending.OUT_OF_TIME:
            return Fault.NO_ANSWER
        case Ending.TOO_LARGE:
            return Fault.TOO_LARGE
        case Ending.COMPLETE:
            return _judged(bytes(talk.body), model, request_id) if talk.status == OK else _of(talk.status)
        case _:
            return Fault.BROKEN


def _of(status: int | None) -> Fault:
    return Fault.SERVER_ERROR if status is not None and status >= 500 else Fault.REFUSED


def _judged(body: bytes, model: str, request_id: str) -> Fault | None:
    try:
        reply = choices_of(body, model, 1, request_id)
    except FalseReplyError as error:
        return error.fault
    if len(reply.choices) != 1:
        return Fault.UNREADABLE
    # An engine that is alive says why it stopped; which token came matters to nobody.
    return None if reply.choices[0].get("finish_reason") in ("length", "stop") else Fault.UNREADABLE


class Prober:
    """Probes the replicas of one server whose breakers have waited long enough, for as long as it runs."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[Fault | None]] = set()
        places.when_opened = self._wake.set

    async def run(self) -> None:
        """Probe until cancelled."""
        try:
            while True:
                self._wake.clear()
                for replica, model in self._places.due():
                    self._begin(replica, model)
                await self._next()
        finally:
            under_way = list(self._under_way)
            for task in under_way:
                task.cancel()
            if under_way:
                await asyncio.wait(under_way)

    async def _next(self) -> None:
        """Wait until a breaker is due, or one opens."""
        due = self._places.next_due()
        if due is None:
            await self._wake.wait()
            return
        pause = min(max(0.0, due - time.perf_counter()) + 0.001, _LOOK_AGAIN_SECONDS)
        waking = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({waking}, timeout=pause)
        finally:
            waking.cancel()

    def _begin(self, replica: ServingReplica, model: str) -> None:
        self._places.probing(replica, model)
        task = asyncio.create_task(probe(replica, model))
        self._under_way.add(task)
        task.add_done_callback(lambda ended: self._ended(replica, model, ended))

    def _ended(self, replica: ServingReplica, model: str, task: asyncio.Task[Fault | None]) -> None:
        self._under_way.discard(task)
        # INVARIANT: whatever became of a probe, its breaker moves on: one left half-open would be probed by nobody.
        fault = Fault.BROKEN if task.cancelled() or task.exception() is not None else task.result()
        self._places.probed(replica, model, fault)
        telling.probed(self._places.server.name, replica.name, model, answered=fault is None)
