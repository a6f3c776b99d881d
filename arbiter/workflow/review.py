"""A clinician's part: claim, judge alone, commit, see the panel, keep or change, sign.

The order is the reducer's and is enforced here, not in a page: until the reviewer's own opinion is committed to the
log, nothing returned by this module holds a word of the panel, of the reason of escalation, or of who else looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from arbiter.adjudication.certifying import signed_certificate
from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.errors import IllegalMoveError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import CommitOpinion, HandBack, Read, ReadForAudit, Renew, Reveal, Sign, TakeUp
from arbiter.lifecycle.states import ENDS, UNDER_REVIEW, DecidedBy, Phase
from arbiter.model import CaseId, Reason, ReasonCode
from arbiter.store.cases.heads import CaseRow
from arbiter.store.log.chains import load_entries
from arbiter.workflow import figures
from arbiter.workflow.acting import act
from arbiter.workflow.blinding import BlindCase, blind_case
from arbiter.workflow.certifying import circumstances, signature_document
from arbiter.workflow.dossier import Dossier, load_dossier, load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import NOTE_LIMIT, OwnOpinion, check_opinion, committed_by
from arbiter.workflow.reading import decision_of
from arbiter.workflow.views import DecisionView
from arbiter.workflow.watching.counting import save_reading
from arbiter.workflow.watching.reading import (
    as_decided,
    as_it_waits,
    check_may_take_up,
    has_seen_more,
    opinion_move,
    reading_by,
    waits_for,
)

LEASE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class RevealedCase:
    """A case with its panel: the certificate that handed it over, and the reviewer's own opinion if one was committed."""

    blind: BlindCase
    own: OwnOpinion | None
    certificate: Mapping[str, Any]


async def claim(house: House, principal: Principal, case: CaseId) -> None:
    """Take a case on for `LEASE`, to decide it or, where it waits for that, to read it for an audit.

    Raises:
        ConflictError: when somebody else holds it, or it is decided and this reviewer has read it, seen its panel, or
        does not act for its site.
    """
    principal.require(Permission.REVIEW_WORK)
    blind = await _is_blind(house, principal, case)

    def take_up(dossier: Dossier, now: datetime) -> tuple[TakeUp, dict[str, bytes]]:
        check_may_take_up(dossier, principal, blind=blind)
        return TakeUp(principal.id, now + LEASE), {}

    await act(house, principal, case, take_up, through_glass=True)


async def renew(house: House, principal: Principal, case: CaseId) -> None:
    """Hold on to a claimed case for another `LEASE`."""
    principal.require(Permission.REVIEW_WORK)
    await act(
        house,
        principal,
        case,
        lambda _dossier, now: (Renew(principal.id, now + LEASE), {}),
        through_glass=True,
    )


async def hand_back(house: House, principal: Principal, case: CaseId) -> None:
    """Give a claimed case back to the duty group."""
    principal.require(Permission.REVIEW_WORK)
    await act(house, principal, case, lambda _dossier, _now: (HandBack(principal.id), {}), through_glass=True)


async def open_case(house: House, principal: Principal, case: CaseId) -> BlindCase:
    """Return a claimed case without its panel; each look is an entry.

    One that is read for an audit is shown as it was when its facts were taken in: the question is about that moment.
    """
    principal.require(Permission.REVIEW_WORK)

    def look(dossier: Dossier, now: datetime) -> tuple[Read, dict[str, bytes]]:
        _require_claim(dossier, principal, now)
        return Read(), {}

    acted = await act(house, principal, case, look, through_glass=True)
    dossier = acted.before
    if not waits_for(dossier.row, principal):
        return blind_case(dossier, acted.at)
    decided = as_decided(dossier, _waiting(house, dossier, acted.at))
    return blind_case(decided, decided.taken_facts().taken_at)


def _waiting(house: House, dossier: Dossier, now: datetime) -> CaseRow:
    return as_it_waits(dossier.row, now, timedelta(days=house.settings.audit_days))


async def commit_opinion(house: House, principal: Principal, case: CaseId, own: OwnOpinion) -> bool:
    """Fix the reviewer's own opinion in the log; return whether it was read for an audit, and nothing follows for the reader.

    Raises:
        RefusedError: when the opinion names an option or fact the case does not have; ConflictError: out of turn.
    """
    principal.require(Permission.REVIEW_WORK)
    blind = await _is_blind(house, principal, case)

    def commit(dossier: Dossier, now: datetime) -> tuple[CommitOpinion | ReadForAudit, dict[str, bytes]]:
        waits = waits_for(dossier.row, principal)
        check_opinion(as_decided(dossier, _waiting(house, dossier, now)) if waits else dossier, own)
        return opinion_move(dossier, principal, own, blind=blind)

    acted = await act(house, principal, case, commit, through_glass=True, saving=save_reading)
    if acted.before.row.state.phase not in ENDS:
        return False
    if acted.view.phase is Phase.ESCALATED:
        why = Reason(ReasonCode.CONTESTED, "a released decision was contested")
        figures.escalated(acted.before.shelved, acted.before.row.state, (why,))
    return True


async def is_committed(house: House, principal: Principal, case: CaseId, own: OwnOpinion) -> bool:
    """Return whether this is the opinion that the reviewer has fixed and still answers for; nothing is shown of it."""
    principal.require(Permission.REVIEW_WORK)
    dossier = await _unseen_dossier(house, principal, case)
    return own.in_order() == (committed_by(dossier, principal) or reading_by(dossier, principal))


