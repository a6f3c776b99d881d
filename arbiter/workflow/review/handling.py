"""What a reviewer does with a case they hold beside judging it: refer, set aside, ask for facts, declare a conflict, confer.

Each is a move with its reason sealed. Whoever takes the case next is told nothing of it before their own opinion is fixed.

A decision that is read for an audit looks like any other case, so its reader can do the same: whatever it is, they have stepped
back from the reading for good, which is what each function returns True for, and nobody is asked for anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from arbiter.documents.canonical import encode
from arbiter.errors import NotFoundError, Problem, RefusedError
from arbiter.identity.accounts import account_principal, find_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Convene, DeclareConflict, Defer, Event, HandBack, Refer, RequestFacts
from arbiter.lifecycle.handling import LONGEST_DEFERRAL, MOST_ATTENDEES
from arbiter.lifecycle.states import ENDS
from arbiter.model import CaseId
from arbiter.question import FactSpec
from arbiter.workflow.acting import Intent, act
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import NOTE_LIMIT
from arbiter.workflow.review.passing_on import Handed, attendance_document, handed_document, wanted_document
from arbiter.workflow.review.standing import require_claim, unseen_dossier
from arbiter.workflow.taking import arbitrates, may_take
from arbiter.workflow.views import CaseView


async def refer(house: House, principal: Principal, case: CaseId, reason: str) -> bool:
    """Hand a case up to those who may arbitrate.

    Raises:
        RefusedError: without a reason, or where there is nobody else at its site who could take it: it would wait for nobody.
    """
    documents = _reasoned(principal, Handed.REFERRED, reason)
    if not await _somebody_to_refer_to(house, principal, case):
        problem = Problem("/arbiter", "nobody", "expected another arbiter at the site of the case")
        raise RefusedError("there is nobody to refer the case to", (problem,))
    return await _give(house, principal, case, lambda _dossier, _now: (Refer(principal.id), documents))


async def _somebody_to_refer_to(house: House, principal: Principal, case: CaseId) -> bool:
    row = (await unseen_dossier(house, principal, case)).row
    handed_up = replace(row.state, wants_arbiter=True)
    people = [
        account_principal(each) for each in await house.identities.accounts() if each.disabled_at is None
    ]
    return any(
        person.id != principal.id
        and arbitrates(person)
        and person.may_see(row.site)
        and may_take(handed_up, person)
        for person in people
    )


async def declare_conflict(house: House, principal: Principal, case: CaseId, reason: str) -> bool:
    """Step back from a case for good; raises RefusedError without a reason."""
    documents = _reasoned(principal, Handed.CONFLICT, reason)
    move = DeclareConflict(principal.id)
    return await _give(house, principal, case, lambda _dossier, _now: (move, documents), in_audits=True)


async def defer(house: House, principal: Principal, case: CaseId, wait: timedelta, reason: str) -> bool:
    """Set a case aside for so long, at most `LONGEST_DEFERRAL` and never past its due time.

    Raises:
        RefusedError: for a longer wait, or without a reason.
    """
    documents = _reasoned(principal, Handed.DEFERRED, reason)

    def set_aside(dossier: Dossier, now: datetime) -> tuple[Event, dict[str, bytes]]:
        state = dossier.row.state
        if not timedelta(0) < wait <= longest_deferral(state.due_at, now, overdue=state.overdue):
            raise RefusedError(
                "the case cannot wait that long",
                (Problem("/wait", "too-long", "expected a time before the case is due"),),
            )
        return Defer(principal.id, now + wait), documents

    return await _give(house, principal, case, set_aside)


def longest_deferral(due_at: datetime | None, now: datetime, *, overdue: bool) -> timedelta:
    """Return for how long a case due then may be set aside; zero where it may not."""
    if overdue or due_at is None:
        return timedelta(0)
    return max(timedelta(0), min(LONGEST_DEFERRAL, due_at - now))


async def request_facts(
    house: House, principal: Principal, case: CaseId, names: Sequence[str], note: str
) -> bool:
    """Ask the hospital's system for facts, by the names that the question has for them, with a note for whoever sends them.

    Raises:
        RefusedError: for no name, or one that the question does not have; ConflictError: out of turn.
    """
    _check_length(note, "/note")

    def ask(dossier: Dossier, _now: datetime) -> tuple[Event, dict[str, bytes]]:
        question = dossier.shelved.protocol.question
        if not names or any(question.spec(name) is None for name in names):
            raise RefusedError(
                "facts are asked for by the question's names",
                (Problem("/facts", "unknown-fact", "expected names of the question's facts"),),
            )
        return RequestFacts(principal.id), {"wanted": encode(wanted_document(principal, names, note))}

    return await _give(house, principal, case, ask)


async def convene(house: House, principal: Principal, case: CaseId, logins: Sequence[str]) -> None:
    """Record who sat together with the holder over the revealed case: reviewers of its site, by login.

    Raises:
        ForbiddenError: unless the holder may arbitrate; RefusedError: for a login that is no active reviewer's of the site;
        ConflictError: for somebody with a conflict of interest, or out of turn.
    """
    principal.require(Permission.REVIEW_ARBITRATE)
    people = await _attendees(house, logins)

    def confer(dossier: Dossier, now: datetime) -> tuple[Convene, dict[str, bytes]]:
        require_claim(dossier, principal, now)
        problems = [
            Problem("/attendees", "not-a-reviewer", f"expected reviewers of the case's site, came {login}")
            for login, person in people
            if person is None or not person.may_see(dossier.row.site) or person.id == principal.id
        ]
        if problems or not people:
            raise RefusedError("those who attended are other reviewers of the site", tuple(problems))
        found = [person for _, person in people if person is not None]
        move = Convene(principal.id, tuple(person.id for person in found))
        return move, {"attendance": encode(attendance_document(principal, found))}

    await act(house, principal, case, confer, through_glass=True)


def askable_facts(house: House, view: CaseView) -> tuple[FactSpec, ...]:
    """Return the facts that a case's question knows, in its order; those that the case has may be asked for anew."""
    protocol = house.shelf.at_hand(view.protocol_hash)
    return () if protocol is None else protocol.question.facts


