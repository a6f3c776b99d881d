"""A case without its panel: all that a reviewer is shown before giving an opinion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from arbiter.documents.scalars import decimal_text
from arbiter.model import Fact
from arbiter.question import FactSpec, Option
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.views import CaseView, view_of


@dataclass(frozen=True, slots=True)
class BlindFact:
    """A fact as the reviewer sees it; `stale` says that it was older than its greatest age when it was taken in."""

    name: str
    title: str
    value: str
    unit: str | None
    observed_at: datetime
    age_minutes: int
    stale: bool
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class BlindCase:
    """A case without its panel. `missing` are titles of facts that the question knows and the case lacks.

    `as_of` is the instant at which the facts were as old as they are said to be.
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


def blind_case(dossier: Dossier, as_of: datetime) -> BlindCase:
    """Return what may be seen of a case, the age of its facts as of an instant."""
    question = dossier.shelved.protocol.question
    taken = dossier.taken_facts()
    request = dossier.request()
    state = dossier.row.state
    return BlindCase(
        # What its reviewer cannot tell from care before signing is not marked as practice.
        view=replace(view_of(dossier.row, dossier.shelved), training=state.training and not state.planted),
        title=dossier.shelved.protocol.title,
        question=question.text,
        options=question.options,
        facts=tuple(
            _blind_fact(spec, fact, taken.taken_at, as_of)
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
    )


def _blind_fact(spec: FactSpec, fact: Fact, taken_at: datetime, as_of: datetime) -> BlindFact:
    if isinstance(fact.value, bool):
        value = "yes" if fact.value else "no"
    elif isinstance(fact.value, str):
        value = dict(spec.codes).get(fact.value, fact.value)
    else:
        value = decimal_text(fact.value)
    too_old = spec.greatest_age is not None and taken_at - fact.observed_at > spec.greatest_age
    return BlindFact(
        name=fact.name,
        title=spec.title,
        value=value,
        unit=fact.unit,
        observed_at=fact.observed_at,
        age_minutes=max(0, int((as_of - fact.observed_at).total_seconds() // 60)),
        stale=too_old,
        status=fact.status.value,
        source=fact.source,
    )