async def has_read(house: House, principal: Principal, case: CaseId) -> bool:
    """Return whether this reviewer has read the case for an audit; nothing is shown of it."""
    principal.require(Permission.REVIEW_WORK)
    return reading_by(await _unseen_dossier(house, principal, case), principal) is not None


async def reveal(house: House, principal: Principal, case: CaseId) -> RevealedCase:
    """Show the panel: the first time a move of the case, then a read.

    Raises:
        IllegalMoveError: before the reviewer's own opinion is committed, unless policy shows the panel first.
    """
    principal.require(Permission.REVIEW_WORK)

    def show(dossier: Dossier, now: datetime) -> tuple[Reveal | Read, dict[str, bytes]]:
        if dossier.row.state.phase is Phase.REVEALED:
            _require_claim(dossier, principal, now)
            return Read(), {}
        return Reveal(principal.id), {}

    acted = await act(house, principal, case, show, through_glass=True)
    dossier = acted.before
    return RevealedCase(
        blind=blind_case(dossier, acted.at),
        own=committed_by(dossier, principal),
        certificate=decode(dossier.latest("certificate").content),
    )


async def sign(house: House, principal: Principal, case: CaseId, option: str, reason: str) -> None:
    """Decide and sign. The caller has just proven again who is signing.

    Raises:
        RefusedError: for an option the question does not have, or a changed or first opinion without a reason;
        ConflictError: out of turn.
    """
    principal.require(Permission.REVIEW_WORK)

    def decide(dossier: Dossier, now: datetime) -> tuple[Sign, dict[str, bytes]]:
        # Before the form is judged: a signature sent twice is out of turn, not without a reason.
        _require_claim(dossier, principal, now)
        if dossier.row.state.phase not in UNDER_REVIEW:
            raise IllegalMoveError(f"case {case} is not there to be signed")
        own = committed_by(dossier, principal)
        _check_signature(dossier, own, option, reason)
        shown = dossier.latest("certificate").content
        signature = signature_document(
            principal.id, principal.name, option, None if own is None else own.option, reason, shown, now
        )
        certificate = signed_certificate(
            circumstances(house, dossier.docket, now),
            dossier.shelved,
            dossier.taken_facts(),
            dossier.opinions(),
            decode(shown),
            signature,
        )
        return Sign(principal.id), {"signature": signature, "certificate": certificate}

    acted = await act(house, principal, case, decide, through_glass=True)
    figures.decided(acted.before.shelved, acted.before.row.state, DecidedBy.REVIEWER)


async def signed_case(house: House, principal: Principal, case: CaseId) -> DecisionView | None:
    """Return the decision this reviewer signed, or None until its checkpoint has released it.

    Raises:
        IllegalMoveError: when this reviewer did not sign the case's present decision.
    """
    principal.require(Permission.REVIEW_WORK)
    dossier = await _unseen_dossier(house, principal, case)
    signer = signer_of(dossier)
    if signer != principal.id:
        raise IllegalMoveError(f"reviewer {principal.id} has not signed case {case}")
    return decision_of(dossier) if dossier.row.state.phase is Phase.RELEASED else None


def signer_of(dossier: Dossier) -> str | None:
    """Return who signed the case's present decision; None when the panel decided, or nothing is decided."""
    if dossier.row.state.decided_by is not DecidedBy.REVIEWER:
        return None
    return str(decode(dossier.latest("signature").content)["reviewer"])


def _require_claim(dossier: Dossier, principal: Principal, now: datetime) -> None:
    held = dossier.row.state.claim
    if held is None or held.reviewer != principal.id or now >= held.until:
        raise IllegalMoveError(f"reviewer {principal.id} does not hold case {dossier.row.id}")


async def _unseen_dossier(house: House, principal: Principal, case: CaseId) -> Dossier:
    """Return a case of which nothing is shown to anybody, so that no entry has to say so."""
    async with house.store.read() as transaction:
        await load_seen_case(transaction, principal, case, house.clock.now())
        return await load_dossier(house, transaction, case)


async def _is_blind(house: House, principal: Principal, case: CaseId) -> bool:
    """Return whether somebody has seen nothing of a decision that is being audited; True where none is."""
    async with house.store.read() as transaction:
        row = await load_seen_case(transaction, principal, case, house.clock.now())
        if row.state.audit is None or not row.state.audit.is_open:
            return True
        entries = await load_entries(transaction, case)
    return not has_seen_more((Entry.from_bytes(body) for _, body, _ in entries), principal.id)


def _check_signature(dossier: Dossier, own: OwnOpinion | None, option: str, reason: str) -> None:
    problems = []
    if option not in dossier.shelved.protocol.question.option_ids():
        problems.append(Problem("/option", "unknown-option", "expected one of the question's options"))
    if (own is None or own.option != option) and not reason.strip():
        problems.append(
            Problem("/reason", "missing", "expected a reason: the decision is not the opinion committed")
        )
    if len(reason) > NOTE_LIMIT:
        problems.append(Problem("/reason", "too-long", f"expected at most {NOTE_LIMIT} characters"))
    if problems:
        raise RefusedError("the signature does not fit the case", tuple(problems))
