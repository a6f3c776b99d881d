"""Proves every seat that a model fills, at every replica: what answers there is what the protocol and the fleet file say.

Guarantees: a seat is proven at a replica only by a completion that came now, from a model whose name, kind, folder, context,
version and, where the folder can be read here, weights are the expected ones; a server's own word of being well counts for
nothing. What is wrong and what is silent are told apart: the one must never be used, the other may come back.

What cannot be seen from outside stays unseen: weights are those in the folder, not those in the server's memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arbiter.errors import ConfigurationError
from arbiter.fleet.fleet import Fleet, Replica, Server
from arbiter.fleet.judging import Check, Line, State, judge
from arbiter.fleet.probing import (
    ASK_SECONDS,
    ONE_TOKEN_SECONDS,
    OUT_OF_TIME,
    Card,
    Silence,
    answers,
    cards,
    client,
    version,
)
from arbiter.fleet.weights import Hasher, UnreadableWeightsError
from arbiter.question import ModelSpec, Protocol


@dataclass(frozen=True, slots=True)
class Expected:
    """A seat as a protocol and the fleet file describe it."""

    protocol: str
    member: str
    model: ModelSpec
    server: Server


@dataclass(frozen=True, slots=True)
class Proof:
    """A seat at one replica: every line of what was compared."""

    expected: Expected
    replica: Replica
    lines: tuple[Line, ...]

    @property
    def state(self) -> State:
        """The gravest of its lines: wrong, then silent; what cannot be known here proves nothing and refutes nothing."""
        states = {line.state for line in self.lines}
        return next((grave for grave in (State.WRONG, State.SILENT) if grave in states), State.PROVEN)

    @property
    def is_late(self) -> bool:
        """Whether nothing but the completion is missing, and that for want of time: it may have queued behind cases."""
        silent = [(line.check, line.came) for line in self.lines if line.state is State.SILENT]
        # Who lists no models was not seen at all.
        listed = any(line.check is Check.NAME for line in self.lines)
        return self.state is State.SILENT and listed and silent == [(Check.ANSWER, OUT_OF_TIME)]

    @property
    def cause(self) -> str:
        """What the gravest line says, in a sentence; empty for a seat that is proven."""
        grave = next((line for line in self.lines if line.state is self.state), None)
        if self.state is State.PROVEN or grave is None:
            return ""
        return f"{grave.check.value}: expected {grave.expected}, {grave.came}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one replica said of itself, and what each model did when it was asked."""

    cards: tuple[Card, ...] | Silence
    version: str | Silence
    answers: Mapping[str, str | Silence]


def seats_of(fleet: Fleet, protocols: Iterable[Protocol]) -> tuple[Expected, ...]:
    """Return every seat of the protocols that a model fills.

    Raises:
        ConfigurationError: when one asks a server that the fleet file does not name.
    """
    found = []
    for protocol in protocols:
        for seat in protocol.seats:
            if seat.model is None:
                continue
            server = fleet.servers.get(seat.model.server)
            if server is None:
                known = ", ".join(sorted(fleet.servers)) or "none"
                raise ConfigurationError(
                    f"protocol {protocol.id}, seat {seat.member}: the model server {seat.model.server!r} is not known; "
                    f"the fleet file names {known}: add {seat.model.server} with its replicas to it"
                )
            found.append(Expected(protocol.id, seat.member, seat.model, server))
    return tuple(found)


async def check(
    seats: Sequence[Expected],
    token: str | None,
    hasher: Hasher,
    *,
    only: Sequence[str] = (),
    seconds: float = ONE_TOKEN_SECONDS,
) -> tuple[Proof, ...]:
    """Return a proof for every seat at every replica of its server, or at those named alone.

    Replicas are asked at once, the models of one after the other.
    """
    wanted: dict[Replica, list[Expected]] = {}
    for expected in seats:
        for replica in expected.server.replicas:
            if not only or replica.name in only:
                wanted.setdefault(replica, []).append(expected)
    came = await asyncio.gather(
        *(_see(replica, expected, token, seconds) for replica, expected in wanted.items())
    )
    seen = dict(zip(wanted, came, strict=True))
    proofs = []
    for expected in seats:
        engine = _engine(expected.server, seen)
        for replica in expected.server.replicas:
            if replica in seen:
                weights = await asyncio.to_thread(_weights, expected, seen[replica], hasher)
                proofs.append(Proof(expected, replica, _lines(expected, seen[replica], engine, weights)))
    return tuple(proofs)


async def _see(replica: Replica, seats: Sequence[Expected], token: str | None, seconds: float) -> Seen:
    names = dict.fromkeys(expected.model.name for expected in seats)
    async with client(replica.url, token) as http:
        listed = await cards(http, min(seconds, ASK_SECONDS))
        if isinstance(listed, Silence):
            # Who does not even list models is not asked to compute: it costs a minute a model to find out.
            return Seen(listed, listed, dict.fromkeys(names, listed))
        told = await version(http, min(seconds, ASK_SECONDS))
        found: dict[str, str | Silence] = {}
        for name in names:
            found[name] = await answers(http, name, seconds)
            if found[name] == Silence(OUT_OF_TIME):
                # An engine that stands still stands still for every model, and would be waited for as often.
                return Seen(listed, told, {**dict.fromkeys(names, found[name]), **found})
        return Seen(listed, told, found)


def _engine(server: Server, seen: Mapping[Replica, Seen]) -> str | None:
    """Return the version that all replicas of a server have: the one stated, else that of the first that tells."""
    if server.version is not None:
        return server.version
    told = (seen[replica].version for replica in server.replicas if replica in seen)
    return next((version for version in told if isinstance(version, str)), None)


def _weights(expected: Expected, seen: Seen, hasher: Hasher) -> str | Silence | ConfigurationError:
    """Return the hash of the weights behind a seat; Silence where they cannot be read here."""
    if expected.model.weights_sha256 is None:
        return Silence("not read")
    folders = _folders(expected, seen)
    if folders is None:
        return Silence("no folder is known here")
    try:
        return hasher.sha256(*folders)
    except UnreadableWeightsError as error:
        return Silence(str(error))
    except ConfigurationError as error:
        return error


def _folders(expected: Expected, seen: Seen) -> tuple[Path, Path | None] | None:
    """Return the folders of a seat's base and adapter: those of the fleet file, else those that the server names."""
    serve, model = expected.server.serve, expected.model
    if serve is not None:
        adapter = serve.adapters.get(model.name)
        return None if (adapter is None) is not (model.adapter is None) else (serve.model, adapter)
    listed = {card.id: card for card in seen.cards} if not isinstance(seen.cards, Silence) else {}
    card = listed.get(model.name)
    base = card if card is None or card.parent is None else listed.get(card.parent)
    roots = [Path(each.root) for each in (base, card) if each is not None and each.root is not None]
    if card is None or base is None or len(roots) != 2 or not all(root.is_absolute() for root in roots):
        return None
    return roots[0], None if base is card else roots[1]


def _lines(
    expected: Expected, seen: Seen, engine: str | None, weights: str | Silence | ConfigurationError
) -> tuple[Line, ...]:
    if isinstance(seen.cards, Silence):
        return (
            Line(
                Check.ANSWER,
                State.SILENT,
                f"a completion by {expected.model.name}",
                seen.cards.cause,
                "see whether the server runs and can be reached from here",
            ),
        )
    return judge(
        expected.model,
        expected.server.serve,
        seen.cards,
        seen.answers[expected.model.name],
        seen.version,
        engine,
        weights,
    )
