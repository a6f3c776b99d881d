"""Opens a Bundle: one Patient, every other resource about that Patient, nothing whose rules are not understood.

Guarantees: a Bundle that passes is a collection or a whole search result; a resource about anybody else refuses it,
whatever its type; places are JSON pointers into the Bundle and never hold what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from arbiter.errors import InvalidCaseError, Problem
from arbiter.protocols.fhir.resources import (
    BundleEntry,
    Condition,
    Encounter,
    FhirBundle,
    Listing,
    Medication,
    MedicationRequest,
    Observation,
    Patient,
    Reference,
    Resource,
    read_as,
)

TYPES_TAKEN: Final = ("collection", "searchset")
"""A document or message has an author who says more than its entries; batch and transaction are orders, history holds
what no longer is."""

PROBLEM_LIMIT: Final = 50

MODELS: Final[Mapping[str, type[Resource]]] = {
    "Patient": Patient,
    "Observation": Observation,
    "Condition": Condition,
    "MedicationRequest": MedicationRequest,
    "Medication": Medication,
    "List": Listing,
    "Encounter": Encounter,
}
_ABOUT_SOMEBODY: Final = frozenset({"Observation", "Condition", "MedicationRequest", "List", "Encounter"})
_RESTFUL = re.compile(r"(?P<base>https?://.+)/(?P<local>[A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64})")

_Read_co = TypeVar("_Read_co", bound=Resource, covariant=True)


@dataclass(frozen=True, slots=True)
class Placed(Generic[_Read_co]):
    """A resource with its index among the entries."""

    index: int
    resource: _Read_co

    @property
    def place(self) -> str:
        """Its JSON pointer."""
        return f"/entry/{self.index}/resource"


@dataclass(slots=True)
class Addresses:
    """Finds the entry that a reference points to (R4, "Resolving references in Bundles")."""

    _by_url: dict[str, int] = field(default_factory=dict)
    _by_local: dict[str, list[int]] = field(default_factory=dict)
    _urls: dict[int, str | None] = field(default_factory=dict)

    def add(self, index: int, full_url: str | None, type_: str, id_: str | None) -> bool:
        """Note an entry; return False when its address came before, or its id contradicts its address."""
        self._urls[index] = full_url
        restful = None if full_url is None else _RESTFUL.fullmatch(full_url)
        local = None if id_ is None else f"{type_}/{id_}"
        if restful is not None and local is not None and restful["local"] != local:
            return False
        local = local or (None if restful is None else restful["local"])
        if local is not None:
            self._by_local.setdefault(local, []).append(index)
        if full_url is None:
            return True
        fresh = full_url not in self._by_url
        self._by_url.setdefault(full_url, index)
        return fresh

    def resolve(self, text: str, from_index: int) -> int | None:
        """Return the index of the entry that a reference in another entry points to, or None."""
        wanted = text.partition("/_history/")[0]
        if wanted.startswith(("http://", "https://", "urn:")):
            return self._by_url.get(wanted)
        source = self._urls.get(from_index)
        restful = None if source is None else _RESTFUL.fullmatch(source)
        candidates = self._by_local.get(wanted, [])
        if restful is not None:
            # Relative to another server, the same id may be somebody else.
            exact = self._by_url.get(f"{restful['base']}/{wanted}")
            if exact is not None:
                return exact
            candidates = [index for index in candidates if self._urls[index] is None]
        return candidates[0] if len(candidates) == 1 else None


@dataclass(frozen=True, slots=True)
class Content:
    """A Bundle that may be read: its Patient, the resources that can give facts, and its documents as they came, by index."""

    patient: Placed[Patient]
    resources: tuple[Placed[Resource], ...]
    addresses: Addresses
    stamped: Mapping[int, Resource]
    documents: tuple[tuple[int, dict[str, Any]], ...] = ()

    def of(self, model: type[_Read_co]) -> Iterator[Placed[_Read_co]]:
        """Yield the resources of one type in the Bundle's order."""
        for placed in self.resources:
            if isinstance(placed.resource, model):
                yield Placed(placed.index, placed.resource)

    def resolve(self, reference: Reference, from_index: int) -> Resource | None:
        """Return the resource that a reference points to, if it is one of those that are read."""
        if reference.reference is None:
            return None
        index = self.addresses.resolve(reference.reference, from_index)
        return None if index is None else self.stamped.get(index)


def open_bundle(document: object) -> Content:
    """Return the content of a Bundle.

    Raises:
        InvalidCaseError: with every problem found, each with a JSON pointer into the Bundle.
    """
    problems: list[Problem] = []
    bundle = read_as(FhirBundle, document, "", problems)
    if bundle is not None:
        _check_envelope(bundle, problems)
    if bundle is None or problems:
        raise _refused(problems)
    addresses = Addresses()
    resources = tuple(_resources(bundle, addresses, problems))
    patients = [placed for placed in resources if isinstance(placed.resource, Patient)]
    if len(patients) != 1 and not problems:
        problems.append(Problem("/entry", "patients", f"expected exactly one Patient, {len(patients)} came"))
    if problems:
        raise _refused(problems)
    patient = patients[0].resource
    assert isinstance(patient, Patient)
    content = Content(
        Placed(patients[0].index, patient),
        resources,
        addresses,
        {placed.index: placed.resource for placed in resources},
        tuple(
            (index, entry.resource)
            for index, entry in enumerate(bundle.entry)
            if entry.resource.get("resourceType") == "DocumentReference"
        ),
    )
    _check_patient(content.patient, problems)
    for index, entry in enumerate(bundle.entry):
        _check_subject(index, entry.resource, content, problems)
    if problems:
        raise _refused(problems)
    return content


