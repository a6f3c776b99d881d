"""What of a FHIR Bundle gives which fact, as frozen values: what `fhir.yaml` says once it is checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Wanted:
    """A code of a code system; with `descendants` also every code below it, for systems whose codes nest by spelling."""

    system: str
    code: str
    descendants: bool = False

    def is_below(self, code: str) -> bool:
        """Return whether this is a code below that one, so that whoever chose that one may have meant this."""
        return self.code != code and self.code.startswith(code)

    def matches(self, system: str, code: str) -> bool:
        """Return whether a coding is this one, or below it.

        ICD-10 puts a dot behind three characters (I48, I48.0, I48.01), ATC none (B01AA, B01AA03): a wanted code of
        three characters would else take codes of ICD-10 that only begin alike.
        """
        if system != self.system:
            return False
        if code == self.code or not self.descendants:
            return code == self.code
        dotted = ICD_10 in self.system and "." not in self.code
        return code.startswith(f"{self.code}." if dotted else self.code)


ICD_10 = "icd-10"
"""Part of the name of every edition of ICD-10 as a code system: the WHO's and the national ones."""
ATC = "http://www.whocc.no/atc"

_ICD_10_CODE = re.compile(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?")
_ATC_CODE = re.compile(r"[A-Z][0-9]{2}[A-Z]{2}[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Concept:
    """A coding of a value and what it means for the fact; `means` None says that nothing is known."""

    coding: Wanted
    means: str | bool | None


class ValuePlace(StrEnum):
    """Where an Observation holds the value."""

    QUANTITY = "quantity"
    CONCEPT = "concept"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Limit:
    """A quantity above which a flag is true, in one unit."""

    number: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class ObservationSource:
    """An Observation with one of the codings, or the components of it that have one of `components`."""

    codings: tuple[Wanted, ...]
    components: tuple[Wanted, ...]
    value: ValuePlace
    concepts: tuple[Concept, ...]
    above: Limit | None


@dataclass(frozen=True, slots=True)
class ConditionSource:
    """A Condition with one of the codings, which `means` a value. `history` counts one that is over as well.

    `absent` is what it means that a whole list names none, or None where that means nothing. `exhaustive` are code
    systems of which the codings name every code that means the fact: only what is coded in one of them can be known to
    be something else.
    """

    codings: tuple[Wanted, ...]
    means: str | bool
    absent: str | bool | None
    exhaustive: tuple[str, ...]
    history: bool


@dataclass(frozen=True, slots=True)
class MedicationSource:
    """A MedicationRequest for one of the codings; the rest as for conditions."""

    codings: tuple[Wanted, ...]
    means: str | bool
    absent: str | bool | None
    exhaustive: tuple[str, ...]


class PatientPart(StrEnum):
    """What is taken from the Patient."""

    AGE = "age"
    GENDER = "gender"


@dataclass(frozen=True, slots=True)
class PatientSource:
    """The Patient's age in completed years, or the administrative gender as (FHIR's code, the fact's value)."""

    part: PatientPart
    genders: tuple[tuple[str, str | bool], ...]


Source: TypeAlias = ObservationSource | ConditionSource | MedicationSource | PatientSource


@dataclass(frozen=True, slots=True)
class MappedFact:
    """A fact's sources, with what of its specification reading them needs: the units it takes, and whether it ages."""

    name: str
    units: tuple[str, ...]
    ages: bool
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class FhirMapping:
    """A whole `fhir.yaml`: the identifier systems that name a patient, and each fact's sources."""

    subject_systems: tuple[str, ...]
    facts: tuple[MappedFact, ...]


def any_matches(wanted: Iterable[Wanted], codings: Iterable[tuple[str, str]]) -> bool:
    """Return whether one of the (system, code) pairs is wanted."""
    held = tuple(codings)
    return any(one.matches(system, code) for one in wanted for system, code in held)


def told_apart(
    wanted: Iterable[Wanted], exhaustive: Iterable[str], codings: Iterable[tuple[str, str]]
) -> bool:
    """Return whether a coding that is not wanted is known to be something else.

    That takes a code of a system of which the wanted codings name everything, spelt as the system spells its codes (an
    I500 without its dot begins like nothing that is wanted), and not above one that is wanted.
    """
    sought, named = tuple(wanted), frozenset(exhaustive)
    return any(
        system in named
        and _is_spelt(system, code)
        and not any(one.system == system and one.is_below(code) for one in sought)
        for system, code in codings
    )


def _is_spelt(system: str, code: str) -> bool:
    if ICD_10 in system:
        return _ICD_10_CODE.fullmatch(code) is not None
    return system != ATC or _ATC_CODE.fullmatch(code) is not None
