"""A protocol bundle as loaded: the frozen protocol, its files' bytes, its examples, and where everything stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from arbiter.calibration import Calibration
from arbiter.errors import Problem
from arbiter.files.reading import Positions
from arbiter.model import FactValue, RiskClass
from arbiter.protocols.fhir.mapping import FhirMapping
from arbiter.protocols.intake import RawFact
from arbiter.question import Protocol

PROTOCOL_FILE = "protocol.yaml"
POLICY_FILE = "policy.yaml"
EXAMPLES_FILE = "examples.jsonl"
FHIR_FILE = "fhir.yaml"
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True, slots=True)
class ExampleFact:
    """A fact as a hospital system would send it, observed `age_minutes` before intake."""

    name: str
    value: FactValue
    unit: str | None
    age_minutes: int


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """A case with a known answer.

    `label` is the option that is right. `expect` is what the whole service should do with it (`decided:<option>`,
    `escalated`, `asks-facts`), or None where nobody has said. `covers` names what the case is there to show.
    """

    id: str
    title: str
    risk_class: RiskClass
    facts: tuple[ExampleFact, ...]
    label: str
    provenance: str
    expect: str | None
    covers: tuple[str, ...]

    def raw_facts(self, taken_at: datetime) -> dict[str, RawFact]:
        """Return the facts as intake takes them when the case arrives at `taken_at`."""
        return {
            fact.name: RawFact(
                value=fact.value,
                unit=fact.unit,
                observed_at=taken_at - timedelta(minutes=fact.age_minutes),
                status="final",
                source="example",
            )
            for fact in self.facts
        }


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked protocol with what it was made from. `files` holds the exact bytes by file name.

    `fhir` is how a FHIR Bundle becomes the question's facts, or None where the protocol takes none. `calibration` comes with
    it; None where there is none, or where it was made for other files than these.
    """

    protocol: Protocol
    files: Mapping[str, bytes]
    examples: tuple[LabelledCase, ...]
    positions: Mapping[str, Positions]
    fhir: FhirMapping | None = None
    calibration: Calibration | None = None

    def locate(self, file: str, pointer: str) -> str:
        """Return `file:line:column` for a JSON pointer into one of the YAML files, for checks made elsewhere.

        Raises:
            KeyError: when the bundle has no such YAML file.
        """
        return self.positions[file].locate(pointer)

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems found elsewhere with `file#/json/pointer` turned into `file:line:column`."""
        found = []
        for problem in problems:
            file, separator, pointer = problem.pointer.partition("#")
            known = separator == "#" and file in self.positions
            found.append(replace(problem, pointer=self.locate(file, pointer)) if known else problem)
        return tuple(found)
