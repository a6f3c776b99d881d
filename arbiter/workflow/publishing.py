"""The log's public part, the protocols in force, and whether the house is fit to work. Nobody has to say who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from arbiter.audit.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, tile_from_nodes, tile_width
from arbiter.errors import NotFoundError, UnavailableError
from arbiter.question import Protocol
from arbiter.store.endpoints import list_endpoints
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.store.log.nodes import load_nodes
from arbiter.store.log.sealing import count_pending
from arbiter.store.outbox import OutboxCounts, count_outbox
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.workflow.calling import describe_calling
from arbiter.workflow.house import House
from arbiter.workflow.log.cosigned import shown_newest
from arbiter.workflow.log.witness_standings import describe, standings_of

PENDING_ALARM = timedelta(seconds=10)
"""Tamper evidence begins at sealing: entries pending longer than this mean that nobody seals."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the house can take cases, and each check as (name, passed, in words)."""

    ok: bool
    checks: tuple[tuple[str, bool, str], ...]


async def checkpoint(house: House) -> str:
    """Return the newest checkpoint's signed note, with its cosignatures. Raises NotFoundError before the first seal."""
    newest = await shown_newest(house, house.store)
    if newest is None:
        raise NotFoundError("nothing has been sealed yet")
    return house.countersigner.countersigned(newest).note


async def tile(house: House, level: int, index: int, width: int | None) -> bytes:
    """Return a hash tile's content; `width` None means a full tile.

    Raises:
        NotFoundError: when the newest checkpoint does not cover the tile.
    """
    wanted = TILE_WIDTH if width is None else width
    newest = await load_newest_checkpoint(house.store)
    if newest is None or tile_width(level, index, newest.size) < wanted:
        raise NotFoundError(f"no tile {index} of width {wanted} on level {level} yet")
    # What a checkpoint covers changes no more: that the tile is read a moment later makes no difference.
    start = index * TILE_WIDTH
    nodes = await load_nodes(house.store, [(TILE_HEIGHT * level, start + i) for i in range(wanted)])
    return tile_from_nodes(Tile(level, index, wanted), nodes)


def verifier_keys(house: House) -> tuple[str, ...]:
    """Return the log's public keys as signed-note verifier keys."""
    return tuple(key.encode() for key in house.verifiers)


def protocols(house: House) -> tuple[Protocol, ...]:
    """Return the protocols that new cases can be taken under, by id."""
    return tuple(house.shelf.current[name].protocol for name in sorted(house.shelf.current))


async def ready(house: House) -> Readiness:
    """Check what taking a case needs: the database, a log that is being sealed, a protocol."""
    checks: list[tuple[str, bool, str]] = []
    try:
        async with house.store.read() as transaction:
            count, since = await count_pending(transaction)
            outbox = await count_outbox(transaction)
            endpoints = await list_endpoints(transaction, enabled=True)
            standings = await standings_of(house.circle, transaction, house.clock.now())
    except (UnavailableError, *DATABASE_ERRORS, OSError):
        checks.append(("database", False, "does not answer"))
    else:
        checks.append(("database", True, "answers"))
        # Told and never failing: cases can be taken while somebody cannot be reached.
        checks.append(("duty", True, describe_calling(house, endpoints)))
        checks.append(("messages", True, _outbox_words(outbox)))
        checks.append(("witnesses", True, describe(house.circle, standings)))
        late = since is not None and house.clock.now() - since > PENDING_ALARM
        checks.append(
            ("log", not late, f"{count} entries pending" + (", the oldest too long" if late else ""))
        )
    refusal = house.guard.refusal
    checks.append(
        ("signed log", refusal is None, "extends what was signed" if refusal is None else refusal.said)
    )
    if house.fleet and house.fleet.proofs.needed:
        # Never failing: while no model can be asked, every case still reaches a human. Nor does it tell how the seats stand:
        # anybody may read this, also who reviews blind.
        checks.append(("fleet", True, "its seats are checked; how they stand is told to those who may watch"))
    checks.append(("protocols", bool(house.shelf.current), f"{len(house.shelf.current)} in force"))
    return Readiness(all(passed for _, passed, _ in checks), tuple(checks))


def _outbox_words(counts: OutboxCounts) -> str:
    return f"{counts.unaddressed + counts.waiting} wait to be told, {counts.dead} given up"
