"""A FHIR Bundle becomes a subject, a stay and facts, or is refused with every reason found.

Guarantees: the newest usable statement about a fact wins; two of one instant that contradict each other refuse the
Bundle; absence is never false unless a list in the Bundle says that it is whole; whatever else is not taken is told
with its place. What a fact must look like (unit, range, age) is judged by `arbiter.protocols.intake` as at every door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from arbiter.errors import InvalidCaseError, Problem
from arbiter.model import FactValue
from arbiter.protocols.fhir.by_coding import ByCoding
from arbiter.protocols.fhir.documents import FoundText, texts_of
from arbiter.protocols.fhir.lists import WholeList, whole_list
from arbiter.protocols.fhir.mapping import (
    ConditionSource,
    FhirMapping,
    MappedFact,
    MedicationSource,
    ObservationSource,
    PatientPart,
    PatientSource,
    Source,
)
from arbiter.protocols.fhir.opening import PROBLEM_LIMIT, Content, Placed, open_bundle
from arbiter.protocols.fhir.resources import Condition, MedicationRequest, Observation
from arbiter.protocols.fhir.statements import (
    OBSERVED,
    Notes,
    Says,
    Statement,
    condition_codings,
    condition_says,
    observed,
    order_codings,
    order_says,
    stated_at,
)
from arbiter.protocols.fhir.subject import present_encounter, require_subject, subject_of
from arbiter.protocols.fhir.times import completed_years, day_of
from arbiter.protocols.intake import OLDEST, RawFact

LEFT_OUT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class TakenBundle:
    """What a Bundle gave. `places` are JSON pointers by `/facts/<name>/<key>`, as intake names what does not fit.

    `history` are older observations of the question's facts, as (fact, observation, place), `documents` the texts; whether they
    fit is judged by `arbiter.protocols.fhir.context`.
    """

    subject: tuple[str, str]
    encounter: str | None
    facts: Mapping[str, RawFact]
    places: Mapping[str, str]
    left_out: tuple[Problem, ...]
    history: tuple[tuple[str, RawFact, str], ...] = ()
    documents: tuple[FoundText, ...] = ()

    def located(self, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """Return intake's problems with the places in the Bundle where what does not fit came from."""
        return tuple(
            Problem(self._place(problem.pointer), problem.code, problem.detail) for problem in problems
        )

    def _place(self, pointer: str) -> str:
        fact = pointer.rpartition("/")[0]
        return self.places.get(pointer) or self.places.get(f"{fact}/") or pointer


def take_bundle(
    document: object,
    mapping: FhirMapping,
    taken_at: datetime,
    *,
    systems: Sequence[str] = (),
    about: tuple[str, str] | None = None,
) -> TakenBundle:
    """Return what a Bundle gives under a mapping.

    `systems` name the identifier systems that the request prefers to the mapping's; `about` is the subject that the
    Patient must be, as (system, value).

    Raises:
        InvalidCaseError: with every problem found, each with a JSON pointer into the Bundle.
    """
    content = open_bundle(document)
    if about is None:
        subject = subject_of(content.patient, systems or mapping.subject_systems, taken_at)
    else:
        require_subject(content.patient, about, taken_at)
        subject = about
    notes = Notes()
    reader = _Reader(content, notes, taken_at)
    chosen = {
        fact.name: statement
        for fact in mapping.facts
        if (statement := reader.choose(fact)) is not None and statement.value is not None
    }
    reader.tell_unmapped(mapping)
    documents = tuple(texts_of(content, notes))
    encounter, several = present_encounter(content)
    if several:
        notes.leave("/entry", "encounters", "several stays that go on; none was taken")
    if notes.problems:
        raise InvalidCaseError("the Bundle cannot be taken", notes.problems[:PROBLEM_LIMIT])
    if not chosen:
        nothing = Problem("/entry", "no-facts", "expected a resource that gives a fact of the question")
        told = (nothing, *notes.left_out)[:PROBLEM_LIMIT]
        raise InvalidCaseError("the Bundle gives no fact of the question", told)
    return TakenBundle(
        subject=subject,
        encounter=encounter,
        facts={name: _raw(statement) for name, statement in chosen.items()},
        places={
            f"/facts/{name}/{key}": place
            for name, statement in chosen.items()
            for key, place in statement.places
        },
        left_out=notes.left_out[:LEFT_OUT_LIMIT],
        history=tuple((name, _raw(statement), statement.place) for name, statement in reader.earlier),
        documents=documents,
    )


