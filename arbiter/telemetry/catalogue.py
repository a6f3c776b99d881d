"""Everything that may leave as telemetry: frozen tables of attributes and spans here, and of metrics beside it (`metrics`).

An attribute names the values it takes: a closed list of words, a shape that only our own ids have, or a number. What is
not in these tables, or does not fit, is dropped before any exporter sees it (`arbiter.telemetry.scrubbing`), whoever
recorded it. Nothing here can hold a patient's identifier, a fact's value or text that anybody typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from arbiter.fleet.state import Position
from arbiter.lifecycle.states import AuditStage, DecidedBy, Phase
from arbiter.model import MemberStatus, ReasonCode, RerouteCause, RiskClass, VerdictKind

CASE_ID = re.compile(r"c_[a-z2-7]{24}")
"""What a case id looks like; nothing a hospital system sends does."""


@dataclass(frozen=True, slots=True)
class Values:
    """What an attribute may hold: words of a closed list, text of a shape, a whole number, or a flag."""

    told: str
    words: frozenset[str] = frozenset()
    shape: re.Pattern[str] | None = None
    number: bool = False
    flag: bool = False

    def take(self, value: object) -> bool:
        """Return whether this value may leave."""
        if isinstance(value, bool):
            return self.flag
        if isinstance(value, int):
            return self.number
        if not isinstance(value, str):
            return False
        return value in self.words or (self.shape is not None and self.shape.fullmatch(value) is not None)


def _words(words: Iterable[str]) -> Values:
    listed = frozenset(words)
    return Values(", ".join(f"`{word}`" for word in sorted(listed)), words=listed)


def _any_of(enum: type[StrEnum], told: str) -> Values:
    return Values(told, words=frozenset(enum))


_COUNT = Values("a whole number", number=True)
_FLAG = Values("true or false", flag=True)
_SLUG = Values("an id of letters, digits and hyphens", shape=re.compile(r"[a-z][a-z0-9-]{0,63}"))


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of spans or metrics."""

    name: str
    values: Values
    says: str


METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "_OTHER"}
)


class Statement(StrEnum):
    """The statements of the database that have spans, by what they do; never their text or parameters."""

    INTAKE = "take a case in"
    STEP = "write a step"
    READ_CASE = "read a case"
    READ_DOCUMENTS = "read a case's documents"
    READ_DUE = "read what is due"
    READ_SEALED = "read sealed decisions"
    LIST = "list cases"
    FIGURES = "read figures"


