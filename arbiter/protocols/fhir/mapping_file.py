"""`fhir.yaml`: its structure as strict models, its checks against the question, and how it is frozen.

Codings are written as FHIR's search writes tokens, `alias|code`, where `systems` says what the alias stands for; a `*`
at the end also takes the codes below, in code systems whose codes nest by spelling (ICD-10, ATC).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from arbiter.files.faults import Finder
from arbiter.files.reading import Path
from arbiter.files.values import FactName, Id, Number, Unit
from arbiter.model import FactValue
from arbiter.protocols.checks import unfit
from arbiter.protocols.fhir.mapping import (
    ATC,
    ICD_10,
    Concept,
    ConditionSource,
    FhirMapping,
    Limit,
    MappedFact,
    MedicationSource,
    ObservationSource,
    PatientPart,
    PatientSource,
    Source,
    ValuePlace,
    Wanted,
)
from arbiter.protocols.schema import FactPart, ProtocolFile
from arbiter.question import FactKind

_TOKEN = re.compile(r"([a-z][a-z0-9-]{0,30})\|([^\s|*]{1,64})(\*?)")
_SYSTEM = re.compile(r"(?:https?://|urn:)[!-~]{1,180}")
# http://hl7.org/fhir/R4/valueset-administrative-gender.html
GENDERS: Final = ("male", "female", "other", "unknown")


def _token(value: object) -> str:
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise PydanticCustomError("token", "expected a coding as alias|code, with * for the codes below")
    return value


def _system(value: object) -> str:
    if not isinstance(value, str) or _SYSTEM.fullmatch(value) is None:
        raise PydanticCustomError("system", "expected the URI of a code or identifier system")
    return value


def _meaning(value: object) -> str | bool:
    if not isinstance(value, bool | str):
        raise PydanticCustomError("meaning", "expected a code of the fact, true or false")
    return value


Token = Annotated[str, BeforeValidator(_token)]
System = Annotated[str, BeforeValidator(_system)]
Meaning = Annotated[Any, BeforeValidator(_meaning)]
Tokens = Annotated[list[Token], Field(min_length=1, max_length=256)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ConceptPart(_Part):
    """What a coded value means."""

    codings: Tokens
    means: Meaning


class LimitPart(_Part):
    """A quantity above which a flag is true."""

    number: Number
    unit: Unit


class ObservationPart(_Part):
    """An Observation as a source; which keys are needed depends on the fact's kind.

    `same_codes_in` names a system whose codes for the value are spelt as the fact's own.
    """

    codings: Tokens
    components: Tokens | None = None
    value: Annotated[ValuePlace, Field(strict=False)]
    concepts: Annotated[list[ConceptPart], Field(min_length=1, max_length=64)] | None = None
    same_codes_in: Id | None = None
    unknown: Tokens | None = None
    above: LimitPart | None = None


class MedicationPart(_Part):
    """A MedicationRequest as a source. For a flag it means true, and absence false, unless something else is said."""

    codings: Tokens
    means: Meaning | None = None
    absent: Meaning | None = None
    exhaustive: Annotated[list[Id], Field(max_length=16)] = []


class ConditionPart(MedicationPart):
    """A Condition as a source."""

    history: bool = False


class PatientPartIn(_Part):
    """The Patient as a source."""

    take: Annotated[PatientPart, Field(strict=False)]
    genders: dict[str, Meaning] | None = None


class SourcePart(_Part):
    """One source of a fact: exactly one of the keys."""

    observation: ObservationPart | None = None
    condition: ConditionPart | None = None
    medication_request: MedicationPart | None = None
    patient: PatientPartIn | None = None


class FhirFile(_Part):
    """`fhir.yaml`."""

    fhir: Literal["4.0.1"]
    systems: Annotated[dict[Id, System], Field(max_length=64)] = {}
    subject_systems: Annotated[list[System], Field(max_length=16)] = []
    facts: Annotated[
        dict[FactName, Annotated[list[SourcePart], Field(min_length=1, max_length=16)]], Field(min_length=1)
    ]


# --- checks -------------------------------------------------------------------------------------------------------


def check_mapping(mapping: FhirFile, protocol: ProtocolFile, finder: Finder) -> None:
    """Check `fhir.yaml` against a protocol that is sound in itself."""
    specs = {fact.name: fact for fact in protocol.question.facts}
    for index, system in enumerate(mapping.subject_systems):
        if system in mapping.subject_systems[:index]:
            detail = f"expected {system!r} once, it came again"
            finder.report(("subject_systems", index), "duplicate", detail)
    for name, sources in mapping.facts.items():
        if name not in specs:
            finder.report(("facts", name), "reference", f"expected a fact of the question, {name!r} came")
            continue
        for index, source in enumerate(sources):
            _Check(mapping.systems, specs[name], finder).source(source, ("facts", name, index))


class _Check:
    """Checks one source of one fact."""

    def __init__(self, systems: Mapping[str, str], fact: FactPart, finder: Finder) -> None:
        self._systems = systems
        self._fact = fact
        self._finder = finder

    def source(self, source: SourcePart, path: Path) -> None:
        given = [key for key in SourcePart.model_fields if getattr(source, key) is not None]
        if len(given) != 1:
            known = ", ".join(SourcePart.model_fields)
            self._finder.report(path, "value", f"expected exactly one of {known}, {len(given)} came")
        if source.observation is not None:
            self._observation(source.observation, (*path, "observation"))
        if source.condition is not None:
            self._stated(source.condition, (*path, "condition"))
        if source.medication_request is not None:
            self._stated(source.medication_request, (*path, "medication_request"))
        if source.patient is not None:
            self._patient(source.patient, (*path, "patient"))

    def _observation(self, part: ObservationPart, path: Path) -> None:
        self._tokens(part.codings, (*path, "codings"))
        self._tokens(part.components or (), (*path, "components"))
        self._tokens(part.unknown or (), (*path, "unknown"))
        by_limit = self._fact.kind is FactKind.FLAG and part.above is not None
        fitting = {
            FactKind.NUMBER: (ValuePlace.QUANTITY,),
            FactKind.CODE: (ValuePlace.CONCEPT,),
            FactKind.FLAG: (ValuePlace.QUANTITY,) if by_limit else (ValuePlace.BOOLEAN, ValuePlace.CONCEPT),
        }[self._fact.kind]
        if part.value not in fitting:
            wanted = " or ".join(fitting)
            self._report((*path, "value"), f"expected {wanted} for a {self._fact.kind.value}")
        if part.above is not None and self._fact.kind is not FactKind.FLAG:
            self._report((*path, "above"), "expected 'above' only for a flag")
        coded = part.value is ValuePlace.CONCEPT
        if coded and not part.concepts and part.same_codes_in is None:
            detail = "expected the key 'concepts' or 'same_codes_in' for coded values"
            self._finder.report(path, "missing", detail)
        if part.same_codes_in is not None:
            self._same_codes(part.same_codes_in, (*path, "same_codes_in"))
        for key in ("concepts", "same_codes_in", "unknown"):
            if not coded and getattr(part, key) is not None:
                self._report((*path, key), f"expected {key!r} only for coded values")
        seen = list(part.unknown or ())
        for index, concept in enumerate(part.concepts or ()):
            place = (*path, "concepts", index)
            self._tokens(concept.codings, (*place, "codings"), seen)
            self._means(concept.means, (*place, "means"))
            seen += concept.codings

    def _same_codes(self, alias: str, path: Path) -> None:
        if self._fact.kind is not FactKind.CODE:
            self._report(path, f"expected a code for this key, {self._fact.name!r} is a {self._fact.kind}")
        if alias not in self._systems:
            self._finder.report(path, "reference", f"expected an alias of 'systems', {alias!r} came")

    def _stated(self, part: MedicationPart, path: Path) -> None:
        if self._fact.kind is FactKind.NUMBER:
            self._report(path, f"expected a flag or code for this source, {self._fact.name!r} is a number")
            return
        if self._fact.kind is FactKind.CODE and part.means is None:
            self._finder.report(path, "missing", "expected the key 'means' for a code")
        for key, value in (("means", part.means), ("absent", part.absent)):
            if value is not None:
                self._means(value, (*path, key))
        if part.absent is not None and part.absent == part.means:
            self._report((*path, "absent"), "expected another value than 'means'")
        self._tokens(part.codings, (*path, "codings"))
        used = {token.partition("|")[0] for token in part.codings}
        for index, alias in enumerate(part.exhaustive):
            if alias not in used:
                detail = f"expected an alias used in 'codings', {alias!r} came"
                self._finder.report((*path, "exhaustive", index), "reference", detail)

    def _patient(self, part: PatientPartIn, path: Path) -> None:
        if part.take is PatientPart.AGE:
            if self._fact.kind is not FactKind.NUMBER or self._fact.unit != "a":
                self._report((*path, "take"), f"expected a number in a (years), {self._fact.name!r} is none")
            if part.genders is not None:
                self._report((*path, "genders"), "expected no genders for the age")
            return
        if not part.genders:
            self._finder.report(path, "missing", "expected the key 'genders'")
        for gender, means in (part.genders or {}).items():
            if gender not in GENDERS:
                self._report((*path, "genders", gender), f"expected one of {', '.join(GENDERS)}")
            self._means(means, (*path, "genders", gender))

    def _means(self, means: FactValue, path: Path) -> None:
        fault = unfit(means, self._fact)
        if fault is not None:
            self._report(path, fault)

    def _tokens(self, tokens: Iterable[str], path: Path, seen: Iterable[str] = ()) -> None:
        before = set(seen)
        for index, token in enumerate(tokens):
            alias, _, code = token.partition("|")
            if alias not in self._systems:
                detail = f"expected an alias of 'systems', {alias!r} came"
                self._finder.report((*path, index), "reference", detail)
            elif code.endswith("*") and not _nests(self._systems[alias]):
                self._report(
                    (*path, index), "expected * only in ICD-10 and ATC, whose codes nest by spelling"
                )
            if token in before:
                self._finder.report((*path, index), "duplicate", f"expected {token!r} once, it came again")
            before.add(token)

    def _report(self, path: Path, detail: str) -> None:
        self._finder.report(path, "value", detail)


# --- freezing -----------------------------------------------------------------------------------------------------


def freeze_mapping(part: FhirFile, protocol: ProtocolFile) -> FhirMapping:
    """Return the mapping of a `fhir.yaml` that passed every check."""
    specs = {fact.name: fact for fact in protocol.question.facts}
    facts = tuple(
        MappedFact(
            name=name,
            units=_units(specs[name]),
            ages=specs[name].greatest_age is not None,
            sources=tuple(_source(source, specs[name], part.systems) for source in sources),
        )
        for name, sources in part.facts.items()
    )
    return FhirMapping(tuple(part.subject_systems), facts)


def _units(fact: FactPart) -> tuple[str, ...]:
    own = () if fact.unit is None else (fact.unit,)
    return (*own, *(conversion.unit for conversion in fact.conversions or ()))


def _nests(system: str) -> bool:
    return ICD_10 in system or system == ATC


def _source(part: SourcePart, fact: FactPart, systems: Mapping[str, str]) -> Source:
    if part.observation is not None:
        return _observation(part.observation, fact, systems)
    stated = part.condition or part.medication_request
    if stated is not None:
        means = True if stated.means is None else stated.means
        absent = not means if stated.absent is None and isinstance(means, bool) else stated.absent
        codings, exhaustive = _wanted(stated.codings, systems), _named(stated.exhaustive, systems)
        if isinstance(stated, ConditionPart):
            return ConditionSource(codings, means, absent, exhaustive, stated.history)
        return MedicationSource(codings, means, absent, exhaustive)
    assert part.patient is not None
    return PatientSource(part.patient.take, tuple(sorted((part.patient.genders or {}).items())))


def _observation(part: ObservationPart, fact: FactPart, systems: Mapping[str, str]) -> ObservationSource:
    meant = [(concept.codings, concept.means) for concept in part.concepts or ()]
    if part.same_codes_in is not None:
        meant += [([f"{part.same_codes_in}|{code.code}"], code.code) for code in fact.codes or ()]
    meant.append((part.unknown or [], None))
    return ObservationSource(
        codings=_wanted(part.codings, systems),
        components=_wanted(part.components or (), systems),
        value=part.value,
        concepts=tuple(Concept(one, means) for tokens, means in meant for one in _wanted(tokens, systems)),
        above=None if part.above is None else Limit(part.above.number, part.above.unit),
    )


def _wanted(tokens: Iterable[str], systems: Mapping[str, str]) -> tuple[Wanted, ...]:
    found = []
    for token in tokens:
        match = _TOKEN.fullmatch(token)
        assert match is not None
        found.append(Wanted(systems[match[1]], match[2], descendants=match[3] == "*"))
    return tuple(found)


def _named(aliases: Iterable[str], systems: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(systems[alias] for alias in aliases)
