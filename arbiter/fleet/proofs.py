"""What was proven last of every model at every replica, and so which replicas must not be asked for it, and why.

Guarantees, where proofs are needed: a model is asked at a replica only while the last check of just these weights there proved
it, since that check began no breaker has opened and no request found the replica gone or lost it, and the check is no older than
`HOLDS_SECONDS`; a check whose completion alone came too late says nothing. What was never checked, is silent or is wrong is
withheld; the cause is in fixed words. Another name, adapter or hash is another thing to prove, so that a case under an older
protocol is not answered by the newer one's model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from arbiter.fleet.checking import Expected, Proof
from arbiter.fleet.fleet import Server
from arbiter.fleet.judging import Check, State
from arbiter.question import ModelSpec

HOLDS_SECONDS: Final = 300.0
"""So long a proof counts when none follows it: whoever makes them may have stopped, or the replica be busy."""
KNOWN_LIMIT: Final = 1_024
"""So many seats beyond those in force are remembered, to be proven because a case under an older protocol asked."""

NOT_YET: Final = "withheld: not proven yet"
NOT_SINCE: Final = "withheld: not proven since it failed"
NOT_LATELY: Final = "withheld: not proven lately"
_SILENT: Final = "withheld: it gave no answer when it was checked"
_WRONG: Final[Mapping[Check, str]] = MappingProxyType(
    {
        Check.ANSWER: "withheld: another model answered when it was checked",
        Check.NAME: "withheld: the server does not serve the model",
        Check.KIND: "withheld: the server serves a base for an adapter, or an adapter for a base",
        Check.FOLDER: "withheld: the server serves from another folder",
        Check.CONTEXT: "withheld: the server takes fewer tokens than it should",
        Check.VERSION: "withheld: the server is another version of vLLM",
        Check.WEIGHTS: "withheld: the weights are not those that the protocol states",
    }
)

_Key = tuple[str, str, str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is known of a model at a replica: how the last check came out, why it is withheld (empty: it is not), since when."""

    state: State
    cause: str
    at: float


class Proofs:
    """What one process knows; `needed` is false where nothing is withheld for want of a proof."""

    def __init__(self, *, needed: bool) -> None:
        self.needed = needed
        self.wanted = asyncio.Event()
        self._standings: dict[_Key, _Standing] = {}
        # By server, replica and model (None: all of them), also where nothing stands yet: when it failed last.
        self._doubted: dict[tuple[str, str, str | None], float] = {}
        self._hearers: list[Callable[[], None]] = []
        self._asked: dict[tuple[str, str, str | None, str | None], Expected] = {}

    def barred(self, server: Server, model: ModelSpec) -> dict[str, str]:
        """Return the replicas that must not be asked for the model, each with the cause; what is unknown is then checked."""
        barred = self.withheld(server, model)
        if NOT_YET in barred.values():
            self._remember(server, model)
        return barred

    def withheld(self, server: Server, model: ModelSpec) -> dict[str, str]:
        """Return the replicas that are withheld from the model, each with the cause, for those who watch."""
        if not self.needed:
            return {}
        now = time.monotonic()
        causes = {
            replica.name: _standing_cause(self._standings.get(_key(server.name, replica.name, model)), now)
            for replica in server.replicas
        }
        return {name: cause for name, cause in causes.items() if cause}

    def refuted(self, server: str, replica: str, model: ModelSpec) -> str | None:
        """Return the cause where the last check found something else than the model there: its answers are not its own."""
        standing = self._standings.get(_key(server, replica, model))
        return standing.cause if standing is not None and standing.state is State.WRONG else None

    def doubt(self, server: str, replica: str, model: str | None = None) -> tuple[str, ...]:
        """Take in that a replica has failed at a model, or is gone (no model): whatever comes back there may be another.

        Return the models that are withheld there from now on and were not before.
        """
        self._doubted[server, replica, model] = time.monotonic()
        withheld = []
        for key, standing in self._standings.items():
            if key[:2] == (server, replica) and model in {None, key[2]} and not standing.cause:
                self._standings[key] = replace(standing, cause=NOT_SINCE)
                withheld.append(key[2])
        self.wanted.set()
        return tuple(dict.fromkeys(withheld))

    def settle(self, proofs: Iterable[Proof], began: float) -> tuple[Proof, ...]:
        """Take in what a check found that began then (seconds of monotonic); return what stands otherwise than before."""
        changed = []
        for proof in proofs:
            key = _key(proof.expected.server.name, proof.replica.name, proof.expected.model)
            before, cause = self._standings.get(key), _cause(proof)
            if proof.state is State.PROVEN and self._has_failed_since(key, began):
                continue
            if proof.is_late and not _standing_cause(before, time.monotonic()):
                continue  # who is only busy keeps the proof there is, which ages: a dead engine opens its breaker
            if before is None or (before.state, before.cause) != (proof.state, cause):
                changed.append(proof)
            self._standings[key] = _Standing(proof.state, cause, began)
        for hear in self._hearers:
            hear()
        return tuple(changed)

    def then(self, hear: Callable[[], None]) -> None:
        """Call `hear` whenever a check was taken in: who waits for a replica may have one now, or none any more."""
        self._hearers.append(hear)

    def asked(self) -> tuple[Expected, ...]:
        """Return the seats that were asked for and are to be proven although no protocol in force has them."""
        return tuple(self._asked.values())

    def want(self, server: Server, model: ModelSpec) -> None:
        """Have a model proven at every replica although no protocol in force may have it."""
        self._remember(server, model)

    @property
    def all_proven(self) -> bool:
        """Whether something was checked, and nothing is withheld of what ever was."""
        now = time.monotonic()
        standings = self._standings.values()
        return bool(standings) and not any(_standing_cause(standing, now) for standing in standings)

    def _has_failed_since(self, key: _Key, began: float) -> bool:
        server, replica, name, *_ = key
        doubts = (self._doubted.get((server, replica, model)) for model in (name, None))
        return any(doubted is not None and doubted >= began for doubted in doubts)

    def _remember(self, server: Server, model: ModelSpec) -> None:
        if len(self._asked) < KNOWN_LIMIT:
            thing = (server.name, model.name, model.adapter, model.weights_sha256)
            self._asked.setdefault(thing, Expected("", "", model, server))
            self.wanted.set()


def _key(server: str, replica: str, model: ModelSpec) -> _Key:
    return server, replica, model.name, model.adapter, model.weights_sha256


def _standing_cause(standing: _Standing | None, now: float) -> str:
    """Return why a model is withheld now (seconds of monotonic), empty where it is not."""
    if standing is None:
        return NOT_YET
    if not standing.cause and now - standing.at > HOLDS_SECONDS:
        return NOT_LATELY
    return standing.cause


def _cause(proof: Proof) -> str:
    match proof.state:
        case State.WRONG:
            wrong = next(line.check for line in proof.lines if line.state is State.WRONG)
            return _WRONG[wrong]
        case State.SILENT:
            return _SILENT
        case _:
            return ""
