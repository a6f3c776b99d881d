"""What became of one attempt to send a notice. A fault is a few words of ours, never what the other side said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """The other side has taken the notice."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It has not, or did not say so; try again, no earlier than `not_within_seconds` from now if it asked for that."""

    fault: str
    not_within_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """It never will: trying again is of no use."""

    fault: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver asks to be sent nothing any more."""

    fault: str


Attempt = Sent | Failed | Refused | Gone
