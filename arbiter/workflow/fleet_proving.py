"""Proves in production what sits in the seats before any of it is asked, and again and again while the house works.

A model is asked at a replica only while `arbiter.fleet.proofs` holds a proof of it; this makes them. It keeps nobody from
handing in a case: a seat that is not proven is down, and its case goes to a human.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable
from types import MappingProxyType
from typing import Final

from arbiter.fleet.checking import Expected, Proof, check, seats_of
from arbiter.fleet.fleet import Fleet
from arbiter.fleet.judging import State
from arbiter.fleet.proofs import HOLDS_SECONDS
from arbiter.fleet.token import read_token
from arbiter.fleet.weights import Hasher
from arbiter.question import Protocol
from arbiter.telemetry import Safe
from arbiter.workflow.house import House
from arbiter.workflow.standing_work import keep_up

log = logging.getLogger(__name__)

LEAST_PAUSE_SECONDS: Final = 1.0
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 30.0
"""How long after a round the next one begins: the longest where everything is proven, the first where something is not."""
COMPLETION_SECONDS: Final = 15.0
FIRST_ROUND_SECONDS: Final = 20.0
"""How long a start waits for the first proofs: what is not there by then is down, until it is."""


class Prover:
    """Makes the proofs of a house's seats; one for each process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._hasher = Hasher()

    async def first_round(self) -> None:
        """Make the first proofs before any case is asked about, without waiting for what does not answer."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.round(), FIRST_ROUND_SECONDS)

    async def run(self) -> None:
        """Make proofs until cancelled: at once where one is wanted, else after a pause."""
        proofs, pause = self._house.fleet.proofs, FIRST_PAUSE_SECONDS
        while True:
            try:
                await asyncio.wait_for(
                    proofs.wanted.wait(), LONGEST_PAUSE_SECONDS if proofs.all_proven else pause
                )
                pause = FIRST_PAUSE_SECONDS
            except TimeoutError:
                # What stays wrong is looked at less and less often: it takes a person to put it right.
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            proofs.wanted.clear()
            await self.round()
            await asyncio.sleep(LEAST_PAUSE_SECONDS)

    async def round(self) -> None:
        """Check every seat at every replica and take in what was found."""
        house, began = self._house, time.monotonic()
        token = read_token(house.settings.model_server_token_file)
        found = await check(self._seats(), token, self._hasher, seconds=COMPLETION_SECONDS)
        _tell(house.fleet.proofs.settle(found, began))

    def _seats(self) -> tuple[Expected, ...]:
        house = self._house
        fleet = Fleet(MappingProxyType({name: pool.server for name, pool in house.fleet.items()}))
        in_force = (shelved.protocol for shelved in house.shelf.current.values())
        return (*seats_of(fleet, in_force), *house.fleet.proofs.asked())


@contextlib.asynccontextmanager
async def proving(house: House, *further: Protocol) -> AsyncIterator[None]:
    """Make proofs for as long as the block runs, in a process that asks models and is not one that serves.

    The first are made before the block, however long the weights take to read. The seats of `further` are proven too: protocols
    that may be in force no more. Where no proofs are needed, none are made.
    """
    proofs = house.fleet.proofs
    if not (house.fleet and proofs.needed):
        yield
        return
    for seat in (seat for protocol in further for seat in protocol.seats):
        if seat.model is not None and seat.model.server in house.fleet:
            proofs.want(house.fleet[seat.model.server].server, seat.model)
    prover, began = Prover(house), time.monotonic()
    # No case waits for this, and who gave up would read as many gigabytes the next time: every question has its own limit.
    await prover.round()
    if time.monotonic() - began > HOLDS_SECONDS / 2:
        # Of so old a check nothing holds for long; the weights are not read again.
        await prover.round()
    keeping = asyncio.create_task(keep_up("proving the fleet", prover.run))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def _tell(changed: Iterable[Proof]) -> None:
    for proof in changed:
        place = (Safe(proof.expected.server.name), Safe(proof.replica.name), Safe(proof.expected.model.name))
        if proof.state is State.PROVEN:
            log.info("server %s, replica %s: %s is proven", *place)
        else:
            worst = next(line.check.value for line in proof.lines if line.state is proof.state)
            log.warning(
                "server %s, replica %s: %s is withheld, its %s is %s; `arbiter panel check` tells more",
                *place,
                Safe(worst),
                Safe(proof.state.value),
            )
