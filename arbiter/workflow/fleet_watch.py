"""Watching the fleet: each process tells what it knows of the model servers, and whoever may look sees all of it together.

Guarantees: nothing of a case is in it; a reviewer never sees it, since a seat that went down tells why a case waits; a state
that cannot be read is told as such, and hides no other.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from arbiter.errors import UnavailableError
from arbiter.fleet.finding import Finding
from arbiter.fleet.findings import findings
from arbiter.fleet.overview import Heard, Overview, oversee
from arbiter.fleet.seats import Canaries, CanaryResult, SeatCanary
from arbiter.fleet.state import FleetState
from arbiter.fleet.telling import read_state
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.question import Protocol
from arbiter.store.fleet_states import Told, load_states, take_back_state, tell_state
from arbiter.workflow.canaries import CanaryStanding, canaries_of
from arbiter.workflow.house import House

EVERY_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Watch:
    """The fleet as it is seen now, and what is wrong with it."""

    overview: Overview
    findings: tuple[Finding, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all says that there is a fleet: neither settings, protocols nor any process."""
        overview = self.overview
        return not (overview.seats or overview.servers or overview.processes or self.findings)


async def watch_fleet(house: House, principal: Principal) -> Watch:
    """Return the fleet for whoever may watch it.

    Raises:
        ForbiddenError: for anybody else.
    """
    principal.require(Permission.FLEET_WATCH)
    return await look_at_fleet(house)


async def look_at_fleet(house: House) -> Watch:
    """Return the fleet for whoever has the installation itself in hand."""
    heard = [_heard(told) for told in await load_states(house.store)]
    protocols = [shelved.protocol for shelved in house.shelf.current.values()]
    overview = oversee(heard, protocols, await _canaries(house, protocols), house.clock.now())
    return Watch(overview, findings(overview, expected=bool(house.fleet)))


_RESULTS: Final = {
    CanaryStanding.BASELINE: CanaryResult.BASELINE,
    CanaryStanding.STEADY: CanaryResult.STEADY,
    CanaryStanding.MOVED: CanaryResult.MOVED,
    CanaryStanding.NOT_ASKED: CanaryResult.NOT_ASKED,
}


async def _canaries(house: House, protocols: list[Protocol]) -> Canaries:
    latest = await canaries_of(protocols, house.store)
    return {
        (each.protocol, each.member): SeatCanary(
            at=each.alarmed_at or each.at,
            result=_RESULTS[each.standing],
            heard_at=each.heard_at,
            # Of a quiet night after the one that alarmed it would say the contrary.
            p_value=each.p_value if each.alarmed_at in {None, each.at} else None,
        )
        for each in latest
        if each.standing in _RESULTS and each.at is not None
    }


def _heard(told: Told) -> Heard:
    state: FleetState | None = None
    with suppress(ValueError):
        state = read_state(told.document)
    if state is not None and (state.process, state.began) != (told.process, told.began):
        state = None
    # A name that nobody has checked goes to terminals too.
    process = "".join(letter if letter.isprintable() else "?" for letter in told.process)
    return Heard(process, told.began, told.at, told.age, state)


def fleet_state(house: House) -> FleetState:
    """Return the fleet as this process knows it, with what it withholds from the seats in force."""
    protocols = (shelved.protocol for shelved in house.shelf.current.values())
    models = (seat.model for protocol in protocols for seat in protocol.seats if seat.model is not None)
    return house.fleet.state(house.clock.now(), models)


async def tell_fleet(house: House) -> None:
    """Tell this process's state every few seconds until cancelled; then take it back, for it is nobody's any more."""
    state = fleet_state(house)
    try:
        while True:
            await tell_state(house.store, state.process, state.began, state.to_json())
            await asyncio.sleep(EVERY_SECONDS)
            state = fleet_state(house)
    finally:
        with suppress(UnavailableError):
            await take_back_state(house.store, state.process, state.began)
