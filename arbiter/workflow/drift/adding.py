"""Cases added to what is kept of their protocol versions, within the transaction that moves the cursor past them.

An alarm is an entry of the house's chain and a row. It stops nothing by itself: inputs that move need not make decisions worse,
and whether they do is what audits measure. It stands until a person has looked into it (`acknowledging`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from arbiter.calibrating.drifting import Run, Watched, Window, begin_watching, fitted, observe
from arbiter.documents.canonical import encode
from arbiter.ports import Chance
from arbiter.question import Protocol
from arbiter.store.drifts import DriftStep, add_drift_step, add_window, keep_state, load_states
from arbiter.store.transaction import Transaction
from arbiter.workflow.drift.kept import open_watched, seal_watched
from arbiter.workflow.drift.observing import Counted
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.register import BY_ITSELF

DRIFTED: Final = "watch.drifted"
DOCUMENT: Final = "drift"
FORMAT: Final = "arbiter/drift/v1"

REFERENCE: Final = 500
"""The first so many cases of a protocol version are what later ones are compared with."""

WINDOW: Final = 200
"""Over so many cases each alpha is measured."""

_THETA_BITS: Final = 53
_THETA_BYTES: Final = 7


async def add(
    house: House, transaction: Transaction, counted: Sequence[Counted], now: datetime
) -> list[tuple[Protocol, Run]]:
    """Add cases, in the log's order, to what is kept; return the runs that alarmed. The cursor's row is held meanwhile."""
    by_version: dict[str, list[Counted]] = {}
    for each in counted:
        by_version.setdefault(each.protocol.content_hash, []).append(each)
    kept = await load_states(transaction, by_version)
    alarmed: list[tuple[Protocol, Run]] = []
    for protocol_hash, cases in sorted(by_version.items()):
        newest = cases[-1]
        watched = (
            fitted(
                open_watched(house.vault, protocol_hash, kept[protocol_hash]), newest.streams, newest.asked
            )
            if protocol_hash in kept
            else begin_watching(newest.streams, newest.asked, float(house.settings.drift_delta), REFERENCE)
        )
        # Arithmetic alone, and after a long silence much of it: whoever is served meanwhile does not wait for it.
        watched, runs, windows = await asyncio.to_thread(_observed, house.chance, watched, cases)
        await keep_state(transaction, protocol_hash, seal_watched(house.vault, protocol_hash, watched))
        for window in windows:
            await _keep_window(transaction, protocol_hash, window, now)
        for run in runs:
            await _alarm(house, transaction, newest.protocol, run, now)
            alarmed.append((newest.protocol, run))
    return alarmed


def drift_document(protocol: Protocol, run: Run) -> dict[str, Any]:
    """Return what an entry says of a run: how many cases it has seen, and what they say against nothing having changed."""
    return {
        "format": FORMAT,
        "protocol": protocol.id,
        "protocol_version": protocol.version,
        "protocol_hash": protocol.content_hash,
        "stream": run.stream,
        "run": run.number,
        "cases": run.drift.seen,
        "reference": run.drift.reference,
        "log_value": f"{run.drift.highest:.6f}",
        "delta": f"{run.drift.delta:.6g}",
    }


def _observed(
    chance: Chance, watched: Watched, cases: Sequence[Counted]
) -> tuple[Watched, list[Run], list[Window]]:
    alarmed: list[Run] = []
    ended: list[Window] = []
    for case in cases:
        thetas = [_theta(chance) for _ in watched.runs]
        seen = observe(watched, case.bins, thetas, case.said, WINDOW)
        watched = seen.watched
        alarmed += seen.alarmed
        ended += seen.ended
    return watched, alarmed, ended


def _theta(chance: Chance) -> float:
    """Draw uniformly from [0, 1): as many bits as a float has between a half and 1."""
    drawn = int.from_bytes(chance.token(_THETA_BYTES), "big") >> (8 * _THETA_BYTES - _THETA_BITS)
    return drawn / float(1 << _THETA_BITS)


async def _alarm(house: House, transaction: Transaction, protocol: Protocol, run: Run, now: datetime) -> None:
    of = (protocol.content_hash, run.stream, run.number)
    await add_drift_step(transaction, of, DriftStep.ALARMED, BY_ITSELF.id, now)
    document = drift_document(protocol, run)
    await note_in_house(house, transaction, DRIFTED, BY_ITSELF.id, {DOCUMENT: encode(document)})


async def _keep_window(transaction: Transaction, protocol_hash: str, window: Window, now: datetime) -> None:
    alpha = window.agreement.alpha
    of = (protocol_hash, window.asks, window.number)
    told = None if alpha is None else f"{alpha:.6f}"
    await add_window(transaction, of, window.agreement.units, told, now)
