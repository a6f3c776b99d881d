"""What the workflow must do once a move is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from arbiter.lifecycle.entries import EntryType
from arbiter.model import MemberId


@dataclass(frozen=True, slots=True)
class AskPanel:
    """Ask these members, blind, about the facts of that version; answers count until then."""

    members: tuple[MemberId, ...]
    facts_version: int
    until: datetime


@dataclass(frozen=True, slots=True)
class ScheduleSafetyNet:
    """Leave a job that takes the case up again should this process die."""


@dataclass(frozen=True, slots=True)
class DropSafetyNet:
    """The job is no longer needed."""


@dataclass(frozen=True, slots=True)
class NotifyDutyGroup:
    """Tell those on that rung of the ladder, without patient data, that a case waits."""

    rung: int = 0


@dataclass(frozen=True, slots=True)
class TellRequester:
    """Tell whoever asked that the case moved, and by which entry."""

    of: EntryType


@dataclass(frozen=True, slots=True)
class SealAndRelease:
    """Seal the log; what a checkpoint then covers is released."""


Effect: TypeAlias = (
    AskPanel | ScheduleSafetyNet | DropSafetyNet | NotifyDutyGroup | TellRequester | SealAndRelease
)
