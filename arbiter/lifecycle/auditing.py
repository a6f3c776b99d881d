"""What becomes of the audit of a panel's decision: who may read it, what a reading says, and when it says nothing any more.

A decision counts as wrong only when two readers, each blind to the panel and the second blind to the first, would both have
decided otherwise: one reader's slip is no error of the panel's. The first who would have decided otherwise contests the
decision all the same, since the patient may be the one who is right.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.states import Audit, AuditStage, CaseState, DecidedBy, Phase
from arbiter.model import ActorId


def drawn(state: CaseState, now: datetime) -> Audit:
    """Return the audit of what is decided now."""
    return Audit(AuditStage.DRAWN, now, state.facts_version)


def check_may_read(state: CaseState, reader: ActorId, now: datetime) -> None:
    """Refuse whoever has no business with a case that has ended, or none any more; raises IllegalMoveError."""
    if state.audit is None or not state.audit.is_open:
        raise IllegalMoveError("no decision of this case waits to be audited")
    if reader in state.conflicted:
        raise IllegalMoveError(f"reviewer {reader} has a conflict of interest in this case")
    if reader in state.audit.readers:
        raise IllegalMoveError(f"reviewer {reader} has read this case already, or seen its panel")
    if state.claim is not None and state.claim.reviewer != reader and now < state.claim.until:
        raise IllegalMoveError(f"reviewer {state.claim.reviewer} holds this case")


def read(state: CaseState, reader: ActorId, *, agrees: bool) -> CaseState:
    """Return the state after one more reader has fixed an opinion; unchanged where that says nothing of the audit."""
    audit = state.audit
    if audit is None or not audit.is_open or reader in audit.readers:
        return state
    if audit.stage is AuditStage.DRAWN:
        stage = AuditStage.AGREED if agrees else AuditStage.DOUBTED
    else:
        stage = AuditStage.UNCONFIRMED if agrees else AuditStage.WRONG
    return replace(state, audit=replace(audit, stage=stage, readers=(*audit.readers, reader)))


def not_to_read(state: CaseState, reviewer: ActorId) -> CaseState:
    """Return the state after somebody was shown the panel, or has declared a conflict: a decision to be read waits for others."""
    audit = state.audit
    if audit is None or not audit.is_open or reviewer in audit.readers:
        return state
    return replace(state, audit=replace(audit, readers=(*audit.readers, reviewer)))


def contests(state: CaseState, *, agrees: bool) -> bool:
    """Return whether such a reading contests a decision: that of the panel does, while it stands and is released."""
    return not agrees and state.phase is Phase.RELEASED and state.decided_by is DecidedBy.PANEL


def voided(state: CaseState) -> CaseState:
    """Return the state with its audit ended, where one was open: nobody can read the case any more, or nobody ever saw the decision.

    Nothing else ends an audit: whoever could end it once a first reader has had doubts could keep the alarm from ever coming.
    """
    if state.audit is None or not state.audit.is_open:
        return state
    return replace(state, audit=replace(state.audit, stage=AuditStage.VOID))