def _raw(statement: Statement) -> RawFact:
    assert statement.value is not None
    return RawFact(statement.value, statement.unit, statement.at, statement.status, statement.source)


class _Reader:
    """Gathers what the Bundle states about one fact after the other."""

    def __init__(self, content: Content, notes: Notes, taken_at: datetime) -> None:
        self._content = content
        self._notes = notes
        self._taken_at = taken_at
        self._observations = ByCoding((one, one.resource.code.pairs()) for one in content.of(Observation))
        self._conditions = ByCoding((one, condition_codings(one)) for one in content.of(Condition))
        self._orders = ByCoding((one, order_codings(one, content)) for one in content.of(MedicationRequest))
        self._problem_list = whole_list(content, Condition, notes)
        self._drug_list = whole_list(content, MedicationRequest, notes)
        self.earlier: list[tuple[str, Statement]] = []

    def choose(self, fact: MappedFact) -> Statement | None:
        """Return the newest statement, or None when there is none or the newest contradict each other.

        Older observations are no facts; `earlier` gathers them for the clinician.
        """
        statements = [one for one in self._statements(fact) if not self._too_old(fact, one)]
        newest_at = max((one.at for one in statements), default=None)
        newest = [one for one in statements if one.at == newest_at]
        if not newest:
            return None
        self.earlier += [
            (fact.name, one)
            for one in statements
            if one.at != newest_at and one.value is not None and one.source == OBSERVED
        ]
        first = newest[0]
        others = [one for one in newest if (one.value, one.unit) != (first.value, first.unit)]
        if others:
            detail = "expected one value of one instant, another came at {}"
            self._notes.refuse(first.place, "contradiction", detail.format(others[0].place))
            self._notes.refuse(others[0].place, "contradiction", detail.format(first.place))
            return None
        return first

    def _too_old(self, fact: MappedFact, statement: Statement) -> bool:
        # A record goes back for years, so what other doors refuse as a mistake is here no more than old.
        old = fact.ages and self._taken_at - statement.at > OLDEST
        if old:
            detail = f"older than the {OLDEST.days} days after which nothing that ages is taken"
            self._notes.leave(statement.place, "too-old", detail)
        return old

    def _statements(self, fact: MappedFact) -> list[Statement]:
        found: list[Statement] = []
        stated: list[_Stated] = []
        for source in fact.sources:
            match source:
                case ObservationSource():
                    for placed in self._observations.find(source.codings):
                        found += observed(placed, source, fact.units, self._notes)
                case ConditionSource():
                    stated.append(self._by_conditions(source))
                case MedicationSource():
                    stated.append(self._by_orders(source))
                case PatientSource():
                    found += self._by_patient(source)
        found += _at_once([one for source in stated for one in source.statements], self._notes)
        return [*found, *_absent(stated, found)]

    def _by_conditions(self, source: ConditionSource) -> _Stated:
        found = _Stated([], self._problem_list, source, self._notes)
        for placed in self._conditions.find(source.codings):
            says = condition_says(placed, source, self._notes)
            self._state(placed, says, placed.resource.recorded_at, "recordedDate", found)
        return found

    def _by_orders(self, source: MedicationSource) -> _Stated:
        found = _Stated([], self._drug_list, source, self._notes)
        for placed in self._orders.find(source.codings):
            says = order_says(placed, self._notes)
            self._state(placed, says, placed.resource.authored_at, "authoredOn", found)
        return found

    def _state(
        self,
        placed: Placed[Condition] | Placed[MedicationRequest],
        says: Says,
        text: str | None,
        member: str,
        found: _Stated,
    ) -> None:
        means = found.source.means
        match says:
            case Says.HOLDS:
                value = means
            case Says.DENIED if isinstance(means, bool):
                value = not means
            case Says.DENIED | Says.OVER:
                return
            case Says.OPEN:
                found.open = True
                return
        listed_at = None if found.list is None else found.list.names(placed.index)
        meta = placed.resource.meta
        at = stated_at(text, None if meta is None else meta.last_updated, listed_at)
        place = f"{placed.place}/{member}"
        if at is None:
            found.open = True
            self._notes.leave(place, "instant", "nothing says as of when this holds")
            return
        kind = placed.resource.resource_type
        places = (("", placed.place), ("value", placed.place), ("observed_at", place))
        found.statements.append(Statement(at, value, None, "final", f"FHIR {kind}", places))

    def _by_patient(self, source: PatientSource) -> Iterator[Statement]:
        patient, place = self._content.patient.resource, self._content.patient.place
        if source.part is PatientPart.AGE:
            if patient.birth_date is None:
                return
            where = f"{place}/birthDate"
            born, today = day_of(patient.birth_date), self._taken_at.astimezone(UTC).date()
            if born is None or born > today:
                self._notes.refuse(where, "birth-date", "expected a day in the past, such as 1950-01-31")
                return
            yield self._of_patient(Decimal(completed_years(born, today)), "a", where)
            return
        where = f"{place}/gender"
        means = dict(source.genders).get(patient.gender or "")
        if means is not None:
            yield self._of_patient(means, None, where)
        elif patient.gender is not None:
            self._notes.leave(where, "unknown-code", "a gender that the protocol has no value for")

    def _of_patient(self, value: FactValue, unit: str | None, place: str) -> Statement:
        # As of the day, so that the same Bundle sent twice on one day gives the same facts.
        today = self._taken_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        places = (("", place), ("value", place), ("unit", place), ("observed_at", place))
        return Statement(today, value, unit, "final", "FHIR Patient", places)

    def tell_unmapped(self, mapping: FhirMapping) -> None:
        """Note every resource that could give a fact and has no coding that the mapping knows."""
        sources = [source for fact in mapping.facts for source in fact.sources]
        kinds: tuple[tuple[type[Source], ByCoding[Any]], ...] = (
            (ObservationSource, self._observations),
            (ConditionSource, self._conditions),
            (MedicationSource, self._orders),
        )
        for kind, held in kinds:
            wanted = [
                one
                for source in sources
                if isinstance(source, kind) and not isinstance(source, PatientSource)
                for one in source.codings
            ]
            known = {placed.index for placed in held.find(wanted)}
            for placed in held.everything:
                if placed.index not in known:
                    self._notes.leave(placed.place, "not-mapped", "no coding that the protocol knows")


