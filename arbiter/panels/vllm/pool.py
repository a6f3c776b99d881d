"""The fleet as this process asks it: a pool for each server over its replicas, and all pools together.

A pool is the one owner of retries for what its members ask: `arbiter.panels.vllm.asking` says what is asked again and when,
`places` at which replica, `probing` how one that failed comes back. Nothing above it asks twice, and nothing below it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from arbiter.fleet.fleet import Fleet, Scheduling, Server
from arbiter.fleet.proofs import NOT_SINCE, Proofs
from arbiter.fleet.state import FleetState, ServerState, Withheld
from arbiter.panels.vllm.asking import Asking, Told
from arbiter.panels.vllm.breaker import Fault
from arbiter.panels.vllm.hedging import Allowance
from arbiter.panels.vllm.moves import Moves
from arbiter.panels.vllm.places import Places
from arbiter.panels.vllm.probing import Prober
from arbiter.panels.vllm.replica import ServingReplica
from arbiter.panels.vllm.tries import Request
from arbiter.ports import Clock
from arbiter.question import ModelSpec
from arbiter.telemetry import Safe

log = logging.getLogger(__name__)


class Pool:
    """One server by name; members in any number of seats ask through it."""

    def __init__(
        self, server: Server, token: str | None, clock: Clock, moves: Moves, proofs: Proofs | None = None
    ) -> None:
        self.name = server.name
        self.clock = clock
        self.server = server
        self.replicas = tuple(ServingReplica(replica, token) for replica in server.replicas)
        self.places = Places(server, self.replicas, clock, moves)
        self.proofs = Proofs(needed=False) if proofs is None else proofs
        self.places.doubt = self._doubt
        self.proofs.then(self.places.look_again)
        self._allowance = Allowance()
        self._prober = Prober(self.places)
        self._began = clock.now()
        self._reroutes = 0
        self._input_tokens = 0
        self._output_tokens = 0

    @property
    def by_priority(self) -> bool:
        """Whether the server takes a priority with a request; vLLM documents that it refuses one otherwise."""
        return self.server.scheduling is Scheduling.PRIORITY

    async def ask(self, request: Request, seconds: float) -> Told:
        """Ask for a completion and return what came of it, at the latest after that many seconds."""
        asking = Asking(self.places, self._allowance, request, time.perf_counter() + seconds)
        told = await asking.run()
        self._reroutes += len(told.reroutes)
        return told

    def believed(self, replica: ServingReplica, model: str) -> None:
        """Take in that a reply was one of the model asked, to the request sent."""
        self.places.succeeded(replica, model)

    def disbelieved(self, replica: ServingReplica, model: str, fault: Fault) -> None:
        """Take in that a reply was none."""
        self.places.failed(replica, model, fault)

    def used(self, input_tokens: int, output_tokens: int) -> None:
        """Count the tokens that a reply took."""
        self._input_tokens += input_tokens
        self._output_tokens += output_tokens

    def state(self, models: Iterable[ModelSpec] = ()) -> ServerState:
        """Return what is known of the server now, and of these models where they are withheld."""
        withheld = self._withheld(models)
        return ServerState(
            name=self.name,
            concurrency=self.server.concurrency,
            queue=self.server.queue,
            calls=self._allowance.calls,
            hedges=self._allowance.hedges,
            hedges_won=self._allowance.won,
            reroutes=self._reroutes,
            shed=self.places.shed,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            replicas=tuple(
                replica.state(self._began, withheld.get(replica.name, ())) for replica in self.replicas
            ),
        )

    def _withheld(self, models: Iterable[ModelSpec]) -> dict[str, list[Withheld]]:
        """Return by replica which of these models are not asked there for want of a proof."""
        found: dict[str, list[Withheld]] = {}
        for model in models:
            if model.server == self.name:
                for replica, cause in self.proofs.withheld(self.server, model).items():
                    told = Withheld(model.name, model.adapter, model.weights_sha256, cause)
                    found.setdefault(replica, []).append(told)
        return found

    def _doubt(self, replica: str, model: str | None) -> None:
        for name in self.proofs.doubt(self.name, replica, model):
            log.warning(
                "server %s, replica %s: %s is %s", Safe(self.name), Safe(replica), Safe(name), Safe(NOT_SINCE)
            )

    async def keep_probing(self) -> None:
        """Probe replicas that failed, until cancelled."""
        await self._prober.run()

    async def close(self) -> None:
        """Close every connection."""
        for replica in self.replicas:
            await replica.close()


class Servers(Mapping[str, Pool]):
    """Every server of the fleet by its name; `moves` holds what breakers did and the log does not say yet.

    `proofs` say which replicas must not be asked for which model.
    """

    def __init__(self, fleet: Fleet, token: str | None, clock: Clock, *, proofs_needed: bool = False) -> None:
        self.moves = Moves()
        self.proofs = Proofs(needed=proofs_needed)
        self._began = clock.now()
        self._process = f"{platform.node()}/{os.getpid()}"
        self._pools = {
            name: Pool(server, token, clock, self.moves, self.proofs)
            for name, server in fleet.servers.items()
        }

    def __getitem__(self, name: str) -> Pool:
        return self._pools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pools)

    def __len__(self) -> int:
        return len(self._pools)

    def state(self, now: datetime, models: Iterable[ModelSpec] = ()) -> FleetState:
        """Return the fleet as this process knows it; `models` are those in the seats, told where they are withheld."""
        models = tuple(dict.fromkeys(models))
        return FleetState(
            process=self._process,
            began=self._began,
            at=now,
            servers=tuple(pool.state(models) for pool in self._pools.values()),
        )

    async def keep_probing(self) -> None:
        """Probe every replica that failed, until cancelled: what runs beside the work of a house."""
        async with asyncio.TaskGroup() as group:
            for pool in self._pools.values():
                group.create_task(pool.keep_probing())

    async def close(self) -> None:
        """Close every server's connections."""
        for pool in self._pools.values():
            await pool.close()


NO_SERVERS: Final[Mapping[str, Pool]] = MappingProxyType({})


def open_servers(fleet: Fleet, token: str | None, clock: Clock, *, proofs_needed: bool = False) -> Servers:
    """Return every server of the fleet by its name; no connection is made before somebody asks.

    Where proofs are needed, a model is asked only at a replica where it is proven.
    """
    return Servers(fleet, token, clock, proofs_needed=proofs_needed)


async def close_servers(servers: Servers) -> None:
    """Close every server's connections."""
    await servers.close()
