"""What comes in at `/v1`, as strict models.

Unknown members are refused, nothing is coerced from one type into another, every text and list has a limit.
What a fact must look like (name, unit, range, age) is the protocol's word and is checked behind this door.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from arbiter.api.complaints import problems_of
from arbiter.api.problems import InvalidRequestError
from arbiter.api.strict_json import Json
from arbiter.api.texts import (
    CaseIdText,
    FactValueText,
    Identifier,
    Instant,
    Limit,
    Line,
    Prose,
    RecordProse,
    RiskText,
    SiteId,
    StatusText,
    refusal,
)
from arbiter.documents.known_outcomes import OutcomeKind
from arbiter.errors import RefusedError

FACT_LIMIT = 100
HISTORY_LIMIT = 500
DOCUMENT_LIMIT = 20
EXPORTED_CASES_LIMIT = 1_000
OUTCOME_KINDS = tuple(kind.value for kind in OutcomeKind)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


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


class EarlierIn(FactIn):
    """An earlier observation of one of the question's facts. It may be older than the fact itself may be."""

    name: Identifier


class RecordTextIn(_Strict):
    """A text of the patient's record, as plain text; `author` is a role, such as "ward nurse", and no person's name."""

    title: Line
    kind: Line = Field(description="What it is, in words: ward note, discharge letter, referral.")
    written_at: Instant
    author: Line
    text: RecordProse


class ContextIn(_Strict):
    """What the clinician sees beside the facts. No member, rule or certificate is given any of it; 192 KiB a case in all."""

    history: Annotated[tuple[EarlierIn, ...], Field(max_length=HISTORY_LIMIT, strict=False)] = ()
    documents: Annotated[tuple[RecordTextIn, ...], Field(max_length=DOCUMENT_LIMIT, strict=False)] = ()


_EXAMPLE_CONTEXT: dict[str, JsonValue] = {
    "history": [
        {**_EXAMPLE_FACT, "name": "respiratory_rate", "value": 18, "observed_at": "2026-11-22T05:00:00+00:00"}
    ],
    "documents": [
        {
            "title": "Night round",
            "kind": "ward note",
            "written_at": "2026-11-22T06:10:00+00:00",
            "author": "ward nurse",
            "text": "Slept little. Says that breathing is harder since four o'clock.",
        }
    ],
}


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
                    "context": _EXAMPLE_CONTEXT,
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
    context: ContextIn | None = None
    supersedes: CaseIdText | None = Field(None, description="An earlier case that this one replaces.")
    training: bool = Field(
        default=False,
        description="A case for practice: marked as such everywhere, told to nobody, its decision never handed out.",
    )


class FactsIn(_Strict):
    """Facts that replace or join those of the case; every member is asked again. `context` joins what the case has of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"facts": {"respiratory_rate": _EXAMPLE_FACT}}]}
    )

    facts: Facts
    context: ContextIn | None = None


class ReasonIn(_Strict):
    """Why. It is sealed with the case and never shown in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the patient was transferred"}]})

    reason: Prose


def _outcome_kind(value: object) -> str:
    if value not in OUTCOME_KINDS:
        raise refusal(
            "not-listed",
            f"expected {' or '.join(OUTCOME_KINDS)}: a decision taken after seeing the panel leans to it, and is no outcome",
        )
    return str(value)


OutcomeKindText = Annotated[
    str, PlainValidator(_outcome_kind), WithJsonSchema({"type": "string", "enum": list(OUTCOME_KINDS)})
]


class OutcomeIn(_Strict):
    """What turned out to be right, and how that is known. It is sealed with the case and shown in no list."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "option": "urgent-review",
                    "kind": "outcome",
                    "observed_at": "2026-11-23T07:30:00+00:00",
                    "source": "discharge-letter",
                    "note": "transferred to intensive care within twelve hours",
                }
            ]
        }
    )

    option: Identifier
    kind: OutcomeKindText = Field(
        description="`outcome`: what happened to the patient; `independent reader`: a clinician who had not seen the panel."
    )
    observed_at: Instant
    source: Line
    note: Prose | None = None


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


class ExportIn(_Strict):
    """What to export: everything, or what all of these together leave. `until` is not included."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cases": ["c_4jnoc5hb37oz5irylzg747rv"], "payloads": True}]}
    )

    cases: Annotated[tuple[CaseIdText, ...], Field(max_length=EXPORTED_CASES_LIMIT, strict=False)] = ()
    sites: Annotated[tuple[SiteId, ...], Field(max_length=FACT_LIMIT, strict=False)] = ()
    actor: Line | None = None
    since: Instant | None = None
    until: Instant | None = None
    payloads: bool = Field(False, description="Decrypted documents too; takes `audit:payloads`.")
    paper: bool = Field(False, description="A PDF of each case, for reading.")


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


_MODELS_IN = (
    CaseIn,
    ContextIn,
    FactsIn,
    ReasonIn,
    OutcomeIn,
    SubjectSearchIn,
    SubjectMergeIn,
    SubjectSeparateIn,
    ExportIn,
)


def schemas_in() -> Mapping[str, type[BaseModel]]:
    """Return the request models by name, for the OpenAPI document."""
    return {model.__name__: model for model in _MODELS_IN}
