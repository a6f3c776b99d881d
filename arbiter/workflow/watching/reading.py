"""A panel's decision drawn for an audit, as its reader has it: a case like any other that waits. Pure.

Until a reader's opinion is fixed, and afterwards too, nothing made here tells what was decided, by whom, that it was
released, or who else has read it. What a reader is compared with is what the panel decided, whoever has decided since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import encode
from arbiter.errors import IllegalMoveError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.auditing import contests
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import CommitOpinion, ReadForAudit
from arbiter.lifecycle.states import ENDS, Ladder, Phase
from arbiter.model import RiskClass
from arbiter.store.cases.heads import CaseRow
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.own_opinion import OwnOpinion, concurs, newest_by
from arbiter.workflow.watching.audited import audited_decision
from arbiter.workflow.watching.drawing import DOCUMENT as DRAW

READING_FORMAT = "arbiter/reading/v1"
CONTESTED_BECAUSE = "a clinician who had not seen the decision would have decided otherwise"

_SHOWS_MORE = frozenset({EntryType.REVEALED, EntryType.SIGNED, EntryType.READ, EntryType.CORRECTED})
_ENDS_CLAIM = frozenset({EntryType.CLAIM_ENDED, EntryType.AUDIT_READ, EntryType.SIGNED})


# --- a case as its reader has it -------------------------------------------------------------------------------------


def waits_for(row: CaseRow, principal: Principal) -> bool:
    """Return whether a decision, whatever has become of its case, waits to be read by this reviewer: of an own site, and not read already."""
    audit = row.state.audit
    return (
        row.state.phase in ENDS
        and row.state.erasure is None
        and audit is not None
        and audit.is_open
        and principal.id not in audit.readers
        and principal.may_see(row.site)
    )


def as_it_waits(row: CaseRow, now: datetime, within: timedelta) -> CaseRow:
    """Return the head of a case drawn for an audit as that of a routine escalation, due `within` from the draw.

    A lease that has run out holds nothing, though no entry has ended it yet.
    """
    state = row.state
    assert state.audit is not None
    claim = None if state.claim is None or now >= state.claim.until else state.claim
    masked = replace(
        state,
        phase=Phase.ESCALATED if claim is None else Phase.CLAIMED,
        # What was urgent when it was decided is not urgent to read.
        risk_class=RiskClass.ROUTINE,
        due_at=state.audit.drawn_at + within,
        overdue=False,
        facts_version=state.audit.facts_version,
        successor=None,
        human_required=True,
        shows_panel_first=False,
        claim=claim,
        decided_by=None,
        unwitnessed=False,
        ladder=Ladder(),
        audit=None,
    )
    return replace(row, state=masked)


def as_decided(dossier: Dossier, row: CaseRow) -> Dossier:
    """Return a case under this head as it was when the panel decided what was drawn: on the facts of that time."""
    drawn = dossier.latest(DRAW).seq
    return replace(dossier, row=row, documents=tuple(each for each in dossier.documents if each.seq <= drawn))


def as_shown(row: CaseRow, principal: Principal, now: datetime, within: timedelta) -> CaseRow:
    """Return the head that this reviewer is shown: the case's own, or, where it waits to be read, as it waits."""
    return as_it_waits(row, now, within) if waits_for(row, principal) else row


# --- who may read ----------------------------------------------------------------------------------------------------


def check_may_take_up(dossier: Dossier, principal: Principal, *, blind: bool) -> None:
    """Refuse a case that has ended to whoever has seen its decision, or has it from another site: glass is broken for a patient.

    Raises:
        IllegalMoveError.
    """
    if dossier.row.state.phase in ENDS and not (blind and principal.may_see(dossier.row.site)):
        raise IllegalMoveError(f"case {dossier.row.id} is not for {principal.id} to read")


def has_seen_more(entries: Iterable[Entry], reader: str) -> bool:
    """Return whether somebody has read a case otherwise than blind, on a claim of their own: in another role, or its panel.

    `entries` are the case's, oldest first.
    """
    holder = ""
    for entry in entries:
        blind = entry.type == EntryType.READ and holder == reader
        if entry.actor == reader and entry.type in _SHOWS_MORE and not blind:
            return True
        if entry.type == EntryType.CLAIMED:
            holder = entry.actor
        elif entry.type in _ENDS_CLAIM:
            holder = ""
    return False


# --- what an opinion says of the decision ----------------------------------------------------------------------------


def opinion_move(
    dossier: Dossier, reviewer: Principal, own: OwnOpinion, *, blind: bool
) -> tuple[CommitOpinion | ReadForAudit, dict[str, bytes]]:
    """Return the move that fixes a reviewer's opinion, and the documents its entries commit to.

    `blind`: the reviewer has seen nothing of the decision being audited. The opinion of one who has says nothing of it, and a
    case that has ended is not theirs to read.

    Raises:
        IllegalMoveError: when a case that has ended waits for no reading by this reviewer; VerificationError: when what is kept of
        the decision is not what deciding writes.
    """
    state = dossier.row.state
    audited = blind and state.audit is not None and state.audit.is_open
    agrees = own.option == audited_decision(dossier).option if audited else None
    if state.phase not in ENDS:
        move = CommitOpinion(reviewer.id, agrees, concurs(dossier, own.option))
        return move, {"review": encode(own.document(reviewer.id))}
    if agrees is None:
        raise IllegalMoveError(f"no decision of case {dossier.row.id} waits to be read by {reviewer.id}")
    documents = {"reading": encode(own.document(reviewer.id) | {"format": READING_FORMAT})}
    if contests(state, agrees=agrees):
        documents["reason"] = encode({"reason": CONTESTED_BECAUSE})
    return ReadForAudit(reviewer.id, agrees), documents


def reading_by(dossier: Dossier, reader: Principal) -> OwnOpinion | None:
    """Return the opinion that somebody gave on the case for an audit, the newest if there are several."""
    return newest_by(dossier, reader, "reading")
