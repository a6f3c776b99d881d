"""How each witness stands: what it cosigned last, since when it is behind, and what is wrong. Any process can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from arbiter.cosigning.circle import Circle, Witness
from arbiter.store.transaction import Where
from arbiter.store.witnessing import load_standings

BEHIND_AFTER = timedelta(seconds=10)
"""A witness is behind when a checkpoint that old lacks its cosignature, and none that is newer has it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One witness. `behind_since` is when the first checkpoint was sealed that it should have cosigned, None when none."""

    witness: Witness
    size: int | None
    cosigned_at: datetime | None
    behind_since: datetime | None
    fault: str | None
    fault_since: datetime | None


async def standings_of(circle: Circle, where: Where, now: datetime) -> tuple[Standing, ...]:
    """Return how each witness of a circle stands, in the file's order."""
    if not circle.witnesses:
        return ()
    stored = await load_standings(where, [key.encode() for key in circle.keys])
    return tuple(
        Standing(
            witness=witness,
            size=standing.size,
            cosigned_at=_instant(standing.cosigned_at_seconds),
            behind_since=_behind(standing.behind_since, now),
            fault=standing.fault,
            fault_since=None if standing.fault is None else standing.fault_since,
        )
        for witness, standing in zip(circle.witnesses, stored, strict=True)
    )


def describe(circle: Circle, standings: Sequence[Standing]) -> str:
    """Return in words how the witnesses stand."""
    if not circle.witnesses:
        return "none is asked"
    words = [f"{len(standings)} asked"]
    for standing in standings:
        if standing.behind_since is None and standing.fault is None:
            continue
        since = standing.behind_since or standing.fault_since
        said = [] if standing.fault is None else [standing.fault]
        if since is not None:
            said.append(f"behind since {since.isoformat(timespec='seconds')}")
        words.append(f"{standing.witness.name}: {', '.join(said)}")
    caught_up = sum(standing.behind_since is None for standing in standings)
    if caught_up < circle.most_needed:
        words.append(f"{caught_up} of the {circle.most_needed} needed are up to date: panels' decisions wait")
    return "; ".join(words)


def _behind(since: datetime | None, now: datetime) -> datetime | None:
    return since if since is not None and now - since > BEHIND_AFTER else None


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
