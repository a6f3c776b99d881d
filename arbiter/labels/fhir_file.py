"""Reads labelled cases from FHIR R4 Bundles, a Bundle a case, through the protocol's own mapping.

A Bundle is what `$submit-case` takes: the record as it stood when the question would have been put. One entry more, a Parameters
resource, says what a request says beside it and what came of it:

    {"resourceType": "Parameters", "parameter": [
      {"name": "id", "valueString": "..."}, {"name": "taken-at", "valueInstant": "..."}, {"name": "risk-class", "valueCode": "..."},
      {"name": "label", "part": [{"name": "option", "valueCode": "..."}, {"name": "kind", "valueString": "..."},
                                 {"name": "source", "valueString": "..."}, {"name": "date", "valueDate": "..."}]}]}

A patient who died after the case was taken in was alive in it, so a `deceasedDateTime` that is not earlier is passed over: without
those patients the worst outcomes would be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from arbiter.api.fhir.operations import BODY_LIMIT_BYTES, DEPTH_LIMIT
from arbiter.errors import InvalidCaseError, Problem
from arbiter.labels.form import Arrived, HeadIn, Tell, arrived, formed
from arbiter.labels.json_file import objects
from arbiter.labels.reading import Beside, Found
from arbiter.protocols.fhir.mapping import FhirMapping
from arbiter.protocols.fhir.taking import TakenBundle, take_bundle
from arbiter.protocols.fhir.times import latest_of

PARAMETERS: Final = "Parameters"
_TEXT: Final = ("valueString", "valueCode", "valueId")
_INSTANT: Final = ("valueInstant", "valueDateTime")
_HEAD: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "id": ("id", _TEXT),
    "taken-at": ("taken_at", _INSTANT),
    "risk-class": ("risk_class", _TEXT),
}
_LABEL: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "option": ("option", _TEXT),
    "kind": ("kind", _TEXT),
    "source": ("source", _TEXT),
    "date": ("date", ("valueDate", *_INSTANT)),
}


def read_fhir(name: str, text: str, mapping: FhirMapping, beside: Beside, found: Found) -> Iterator[Arrived]:
    """Yield the case that each Bundle gives; what is wrong with the others is noted in `found`."""
    systems = () if beside.subject_system is None else (beside.subject_system,)
    for value, tell, place in objects(name, text, BODY_LIMIT_BYTES, DEPTH_LIMIT, found):
        case = _case(value, mapping, systems, tell, place, found)
        if case is not None:
            yield case


def _case(
    bundle: dict[str, Any],
    mapping: FhirMapping,
    systems: Sequence[str],
    tell: Tell,
    place: str,
    found: Found,
) -> Arrived | None:
    problems: list[Problem] = []
    beside = _beside(bundle, problems)
    found.problems.extend(tell(problem) for problem in problems)
    if beside is None or problems:
        return None
    head = formed(HeadIn, beside.document, lambda problem: tell(beside.located(problem)), found.problems)
    if head is None:
        return None
    try:
        taken = take_bundle(_as_of(bundle, head.taken_at), mapping, head.taken_at, systems=systems)
    except InvalidCaseError as refused:
        found.problems.extend(tell(problem) for problem in refused.problems)
        return None
    found.left_out.update(f"{left.code}: {left.detail}" for left in taken.left_out)
    return arrived(head, taken.facts, taken.subject, _located(beside, taken, tell), place)


@dataclass(frozen=True, slots=True)
class _Beside:
    """What the Parameters say in a case's own form, and where in the Bundle each of it stands."""

    document: dict[str, Any]
    places: Mapping[str, str]

    def located(self, problem: Problem) -> Problem:
        """Return a problem with the form as one with the Bundle."""
        pointer = problem.pointer
        while pointer and pointer not in self.places:
            pointer = pointer.rpartition("/")[0]
        return replace(problem, pointer=self.places[pointer], detail=_named(problem))


def _named(problem: Problem) -> str:
    return f"{problem.pointer.removeprefix('/').replace('_', '-').replace('/', '.')}: {problem.detail}"


def _located(beside: _Beside, taken: TakenBundle, tell: Tell) -> Tell:
    def located(problem: Problem) -> Problem:
        if problem.pointer.startswith("/facts/"):
            return tell(taken.located((problem,))[0])
        return tell(beside.located(problem))

    return located


def _beside(bundle: Mapping[str, Any], problems: list[Problem]) -> _Beside | None:
    """Return what the Bundle's one Parameters resource says, or None with what is wrong noted."""
    entries = bundle.get("entry")
    resources = [
        (index, entry["resource"])
        for index, entry in enumerate(entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]
    told = [(index, one) for index, one in resources if one.get("resourceType") == PARAMETERS]
    if bundle.get("resourceType") != "Bundle":
        problems.append(Problem("/resourceType", "format", "expected a Bundle for each case"))
        return None
    if len(told) != 1:
        detail = f"expected one Parameters resource that holds the label, {len(told)} came"
        problems.append(Problem("/entry", "label", detail))
        return None
    index, parameters = told[0]
    at = f"/entry/{index}/resource/parameter"
    document, places = _values(parameters.get("parameter"), at, _HEAD, problems, group="label")
    return _Beside(document, {**places, "": at})


def _values(
    given: object,
    at: str,
    known: Mapping[str, tuple[str, tuple[str, ...]]],
    problems: list[Problem],
    group: str | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the parameters' values and places by a form's names and pointers; `group` is the one that has parts."""
    document: dict[str, Any] = {}
    places: dict[str, str] = {}
    for index, one in enumerate(given if isinstance(given, list) else []):
        place = f"{at}/{index}"
        name = one.get("name") if isinstance(one, dict) else None
        wanted = sorted([*known, *([] if group is None else [group])])
        if name not in wanted:
            problems.append(
                Problem(f"{place}/name", "unknown-parameter", f"expected one of {', '.join(wanted)}")
            )
        elif name in document or (name in known and known[name][0] in document):
            problems.append(Problem(f"{place}/name", "duplicate", f"expected the parameter {name} once"))
        elif name == group:
            document[name], below = _values(one.get("part"), f"{place}/part", _LABEL, problems)
            places |= {f"/{name}": place} | {f"/{name}{pointer}": found for pointer, found in below.items()}
        else:
            member, kinds = known[name]
            held = [kind for kind in one if kind.startswith("value")]
            if len(held) != 1 or held[0] not in kinds:
                detail = f"expected {name} as one of {', '.join(kinds)}"
                problems.append(Problem(place, "type", detail))
                continue
            document[member] = one[held[0]]
            places[f"/{member}"] = f"{place}/{held[0]}"
    return document, places


def _as_of(bundle: Mapping[str, Any], taken_at: datetime) -> dict[str, Any]:
    """Return the Bundle with its Patient alive, if death came no earlier than the case."""
    return {**bundle, "entry": [_entry_as_of(entry, taken_at) for entry in bundle["entry"]]}


def _entry_as_of(entry: Any, taken_at: datetime) -> Any:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        return entry
    died = resource.get("deceasedDateTime")
    latest = latest_of(died) if isinstance(died, str) else None
    if latest is None or latest < taken_at:
        return entry
    alive = {member: value for member, value in resource.items() if member != "deceasedDateTime"}
    return {**entry, "resource": alive}
