"""What a reviewer has typed and not yet sent, kept on the server so that no ward computer keeps a patient's text.

A draft is sealed under its case's key and bound to case, reviewer and step: it opens for its writer alone, and erasing the case
destroys it. It is no record: nothing is decided by it, no entry tells of it, and it is gone when its form is sent, the case is
handed back, or `KEPT` is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from arbiter.documents.canonical import decode, encode
from arbiter.errors import IllegalMoveError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.cases.heads import CaseRow
from arbiter.store.drafts import find_draft, forget_drafts, keep_draft
from arbiter.store.vault import CaseKey
from arbiter.workflow.docket import SALT_BYTES
from arbiter.workflow.dossier import check_not_erased, load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.watching.reading import waits_for

KEPT: Final = timedelta(hours=12)
"""A shift."""

LIMIT_BYTES: Final = 32 * 1024


class DraftStep(StrEnum):
    """The form that is being filled in."""

    OPINION = "opinion"
    SIGN = "sign"


_PHASES: Final = {DraftStep.OPINION: Phase.CLAIMED, DraftStep.SIGN: Phase.REVEALED}


@dataclass(frozen=True, slots=True)
class KeptDraft:
    """What was typed, by field, and when it was saved."""

    fields: Mapping[str, tuple[str, ...]]
    saved_at: datetime


async def keep(
    house: House, principal: Principal, case: CaseId, step: DraftStep, fields: Mapping[str, tuple[str, ...]]
) -> datetime:
    """Keep what its reviewer has typed so far in the place of what was kept before; return when it was saved.

    Which fields a form has is its caller's to say; a password must not be among them.

    Raises:
        NotFoundError: for a case this principal may not know of; IllegalMoveError: when it is not theirs to fill that form in
        now; RefusedError: when it is too long.
    """
    principal.require(Permission.REVIEW_WORK)
    content = encode({name: list(values) for name, values in fields.items()})
    if len(content) > LIMIT_BYTES:
        detail = f"expected at most {LIMIT_BYTES} bytes"
        raise RefusedError("the draft is too long to be kept", (Problem("", "too-long", detail),))
    now = house.clock.now()
    async with house.store.begin() as transaction:
        row = await load_seen_case(transaction, principal, case, now)
        _require_form(row, principal, step, now)
        sealed = house.vault.seal(
            _key(house, row), 0, _place(principal, step), house.chance.token(SALT_BYTES), content
        )
        await keep_draft(transaction, case, principal.id, step.value, sealed, now, now + KEPT)
    return now


async def kept(house: House, principal: Principal, case: CaseId, step: DraftStep) -> KeptDraft | None:
    """Return this reviewer's own draft of a form that is theirs to fill in now, or None.

    Raises:
        NotFoundError, IllegalMoveError: as `keep`; VerificationError: when what is kept was changed or moved.
    """
    principal.require(Permission.REVIEW_WORK)
    now = house.clock.now()
    async with house.store.read() as transaction:
        row = await load_seen_case(transaction, principal, case, now)
        _require_form(row, principal, step, now)
        found = await find_draft(transaction, case, principal.id, step.value, now)
    if found is None:
        return None
    _, content = house.vault.open(_key(house, row), 0, _place(principal, step), found.sealed)
    return KeptDraft({name: tuple(values) for name, values in decode(content).items()}, found.saved_at)


async def forget(house: House, principal: Principal, case: CaseId) -> None:
    """Forget what this reviewer has typed about a case: it was sent, or is no longer theirs to send."""
    await forget_drafts(house.store, case, principal.id)


def _require_form(row: CaseRow, principal: Principal, step: DraftStep, now: datetime) -> None:
    """Raise IllegalMoveError unless the reviewer holds the case and it is at that form."""
    check_not_erased(row)
    held = row.state.claim
    phase = Phase.CLAIMED if waits_for(row, principal) else row.state.phase
    if held is None or held.reviewer != principal.id or now >= held.until or phase is not _PHASES[step]:
        raise IllegalMoveError(f"case {row.id} is not at that form of {principal.id}'s")


def _key(house: House, row: CaseRow) -> CaseKey:
    return house.vault.open_key(row.id, row.kek_id, row.wrapped_key)


def _place(principal: Principal, step: DraftStep) -> str:
    # No document of an entry is called so: a draft cannot be put in one's place, nor one person's in another's.
    return f"draft/{step.value}/{principal.id}"
