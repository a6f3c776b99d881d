"""Every metric that may leave: a table of the catalogue (`arbiter.telemetry.catalogue`), made of its attributes alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from arbiter.telemetry.catalogue import (
    AUDIT_STAGE,
    BREAKER_POSITION,
    CHANNEL,
    DECIDED_BY,
    DELIVERY_OUTCOME,
    DRIFT_STREAM,
    ERROR_TYPE,
    GEN_MODEL,
    GEN_OPERATION,
    GEN_PROVIDER,
    GEN_TOKEN_TYPE,
    MEMBER,
    MEMBER_KIND,
    MEMBER_STATUS,
    METHOD,
    PHASE,
    POOL,
    POOL_STATE,
    PROBE_OUTCOME,
    PROTOCOL,
    REASON,
    REFUSAL,
    REPLICA,
    REROUTE_CAUSE,
    RISK,
    ROUTE,
    SCHEME,
    SERVER,
    STATUS_CODE,
    VERDICT,
    WATCH_KIND,
    WITNESS,
    Attribute,
)


class Instrument(StrEnum):
    """How a metric is measured."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


_SECONDS: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
    30.0,
    60.0,
)
_LONG_SECONDS: Final = (
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
    3600.0,
    14400.0,
    86400.0,
)
_TOKENS: Final = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `unit` is a UCUM code; `buckets` are a histogram's upper bounds in that unit."""

    name: str
    instrument: Instrument
    unit: str
    attributes: tuple[Attribute, ...]
    says: str
    buckets: tuple[float, ...] = ()


_C, _H, _G = Instrument.COUNTER, Instrument.HISTOGRAM, Instrument.GAUGE

