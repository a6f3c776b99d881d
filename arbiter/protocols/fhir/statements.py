"""What single resources state about a fact: a value as of an instant, that nothing is known, or nothing at all.

Each function notes what refuses the Bundle and what is left out; neither ever repeats a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from arbiter.errors import Problem
from arbiter.model import FactStatus, FactValue
from arbiter.protocols.fhir.mapping import (
    ConditionSource,
    ObservationSource,
    ValuePlace,
    any_matches,
)
from arbiter.protocols.fhir.opening import Content, Placed
from arbiter.protocols.fhir.resources import (
    UCUM,
    CodeableConcept,
    Condition,
    Medication,
    MedicationRequest,
    Observation,
    Valued,
    read_as,
)
from arbiter.protocols.fhir.times import earliest_of, instant_of

CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION: Final = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
OBSERVED: Final = "FHIR Observation"
"""The source of what an Observation states."""
_ACTIVE: Final = frozenset({"active", "recurrence", "relapse"})
_OVER: Final = frozenset({"inactive", "remission", "resolved"})
_WITHOUT_VALUE: Final = frozenset({"registered", "cancelled", "entered-in-error", "unknown"})
_ORDER_OVER: Final = frozenset({"stopped", "completed", "cancelled", "entered-in-error"})
_ORDER_PENDING: Final = frozenset({"on-hold", "draft", "unknown"})
_ANNOTATION = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Statement:
    """A value as of an instant; None says that as of then nothing is known. `places` are pointers by a fact's keys."""

    at: datetime
    value: FactValue | None
    unit: str | None
    status: str
    source: str
    places: tuple[tuple[str, str], ...]

    @property
    def place(self) -> str:
        """The JSON pointer of the value."""
        return dict(self.places)["value"]


class Notes:
    """What refuses the Bundle, and what was left out of it and why: each once, in the order in which it was found."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._left_out: dict[Problem, None] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What refuses the Bundle."""
        return tuple(self._problems)

    @property
    def left_out(self) -> tuple[Problem, ...]:
        """What was left out."""
        return tuple(self._left_out)

    def refuse(self, place: str, code: str, detail: str) -> None:
        """Note what refuses the Bundle."""
        self._problems.setdefault(Problem(place, code, detail))

    def leave(self, place: str, code: str, detail: str) -> None:
        """Note what is left out."""
        self._left_out.setdefault(Problem(place, code, detail))


# --- observations -------------------------------------------------------------------------------------------------


def observed(
    placed: Placed[Observation], source: ObservationSource, units: tuple[str, ...], notes: Notes
) -> Iterator[Statement]:
    """Yield what an Observation with one of the source's codings states about a fact that takes these units."""
    observation, place = placed.resource, placed.place
    if observation.status in _WITHOUT_VALUE:
        notes.leave(f"{place}/status", "status", "a status under which there is no value to take")
        return
    if observation.status not in set(FactStatus):
        known = ", ".join([*FactStatus, *sorted(_WITHOUT_VALUE)])
        notes.refuse(f"{place}/status", "status", f"expected one of {known}")
        return
    if observation.modifier_extension:
        _refuse_modifier(place, notes)
        return
    if observation.focus:
        notes.leave(f"{place}/focus", "focus", "an observation of something else than the patient")
        return
    when = _effective(observation, place, notes)
    if when is None:
        return
    at, at_place = when
    for valued, where in _valued(observation, source, place):
        for value, unit, places in _value(valued, where, source, units, notes):
            named = (("", place), ("observed_at", at_place), ("status", f"{place}/status"), *places)
            yield Statement(at, value, unit, observation.status, OBSERVED, named)


def _refuse_modifier(place: str, notes: Notes) -> None:
    detail = "expected no modifier extension: none is understood here"
    notes.refuse(f"{place}/modifierExtension", "modifier-extension", detail)


