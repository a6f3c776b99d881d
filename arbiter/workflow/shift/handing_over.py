"""The end of a shift: what somebody still holds, and giving it back for the next one, with a note that stays sealed.

A note may betray the panel, or what its writer thinks, to somebody who is still to judge alone. So it is a sealed document of the
case, and nobody is shown it but who has committed an own opinion about these facts and has had the panel revealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from arbiter.documents.handover_notes import HandoverNote
from arbiter.errors import ConflictError, NotFoundError, Problem, RefusedError
from arbiter.identity.accounts import account_principal
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import HandBack
from arbiter.model import ActorId, CaseId
from arbiter.store.shifts import HandedOver, add_handed_over
from arbiter.workflow.acting import act
from arbiter.workflow.docket import Docket, write_step
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.review.passing_on import NOTE, way_shown
from arbiter.workflow.saving import perform, without_safety_net
from arbiter.workflow.work_list import WorkItem, held

LONGEST_NOTE = 2_000
MOST_HELD = 20
"""Cases that are handed over at once: nobody can hold more leases for long."""


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who reviews at one of the same sites."""

    id: ActorId
    login: str
    name: str
    sites: frozenset[str]


@dataclass(frozen=True, slots=True)
class HandedBack:
    """What became of a handover: the cases given back, and those that were not held any more."""

    given: tuple[CaseId, ...]
    gone: tuple[CaseId, ...]


async def colleagues(house: House, principal: Principal) -> tuple[Colleague, ...]:
    """Return who else reviews at one of this person's sites, by name."""
    principal.require(Permission.REVIEW_WORK)
    people = [account_principal(row) for row in await house.identities.accounts() if row.disabled_at is None]
    return tuple(
        sorted(
            (
                Colleague(each.id, each.login or each.id, each.name, each.sites & principal.sites)
                for each in people
                if each.id != principal.id
                and Permission.REVIEW_WORK in each.permissions
                and each.sites & principal.sites
            ),
            key=lambda each: (each.name.casefold(), each.login),
        )
    )


async def hand_over(
    house: House, principal: Principal, notes: Mapping[CaseId, str], to: Colleague | None = None
) -> HandedBack:
    """Give back each of these cases with its note, for this colleague or for whoever comes; anybody may claim them afterwards.

    A case that is not held any more (its lease has run out, it was cancelled or amended) is passed over, and its note is not kept.

    Raises:
        RefusedError: for a note that is too long, more cases than `MOST_HELD`, or a colleague who does not act for a case's site.
    """
    principal.require(Permission.REVIEW_WORK)
    holding = {each.case: each for each in await held(house, principal)}
    _check(holding, notes, to)
    given, gone = [], []
    for case, note in notes.items():
        if case not in holding:
            gone.append(case)
            continue
        try:
            await _hand_back(house, principal, case, note, to)
        except (ConflictError, NotFoundError):
            gone.append(case)
        else:
            given.append(case)
    return HandedBack(tuple(given), tuple(gone))


def _check(holding: Mapping[CaseId, WorkItem], notes: Mapping[CaseId, str], to: Colleague | None) -> None:
    problems = [
        Problem(f"/notes/{case}", "too-long", f"expected at most {LONGEST_NOTE} characters")
        for case, note in notes.items()
        if len(note) > LONGEST_NOTE
    ]
    if len(notes) > MOST_HELD:
        problems.append(Problem("/notes", "too-many", f"expected at most {MOST_HELD} cases"))
    if to is not None:
        problems += [
            Problem("/to", "other-site", f"{to.login} does not act for the site of case {case}")
            for case in notes
            if case in holding and holding[case].site not in to.sites
        ]
    if problems:
        raise RefusedError("the handover does not fit", tuple(problems))


async def _hand_back(
    house: House, principal: Principal, case: CaseId, note: str, to: Colleague | None
) -> None:
    def give(_dossier: Dossier, now: datetime) -> tuple[HandBack, dict[str, bytes]]:
        if not note:
            return HandBack(principal.id), {}
        written = HandoverNote(principal.id, principal.name, now, "" if to is None else to.id, note)
        return HandBack(principal.id), {NOTE: written.encode()}

    async def saving(house: House, _before: Dossier, docket: Docket, now: datetime) -> Docket:
        async with house.store.begin() as transaction:
            written = await write_step(transaction, without_safety_net(docket), now)
            if to is not None:
                row = HandedOver(case, written.seq, principal.id, to.id, now)
                await add_handed_over(transaction, row)
        perform(house, docket.case, docket.effects)
        return written

    await act(house, principal, case, give, through_glass=True, saving=saving)


def notes_for(dossier: Dossier, *, committed: bool) -> Sequence[HandoverNote]:
    """Return what others wrote when they handed the case on with its present facts; nothing before an own opinion is `committed`."""
    shown = way_shown(dossier, committed=committed)
    return tuple(HandoverNote.decode(each.content) for each in shown if each.name == NOTE)
