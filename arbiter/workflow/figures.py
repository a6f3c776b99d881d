"""What the use cases tell telemetry: cases taken in, refused, concluded and released, rounds sealed. Ids and codes alone."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import ParamSpec, TypeVar

from arbiter.errors import BusyError, OverloadedError, RefusedError, ShedError
from arbiter.lifecycle.states import CaseState, DecidedBy
from arbiter.model import CaseId, Reason, RiskClass, Verdict, VerdictKind
from arbiter.store.cases.heads import CaseRow
from arbiter.telemetry.catalogue import (
    CASE,
    DECIDED_BY,
    ENTRIES,
    PROTOCOL,
    REASON,
    REFUSAL,
    RISK,
    SEAL,
    TREE_SIZE,
    VERDICT,
)
from arbiter.telemetry.meters import count, record
from arbiter.telemetry.metrics import (
    CONCLUSION_SECONDS,
    DECIDED,
    ESCALATED,
    ESCALATION_REASONS,
    REFUSED,
    RELEASE_SECONDS,
    RELEASED_CASES,
    SEAL_SECONDS,
    SEALED,
    TAKEN_IN,
)
from arbiter.telemetry.spans import Said, begin
from arbiter.workflow.shelf import Shelved

P = ParamSpec("P")
T = TypeVar("T")


def about(case: CaseId, shelved: Shelved, state: CaseState) -> Said:
    """Return what spans say about a case."""
    return {CASE: case, PROTOCOL: shelved.protocol.id, RISK: state.risk_class.value}


def taken_in(shelved: Shelved, risk_class: RiskClass) -> None:
    """Count a case taken in."""
    count(TAKEN_IN, {PROTOCOL: shelved.protocol.id, RISK: risk_class.value})


_NO_ROOM: dict[type[BusyError], str] = {ShedError: "shed", OverloadedError: "overloaded"}


def counting_refusals(use_case: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Count what is wrong with the cases that a use case refuses, each code once a case; and those it has no room for."""

    @functools.wraps(use_case)
    async def counted(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return await use_case(*arguments, **named)
        except RefusedError as error:
            for code in {problem.code for problem in error.problems} or {"refused"}:
                count(REFUSED, {REFUSAL: code})
            raise
        except BusyError as error:
            count(REFUSED, {REFUSAL: _NO_ROOM.get(type(error), "busy")})
            raise

    return counted


def escalated(shelved: Shelved, state: CaseState, reasons: Collection[Reason]) -> None:
    """Count an escalation and its reasons, each code once.

    One for every entry `case.escalated`, `case.contested` and `decision.withdrawn`. What a reviewer hands back, a claim that
    ends and a review that is overdue leave the case where it was, with clinicians: they are no new escalation.
    """
    said: Said = {PROTOCOL: shelved.protocol.id, RISK: state.risk_class.value}
    count(ESCALATED, said)
    for code in {reason.code for reason in reasons}:
        count(ESCALATION_REASONS, {**said, REASON: code.value})


def concluded(shelved: Shelved, state: CaseState, verdict: Verdict, since: datetime, now: datetime) -> None:
    """Count the panel's conclusion and how long it took."""
    said: Said = {PROTOCOL: shelved.protocol.id, RISK: state.risk_class.value}
    record(CONCLUSION_SECONDS, (now - since).total_seconds(), {**said, VERDICT: verdict.kind.value})
    if verdict.kind is VerdictKind.DECIDE:
        decided(shelved, state, DecidedBy.PANEL)
    elif verdict.kind is VerdictKind.ESCALATE:
        escalated(shelved, state, verdict.reasons)


def decided(shelved: Shelved, state: CaseState, by: DecidedBy) -> None:
    """Count a decision."""
    count(DECIDED, {PROTOCOL: shelved.protocol.id, RISK: state.risk_class.value, DECIDED_BY: by.value})


def released(row: CaseRow, now: datetime) -> None:
    """Count a released decision and how long the case took."""
    said: Said = {PROTOCOL: row.protocol_id, RISK: row.state.risk_class.value}
    count(RELEASED_CASES, said)
    if row.state.decided_by is not None:
        by = row.state.decided_by.value
        record(RELEASE_SECONDS, (now - row.created_at).total_seconds(), {**said, DECIDED_BY: by})


def sealed(began_ns: int, entries: int, tree_size: int) -> None:
    """Tell of a round of sealing that has committed: a span of its own, begun when the round did."""
    begin(SEAL, {ENTRIES: entries, TREE_SIZE: tree_size}, start_time_ns=began_ns).end()
    count(SEALED, amount=entries)
    record(SEAL_SECONDS, (time.time_ns() - began_ns) / 1e9)