def _refused(problems: list[Problem]) -> InvalidCaseError:
    return InvalidCaseError("the Bundle cannot be taken", tuple(problems[:PROBLEM_LIMIT]))


def _check_envelope(bundle: FhirBundle, problems: list[Problem]) -> None:
    if bundle.type not in TYPES_TAKEN:
        detail = f"expected a Bundle of type {' or '.join(TYPES_TAKEN)}"
        problems.append(Problem("/type", "bundle-type", detail))
    if bundle.implicit_rules is not None:
        problems.append(Problem("/implicitRules", "implicit-rules", "expected no implicit rules"))
    if bundle.modifier_extension:
        problems.append(Problem("/modifierExtension", "modifier-extension", "expected no modifier extension"))
    for index, link in enumerate(bundle.link):
        if link.relation == "next":
            problems.append(
                Problem(f"/link/{index}", "incomplete", "expected a whole search result, one page of it came")
            )


def _resources(
    bundle: FhirBundle, addresses: Addresses, problems: list[Problem]
) -> Iterator[Placed[Resource]]:
    for index, entry in enumerate(bundle.entry):
        place = f"/entry/{index}/resource"
        type_ = entry.resource.get("resourceType")
        if not isinstance(type_, str):
            problems.append(Problem(f"{place}/resourceType", "missing", "expected the resource's type"))
            continue
        _check_entry(index, entry, addresses, type_, problems)
        model = MODELS.get(type_)
        if model is None:
            continue
        resource = read_as(model, entry.resource, place, problems)
        if resource is None:
            continue
        if resource.implicit_rules is not None:
            problems.append(Problem(f"{place}/implicitRules", "implicit-rules", "expected no implicit rules"))
        yield Placed(index, resource)


def _check_entry(
    index: int, entry: BundleEntry, addresses: Addresses, type_: str, problems: list[Problem]
) -> None:
    if entry.modifier_extension:
        place = f"/entry/{index}/modifierExtension"
        problems.append(Problem(place, "modifier-extension", "expected no modifier extension"))
    id_ = entry.resource.get("id")
    if not addresses.add(index, entry.full_url, type_, id_ if isinstance(id_, str) else None):
        detail = "expected each address once, and ids that agree with their addresses"
        problems.append(Problem(f"/entry/{index}/fullUrl", "address", detail))


def _check_patient(placed: Placed[Patient], problems: list[Problem]) -> None:
    patient, place = placed.resource, placed.place
    if patient.modifier_extension:
        problems.append(
            Problem(f"{place}/modifierExtension", "modifier-extension", "expected no modifier extension")
        )
    if not patient.active:
        problems.append(Problem(f"{place}/active", "inactive", "expected a record in active use"))
    if patient.deceased or patient.deceased_at is not None:
        member = "deceasedBoolean" if patient.deceased else "deceasedDateTime"
        problems.append(Problem(f"{place}/{member}", "deceased", "expected a living patient"))
    for index, link in enumerate(patient.link):
        if link.type == "replaced-by":
            detail = "expected the record in force, one that was replaced came"
            problems.append(Problem(f"{place}/link/{index}/type", "replaced", detail))


def _check_subject(index: int, resource: dict[str, Any], content: Content, problems: list[Problem]) -> None:
    """Refuse a resource of whatever type that is about anybody but the Patient."""
    place = f"/entry/{index}/resource"
    for member in ("subject", "patient"):
        given = resource.get(member)
        if given is None:
            continue
        for at, one in enumerate(given if isinstance(given, list) else [given]):
            where = f"{place}/{member}/{at}" if isinstance(given, list) else f"{place}/{member}"
            reference = read_as(Reference, one, where, problems)
            if reference is not None and not _is_about_patient(reference, index, content):
                detail = "expected a reference to the Bundle's one Patient"
                problems.append(Problem(where, "other-subject", detail))
    if resource.get("resourceType") in _ABOUT_SOMEBODY and resource.get("subject") is None:
        problems.append(Problem(f"{place}/subject", "missing", "expected a reference to the Patient"))


def _is_about_patient(reference: Reference, index: int, content: Content) -> bool:
    named = reference.identifier
    if reference.reference is None and named is None:
        return False
    if (
        reference.reference is not None
        and content.addresses.resolve(reference.reference, index) != content.patient.index
    ):
        return False
    if named is None:
        return True
    held = {(one.system, one.value) for one in content.patient.resource.identifier}
    return bool(named.system and named.value) and (named.system, named.value) in held
