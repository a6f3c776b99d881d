"""What somebody has signed: kept beside the signature's own step, and listed for the one who signed, and for nobody else.

A list shows its reader only what they themselves wrote: which option they chose before and when they signed. That is no read of the case
by anybody who did not know it, so it leaves no entry, as the page that follows a signature leaves none. What the panel said, and
what turned out to be right, is on no list: who counted it would learn how often the panel errs, and judge by that
(`arbiter.workflow.watching.looking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from arbiter.documents.canonical import decode
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import ActorId, CaseId
from arbiter.store.cases.contents import load_documents_named
from arbiter.store.cases.heads import CaseRow, load_cases
from arbiter.store.shifts import Signed, add_signed, load_signed
from arbiter.store.transaction import Transaction
from arbiter.workflow.docket import Docket
from arbiter.workflow.house import House

PAGE = 20
_NEWEST = 2**62
_SIGNATURE = "signature"


class Fate(StrEnum):
    """What became of the opinion that was given before the panel was shown."""

    KEPT = "kept"
    CHANGED = "changed"
    NONE_GIVEN = "none-given"
    """Policy showed the panel first."""


class Since(StrEnum):
    """What has become of a decision since it was signed."""

    SEALING = "sealing"
    RELEASED = "released"
    UNWITNESSED = "unwitnessed"
    OPEN_AGAIN = "open-again"
    """The case is with the clinicians again, or before the panel; why is not told."""
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    IN_ERROR = "in-error"
    ERASED = "erased"


_ENDED = {
    Phase.DECIDED: Since.SEALING,
    Phase.RELEASED: Since.RELEASED,
    Phase.CANCELLED: Since.CANCELLED,
    Phase.SUPERSEDED: Since.SUPERSEDED,
    Phase.ENTERED_IN_ERROR: Since.IN_ERROR,
}


@dataclass(frozen=True, slots=True)
class OwnDecision:
    """A decision its reader signed. `option` and `fate` are None where the case was erased: nobody can read them any more.

    `stands`: the signature is that of the case's present decision, whose page can be opened.
    """

    case: CaseId
    title: str
    question: str
    site: str
    at: datetime
    option: str | None
    fate: Fate | None
    since: Since
    stands: bool
    training: bool


@dataclass(frozen=True, slots=True)
class OwnDecisions:
    """A page of them, newest first; `before` goes on behind it, None on the last one."""

    decisions: tuple[OwnDecision, ...]
    before: int | None


async def keep_signed(transaction: Transaction, docket: Docket, signer: ActorId, now: datetime) -> None:
    """Write down who signed, in the transaction that writes the signature's step."""
    (seq,) = (seq for seq, name, _ in docket.documents if name == _SIGNATURE)
    await add_signed(transaction, docket.case, seq, signer, now)


async def own_decisions(house: House, principal: Principal, before: int | None = None) -> OwnDecisions:
    """Return what this person signed at their sites, newest first, from the row `before` on backwards."""
    principal.require(Permission.REVIEW_WORK)
    async with house.store.read() as transaction:
        rows = await load_signed(
            transaction, principal.id, principal.sites, _NEWEST if before is None else before, PAGE + 1
        )
        cases = {row.id: row for row in await load_cases(transaction, [*{each.case for each in rows[:PAGE]}])}
        found = [await _own(house, transaction, each, cases[each.case]) for each in rows[:PAGE]]
    return OwnDecisions(tuple(found), rows[PAGE - 1].id if len(rows) > PAGE else None)


async def _own(house: House, transaction: Transaction, signed: Signed, row: CaseRow) -> OwnDecision:
    protocol = (await house.shelf.fetch(transaction, row.protocol_hash)).protocol
    titles = {option.id: option.title for option in protocol.question.options}
    option, fate = None, None
    if row.state.erasure is None:
        key = house.vault.open_key(row.id, row.kek_id, row.wrapped_key)
        for seq, name, sealed in await load_documents_named(transaction, row.id, [_SIGNATURE], signed.seq):
            if seq == signed.seq:
                content = decode(house.vault.open(key, seq, name, sealed)[1])
                option = titles.get(content["option"], content["option"])
                fate = _fate(content["option"], content["own_option"])
    return OwnDecision(
        case=row.id,
        title=protocol.title,
        question=protocol.question.text,
        site=row.site,
        at=signed.at,
        option=option,
        fate=fate,
        since=_since(row.state),
        stands=row.decided_seq == signed.seq + 1 and row.state.phase in {Phase.DECIDED, Phase.RELEASED},
        training=row.state.training,
    )


def _fate(option: str, own: str) -> Fate:
    if not own:
        return Fate.NONE_GIVEN
    return Fate.KEPT if own == option else Fate.CHANGED


def _since(state: CaseState) -> Since:
    if state.erasure is not None:
        return Since.ERASED
    if state.phase is Phase.RELEASED and state.unwitnessed:
        return Since.UNWITNESSED
    return _ENDED.get(state.phase, Since.OPEN_AGAIN)
