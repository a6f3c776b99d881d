"""Closed cases to learn from in which somebody differed: a few at a time, none of which tells how often the panel errs.

Who counted such cases would judge by the count (`arbiter.workflow.watching.looking`). So few are offered, in an order made from their
ids and the week, and of those whose outcome is known as many one way as the other: they tell no rate. Who opens one has seen what
came of it and is never asked about that case again: the entry commits to a document `lesson`, and a claim looks for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from arbiter.documents.canonical import decode, encode
from arbiter.documents.known_outcomes import OutcomeKind
from arbiter.errors import IllegalMoveError, NotFoundError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Read
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import CaseId
from arbiter.store.cases.heads import CaseRow, load_cases
from arbiter.store.lessons import Differing, load_differing
from arbiter.store.transaction import Transaction
from arbiter.workflow.acting import act
from arbiter.workflow.blinding import BlindCase, blind_case
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import OwnOpinion, newest_by_id, opinions_of_readers
from arbiter.workflow.review.grounds import Grounds, grounds_of
from arbiter.workflow.told_outcomes import newest

DOCUMENT: Final = "lesson"
LESSON_FORMAT: Final = "arbiter/lesson/v1"
SETTLED: Final = timedelta(days=14)
"""So long ago a case was signed at least; longer where audits may take longer."""
OLDEST: Final = timedelta(days=365)
MOST_LOOKED_AT: Final = 200
MOST_OF_A_KIND: Final = 3
_REMOVED: Final = "[…]"


@dataclass(frozen=True, slots=True)
class Offered:
    """A case that may be opened, without a word of its content."""

    case: CaseId
    title: str
    question: str
    training: bool


@dataclass(frozen=True, slots=True)
class Lesson:
    """A case with what everybody said of it, nobody named.

    `blind` holds neither subject, encounter nor documents; `own` is the signer's opinion before the panel, None where policy showed
    it first; `others` are those of further readers. `certificate` is the one shown to the signer; `signed` and the options of
    `outcome`, None where nothing is known, are ids of options. `reason` is empty where none was given.
    """

    blind: BlindCase
    own: OwnOpinion | None
    others: tuple[OwnOpinion, ...]
    certificate: Mapping[str, Any]
    grounds: Grounds
    signed: str
    reason: str
    outcome: tuple[str, OutcomeKind] | None


async def offered(house: House, principal: Principal) -> tuple[Offered, ...]:
    """Return the cases of this reviewer's sites that may be opened this week.

    Raises:
        NotFoundError: where the house has no teaching; ForbiddenError: for who does not review.
    """
    if not house.settings.teaching:
        raise NotFoundError("teaching is not switched on")
    principal.require(Permission.REVIEW_WORK)
    now = house.clock.now()
    settled = max(SETTLED, timedelta(days=house.settings.audit_days))
    async with house.store.read() as transaction:
        differing = await load_differing(
            transaction, principal.sites, now - OLDEST, now - settled, MOST_LOOKED_AT
        )
        rows = {row.id: row for row in await load_cases(transaction, [each.case for each in differing])}
        closed = [each for each in differing if each.case in rows and is_closed(rows[each.case].state)]
        return tuple(
            [await _offer(house, transaction, rows[each.case]) for each in chosen(closed, _week(now))]
        )


async def _offer(house: House, transaction: Transaction, row: CaseRow) -> Offered:
    protocol = (await house.shelf.fetch(transaction, row.protocol_hash)).protocol
    return Offered(row.id, protocol.title, protocol.question.text, row.state.training)


def is_closed(state: CaseState) -> bool:
    """Return whether nobody has anything left to do with a case, and it may be shown at all."""
    return (
        state.phase is Phase.RELEASED
        and state.erasure is None
        and not (state.held or state.planted or state.correcting or state.unwitnessed)
        and state.claim is None
        and (state.audit is None or not state.audit.is_open)
    )


def chosen(cases: Iterable[Differing], week: str) -> tuple[Differing, ...]:
    """Return a few cases in an order that says nothing, and of those whose outcome is known as many either way. Pure.

    Where the panel alone was right is paired with where the clinician alone was, where both were with where neither was.
    """
    kinds: dict[tuple[bool | None, bool | None], list[Differing]] = {}
    for each in sorted(cases, key=lambda one: _lot(one, week)):
        known = each.clinician_right is not None and each.panel_right is not None
        kinds.setdefault((each.clinician_right, each.panel_right) if known else (None, None), []).append(each)
    picked = kinds.get((None, None), [])[:MOST_OF_A_KIND]
    for one, other in (((True, False), (False, True)), ((True, True), (False, False))):
        picked += [each for pair in _pairs(kinds.get(one, []), kinds.get(other, [])) for each in pair]
    return tuple(sorted(picked, key=lambda one: _lot(one, week)))


def _pairs(one: Sequence[Differing], other: Sequence[Differing]) -> list[tuple[Differing, Differing]]:
    return list(zip(one, other, strict=False))[:MOST_OF_A_KIND]


def _lot(each: Differing, week: str) -> bytes:
    return hashlib.sha256(f"{week} {each.case}".encode()).digest()


def _week(now: datetime) -> str:
    year, week, _day = now.isocalendar()
    return f"{year}-{week}"


async def open_lesson(house: House, principal: Principal, case: CaseId) -> Lesson:
    """Open a case that is offered; the look is an entry, written before anything is returned.

    Raises:
        NotFoundError: for any case that is not offered to this reviewer now; ForbiddenError: for who does not review.
    """
    if case not in {each.case for each in await offered(house, principal)}:
        raise NotFoundError(f"no case {case} to learn from")

    def look(dossier: Dossier, _now: datetime) -> tuple[Read, dict[str, bytes]]:
        if not is_closed(dossier.row.state):
            raise NotFoundError(f"no case {case} to learn from")
        return Read(), {DOCUMENT: encode({"format": LESSON_FORMAT, "reviewer": principal.id})}

    acted = await act(house, principal, case, look)
    dossier = acted.before
    signature = decode(dossier.latest("signature").content)
    people = await house.identities.names(dossier.row.state.readings)
    return _lesson(dossier, signature, acted.at, {*people.values(), signature["name"]})


def check_not_taught(dossier: Dossier, principal: Principal) -> None:
    """Refuse a case to whoever has been shown what came of it; raises IllegalMoveError."""
    for document in dossier.documents:
        if document.name == DOCUMENT and decode(document.content)["reviewer"] == principal.id:
            raise IllegalMoveError(f"reviewer {principal.id} has learnt from case {dossier.row.id}")


def _lesson(dossier: Dossier, signature: Mapping[str, Any], at: datetime, people: set[str]) -> Lesson:
    signed_at = dossier.latest("signature").seq
    shown = [each for each in dossier.documents if each.name == "certificate" and each.seq < signed_at][-1]
    blind = blind_case(dossier, at)
    hidden = {blind.subject_value, blind.encounter or "", *people} - {""}
    own = newest_by_id(dossier, signature["reviewer"], "review", dossier.latest("facts").seq)
    if not signature["own_option"]:
        own = None
    told = next(
        ((known.option, kind) for kind in OutcomeKind if (known := newest(dossier, kind)) is not None), None
    )
    return Lesson(
        blind=replace(blind, subject_value="", subject_system="", encounter=None),
        own=None if own is None else _without(own, hidden),
        others=tuple(
            _without(each, hidden)
            for reader, each in opinions_of_readers(dossier)
            if reader != signature["reviewer"]
        ),
        certificate=decode(shown.content),
        grounds=grounds_of(dossier, at),
        signed=signature["option"],
        reason=without(signature["reason"], hidden),
        outcome=told,
    )


def _without(own: OwnOpinion, hidden: Iterable[str]) -> OwnOpinion:
    return replace(own, note=without(own.note, hidden))


def without(text: str, hidden: Iterable[str]) -> str:
    """Return what somebody wrote without the patient's number and the names of those who judged the case."""
    for word in sorted(hidden, key=len, reverse=True):
        text = re.sub(re.escape(word), _REMOVED, text, flags=re.IGNORECASE)
    return text
