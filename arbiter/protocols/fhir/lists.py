"""Lists that say that they are whole: only by one of them is what is absent known to be absent.

A List of problems (LOINC 11450-4) or medications (LOINC 10160-0) is whole when it is current, a snapshot, dated, and
names nothing but Conditions (orders) that the Bundle holds; one without entries must say `nilknown`, because a server
that leaves entries out of a summary sends an empty List too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from arbiter.protocols.fhir.mapping import ConditionSource, MedicationSource, Wanted, any_matches, told_apart
from arbiter.protocols.fhir.opening import Content, Placed
from arbiter.protocols.fhir.resources import Condition, Listing, MedicationRequest
from arbiter.protocols.fhir.statements import Notes, condition_codings, order_codings
from arbiter.protocols.fhir.times import instant_of

LOINC: Final = "http://loinc.org"
PROBLEM_LIST: Final = Wanted(LOINC, "11450-4")
MEDICATION_LIST: Final = Wanted(LOINC, "10160-0")
NIL_KNOWN: Final = Wanted("http://terminology.hl7.org/CodeSystem/list-empty-reason", "nilknown")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something named in a list for which the list does not exclude a fact; `unclear` when it may be something else."""

    place: str
    unclear: bool


@dataclass(frozen=True, slots=True)
class WholeList:
    """A list that is whole as of its date, with the codings of what it names by index among the Bundle's entries."""

    at: datetime
    place: str
    date_place: str
    named: Mapping[int, tuple[tuple[str, str], ...]]

    def names(self, index: int) -> datetime | None:
        """Return the list's date when it names that entry."""
        return self.at if index in self.named else None

    def obstacle(self, source: ConditionSource | MedicationSource) -> Obstacle | None:
        """Return the first that is named and is, or may be, what the source looks for; None when nothing is."""
        for index, codings in self.named.items():
            matches = any_matches(source.codings, codings)
            if matches or not told_apart(source.codings, source.exhaustive, codings):
                return Obstacle(f"/entry/{index}/resource", unclear=not matches)
        return None


def whole_list(content: Content, kind: type[Condition | MedicationRequest], notes: Notes) -> WholeList | None:
    """Return the newest list of problems or medications that says it is whole, or None."""
    code = PROBLEM_LIST if kind is Condition else MEDICATION_LIST
    whole = []
    for placed in content.of(Listing):
        if placed.resource.code is None or not any_matches((code,), placed.resource.code.pairs()):
            continue
        found = _whole(placed, content, kind, notes)
        if found is not None:
            whole.append(found)
    newest = max(whole, key=lambda one: one.at, default=None)
    twins = [one for one in whole if newest is not None and one.at == newest.at and one is not newest]
    if newest is not None and twins:
        detail = f"expected one whole list of one instant, another came at {twins[0].place}"
        notes.refuse(newest.place, "contradiction", detail)
        return None
    return newest


def _whole(
    placed: Placed[Listing],
    content: Content,
    kind: type[Condition | MedicationRequest],
    notes: Notes,
) -> WholeList | None:
    listing, place = placed.resource, placed.place
    if listing.status != "current":
        notes.leave(f"{place}/status", "status", "a list that is not current")
        return None
    if listing.modifier_extension or any(entry.modifier_extension for entry in listing.entry):
        notes.refuse(
            f"{place}/modifierExtension",
            "modifier-extension",
            "expected no modifier extension: none is understood here",
        )
        return None
    if listing.mode != "snapshot":
        notes.leave(f"{place}/mode", "incomplete", "a list that is no snapshot does not say that it is whole")
        return None
    at = None if listing.date is None else instant_of(listing.date)
    if at is None:
        notes.leave(
            f"{place}/date", "instant", "a list without an instant does not say as of when it is whole"
        )
        return None
    if not listing.entry and not _nil_known(listing):
        notes.leave(f"{place}/emptyReason", "incomplete", "an empty list that does not say nilknown")
        return None
    named = _named(placed, content, kind, notes)
    return None if named is None else WholeList(at, place, f"{place}/date", named)


def _nil_known(listing: Listing) -> bool:
    return listing.empty_reason is not None and any_matches((NIL_KNOWN,), listing.empty_reason.pairs())


def _named(
    placed: Placed[Listing],
    content: Content,
    kind: type[Condition | MedicationRequest],
    notes: Notes,
) -> dict[int, tuple[tuple[str, str], ...]] | None:
    named: dict[int, tuple[tuple[str, str], ...]] = {}
    for at, entry in enumerate(placed.resource.entry):
        text = entry.item.reference
        index = None if text is None else content.addresses.resolve(text, placed.index)
        resource = None if index is None else content.stamped.get(index)
        if entry.deleted or index is None or not isinstance(resource, kind):
            where = f"{placed.place}/entry/{at}/item"
            notes.leave(where, "incomplete", "the list names something else than the Bundle holds")
            return None
        if isinstance(resource, Condition):
            named[index] = condition_codings(Placed(index, resource))
        elif isinstance(resource, MedicationRequest):
            named[index] = order_codings(Placed(index, resource), content)
    return named
