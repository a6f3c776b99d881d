"""A whole file of labelled cases becomes cases to evaluate, or is refused with every problem and its place.

Guarantees: each id comes once; what is returned reads back as it is; nothing that is told holds a patient's value. Cases that are
alike are no fault, for two patients may be, and are told: labelled differently they cannot both be decided rightly, and one patient
counted twice would certify what fewer had shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from arbiter.errors import Problem, RefusedError, counted
from arbiter.evaluation.cases import CASES_LIMIT
from arbiter.files.faults import PROBLEMS_LIMIT
from arbiter.labels.csv_file import read_csv
from arbiter.labels.fhir_file import read_fhir
from arbiter.labels.form import Arrived
from arbiter.labels.json_file import read_json
from arbiter.labels.reading import MOST_PROBLEMS, Beside, Format, Found, text_of
from arbiter.labels.taking import take_case, unconfirmed
from arbiter.model import FactValue
from arbiter.protocols.bundle import Bundle, LabelledCase


@dataclass(frozen=True, slots=True)
class Imported:
    """The cases of a file in its order, and what whoever certifies by them should know.

    `contradicting` are the places of cases that have the facts of an earlier one and another label, `repeated` those with its label
    too, each with the earlier one's place. `of_same_patient` counts cases of a patient who had one before, where the file says whose
    they are. `preliminary` counts facts that were not final. `left_out` says what of FHIR was not taken, with how often.
    """

    cases: tuple[LabelledCase, ...]
    contradicting: tuple[tuple[str, str], ...]
    repeated: tuple[tuple[str, str], ...]
    of_same_patient: int
    preliminary: int
    left_out: tuple[tuple[str, int], ...]

    @property
    def labels(self) -> tuple[tuple[str, int], ...]:
        """How many cases have each label, sorted."""
        return tuple(sorted(Counter(case.label for case in self.cases).items()))

    @property
    def kinds(self) -> tuple[tuple[str, int], ...]:
        """How many labels came about in each way, sorted."""
        return tuple(sorted(Counter(case.provenance.split(";")[0] for case in self.cases).items()))


def import_labels(
    name: str, source: bytes, kind: Format, bundle: Bundle, beside: Beside, now: datetime
) -> Imported:
    """Return the labelled cases of a file's bytes; `name` is what problems call it, `now` what bounds their dates.

    Raises:
        RefusedError: with every problem found, each at `file:line:column`; in CSV the column is the cell's number.
    """
    found, gathered = Found(), _Gathered()
    for arrived in _arrivals(name, text_of(name, source), kind, bundle, beside, found):
        if len(gathered.ids) == CASES_LIMIT:
            found.problems.append(Problem(arrived.place, "limit", f"expected at most {CASES_LIMIT:,} cases"))
            break
        case = take_case(arrived, bundle.protocol.question, beside, now, found.problems)
        gathered.add(arrived, case, found.problems)
    if not found.problems and not gathered.ids:
        found.problems.append(Problem(f"{name}:1:1", "empty", "expected a labelled case, none came"))
    if found.problems:
        told = (
            f"{MOST_PROBLEMS:,} problems or more" if found.enough else counted(len(found.problems), "problem")
        )
        raise RefusedError(
            f"the labelled cases in {name} have {told}", tuple(found.problems[:PROBLEMS_LIMIT])
        )
    return Imported(
        tuple(gathered.cases),
        tuple(gathered.contradicting),
        tuple(gathered.repeated),
        sum(count - 1 for count in gathered.patients.values()),
        gathered.preliminary,
        tuple(sorted(found.left_out.items())),
    )


def _arrivals(
    name: str, text: str, kind: Format, bundle: Bundle, beside: Beside, found: Found
) -> Iterator[Arrived]:
    match kind:
        case Format.CSV:
            return read_csv(name, text, bundle.protocol.question, beside, found)
        case Format.JSON:
            return read_json(name, text, bundle.protocol.id, found)
        case Format.FHIR:
            if bundle.fhir is None:
                raise RefusedError(
                    f"protocol {bundle.protocol.id} takes no Bundles: expected one that says in fhir.yaml what gives which fact"
                )
            return read_fhir(name, text, bundle.fhir, beside, found)
        case _:
            assert_never(kind)


@dataclass(slots=True)
class _Gathered:
    """What of all cases is needed to judge the next: ids and facts by the place where each came first."""

    ids: dict[str, str] = field(default_factory=dict)
    first: dict[tuple[tuple[str, FactValue], ...], tuple[str, str]] = field(default_factory=dict)
    cases: list[LabelledCase] = field(default_factory=list)
    contradicting: list[tuple[str, str]] = field(default_factory=list)
    repeated: list[tuple[str, str]] = field(default_factory=list)
    patients: Counter[tuple[str, str]] = field(default_factory=Counter)
    preliminary: int = 0

    def add(self, arrived: Arrived, case: LabelledCase | None, problems: list[Problem]) -> None:
        """Note a case; `case` is None where it does not fit, and its id counts all the same."""
        before = self.ids.setdefault(arrived.id, arrived.place)
        if before != arrived.place:
            detail = f"expected each id once, the case at {before} has this one"
            problems.append(arrived.tell(Problem("/id", "duplicate", detail)))
        if arrived.subject is not None:
            self.patients[arrived.subject] += 1
        if case is None:
            return
        self.cases.append(case)
        self.preliminary += unconfirmed(arrived)
        facts = tuple((fact.name, fact.value) for fact in case.facts)
        place, label = self.first.setdefault(facts, (arrived.place, case.label))
        if place != arrived.place:
            (self.repeated if label == case.label else self.contradicting).append((arrived.place, place))
