"""Which seats have moved: a panel with one of them decides nothing without a clinician until somebody looked into it."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.question import Protocol


@dataclass(slots=True)
class MovedSeats:
    """What this process knows of it, by protocol id and member; read again from the database every minute and after each run.

    While the database does not answer, what was known stays.
    """

    seats: frozenset[tuple[str, str]] = frozenset()

    def among(self, protocol: Protocol | None) -> bool:
        """Return whether one of them sits on the panel of this version; where it cannot be told, whether there is any."""
        if protocol is None:
            return bool(self.seats)
        return any((protocol.id, seat.member) in self.seats for seat in protocol.seats)
