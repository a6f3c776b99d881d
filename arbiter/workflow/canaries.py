"""How each seat's canary stands: what the page, the commands, the doctor and the metrics are told, all from one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from arbiter.model import MemberId
from arbiter.question import Protocol
from arbiter.store.canaries import RunKind, StandingRow, load_canary_standings
from arbiter.store.transaction import Where
from arbiter.workflow.house import House


class CanaryStanding(StrEnum):
    """How a seat stands by its canary.

    `moved` stays until a new baseline is taken: an alarm is not taken back by a quiet night.
    """

    NEVER = "never"
    BASELINE = "baseline"
    STEADY = "steady"
    MOVED = "moved"
    NOT_ASKED = "not-asked"


_OF_KIND: Final = {
    RunKind.BASELINE: CanaryStanding.BASELINE,
    RunKind.COMPARISON: CanaryStanding.STEADY,
    RunKind.NOT_ASKED: CanaryStanding.NOT_ASKED,
}


@dataclass(frozen=True, slots=True)
class LatestCanary:
    """The newest canary of one seat of a protocol in force.

    `at` is the newest run, `heard_at` the newest in which the seat answered, `baseline_at` when the baseline of the identity
    that answered then was taken, `alarmed_at` when the seat was first found to have moved since a person began it anew;
    each is None where there was none, instants are aware UTC. `p_value` and `level` are the newest run's, as decimal text,
    where it compared. `cases` and `draws` count what was compared or kept. `cause` says in fixed words why a seat was not
    asked, or what is new about it.
    """

    protocol: str
    member: MemberId
    title: str
    standing: CanaryStanding
    at: datetime | None
    heard_at: datetime | None
    baseline_at: datetime | None
    alarmed_at: datetime | None
    p_value: str | None
    level: str | None
    cases: int
    draws: int
    cause: str


async def latest_canaries(house: House) -> tuple[LatestCanary, ...]:
    """Return the newest canary of every seat in force, by protocol and in the order of its seats."""
    protocols = [house.shelf.current[name].protocol for name in sorted(house.shelf.current)]
    return await canaries_of(protocols, house.store)


async def look_for_moved(house: House) -> None:
    """Learn which seats have moved, whoever found it: their panels decide nothing alone meanwhile."""
    found = await load_canary_standings(house.store)
    house.moved.seats = frozenset(
        (row.newest.protocol, row.newest.member) for row in found if row.alarmed_at is not None
    )


async def canaries_of(protocols: list[Protocol], where: Where) -> tuple[LatestCanary, ...]:
    """Return the newest canary of every seat of these protocols, in their order."""
    found = {(row.newest.protocol, row.newest.member): row for row in await load_canary_standings(where)}
    return tuple(
        _latest(protocol.id, seat.member, seat.title, found.get((protocol.id, seat.member)))
        for protocol in protocols
        for seat in protocol.seats
    )


def _latest(protocol: str, member: MemberId, title: str, row: StandingRow | None) -> LatestCanary:
    if row is None:
        return LatestCanary(
            protocol, member, title, CanaryStanding.NEVER, None, None, None, None, None, None, 0, 0, ""
        )
    newest = row.newest
    return LatestCanary(
        protocol=protocol,
        member=member,
        title=title,
        standing=CanaryStanding.MOVED if row.alarmed_at is not None else _OF_KIND[newest.kind],
        at=newest.at,
        heard_at=row.heard_at,
        baseline_at=row.baseline_at,
        alarmed_at=row.alarmed_at,
        p_value=newest.p_value,
        level=newest.level,
        cases=len(newest.counts),
        draws=sum(sum(counts.values()) for counts in newest.counts.values()),
        cause=newest.cause,
    )