def _effective(observation: Observation, place: str, notes: Notes) -> tuple[datetime, str] | None:
    period = observation.effective_period
    given = [
        (text, f"{place}/{member}")
        for text, member in (
            (observation.effective_at, "effectiveDateTime"),
            (observation.effective_instant, "effectiveInstant"),
            (None if period is None else period.end or "", "effectivePeriod/end"),
        )
        if text is not None
    ]
    if len(given) != 1:
        detail = f"expected one of effectiveDateTime, effectiveInstant and effectivePeriod, {len(given)} came"
        notes.refuse(f"{place}/effectiveDateTime", "missing", detail)
        return None
    text, where = given[0]
    at = instant_of(text)
    if at is None:
        detail = "expected an instant to the second with its offset, such as 2026-11-22T09:00:00+00:00"
        notes.refuse(where, "instant", detail)
        return None
    return at, where


def _valued(observation: Observation, source: ObservationSource, place: str) -> Iterator[tuple[Valued, str]]:
    if not source.components:
        yield observation, place
        return
    for index, component in enumerate(observation.component):
        if any_matches(source.components, component.code.pairs()):
            yield component, f"{place}/component/{index}"


_Value = tuple[FactValue | None, str | None, tuple[tuple[str, str], ...]]


def _value(
    valued: Valued, place: str, source: ObservationSource, units: tuple[str, ...], notes: Notes
) -> Iterator[_Value]:
    if valued.modifier_extension:
        _refuse_modifier(place, notes)
        return
    given = [one for one in (valued.quantity, valued.concept, valued.boolean) if one is not None]
    if valued.absent is not None:
        where = f"{place}/dataAbsentReason"
        if given:
            notes.refuse(where, "invariant", "expected a value or the reason why there is none, both came")
            return
        notes.leave(where, "absent", "says that there is no value; an older one does not stand in for it")
        yield None, None, (("value", where),)
        return
    wanted = {
        ValuePlace.QUANTITY: ("valueQuantity", valued.quantity),
        ValuePlace.CONCEPT: ("valueCodeableConcept", valued.concept),
        ValuePlace.BOOLEAN: ("valueBoolean", valued.boolean),
    }
    member, held = wanted[source.value]
    if held is None or len(given) > 1:
        notes.refuse(f"{place}/{member}", "missing", f"expected {member} and no other value")
        return
    match source.value:
        case ValuePlace.QUANTITY:
            yield from _quantity(valued, f"{place}/{member}", source, units, notes)
        case ValuePlace.CONCEPT:
            yield from _concept(valued, f"{place}/{member}", source, notes)
        case ValuePlace.BOOLEAN:
            yield valued.boolean, None, (("value", f"{place}/{member}"),)


def _quantity(
    valued: Valued, place: str, source: ObservationSource, units: tuple[str, ...], notes: Notes
) -> Iterator[_Value]:
    quantity = valued.quantity
    assert quantity is not None
    if quantity.comparator is not None:
        detail = "expected a value, a bound came: less or more than something is no measurement"
        notes.refuse(f"{place}/comparator", "comparator", detail)
        return
    if quantity.value is None:
        notes.refuse(f"{place}/value", "missing", "expected a number")
        return
    if quantity.code is None or quantity.system != UCUM:
        member = "system" if quantity.code is not None else "code"
        notes.refuse(f"{place}/{member}", "unit", f"expected a unit as a code of UCUM ({UCUM})")
        return
    # UCUM 2.1, paragraph 6: what stands in braces annotates and does not change the unit. A fact whose own unit is
    # annotated means it: mL/min/{1.73_m2} is another quantity than mL/min.
    known = units if source.above is None else (source.above.unit,)
    unit = quantity.code if quantity.code in known else _ANNOTATION.sub("", quantity.code) or "1"
    places = (("value", f"{place}/value"), ("unit", f"{place}/code"))
    if source.above is None:
        yield quantity.value, unit, places
    elif unit != source.above.unit:
        notes.refuse(f"{place}/code", "unit", f"expected {source.above.unit}; another unit came")
    else:
        yield quantity.value > source.above.number, None, places


def _concept(valued: Valued, place: str, source: ObservationSource, notes: Notes) -> Iterator[_Value]:
    assert valued.concept is not None
    pairs = valued.concept.pairs()
    meanings = {concept.means for concept in source.concepts if any_matches((concept.coding,), pairs)}
    where = f"{place}/coding"
    if len(meanings) != 1:
        detail = (
            "expected codings that mean one thing, they contradict each other"
            if meanings
            else "expected one of the codings that the protocol knows"
        )
        notes.refuse(where, "unknown-code", detail)
        return
    meaning = meanings.pop()
    if meaning is None:
        notes.leave(where, "absent", "says that it is not known; an older value does not stand in for it")
    yield meaning, None, (("value", where),)


