"""Which protocols have a seat that has moved: such a panel decides nothing without a clinician until somebody looked into it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class MovedSeats:
    """What this process knows of it, by protocol id; read again from the database every minute and after each run.

    While the database does not answer, what was known stays.
    """

    protocols: frozenset[str] = frozenset()
