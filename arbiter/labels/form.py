"""What a labelled case looks like before it is judged: the body of `POST /v1/cases` with an id, an instant and a label.

Facts have the very form of the door (`arbiter.api.schemas.incoming`). What only a request needs (site, subject, protocol) may be left
out, so that a case may come without its patient's number. CSV and FHIR are brought into the same form, so that each is judged alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from arbiter.api.complaints import kind_of, problems_of
from arbiter.api.schemas.incoming import ContextIn, Facts, SubjectIn
from arbiter.api.texts import CaseIdText, Identifier, Instant, Line, RiskText, SiteId, refusal
from arbiter.errors import Problem
from arbiter.files.values import ID_PATTERN
from arbiter.labels.provenance import SOURCE_LIMIT, Label
from arbiter.model import RiskClass
from arbiter.protocols.intake import RawFact

_ID = re.compile(ID_PATTERN)
_ID_LIMIT = 64


def _id(value: object) -> str:
    if type(value) is not str:
        raise refusal("type", f"expected text, came {kind_of(value)}")
    if _ID.fullmatch(value) is None or len(value) > _ID_LIMIT:
        raise refusal(
            "pattern",
            f"expected a name of at most {_ID_LIMIT} characters, words of a-z and 0-9 joined by hyphens, a letter first; "
            "reports print it, so it is no patient's number",
        )
    return value


def _source(value: object) -> str:
    if type(value) is not str or not value.strip() or len(value) > SOURCE_LIMIT or not value.isprintable():
        raise refusal(
            "source", f"expected 1 to {SOURCE_LIMIT} printable characters that say where it is from"
        )
    return value.strip()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class LabelIn(_Strict):
    """The right option, how it is known, from whom or what, and since when."""

    option: Line
    kind: Line
    source: Annotated[str, PlainValidator(_source)]
    date: Line


class HeadIn(_Strict):
    """What a labelled case says beside its facts. `taken_at` is when the question would have been put."""

    id: Annotated[str, PlainValidator(_id)]
    risk_class: RiskText | None = None
    taken_at: Instant
    label: LabelIn


class LabelledIn(HeadIn):
    """A whole labelled case. What a clinician was shown beside the facts is taken and left aside: no panel is given it."""

    facts: Facts
    protocol: Identifier | None = None
    site: SiteId | None = None
    subject: SubjectIn | None = None
    encounter: Line | None = None
    supersedes: CaseIdText | None = None
    training: bool = False
    context: ContextIn | None = None


Tell = Callable[[Problem], Problem]
"""Turns a problem at a pointer such as `/facts/age/unit` into one at `file:line:column`."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A labelled case as a reader found it, its facts judged by nobody yet.

    `subject` is only counted, never kept. `tell` says where in the file a problem of this case stands; `place` where it begins.
    """

    id: str
    risk_class: RiskClass | None
    taken_at: datetime
    facts: Mapping[str, RawFact]
    label: Label
    subject: tuple[str, str] | None
    tell: Tell
    place: str


_Model = TypeVar("_Model", bound=BaseModel)


def formed(model: type[_Model], value: Any, tell: Tell, problems: list[Problem]) -> _Model | None:
    """Return the value as the model, or None with each problem noted where it stands."""
    try:
        return model.model_validate(value)
    except ValidationError as fault:
        problems += [tell(problem) for problem in problems_of(fault)]
        return None


def arrived(
    head: HeadIn, facts: Mapping[str, RawFact], subject: tuple[str, str] | None, tell: Tell, place: str
) -> Arrived:
    """Return a case of this form."""
    label = Label(head.label.option, head.label.kind, head.label.source, head.label.date)
    risk_class = None if head.risk_class is None else RiskClass(head.risk_class)
    return Arrived(head.id, risk_class, head.taken_at, facts, label, subject, tell, place)


def raw_facts(case: LabelledIn) -> dict[str, RawFact]:
    """Return a case's facts for the question to judge."""
    return {
        name: RawFact(fact.value, fact.unit, fact.observed_at, fact.status, fact.source)
        for name, fact in case.facts.items()
    }
