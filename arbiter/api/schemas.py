"""What goes in and out at `/v1`, as strict models; the OpenAPI document is made from them.

Requests: unknown members are refused, nothing is coerced from one type into another, every text and list has a limit.
What a fact must look like (name, unit, range, age) is the protocol's word and is checked behind this door.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from arbiter.api.problems import InvalidRequestError, problems_of
from arbiter.api.strict_json import Json
from arbiter.api.texts import CaseIdText, FactValueText, Identifier, Instant, Line, Prose, SiteId
from arbiter.errors import RefusedError
from arbiter.lifecycle import Phase

FACT_LIMIT = 100

RiskText: TypeAlias = Literal["routine", "urgent", "emergency"]
StatusText: TypeAlias = Literal["final", "preliminary", "amended", "corrected"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


# --- in -----------------------------------------------------------------------------------------------------------


class SubjectIn(_Strict):
    """The patient, as the hospital identifies them: `system` names the numbering, `value` is the number in it."""

    system: Line
    value: Line


class FactIn(_Strict):
    """One observation. `source` says where it came from, because a decision rests on it: there is no default."""

    value: FactValueText
    unit: Line | None = Field(None, description="UCUM code for numbers; absent for codes and flags.")
    observed_at: Instant
    status: StatusText = "final"
    source: Line


_EXAMPLE_FACT: dict[str, JsonValue] = {
    "value": 22,
    "unit": "/min",
    "observed_at": "2026-11-22T09:00:00+00:00",
    "status": "final",
    "source": "ward-monitor",
}

Facts: TypeAlias = Annotated[dict[Identifier, FactIn], Field(min_length=1, max_length=FACT_LIMIT)]


class CaseIn(_Strict):
    """A case: who, under which protocol, for which site, how urgent, and what is known."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "protocol": "deterioration",
                    "site": "st-elsewhere",
                    "subject": {"system": "https://example.org/mrn", "value": "0000001"},
                    "encounter": "E-1",
                    "risk_class": "urgent",
                    "facts": {
                        "respiratory_rate": _EXAMPLE_FACT,
                        "consciousness": {
                            "value": "alert",
                            "observed_at": "2026-11-22T09:00:00+00:00",
                            "source": "ward-nurse",
                        },
                        "supplemental_oxygen": {
                            "value": False,
                            "observed_at": "2026-11-22T09:00:00+00:00",
                            "source": "ward-nurse",
                        },
                    },
                }
            ]
        }
    )

    protocol: Identifier
    site: SiteId
    subject: SubjectIn
    encounter: Line | None = None
    risk_class: RiskText
    facts: Facts
    supersedes: CaseIdText | None = Field(None, description="An earlier case that this one replaces.")


class FactsIn(_Strict):
    """Facts that replace or join those of the case; every member is asked again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"facts": {"respiratory_rate": _EXAMPLE_FACT}}]}
    )

    facts: Facts


class ReasonIn(_Strict):
    """Why. It is sealed with the case and never shown in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the patient was transferred"}]})

    reason: Prose


# --- out ----------------------------------------------------------------------------------------------------------


class CaseOut(_Out):
    """Where a case stands: no content, safe to poll."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "k3v7q2m5n4t6w8y2",
                    "protocol": "deterioration",
                    "protocol_version": "1.0.0",
                    "protocol_hash": "4d8f6c0f9b2c7a5e1d3b8a7f6e5d4c3b2a1908f7e6d5c4b3a29180f7e6d5c4b3",
                    "site": "st-elsewhere",
                    "requester": "cabcdefghijklmnop",
                    "risk_class": "urgent",
                    "phase": "released",
                    "settled": True,
                    "facts_version": 1,
                    "created_at": "2026-11-22T09:00:01Z",
                    "changed_at": "2026-11-22T09:00:02Z",
                    "due_at": None,
                    "overdue": False,
                    "decided_by": "panel",
                    "successor": None,
                    "entries": 10,
                }
            ]
        }
    )

    id: str
    protocol: str
    protocol_version: str
    protocol_hash: str
    site: str
    requester: str
    risk_class: RiskText
    phase: Phase
    settled: bool = Field(
        description="Nothing more happens without a person: waiting any longer is of no use."
    )
    facts_version: int
    created_at: datetime
    changed_at: datetime
    due_at: datetime | None
    overdue: bool
    decided_by: Literal["panel", "reviewer"] | None
    successor: str | None
    entries: int


class CasePageOut(_Out):
    """A page of cases, newest first; `next_cursor` fetches the next one."""

    cases: tuple[CaseOut, ...]
    next_cursor: str | None


class FactOut(_Out):
    """A fact as the case holds it, in the question's own unit."""

    value: FactValueText
    unit: str | None
    observed_at: datetime
    status: StatusText
    source: str


class ContentOut(_Out):
    """A case with its content. Reading it makes an entry in the log."""

    case: CaseOut
    subject: dict[Literal["system", "value"], str]
    encounter: str | None
    facts_version: int
    facts: dict[str, FactOut]


