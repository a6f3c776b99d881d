"""How every stream that is watched stands: what the commands, the doctor and the metrics are told, all from one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from arbiter.calibrating.drifting import Run
from arbiter.store.drifts import DriftAlarm, VersionState, load_alarms, load_every_state
from arbiter.workflow.drift.kept import open_watched
from arbiter.workflow.house import House


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """A stream of a protocol version since it began, or last began anew.

    `cases` are those it has seen since, of which the first `reference` are its sample. `one_in`: in one of how many streams that
    never change this much is ever found, at most; None while the sample is being taken. `run` counts how often it began
    anew. `alarmed_at` is since when an alarm stands that nobody has acknowledged.
    """

    protocol: str
    version: str
    stream: str
    run: int
    cases: int
    reference: int
    one_in: float | None
    alarmed_at: datetime | None


async def drift_standings(house: House) -> tuple[StreamStanding, ...]:
    """Return every stream of the protocol versions in force, and whatever else has an alarm that stands, by protocol."""
    async with house.store.read() as transaction:
        states = await load_every_state(transaction)
        alarms = await load_alarms(transaction, standing=True)
    in_force = {shelved.protocol.content_hash for shelved in house.shelf.current.values()}
    since = {(alarm.protocol_hash, alarm.stream): alarm for alarm in reversed(alarms)}
    found: list[StreamStanding] = []
    for kept in states:
        watched = open_watched(house.vault, kept.protocol_hash, kept.state)
        for run in watched.runs:
            alarm = since.pop((kept.protocol_hash, run.stream), None)
            if alarm is not None or kept.protocol_hash in in_force:
                found.append(_standing(kept, run, alarm))
    # Streams that this release no longer has.
    found += [
        StreamStanding(alarm.protocol, alarm.version, alarm.stream, alarm.run, 0, 0, None, alarm.alarmed_at)
        for alarm in since.values()
    ]
    return tuple(sorted(found, key=lambda standing: standing.protocol))


def _standing(kept: VersionState, run: Run, alarm: DriftAlarm | None) -> StreamStanding:
    return StreamStanding(
        protocol=kept.protocol,
        version=kept.version,
        stream=run.stream,
        run=run.number,
        cases=run.drift.seen,
        reference=run.drift.reference,
        one_in=run.one_in,
        alarmed_at=None if alarm is None else alarm.alarmed_at,
    )
