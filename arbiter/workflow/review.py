"""A clinician's part: claim, judge alone, commit, see the panel, keep or change, sign.

The order is the reducer's and is enforced here, not in a page: until the reviewer's own opinion is committed to the
log, nothing returned by this module holds a word of the panel, of the reason of escalation, or of who else looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from arbiter.adjudication.certifying import signed_certificate
from arbiter.documents.canonical import decode, encode
from arbiter.errors import IllegalMoveError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import CommitOpinion, HandBack, Read, Renew, Reveal, Sign, TakeUp
from arbiter.lifecycle.states import DecidedBy, Phase
from arbiter.model import CaseId
from arbiter.workflow import figures
from arbiter.workflow.acting import act
from arbiter.workflow.blinding import BlindCase, blind_case
from arbiter.workflow.certifying import circumstances, signature_document
from arbiter.workflow.dossier import Dossier, load_dossier, load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.reading import decision_of
from arbiter.workflow.views import DecisionView

LEASE = timedelta(minutes=15)
NOTE_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class OwnOpinion:
    """What the reviewer thinks before seeing the panel: option, confidence in percent, fact names, free text."""

    option: str
    confidence: int
    rests_on: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class RevealedCase:
    """A case with its panel: the certificate that handed it over, and the reviewer's own opinion if one was committed."""

    blind: BlindCase
    own: OwnOpinion | None
    certificate: Mapping[str, Any]


async def claim(house: House, principal: Principal, case: CaseId) -> None:
    """Take a case on for `LEASE`. Raises ConflictError when somebody else holds it."""
    principal.require(Permission.REVIEW_WORK)
    await act(
        house,
        principal,
        case,
        lambda _dossier, now: (TakeUp(principal.id, now + LEASE), {}),
        through_glass=True,
    )


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
    """Return a claimed case without its panel; each look is an entry."""
    principal.require(Permission.REVIEW_WORK)

    def look(dossier: Dossier, now: datetime) -> tuple[Read, dict[str, bytes]]:
        _require_claim(dossier, principal, now)
        return Read(), {}

    acted = await act(house, principal, case, look, through_glass=True)
    return blind_case(acted.before, acted.at)


async def commit_opinion(house: House, principal: Principal, case: CaseId, own: OwnOpinion) -> None:
    """Fix the reviewer's own opinion in the log.

    Raises:
        RefusedError: when the opinion names an option or fact the case does not have; ConflictError: out of turn.
    """
    principal.require(Permission.REVIEW_WORK)

    def commit(dossier: Dossier, _now: datetime) -> tuple[CommitOpinion, dict[str, bytes]]:
        _check_opinion(dossier, own)
        document = {
            "reviewer": principal.id,
            "option": own.option,
            "confidence": own.confidence,
            "rests_on": sorted(own.rests_on),
            "note": own.note,
        }
        return CommitOpinion(principal.id), {"review": encode(document)}

    await act(house, principal, case, commit, through_glass=True)


async def is_committed(house: House, principal: Principal, case: CaseId, own: OwnOpinion) -> bool:
    """Return whether this is the opinion that the reviewer has committed and still answers for; nothing is shown of it."""
    principal.require(Permission.REVIEW_WORK)
    async with house.store.read() as transaction:
        await load_seen_case(transaction, principal, case, house.clock.now())
        dossier = await load_dossier(house, transaction, case)
    committed = _own_opinion(dossier, principal)
    return committed is not None and replace(own, rests_on=tuple(sorted(own.rests_on))) == committed


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
        own=_own_opinion(dossier, principal),
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
        own = _own_opinion(dossier, principal)
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
    async with house.store.read() as transaction:
        await load_seen_case(transaction, principal, case, house.clock.now())
        dossier = await load_dossier(house, transaction, case)
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


def _own_opinion(dossier: Dossier, principal: Principal) -> OwnOpinion | None:
    """Return the opinion this reviewer committed under the present claim and facts, if there is one."""
    if dossier.row.state.phase not in {Phase.OPINION_COMMITTED, Phase.REVEALED}:
        return None
    since = dossier.latest("facts").seq
    for document in reversed(dossier.documents):
        if document.name == "review" and document.seq > since:
            content = decode(document.content)
            if content["reviewer"] == principal.id:
                return OwnOpinion(
                    content["option"], content["confidence"], tuple(content["rests_on"]), content["note"]
                )
    return None


def _check_opinion(dossier: Dossier, own: OwnOpinion) -> None:
    problems = []
    if own.option not in dossier.shelved.protocol.question.option_ids():
        problems.append(Problem("/option", "unknown-option", "expected one of the question's options"))
    if not 0 <= own.confidence <= 100:
        problems.append(Problem("/confidence", "out-of-range", "expected a percentage from 0 to 100"))
    facts = dossier.taken_facts().facts
    if any(facts.get(name) is None for name in own.rests_on):
        problems.append(Problem("/rests_on", "unknown-fact", "expected names of facts that the case holds"))
    if len(own.note) > NOTE_LIMIT:
        problems.append(Problem("/note", "too-long", f"expected at most {NOTE_LIMIT} characters"))
    if problems:
        raise RefusedError("the opinion does not fit the case", tuple(problems))


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