class DecisionOut(_Out):
    """A released decision. `certificate_sha256` is what the log commits to."""

    case: str
    option: str
    title: str
    decided_by: Literal["panel", "reviewer"]
    decided_at: datetime
    certificate_sha256: str
    plain: str = Field(description="What was decided and why, in a paragraph for people.")


class StepOut(_Out):
    """One entry of the case, as told by server-sent events; `id` of the event is `seq`."""

    seq: int
    type: str
    at: datetime


class CheckOut(_Out):
    """One thing that must work before cases are taken."""

    name: str
    ok: bool
    detail: str


class HealthOut(_Out):
    """Whether this process serves, and what it rests on."""

    ok: bool
    checks: tuple[CheckOut, ...] = ()


class OptionOut(_Out):
    """One possible answer."""

    id: str
    title: str


class UnitOut(_Out):
    """A unit that is accepted: multiplied by `factor`, then `offset` added, it is the fact's own."""

    unit: str
    factor: str
    offset: str


class FactSpecOut(_Out):
    """What a fact must look like. Bounds are inclusive, in `unit`; ages count back from intake."""

    name: str
    title: str
    kind: Literal["number", "code", "flag"]
    unit: str | None
    also_accepts: tuple[UnitOut, ...]
    low: str | None
    high: str | None
    decimals: int | None
    codes: tuple[OptionOut, ...]
    greatest_age_seconds: int | None


class TimersOut(_Out):
    """How long each wait lasts at most, in seconds."""

    risk_class: RiskText
    panel_seconds: float
    facts_seconds: float
    review_seconds: float
    release_seconds: float


class ExclusionOut(_Out):
    """A condition under which no member is asked and a clinician decides."""

    id: str
    when: str
    rationale: str


class FacetOut(_Out):
    """A sub-question."""

    id: str
    text: str
    options: tuple[OptionOut, ...]


class SeatOut(_Out):
    """A member of the panel; `asks` is `question` or a facet's id, `family` names what errs together."""

    member: str
    title: str
    asks: str
    backend: str
    family: str
    weight: str
    required: bool
    veto: tuple[str, ...]


class RuleOut(_Out):
    """A row of the policy's decision table; `when` is CEL."""

    id: str
    when: str
    effect: str
    options: tuple[str, ...]
    rationale: str
    owner: str


class AdjudicationOut(_Out):
    """How opinions are weighed."""

    strategy: str
    automatic: bool
    threshold: str
    least_valid: int
    least_families: int
    least_effective: str
    greatest_between: str
    greatest_within: str
    asks_for_facts: bool


class ProtocolSummaryOut(_Out):
    """A protocol in force."""

    id: str
    version: str
    title: str
    question: str
    content_hash: str


class ProtocolsOut(_Out):
    """Every protocol in force."""

    protocols: tuple[ProtocolSummaryOut, ...]


class ProtocolOut(ProtocolSummaryOut):
    """All that an integrator needs to ask a protocol's question."""

    options: tuple[OptionOut, ...]
    facts: tuple[FactSpecOut, ...]
    timers: tuple[TimersOut, ...]
    exclusions: tuple[ExclusionOut, ...]
    facets: tuple[FacetOut, ...]
    seats: tuple[SeatOut, ...]
    adjudication: AdjudicationOut
    rules: tuple[RuleOut, ...]
    duty_group: str
    policy_hash: str


class ProblemItemOut(_Out):
    """One thing wrong. `pointer` is a JSON pointer into the body, or `header:`, `query:` or `path:` and a name."""

    pointer: str
    code: str
    detail: str


class ProblemOut(_Out):
    """A problem (RFC 9457). It never repeats a value that was sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:problem-type:arbiter:invalid-case",
                    "title": "The case does not fit its question",
                    "status": 422,
                    "detail": "1 fact does not fit the question",
                    "errors": [
                        {
                            "pointer": "/facts/respiratory_rate/unit",
                            "code": "unit",
                            "detail": "expected /min",
                        }
                    ],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[ProblemItemOut, ...] = ()
    incident: str | None = Field(
        None, description="Only with status 500: quote it to whoever runs the service."
    )


# --- reading ------------------------------------------------------------------------------------------------------

_Model = TypeVar("_Model", bound=BaseModel)


def read(model: type[_Model], value: Json) -> _Model:
    """Return `value` as `model`.

    Raises:
        InvalidRequestError: with one problem a place.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = problems_of(error)
        # The cause would carry the input into whatever prints it.
        raise _invalid(problems) from None


def _invalid(problems: tuple[Any, ...]) -> RefusedError:
    count = len(problems)
    what = "place does" if count == 1 else "places do"
    return InvalidRequestError(f"{count} {what} not have the expected form", problems)


def decimal_text(value: Decimal | None) -> str | None:
    """Return a bound as plain digits, or None."""
    return None if value is None else format(value, "f")


def schemas_in() -> Mapping[str, type[BaseModel]]:
    """Return the request models by name, for the OpenAPI document."""
    return {model.__name__: model for model in (CaseIn, FactsIn, ReasonIn)}
