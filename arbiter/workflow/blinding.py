"""A case without its panel: all that a reviewer is shown before giving an opinion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from arbiter.documents.context import RecordText
from arbiter.documents.scalars import decimal_text
from arbiter.model import Fact, FactValue
from arbiter.question import FactSpec, Option, Reference
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.views import CaseView, view_of


class Standing(StrEnum):
    """How a number stands to the range in which it is usual."""

    BELOW = "below"
    WITHIN = "within"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class Observed:
    """One value of a fact with the instant it was observed; `number` is set for numbers alone."""

    observed_at: datetime
    value: str
    number: Decimal | None
    status: str
    source: str
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class BlindFact:
    """A fact as the reviewer sees it; `stale` says that it was older than its greatest age when it was taken in.

    `number`, `standing` and `reference` are set for numbers alone, the latter two where the protocol states a range. `earlier`
    are the values observed before, oldest first: those that were handed in beside the facts, and those that amendments replaced.
    """

    name: str
    title: str
    value: str
    unit: str | None
    observed_at: datetime
    age_minutes: int
    stale: bool
    status: str
    source: str
    number: Decimal | None = None
    reference: Reference | None = None
    standing: Standing | None = None
    earlier: tuple[Observed, ...] = ()


@dataclass(frozen=True, slots=True)
class EarlierFact:
    """A fact of which only earlier values are known: the case itself lacks it."""

    name: str
    title: str
    unit: str | None
    reference: Reference | None
    earlier: tuple[Observed, ...]


@dataclass(frozen=True, slots=True)
class BlindCase:
    """A case without its panel. `missing` are titles of facts that the question knows and the case lacks.

    `as_of` is the instant at which the facts were as old as they are said to be. `received_at` and `amended_at` are when the case
    and each later version of its facts came in; `documents` the record's texts, oldest first; `once_known` the facts of which
    only earlier values are known.
    """

    view: CaseView
    title: str
    question: str
    options: tuple[Option, ...]
    facts: tuple[BlindFact, ...]
    missing: tuple[str, ...]
    subject_system: str
    subject_value: str
    encounter: str | None
    claim_until: datetime | None
    shows_panel_first: bool
    as_of: datetime
    received_at: datetime
    amended_at: tuple[datetime, ...] = ()
    documents: tuple[RecordText, ...] = ()
    once_known: tuple[EarlierFact, ...] = ()


def blind_case(dossier: Dossier, as_of: datetime) -> BlindCase:
    """Return what may be seen of a case, the age of its facts as of an instant."""
    question = dossier.shelved.protocol.question
    taken = dossier.taken_facts()
    request = dossier.request()
    state = dossier.row.state
    versions = dossier.versions_of_facts()
    context = dossier.context()
    earlier = {
        spec.name: _earlier(
            spec, taken.facts.get(spec.name), (*context.history, *(f for v in versions for f in v.facts))
        )
        for spec in question.facts
    }
    return BlindCase(
        # What its reviewer cannot tell from care before signing is not marked as practice.
        view=replace(view_of(dossier.row, dossier.shelved), training=state.marked_as_training),
        title=dossier.shelved.protocol.title,
        question=question.text,
        options=question.options,
        facts=tuple(
            _blind_fact(spec, fact, taken.taken_at, as_of, earlier[spec.name])
            for spec in question.facts
            if (fact := taken.facts.get(spec.name)) is not None
        ),
        missing=tuple(spec.title for spec in question.facts if taken.facts.get(spec.name) is None),
        subject_system=request["subject"]["system"],
        subject_value=request["subject"]["value"],
        encounter=request["encounter"] or None,
        claim_until=None if state.claim is None else state.claim.until,
        shows_panel_first=state.shows_panel_first,
        as_of=as_of,
        received_at=versions[0].taken_at,
        amended_at=tuple(version.taken_at for version in versions[1:]),
        documents=context.documents,
        once_known=tuple(
            EarlierFact(spec.name, spec.title, spec.unit, spec.reference, earlier[spec.name])
            for spec in question.facts
            if taken.facts.get(spec.name) is None and earlier[spec.name]
        ),
    )


def _blind_fact(
    spec: FactSpec, fact: Fact, taken_at: datetime, as_of: datetime, earlier: tuple[Observed, ...]
) -> BlindFact:
    too_old = spec.greatest_age is not None and taken_at - fact.observed_at > spec.greatest_age
    return BlindFact(
        name=fact.name,
        title=spec.title,
        value=_words(spec, fact.value),
        unit=fact.unit,
        observed_at=fact.observed_at,
        age_minutes=max(0, int((as_of - fact.observed_at).total_seconds() // 60)),
        stale=too_old,
        status=fact.status.value,
        source=fact.source,
        number=fact.value if isinstance(fact.value, Decimal) else None,
        reference=spec.reference,
        standing=_standing(spec.reference, fact.value),
        earlier=earlier,
    )


def _earlier(spec: FactSpec, present: Fact | None, known: tuple[Fact, ...]) -> tuple[Observed, ...]:
    """Return every other value of a fact, oldest first; the same value of the same instant stands once."""
    others = {(each.observed_at, each.value): each for each in known if each.name == spec.name}
    if present is not None:
        others.pop((present.observed_at, present.value), None)
    return tuple(
        Observed(
            observed_at=each.observed_at,
            value=_words(spec, each.value),
            number=each.value if isinstance(each.value, Decimal) else None,
            status=each.status.value,
            source=each.source,
            standing=_standing(spec.reference, each.value),
        )
        for each in sorted(others.values(), key=lambda fact: (fact.observed_at, str(fact.value)))
    )


def _words(spec: FactSpec, value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return dict(spec.codes).get(value, value)
    return decimal_text(value)


def _standing(reference: Reference | None, value: FactValue) -> Standing | None:
    if reference is None or not isinstance(value, Decimal):
        return None
    if reference.low is not None and value < reference.low:
        return Standing.BELOW
    if reference.high is not None and value > reference.high:
        return Standing.ABOVE
    return Standing.WITHIN