@dataclass(slots=True)
class _Stated:
    """What Conditions or orders state for one source; `open` when one of them leaves the question open."""

    statements: list[Statement]
    list: WholeList | None
    source: ConditionSource | MedicationSource
    notes: Notes
    open: bool = False


def _at_once(stated: Sequence[Statement], notes: Notes) -> list[Statement]:
    """Return what Conditions or orders state; what holds at once and means different things says that none is known.

    One flag denied and held is another matter: there the newer word counts.
    """
    if len({one.value for one in stated if not isinstance(one.value, bool)}) < 2:
        return list(stated)
    for one in stated:
        notes.leave(one.place, "several", "holds at once with what means another value, so none is taken")
    newest = max(stated, key=lambda one: one.at)
    return [replace(newest, value=None)]


def _absent(stated: Sequence[_Stated], found: Sequence[Statement]) -> Iterator[Statement]:
    """Yield what absence means, when every source has a whole list and nothing in the Bundle says otherwise.

    A list that is newer than something that says otherwise contradicts it; it is no proof of absence.
    """
    meant = {one.source.absent for one in stated}
    if len(meant) != 1 or None in meant or any(one.value not in meant for one in found):
        return
    lists: list[WholeList] = []
    for one in stated:
        if one.list is None or one.open:
            return
        obstacle = one.list.obstacle(one.source)
        if obstacle is not None:
            if obstacle.unclear and not found:
                detail = "cannot be told apart from what is looked for, so the list excludes nothing"
                one.notes.leave(obstacle.place, "not-excluded", detail)
            return
        lists.append(one.list)
    oldest = min(lists, key=lambda whole: whole.at)
    places = (("", oldest.place), ("value", oldest.place), ("observed_at", oldest.date_place))
    yield Statement(oldest.at, meant.pop(), None, "final", "FHIR List", places)