CASE = Attribute("arbiter.case.id", Values("a case id", shape=CASE_ID), "The case, by its opaque id.")
PHASE = Attribute("arbiter.case.phase", _any_of(Phase, "a phase"), "Where the case stands.")
PROTOCOL = Attribute("arbiter.protocol.id", _SLUG, "The protocol that asked.")
RISK = Attribute("arbiter.risk.class", _words(RiskClass), "The case's risk class.")
REASON = Attribute("arbiter.reason.code", _words(ReasonCode), "Why a case went to a human.")
REFUSAL = Attribute(
    "arbiter.refusal.code",
    _SLUG,
    "What was wrong with a refused case: a problem's code; `shed` or `overloaded` for want of room.",
)
VERDICT = Attribute("arbiter.verdict", _words(VerdictKind), "What adjudication said.")
DECIDED_BY = Attribute("arbiter.decided.by", _words(DecidedBy), "Who decided.")
MEMBER = Attribute("arbiter.member.id", _SLUG, "The panel member, by its seat's id.")
DRIFT_STREAM = Attribute(
    "arbiter.drift.stream",
    Values(
        "`fact.` or `panel.` and a name from a protocol file",
        shape=re.compile(r"(?:fact|panel)\.[a-z][a-z0-9_]{0,63}"),
    ),
    "What is watched from case to case: a fact of the question, or a measure of the panel.",
)
MEMBER_KIND = Attribute("arbiter.member.kind", _SLUG, "What sits in the seat, such as `score` or `model`.")
MEMBER_STATUS = Attribute("arbiter.member.status", _words(MemberStatus), "What became of asking the member.")
MEMBERS_ASKED = Attribute("arbiter.members.asked", _COUNT, "How many members are asked.")
LAST_ATTEMPT = Attribute(
    "arbiter.attempt.last", _FLAG, "Whether a human gets the case if this attempt fails."
)
ENTRIES = Attribute("arbiter.entries", _COUNT, "How many entries were sealed.")
TREE_SIZE = Attribute("arbiter.tree.size", _COUNT, "How many leaves the log has.")
RELEASED = Attribute("arbiter.released", _COUNT, "How many decisions were released.")
DB_SYSTEM = Attribute("db.system.name", _words(["postgresql"]), "Always PostgreSQL.")
DB_OPERATION = Attribute(
    "db.operation.name", _any_of(Statement, "a statement's name"), "What the statement does, in fixed words."
)
POOL = Attribute("db.client.connection.pool.name", _words(["statements", "transactions"]), "Which pool.")
POOL_STATE = Attribute(
    "db.client.connection.state", _words(["idle", "used"]), "What the connections are doing."
)
METHOD = Attribute("http.request.method", _words(METHODS), "The request's method.")
ROUTE = Attribute(
    "http.route",
    Values("a route's template", shape=re.compile(r"/|(?:/(?:[a-z][a-z0-9._-]*|\{[a-z_]+(?::path)?\}|v1))+")),
    "The template of the route that matched, never the path that came.",
)
STATUS_CODE = Attribute("http.response.status_code", _COUNT, "The reply's status.")
SCHEME = Attribute("url.scheme", _words(["http", "https"]), "The request's scheme.")
ERROR_TYPE = Attribute(
    "error.type",
    Values(
        "an exception's class or a status",
        shape=re.compile(r"[1-5][0-9]{2}|(?:[a-z_0-9]+\.)*[A-Z][A-Za-z]{2,60}"),
    ),
    "The class of what failed, never its text.",
)
AUDIT_STAGE = Attribute("arbiter.audit.stage", _words(AuditStage), "What an audit of a decision found.")
WATCH_KIND = Attribute(
    "arbiter.watch.kind", _words(["option", "member"]), "What an alarm of the live watch is about."
)
CHANNEL = Attribute("arbiter.channel", _words(["mail", "webhook"]), "By which way somebody is told.")
DELIVERY_OUTCOME = Attribute(
    "arbiter.delivery.outcome",
    _words(["sent", "failed", "refused", "gone"]),
    "What became of one attempt to deliver.",
)
WITNESS = Attribute("arbiter.witness.name", _SLUG, "A witness, by this installation's own name for it.")
SERVER = Attribute("arbiter.server.name", _SLUG, "A model server, by its name in the fleet file.")
REPLICA = Attribute(
    "arbiter.replica.name", _SLUG, "One of a server's replicas, by its name in the fleet file."
)
BREAKER_POSITION = Attribute("arbiter.breaker.position", _words(Position), "Where a breaker moved to.")
REROUTE_CAUSE = Attribute(
    "arbiter.reroute.cause", _words(RerouteCause), "Why a member was asked at another replica too."
)
PROBE_OUTCOME = Attribute("arbiter.probe.outcome", _words(["answered", "failed"]), "What became of a probe.")
GEN_OPERATION = Attribute("gen_ai.operation.name", _words(["chat"]), "What a model was asked to do.")
GEN_PROVIDER = Attribute("gen_ai.provider.name", _words(["vllm"]), "What serves the model.")
GEN_MODEL = Attribute(
    "gen_ai.request.model",
    Values("a model's name from a protocol file", shape=re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}")),
    "The model or adapter asked.",
)
GEN_INPUT = Attribute("gen_ai.usage.input_tokens", _COUNT, "Tokens of the prompt.")
GEN_OUTPUT = Attribute("gen_ai.usage.output_tokens", _COUNT, "Tokens of the answers.")
GEN_TOKEN_TYPE = Attribute("gen_ai.token.type", _words(["input", "output"]), "Which tokens are counted.")
EXCEPTION_TYPE = Attribute("exception.type", ERROR_TYPE.values, "In a log record: the exception's class.")
EXCEPTION_PLACE = Attribute(
    "arbiter.exception.place",
    Values("a module and a line", shape=re.compile(r"[A-Za-z_][\w.]{0,120}:\d{1,6}")),
    "In a log record: the module and line that raised.",
)

