"""The reducer's state as JSON and back; strict, so that a damaged row stops the case rather than bends it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from arbiter.lifecycle.states import Audit, AuditStage, CaseState, Claim, DecidedBy, Erasure, Ladder, Phase
from arbiter.model import ActorId, CaseId, MemberId, MemberStatus, RiskClass
from arbiter.question import Timers

_TIMERS = ("panel", "facts", "review", "release")
_PEOPLE = ("readings", "seen_by", "referrers", "arbiters", "conflicted")


def state_document(state: CaseState) -> dict[str, Any]:
    """Return the state as JSON values."""
    return {
        "phase": state.phase.value,
        "risk_class": state.risk_class.value,
        "timers": {name: getattr(state.timers, name).total_seconds() for name in _TIMERS},
        "due_at": _instant(state.due_at),
        "facts_version": state.facts_version,
        "seats": list(state.seats),
        "answered": [[member, status.value] for member, status in state.answered],
        "human_required": state.human_required,
        "shows_panel_first": state.shows_panel_first,
        "overdue": state.overdue,
        "claim": None
        if state.claim is None
        else {"reviewer": state.claim.reviewer, "until": _instant(state.claim.until)},
        "decided_by": None if state.decided_by is None else state.decided_by.value,
        "successor": state.successor,
        "ladder": {
            "waits": [wait.total_seconds() for wait in state.ladder.waits],
            "rung": state.ladder.rung,
            "until": _instant(state.ladder.until),
            "acknowledged_by": state.ladder.acknowledged_by,
            "unattended": state.ladder.unattended,
        },
        "training": state.training,
        "planted": state.planted,
        "held": state.held,
        "erasure": None if state.erasure is None else state.erasure.value,
        "unwitnessed": state.unwitnessed,
        "audit": None
        if state.audit is None
        else {
            "stage": state.audit.stage.value,
            "drawn_at": state.audit.drawn_at.isoformat(),
            "facts_version": state.audit.facts_version,
            "readers": list(state.audit.readers),
        },
        **{name: list(getattr(state, name)) for name in _PEOPLE},
        "readers_needed": state.readers_needed,
        "wants_arbiter": state.wants_arbiter,
        "facts_asked_by": state.facts_asked_by,
        "correcting": state.correcting,
    }


def state_from(document: Mapping[str, Any]) -> CaseState:
    """Return the state a document holds.

    Raises:
        KeyError, ValueError, TypeError: when the document is not one that `state_document` made.
    """
    timers = document["timers"]
    claim = document["claim"]
    decided_by = document["decided_by"]
    successor = document["successor"]
    asked_by = document.get("facts_asked_by")
    return CaseState(
        phase=Phase(document["phase"]),
        risk_class=RiskClass(document["risk_class"]),
        timers=Timers(**{name: timedelta(seconds=timers[name]) for name in _TIMERS}),
        due_at=_parse(document["due_at"]),
        facts_version=document["facts_version"],
        seats=tuple(MemberId(member) for member in document["seats"]),
        answered=tuple((MemberId(member), MemberStatus(status)) for member, status in document["answered"]),
        human_required=document["human_required"],
        shows_panel_first=document["shows_panel_first"],
        overdue=document["overdue"],
        claim=None
        if claim is None
        else Claim(ActorId(claim["reviewer"]), datetime.fromisoformat(claim["until"])),
        decided_by=None if decided_by is None else DecidedBy(decided_by),
        successor=None if successor is None else CaseId(successor),
        # Cases that release 0.1 took in have neither: they call nobody further, and are no training.
        ladder=_ladder(document["ladder"]) if "ladder" in document else Ladder(),
        training=document.get("training", False),
        # Before 0.7 no case was planted.
        planted=document.get("planted", False),
        # Releases before 0.4 knew neither.
        held=document.get("held", False),
        erasure=None if (erasure := document.get("erasure")) is None else Erasure(erasure),
        # Before there were witnesses, none was lacking.
        unwitnessed=document.get("unwitnessed", False),
        # Before 0.6 no decision was drawn for an audit.
        audit=None if (audit := document.get("audit")) is None else _audit(audit),
        # Before 0.7 a claim that ended left nothing behind, and one reader was enough.
        readings=_people(document.get("readings", [])),
        seen_by=_people(document.get("seen_by", [])),
        referrers=_people(document.get("referrers", [])),
        arbiters=_people(document.get("arbiters", [])),
        conflicted=_people(document.get("conflicted", [])),
        readers_needed=_readers(document.get("readers_needed", 1)),
        wants_arbiter=document.get("wants_arbiter", False),
        facts_asked_by=None if asked_by is None else ActorId(asked_by),
        correcting=document.get("correcting", False),
    )


def _people(listed: list[str]) -> tuple[ActorId, ...]:
    return tuple(ActorId(person) for person in listed)


def _readers(number: int) -> int:
    if number not in (1, 2):
        raise ValueError(f"expected 1 or 2 readers, came {number!r:.20}")
    return number


def _audit(document: Mapping[str, Any]) -> Audit:
    return Audit(
        stage=AuditStage(document["stage"]),
        drawn_at=datetime.fromisoformat(document["drawn_at"]),
        facts_version=document["facts_version"],
        readers=tuple(ActorId(reader) for reader in document["readers"]),
    )


def _ladder(document: Mapping[str, Any]) -> Ladder:
    by = document["acknowledged_by"]
    return Ladder(
        waits=tuple(timedelta(seconds=wait) for wait in document["waits"]),
        rung=document["rung"],
        until=_parse(document["until"]),
        acknowledged_by=None if by is None else ActorId(by),
        unattended=document["unattended"],
    )


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _parse(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
