"""What one move of a case comes to."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.lifecycle.effects import Effect
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import CaseState


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one move."""

    state: CaseState
    entries: tuple[EntryType, ...]
    effects: tuple[Effect, ...]
