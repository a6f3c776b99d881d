"""Who a Bundle is about, as the hospital numbers its patients and their stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from arbiter.errors import InvalidCaseError, Problem
from arbiter.protocols.fhir.opening import Content, Placed
from arbiter.protocols.fhir.resources import Encounter, Identifier, Patient
from arbiter.protocols.fhir.times import latest_of

TEXT_LIMIT: Final = 200
_PREFERRED: Final = ("official", "usual")
_PRESENT: Final = frozenset({"arrived", "triaged", "in-progress", "onleave"})

_Numbered = tuple[int, Identifier]


def subject_of(patient: Placed[Patient], systems: Sequence[str], at: datetime) -> tuple[str, str]:
    """Return the patient's identifier as (system, value).

    The first of `systems` in which the patient has a number is used; without any, the number that is `official`, then
    the one that is `usual`. Numbers that are old, or whose period is over, never count. Nothing chooses between two
    numbers at the level that is used: a list's order says nothing of which patient is meant.

    Raises:
        InvalidCaseError: when there is none, two that compete, or one that is no plain line of text.
    """
    usable = _current(patient, at)
    if systems:
        groups: Iterable[list[_Numbered]] = (
            [pair for pair in usable if pair[1].system == system] for system in systems
        )
    else:
        groups = ([pair for pair in usable if pair[1].use == use] for use in _PREFERRED)
    chosen = next((group for group in groups if group), [])
    place = f"{patient.place}/identifier"
    if not chosen:
        wanted = "in a system that is asked for" if systems else f"whose use is {' or '.join(_PREFERRED)}"
        raise _refused(place, "no-identifier", f"expected an identifier that still counts {wanted}")
    _require_ends(patient, chosen)
    if len({(one.system, one.value) for _, one in chosen}) > 1:
        level = "in the system" if systems else "of the use that comes first"
        detail = f"expected one number {level}, several came; subject-system names the system to take it from"
        raise _refused(place, "identifiers", detail)
    index, one = chosen[0]
    for member, text in (("system", one.system), ("value", one.value)):
        if text is None or not _is_line(text):
            detail = f"expected 1 to {TEXT_LIMIT} printable characters without a blank at either end"
            raise _refused(f"{place}/{index}/{member}", "text", detail)
    assert one.system is not None
    assert one.value is not None
    return one.system, one.value


def require_subject(patient: Placed[Patient], about: tuple[str, str], at: datetime) -> None:
    """Raise InvalidCaseError unless the Patient bears this number, as (system, value), still."""
    held = [pair for pair in _current(patient, at) if (pair[1].system, pair[1].value) == about]
    if not held:
        raise _refused(f"{patient.place}/identifier", "other-subject", "expected the patient of the case")
    _require_ends(patient, held)


def _current(patient: Placed[Patient], at: datetime) -> list[_Numbered]:
    """Return the whole numbers that are not known to be over, each with its index."""
    return [
        (index, one)
        for index, one in enumerate(patient.resource.identifier)
        if one.system and one.value and one.use != "old" and not _is_over(one, at)
    ]


def _is_over(one: Identifier, at: datetime) -> bool:
    end = None if one.period is None or one.period.end is None else latest_of(one.period.end)
    return end is not None and end < at


def _require_ends(patient: Placed[Patient], numbers: Iterable[_Numbered]) -> None:
    # An end that cannot be read leaves open whether the number counts, so that nobody may guess.
    for index, one in numbers:
        if one.period is not None and one.period.end is not None and latest_of(one.period.end) is None:
            place = f"{patient.place}/identifier/{index}/period/end"
            raise _refused(place, "instant", "expected a date or an instant with its offset")


def present_encounter(content: Content) -> tuple[str | None, bool]:
    """Return the number of the one stay that goes on, and whether there were several, so that none was taken."""
    going_on = [
        placed.resource
        for placed in content.of(Encounter)
        if placed.resource.status in _PRESENT and not placed.resource.modifier_extension
    ]
    if len(going_on) != 1:
        return None, len(going_on) > 1
    numbers = [one for one in going_on[0].identifier if one.value and one.use != "old"]
    numbers.sort(key=lambda one: one.use not in _PREFERRED)
    number = numbers[0].value if numbers else None
    return (number if number is not None and _is_line(number) else None), False


def _is_line(text: str) -> bool:
    return 0 < len(text) <= TEXT_LIMIT and text.isprintable() and text.strip(" ") == text


def _refused(place: str, code: str, detail: str) -> InvalidCaseError:
    return InvalidCaseError("the Bundle does not say who it is about", (Problem(place, code, detail),))