async def _attendees(house: House, logins: Sequence[str]) -> list[tuple[str, Principal | None]]:
    """Return each login once with the active reviewer it is, None where it is nobody's."""
    named = list(dict.fromkeys(login.strip().lower() for login in logins if login.strip()))
    if len(named) > MOST_ATTENDEES:
        raise RefusedError(
            "too many attended",
            (Problem("/attendees", "too-many", f"expected at most {MOST_ATTENDEES} logins"),),
        )
    return [(login, await _reviewer(house, login)) for login in named]


async def _reviewer(house: House, login: str) -> Principal | None:
    try:
        account = (await find_account(house.identities, login)).account
    except NotFoundError:
        return None
    person = account_principal(account)
    active = account.disabled_at is None and account.login == login
    return person if active and Permission.REVIEW_WORK in person.permissions else None


async def _give(
    house: House, principal: Principal, case: CaseId, intent: Intent, *, in_audits: bool = False
) -> bool:
    """Make a move that ends the holder's claim; return whether what they held was a decision to be read for an audit.

    Such a reader steps back for good instead, unless the move is one `in_audits` too.
    """
    principal.require(Permission.REVIEW_WORK)

    def give(dossier: Dossier, now: datetime) -> tuple[Event, Mapping[str, bytes]]:
        require_claim(dossier, principal, now)
        if dossier.row.state.phase in ENDS and not in_audits:
            return HandBack(principal.id, for_good=True), {}
        return intent(dossier, now)

    acted = await act(house, principal, case, give, through_glass=True)
    return acted.before.row.state.phase in ENDS


def _reasoned(principal: Principal, kind: Handed, reason: str) -> dict[str, bytes]:
    if not reason.strip():
        raise RefusedError("expected a reason", (Problem("/reason", "missing", "expected a reason"),))
    _check_length(reason, "/reason")
    return {"reason": encode(handed_document(principal, kind, reason))}


def _check_length(text: str, pointer: str) -> None:
    if len(text) > NOTE_LIMIT:
        raise RefusedError(
            "expected a shorter text",
            (Problem(pointer, "too-long", f"expected at most {NOTE_LIMIT} characters"),),
        )