ATTRIBUTES: Final[tuple[Attribute, ...]] = (
    CASE, PHASE, PROTOCOL, RISK, REASON, REFUSAL, VERDICT, DECIDED_BY, MEMBER, DRIFT_STREAM, MEMBER_KIND, MEMBER_STATUS,
    MEMBERS_ASKED, LAST_ATTEMPT, ENTRIES, TREE_SIZE, RELEASED, DB_SYSTEM, DB_OPERATION, POOL, POOL_STATE, METHOD,
    ROUTE, STATUS_CODE, SCHEME, ERROR_TYPE, GEN_OPERATION, GEN_PROVIDER, GEN_MODEL, GEN_INPUT, GEN_OUTPUT,
    GEN_TOKEN_TYPE, EXCEPTION_TYPE, EXCEPTION_PLACE, CHANNEL, DELIVERY_OUTCOME, WITNESS, SERVER, REPLICA,
    BREAKER_POSITION, REROUTE_CAUSE, PROBE_OUTCOME, AUDIT_STAGE, WATCH_KIND,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpanKindOf:
    """One kind of span. A name in braces stands for the value of that attribute."""

    name: str
    attributes: tuple[Attribute, ...]
    says: str


REQUEST = SpanKindOf(
    "{http.request.method} {http.route}",
    (METHOD, ROUTE, STATUS_CODE, SCHEME, ERROR_TYPE),
    "A request at either door. Linked to the caller's span if it sent a `traceparent`.",
)
DELIBERATION = SpanKindOf(
    "deliberate",
    (CASE, PROTOCOL, RISK, MEMBERS_ASKED, ERROR_TYPE),
    "The panel is asked and what it says is kept.",
)
TAKE_UP = SpanKindOf(
    "take up a case",
    (CASE, LAST_ATTEMPT, ERROR_TYPE),
    "The safety net's job. Linked to the span that left the job.",
)
MEMBER_CALL = SpanKindOf(
    "ask member",
    (MEMBER, MEMBER_KIND, MEMBER_STATUS, ERROR_TYPE),
    "One member is asked, from the asking to its opinion.",
)
MODEL_CALL = SpanKindOf(
    "{gen_ai.operation.name} {gen_ai.request.model}",
    (*MEMBER_CALL.attributes, GEN_OPERATION, GEN_PROVIDER, GEN_MODEL, GEN_INPUT, GEN_OUTPUT),
    "The same for a model, named as the conventions for generative models ask. Never prompts or answers.",
)
ADJUDICATION = SpanKindOf(
    "adjudicate", (CASE, PROTOCOL, VERDICT, ERROR_TYPE), "Opinions and policy become a verdict."
)
DEADLINE = SpanKindOf("end a wait", (CASE, ERROR_TYPE), "A wait that is over is acted on.")
SEAL = SpanKindOf(
    "seal", (ENTRIES, TREE_SIZE, ERROR_TYPE), "A round that sealed something, until its commit."
)
RELEASE = SpanKindOf("release", (RELEASED, ERROR_TYPE), "Decisions that a checkpoint covers are released.")
STATEMENT = SpanKindOf(
    "{db.operation.name}", (DB_SYSTEM, DB_OPERATION, ERROR_TYPE), "A statement on the database."
)

SPANS: Final[tuple[SpanKindOf, ...]] = (
    REQUEST, DELIBERATION, TAKE_UP, MEMBER_CALL, MODEL_CALL, ADJUDICATION, DEADLINE, SEAL, RELEASE, STATEMENT,
)  # fmt: skip