TAKEN_IN = Metric("arbiter.case.taken_in", _C, "{case}", (PROTOCOL, RISK), "Cases taken in.")
DECIDED = Metric("arbiter.case.decided", _C, "{case}", (PROTOCOL, RISK, DECIDED_BY), "Decisions made.")
ESCALATED = Metric(
    "arbiter.case.escalated",
    _C,
    "{case}",
    (PROTOCOL, RISK),
    "Cases handed to clinicians, contested and withdrawn ones again.",
)
ESCALATION_REASONS = Metric(
    "arbiter.case.escalation_reasons",
    _C,
    "{reason}",
    (PROTOCOL, RISK, REASON),
    "Reasons of those escalations; one escalation may have several.",
)
REFUSED = Metric(
    "arbiter.case.refused", _C, "{case}", (REFUSAL,), "Cases refused, by each thing wrong with them."
)
RELEASED_CASES = Metric("arbiter.case.released", _C, "{case}", (PROTOCOL, RISK), "Decisions released.")
CONCLUSION_SECONDS = Metric(
    "arbiter.case.conclusion.duration",
    _H,
    "s",
    (PROTOCOL, RISK, VERDICT),
    "From the facts' intake to the panel's conclusion.",
    _SECONDS,
)
RELEASE_SECONDS = Metric(
    "arbiter.case.release.duration",
    _H,
    "s",
    (PROTOCOL, RISK, DECIDED_BY),
    "From a case's intake to the release of its decision.",
    _LONG_SECONDS,
)
OPEN_CASES = Metric(
    "arbiter.case.open",
    _G,
    "{case}",
    (PHASE,),
    "Cases in each phase that is not an end, at most 10 000 counted.",
)
JOBS = Metric(
    "arbiter.queue.jobs", _G, "{job}", (), "Jobs of the safety net that are due, at most 10 000 counted."
)
JOBS_AGE = Metric("arbiter.queue.oldest.age", _G, "s", (), "How long the longest due of them has been due.")
ERRANDS = Metric("arbiter.errands", _G, "{case}", (), "Cases in this process's hands.")
MEMBER_SECONDS = Metric(
    "arbiter.member.call.duration",
    _H,
    "s",
    (MEMBER, MEMBER_KIND, MEMBER_STATUS),
    "From asking a member to its opinion; its count is the number of calls.",
    _SECONDS,
)
TOKENS = Metric(
    "gen_ai.client.token.usage",
    _H,
    "{token}",
    (GEN_OPERATION, GEN_PROVIDER, GEN_MODEL, GEN_TOKEN_TYPE),
    "Tokens of a model's call.",
    _TOKENS,
)
BREAKER_MOVES = Metric(
    "arbiter.breaker.moves",
    _C,
    "{move}",
    (SERVER, REPLICA, GEN_MODEL, BREAKER_POSITION),
    "Moves of the breaker of one model on one replica, by where to.",
)
REROUTES = Metric(
    "arbiter.member.reroutes",
    _C,
    "{request}",
    (SERVER, REROUTE_CAUSE),
    "Requests sent to another replica for the same ask, hedges (`slow`) among them.",
)
SHED = Metric(
    "arbiter.member.shed",
    _C,
    "{ask}",
    (SERVER, RISK),
    "Asks turned away because a server had no room for them, or none in time.",
)
PROBES = Metric(
    "arbiter.breaker.probes",
    _C,
    "{probe}",
    (SERVER, REPLICA, GEN_MODEL, PROBE_OUTCOME),
    "Tokens asked of a replica that failed.",
)
FLEET_IN_FLIGHT = Metric(
    "arbiter.fleet.in_flight", _G, "{request}", (SERVER, REPLICA), "This process's requests under way."
)
FLEET_WAITING = Metric(
    "arbiter.fleet.waiting",
    _G,
    "{request}",
    (SERVER,),
    "This process's asks that wait for a replica with room.",
)
FLEET_BREAKERS = Metric(
    "arbiter.fleet.breakers.open",
    _G,
    "{breaker}",
    (SERVER, REPLICA),
    "Models that this process does not ask there, since their breaker is open or half open.",
)
FLEET_SILENT_SEATS = Metric(
    "arbiter.fleet.seats.silent",
    _G,
    "{seat}",
    (PROTOCOL,),
    "Seats of the protocol in force whose model no replica gives to this process. Wake somebody.",
)
SEALED = Metric("arbiter.log.sealed", _C, "{entry}", (), "Entries sealed by this process.")
SEAL_SECONDS = Metric(
    "arbiter.log.seal.duration", _H, "s", (), "Rounds that sealed something, until their commit.", _SECONDS
)
PENDING = Metric("arbiter.log.pending", _G, "{entry}", (), "Entries that no checkpoint covers.")
PENDING_AGE = Metric("arbiter.log.pending.age", _G, "s", (), "How long the oldest of them has waited.")
CHECKPOINT_SIZE = Metric(
    "arbiter.log.checkpoint.size", _G, "{entry}", (), "Entries under the newest checkpoint."
)
CHECKPOINT_AGE = Metric("arbiter.log.checkpoint.age", _G, "s", (), "Since that checkpoint was signed.")
LOG_REFUSED = Metric(
    "arbiter.log.refused",
    _G,
    "{refusal}",
    (),
    "1 while the log is refused: nothing is sealed, released or taken in. Wake somebody.",
)
WITNESS_SIZE = Metric(
    "arbiter.witness.size", _G, "{entry}", (WITNESS,), "Entries under the newest checkpoint that it cosigned."
)
WITNESS_BEHIND = Metric(
    "arbiter.witness.behind.age",
    _G,
    "s",
    (WITNESS,),
    "Since the first checkpoint was sealed that it should have cosigned; 0 when it keeps up.",
)
DELIVERY_ATTEMPTS = Metric(
    "arbiter.delivery.attempts", _C, "{attempt}", (CHANNEL, DELIVERY_OUTCOME), "Attempts to tell somebody."
)
DEAD_LETTERS = Metric(
    "arbiter.delivery.dead_letters", _C, "{delivery}", (CHANNEL,), "Deliveries that were given up."
)
CANARY_ALARMS = Metric(
    "arbiter.canary.alarms",
    _C,
    "{alarm}",
    (PROTOCOL, MEMBER),
    "Canary runs in which a seat answered otherwise than its baseline.",
)
AUDITS_CLOSED = Metric(
    "arbiter.audits.closed",
    _C,
    "{audit}",
    (PROTOCOL, AUDIT_STAGE),
    "Audits of panels' decisions that count, by what they found: agreed, unconfirmed or wrong.",
)
OPEN_AUDITS = Metric(
    "arbiter.audits.open", _G, "{audit}", (PROTOCOL,), "Decisions that wait to be read for an audit."
)
OPEN_AUDITS_AGE = Metric(
    "arbiter.audits.oldest_age", _G, "s", (PROTOCOL,), "For how long the oldest of them has waited."
)
STOPPED = Metric(
    "arbiter.watch.stopped",
    _G,
    "{protocol}",
    (PROTOCOL,),
    "Whether the live watch stops what a protocol decides alone, 0 or 1.",
)
WATCH_ALARMS = Metric(
    "arbiter.watch.alarms",
    _C,
    "{alarm}",
    (PROTOCOL, WATCH_KIND),
    "Alarms of the live watch: an option's stops what its protocol decides alone, a member's warns.",
)
CANARY_MOVED = Metric(
    "arbiter.canary.moved",
    _G,
    "{seat}",
    (PROTOCOL, MEMBER),
    "1 from such an alarm until a new baseline is taken: its protocol decides nothing without a clinician. Wake somebody.",
)
CANARY_AGE = Metric(
    "arbiter.canary.age", _G, "s", (PROTOCOL, MEMBER), "Since the seat last answered its canary."
)
DRIFT_ALARMS = Metric(
    "arbiter.drift.alarms",
    _C,
    "{alarm}",
    (PROTOCOL, DRIFT_STREAM),
    "Streams that were found to have moved since a protocol version's first cases.",
)
DRIFT_STANDING = Metric(
    "arbiter.drift.standing",
    _G,
    "{stream}",
    (PROTOCOL,),
    "Such streams that nobody has acknowledged yet. Decisions go on: have somebody look into it in the days to come.",
)
CONNECTIONS = Metric(
    "db.client.connection.count", _G, "{connection}", (POOL, POOL_STATE), "Connections to the database."
)
CONNECTIONS_WANTED = Metric(
    "db.client.connection.pending_requests",
    _G,
    "{request}",
    (POOL,),
    "Statements that wait for a connection.",
)
HTTP_SECONDS = Metric(
    "http.server.request.duration",
    _H,
    "s",
    (METHOD, ROUTE, STATUS_CODE, SCHEME, ERROR_TYPE),
    "Requests at either door; one that waits or streams lasts as long as it does.",
    _SECONDS,
)

METRICS: Final[tuple[Metric, ...]] = (
    TAKEN_IN, DECIDED, ESCALATED, ESCALATION_REASONS, REFUSED, RELEASED_CASES, CONCLUSION_SECONDS, RELEASE_SECONDS,
    OPEN_CASES, JOBS, JOBS_AGE, ERRANDS, MEMBER_SECONDS, TOKENS, BREAKER_MOVES, REROUTES, SHED, PROBES,
    FLEET_IN_FLIGHT, FLEET_WAITING, FLEET_BREAKERS, FLEET_SILENT_SEATS, SEALED, SEAL_SECONDS, PENDING, PENDING_AGE,
    CHECKPOINT_SIZE, CHECKPOINT_AGE, LOG_REFUSED, DELIVERY_ATTEMPTS, DEAD_LETTERS, WITNESS_SIZE, WITNESS_BEHIND,
    AUDITS_CLOSED, OPEN_AUDITS, OPEN_AUDITS_AGE, STOPPED, WATCH_ALARMS, CANARY_ALARMS, CANARY_MOVED, CANARY_AGE,
    DRIFT_ALARMS, DRIFT_STANDING, CONNECTIONS, CONNECTIONS_WANTED, HTTP_SECONDS,
)  # fmt: skip
