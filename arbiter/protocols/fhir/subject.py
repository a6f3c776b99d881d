"""Who a Bundle is about, as the hospital numbers its patients and their stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from arbiter.errors import InvalidCaseError, Problem
from arbiter.protocols.fhir.opening import Content, Placed
from arbiter.protocols.fhir.resources import Encounter, Identifier, Patient

TEXT_LIMIT: Final = 200
_PREFERRED: Final = ("official", "usual")
_PRESENT: Final = frozenset({"arrived", "triaged", "in-progress", "onleave"})


def subject_of(patient: Placed[Patient], systems: Sequence[str]) -> tuple[str, str]:
    """Return the patient's identifier as (system, value).

    The first of `systems` in which the patient has a number is used; without any, the first identifier that is
    `official`, then the first that is `usual`. Old numbers never count.

    Raises:
        InvalidCaseError: when there is none, two in one system, or one that is no plain line of text.
    """
    usable = [
        (index, one)
        for index, one in enumerate(patient.resource.identifier)
        if one.system and one.value and one.use != "old"
    ]
    if systems:
        groups: Iterable[list[tuple[int, Identifier]]] = (
            [pair for pair in usable if pair[1].system == system] for system in systems
        )
    else:
        groups = ([pair for pair in usable if pair[1].use == use][:1] for use in _PREFERRED)
    chosen = next((group for group in groups if group), [])
    place = f"{patient.place}/identifier"
    if not chosen:
        wanted = "in a system that is asked for" if systems else f"whose use is {' or '.join(_PREFERRED)}"
        raise _refused(place, "no-identifier", f"expected an identifier {wanted}")
    if len({one.value for _, one in chosen}) > 1:
        raise _refused(place, "identifiers", "expected one number in the system, several came")
    index, one = chosen[0]
    for member, text in (("system", one.system), ("value", one.value)):
        if text is None or not _is_line(text):
            detail = f"expected 1 to {TEXT_LIMIT} printable characters without a blank at either end"
            raise _refused(f"{place}/{index}/{member}", "text", detail)
    assert one.system is not None
    assert one.value is not None
    return one.system, one.value


def require_subject(patient: Placed[Patient], system: str, value: str) -> None:
    """Raise InvalidCaseError unless the Patient bears this number."""
    held = {(one.system, one.value) for one in patient.resource.identifier if one.use != "old"}
    if (system, value) not in held:
        raise _refused(f"{patient.place}/identifier", "other-subject", "expected the patient of the case")


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