# --- conditions and orders ----------------------------------------------------------------------------------------


class Says(StrEnum):
    """What a Condition or an order says of what a source looks for."""

    HOLDS = "holds"
    DENIED = "denied"
    OVER = "over"
    """It speaks of what is no more, or never was: as if it were not there."""
    OPEN = "open"
    """Neither; and no list can say that there is nothing."""


def condition_says(placed: Placed[Condition], source: ConditionSource, notes: Notes) -> Says:
    """Return what a Condition with one of the source's codings says."""
    condition, place = placed.resource, placed.place
    verified = _codes(condition.verification_status, VERIFICATION)
    if verified == {"entered-in-error"}:
        notes.leave(f"{place}/verificationStatus", "status", "entered in error")
        return Says.OVER
    if condition.modifier_extension:
        _refuse_modifier(place, notes)
        return Says.OPEN
    if verified == {"refuted"}:
        return Says.DENIED
    if verified != {"confirmed"}:
        notes.leave(f"{place}/verificationStatus", "status", "a condition that is not said to be confirmed")
        return Says.OPEN
    clinical = _codes(condition.clinical_status, CLINICAL)
    if clinical and clinical <= (_ACTIVE | _OVER if source.history else _ACTIVE):
        return Says.HOLDS
    notes.leave(f"{place}/clinicalStatus", "status", "a condition that is not said to be active")
    return Says.OVER if clinical and clinical <= _OVER else Says.OPEN


def order_says(placed: Placed[MedicationRequest], notes: Notes) -> Says:
    """Return what a MedicationRequest for one of a source's codings says."""
    order, place = placed.resource, placed.place
    if order.status in _ORDER_OVER:
        notes.leave(f"{place}/status", "status", "an order that is not in force")
        return Says.OVER
    if order.modifier_extension:
        _refuse_modifier(place, notes)
        return Says.OPEN
    if order.do_not_perform:
        notes.leave(f"{place}/doNotPerform", "status", "an order not to give something")
        return Says.OVER
    if order.status == "active" and order.intent == "order":
        return Says.HOLDS
    if order.status != "active" and order.status not in _ORDER_PENDING:
        known = ", ".join(sorted({"active"} | _ORDER_OVER | _ORDER_PENDING))
        notes.refuse(f"{place}/status", "status", f"expected one of {known}")
        return Says.OPEN
    member = "intent" if order.status == "active" else "status"
    notes.leave(f"{place}/{member}", "status", "no active order")
    return Says.OPEN


def _codes(concept: CodeableConcept | None, system: str) -> set[str]:
    return set() if concept is None else {code for held, code in concept.pairs() if held == system}


def condition_codings(placed: Placed[Condition]) -> tuple[tuple[str, str], ...]:
    """Return a Condition's codings."""
    return () if placed.resource.code is None else placed.resource.code.pairs()


def order_codings(placed: Placed[MedicationRequest], content: Content) -> tuple[tuple[str, str], ...]:
    """Return the codings of what an order is for: its own, or those of the Medication it points to."""
    order = placed.resource
    if order.medication_concept is not None:
        return order.medication_concept.pairs()
    reference = order.medication_reference
    if reference is None or reference.reference is None:
        return ()
    if reference.reference.startswith("#"):
        drug = _contained(order, reference.reference[1:])
    else:
        found = content.resolve(reference, placed.index)
        drug = found if isinstance(found, Medication) else None
    if drug is None or drug.code is None or drug.status == "entered-in-error" or drug.modifier_extension:
        return ()
    return drug.code.pairs()


def _contained(order: MedicationRequest, id_: str) -> Medication | None:
    for one in order.contained:
        if isinstance(one, dict) and one.get("id") == id_ and one.get("resourceType") == "Medication":
            return read_as(Medication, one, "", [])
    return None


def stated_at(text: str | None, updated: str | None, listed_at: datetime | None) -> datetime | None:
    """Return as of when a Condition or order was stated: when a list last named it, or when it was recorded."""
    if listed_at is not None:
        return listed_at
    if text is not None:
        return earliest_of(text)
    return None if updated is None else instant_of(updated)
