"""What goes out at `/v1`, and the problems that go out instead."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from arbiter.api.texts import FactValueText, RiskText, StatusText
from arbiter.lifecycle.states import Phase


class Out(BaseModel):
    """A reply's shape."""

    model_config = ConfigDict(frozen=True)


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
                    "held": False,
                    "erasure": None,
                    "unwitnessed": False,
                    "under_correction": False,
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
    held: bool = Field(description="A legal hold forbids erasing this case.")
    erasure: Literal["key destroyed", "complete"] | None = Field(
        description="Set once the case's content is gone for good; `complete` when the last backup from before has expired."
    )
    unwitnessed: bool = Field(
        description="Released by a reviewer's signature before the witnesses that its risk class asks for have cosigned."
    )
    under_correction: bool = Field(
        description="A released decision is being taken back by whoever signed it, or by an arbiter: do not act on it."
    )


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


class WantedFactOut(Out):
    """A fact that is waited for: the question's name for it, to send it under, and what people call it."""

    name: str
    title: str


class WantedOut(Out):
    """What a case waits for. Reading it makes an entry in the log."""

    case: str
    facts: tuple[WantedFactOut, ...]
    asked_by: Literal["panel", "reviewer"]
    note: str = Field(
        description="The reviewer's words to whoever sends the facts; empty where there are none."
    )
    due_at: datetime | None


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
    unwitnessed: bool = Field(
        description="The log's own checkpoint covers it; the witnesses that its risk class asks for have not cosigned yet."
    )


class ExportOut(Out):
    """An export of the log. `file` is where its archive is once `state` is `done`, until `expires_at`."""

    id: str
    state: Literal["waiting", "running", "done", "failed", "gone"]
    entries_done: int
    entries_total: int = Field(description="0 until the work has begun.")
    payloads: bool
    size: int | None
    sha256: str | None
    fault: str | None
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    file: str | None


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
