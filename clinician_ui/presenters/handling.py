"""What a reviewer can do with a case beside judging it, as forms: what may be chosen, what was typed, what to put right.

Nothing here depends on why the case came, on who has read it before, or on whether it is read for an audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from arbiter.question import FactSpec
from clinician_ui.fields import Fields
from clinician_ui.forms import Mistake
from clinician_ui.presenters.times import duration_words

WAITS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240, 480))
_LONGEST_TYPED = 4000


class Aside(StrEnum):
    """A form that stands beside the case; the word begins the ids of its fields."""

    REFER = "refer"
    DEFER = "defer"
    ASK = "ask"
    CONFLICT = "conflict"
    CONFER = "confer"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True)
class Typed:
    """A form beside the case that came back: which, what had been typed, and what to put right."""

    aside: Aside
    reason: str
    wait: str
    facts: tuple[str, ...]
    note: str
    attendees: str
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be ticked or selected."""

    value: str
    text: str
    checked: bool


@dataclass(frozen=True, slots=True)
class HandlingPart:
    """The forms beside a case; `opened` is the form that came back."""

    waits: tuple[Choice, ...]
    facts: tuple[Choice, ...]
    confers: bool
    opened: Aside | None
    typed: Typed | None
    mistakes: tuple[Mistake, ...]

    def is_open(self, form: str) -> bool:
        """Return whether that form came back."""
        return self.opened == form

    def error(self, form: str, field: str) -> str:
        """Return what is wrong with a form's field, empty where nothing is."""
        wanted = f"{form}_{field}"
        return next((mistake.message for mistake in self.mistakes if mistake.field == wanted), "")

    def text(self, form: str, field: str) -> str:
        """Return what had been typed into a form's field."""
        if self.typed is None or self.opened != form:
            return ""
        return {"reason": self.typed.reason, "note": self.typed.note, "attendees": self.typed.attendees}[
            field
        ]


def typed(aside: Aside, fields: Fields, mistakes: Sequence[Mistake]) -> Typed:
    """Return a form that came back; its mistakes stand beside the fields of this form and of no other."""
    first = {name: values[0][:_LONGEST_TYPED] for name, values in fields.items() if values}
    return Typed(
        aside=aside,
        reason=first.get("reason", ""),
        wait=first.get("wait", ""),
        facts=fields.get("facts", ()),
        note=first.get("note", ""),
        attendees=first.get("attendees", ""),
        mistakes=tuple(Mistake(f"{aside}_{mistake.field}", mistake.message) for mistake in mistakes),
    )


def handling_part(
    facts: Sequence[FactSpec], *, confers: bool, came_back: Typed | None = None
) -> HandlingPart:
    """Return the forms beside a case whose question knows these facts.

    Every time can be selected whenever the case is due: which ones can wait would tell an audit's page from another.
    """
    chosen = came_back.facts if came_back is not None and came_back.aside is Aside.ASK else ()
    wait = came_back.wait if came_back is not None and came_back.aside is Aside.DEFER else ""
    minutes = ((str(int(length.total_seconds()) // 60), length) for length in WAITS)
    return HandlingPart(
        waits=tuple(Choice(value, duration_words(length), value == wait) for value, length in minutes),
        facts=tuple(Choice(spec.name, spec.title, spec.name in chosen) for spec in facts),
        confers=confers,
        opened=None if came_back is None else came_back.aside,
        typed=came_back,
        mistakes=() if came_back is None else came_back.mistakes,
    )
