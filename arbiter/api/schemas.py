"""What goes in and out at `/v1`, as strict models; the OpenAPI document is made from them.

Requests: unknown members are refused, nothing is coerced from one type into another, every text and list has a limit.
What a fact must look like (name, unit, range, age) is the protocol's word and is checked behind this door.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from arbiter.api.complaints import problems_of
from arbiter.api.problems import InvalidRequestError
from arbiter.api.strict_json import Json
from arbiter.api.texts import CaseIdText, FactValueText, Identifier, Instant, Limit, Line, Prose, SiteId
from arbiter.errors import RefusedError
from arbiter.lifecycle.states import Phase

FACT_LIMIT = 100

RiskText: TypeAlias = Literal["routine", "urgent", "emergency"]
StatusText: TypeAlias = Literal["final", "preliminary", "amended", "corrected"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Out(BaseModel):
    """A reply's shape."""

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
    training: bool = Field(
        default=False,
        description="A case for practice: marked as such everywhere, told to nobody, its decision never handed out.",
    )


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


_EXAMPLE_SUBJECT: dict[str, JsonValue] = {"system": "https://example.org/mrn", "value": "0000001"}
_EXAMPLE_OTHER: dict[str, JsonValue] = {"system": "https://example.org/mrn", "value": "0000002"}


class SubjectSearchIn(_Strict):
    """Whose cases to find. Sent as a body, because a number in an address would stand in every log on the way."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"subject": _EXAMPLE_SUBJECT, "limit": 50}],
        }
    )

    subject: SubjectIn
    cursor: Line | None = None
    limit: Limit = 50


class SubjectMergeIn(_Strict):
    """Two numbers of one patient: what is known under `absorbed` is found under `surviving` from now on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"absorbed": _EXAMPLE_OTHER, "surviving": _EXAMPLE_SUBJECT}]}
    )

    absorbed: SubjectIn
    surviving: SubjectIn


class SubjectSeparateIn(_Strict):
    """A number that was joined to another patient's by mistake."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"absorbed": _EXAMPLE_OTHER}]})

    absorbed: SubjectIn


# --- out ----------------------------------------------------------------------------------------------------------


class CaseOut(Out):
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
                    "acknowledged": False,
                    "unattended": False,
                    "advice": None,
                    "training": False,
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
    acknowledged: bool = Field(description="Somebody on duty has answered the call about this escalation.")
    unattended: bool = Field(description="Everybody on the ladder was called and nobody answered in time.")
    advice: str | None = Field(
        description="What the caller must do now, where the house cannot: a local procedure."
    )
    training: bool


class CasePageOut(Out):
    """A page of cases, newest first; `next_cursor` fetches the next one."""

    cases: tuple[CaseOut, ...]
    next_cursor: str | None


class AcknowledgedOut(Out):
    """The call about an escalation is answered; nothing else about the case is told."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"case": "c_4jnoc5hb37oz5irylzg747rv", "acknowledged": True}]}
    )

    case: str
    acknowledged: Literal[True] = True


class NoticeOut(Out):
    """What a webhook would have told, under the same id: receivers of both tell a repeat by it."""

    id: str
    type: str
    timestamp: datetime = Field(description="When the case moved, not when it was told.")
    data: dict[str, JsonValue]


class NoticePageOut(Out):
    """A page of notices, oldest first; ask again with `after` set to `next`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "notices": [
                        {
                            "id": "msg_mzxw6ytboi2gk3tfonzgk5dj",
                            "type": "case.released",
                            "timestamp": "2026-11-22T09:00:02Z",
                            "data": {
                                "case": "c_4jnoc5hb37oz5irylzg747rv",
                                "protocol": "deterioration",
                                "site": "st-elsewhere",
                                "risk_class": "urgent",
                                "phase": "released",
                                "due_at": None,
                            },
                        }
                    ],
                    "next": "17",
                }
            ]
        }
    )

    notices: tuple[NoticeOut, ...]
    next: str


class FactOut(Out):
    """A fact as the case holds it, in the question's own unit."""

    value: FactValueText
    unit: str | None
    observed_at: datetime
    status: StatusText
    source: str


class ContentOut(Out):
    """A case with its content. Reading it makes an entry in the log."""

    case: CaseOut
    subject: dict[Literal["system", "value"], str]
    encounter: str | None
    facts_version: int
    facts: dict[str, FactOut]


class GlassOut(Out):
    """A foreign site's case, and until when its content may be read."""

    case: CaseOut
    until: datetime


class SubjectOut(Out):
    """A patient's cases at the client's sites; `subject` is an opaque id, and null when there is none to be seen."""

    subject: str | None
    cases: tuple[CaseOut, ...]
    next_cursor: str | None


class JoinedOut(Out):
    """Two numbers that were joined or parted, by their opaque ids."""

    absorbed: str
    surviving: str


class DecisionOut(Out):
    """A released decision. `certificate_sha256` is what the log commits to."""

    case: str
    option: str
    title: str
    decided_by: Literal["panel", "reviewer"]
    decided_at: datetime
    certificate_sha256: str
    plain: str = Field(description="What was decided and why, in a paragraph for people.")


class StepOut(Out):
    """One entry of the case, as told by server-sent events; `id` of the event is `seq`."""

    seq: int
    type: str
    at: datetime


class CheckOut(Out):
    """One thing that must work before cases are taken."""

    name: str
    ok: bool
    detail: str


class HealthOut(Out):
    """Whether this process serves, and what it rests on."""

    ok: bool
    checks: tuple[CheckOut, ...] = ()


class ProblemItemOut(Out):
    """One thing wrong. `pointer` is a JSON pointer into the body, or `header:`, `query:` or `path:` and a name."""

    pointer: str
    code: str
    detail: str


class ProblemOut(Out):
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


_MODELS_IN = (CaseIn, FactsIn, ReasonIn, SubjectSearchIn, SubjectMergeIn, SubjectSeparateIn)


def schemas_in() -> Mapping[str, type[BaseModel]]:
    """Return the request models by name, for the OpenAPI document."""
    return {model.__name__: model for model in _MODELS_IN}
