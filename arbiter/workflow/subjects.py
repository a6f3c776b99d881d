"""Patients: found by number without a number in the clear, joined when two numbers are one patient, parted again.

Whoever finds, joins or parts is told by an entry in the subject's own chain. Cases stay with the number they came
under; what is asked of one number is answered for the whole family.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from arbiter.audit.merkle import leaf_hash
from arbiter.documents.canonical import encode
from arbiter.errors import ConflictError, NotFoundError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import ActorId
from arbiter.store.cases.heads import Wanted, list_cases
from arbiter.store.subjects import (
    append_entry,
    chain_end,
    family_of,
    find_subject,
    hold_mergers,
    keep_subject,
    root_of,
    set_merged_into,
    sites_of,
)
from arbiter.store.transaction import Transaction, Where
from arbiter.store.vault import SALT_BYTES
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import keep_trying, next_entry
from arbiter.workflow.reading import cursor_of, parse_cursor
from arbiter.workflow.views import CasePage, view_of

SEARCHED = "subject.searched"
MERGED = "subject.merged"
SEPARATED = "subject.separated"


@dataclass(frozen=True, slots=True)
class SubjectRef:
    """The patient: an identifier and the system that issued it."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Found:
    """A subject's opaque id, None when there is nothing to be seen, with a page of its cases."""

    subject: str | None
    page: CasePage


@dataclass(frozen=True, slots=True)
class Joined:
    """Two subjects that were joined or parted, by their opaque ids."""

    absorbed: str
    surviving: str


def subject_id(house: House, ref: SubjectRef) -> str:
    """Return a patient's opaque id: keyed, so that nobody without the key can try numbers against it."""
    mac = house.vault.mac("subject-id", ref.system.encode(), ref.value.encode())
    return "s_" + base64.b32encode(mac[:15]).decode("ascii").rstrip("=").lower()


def subject_mac(house: House, ref: SubjectRef) -> bytes:
    """Return the fingerprint that a subject is found by."""
    return house.vault.mac("subject", ref.system.encode(), ref.value.encode())


async def search(
    house: House, principal: Principal, ref: SubjectRef, cursor: str | None = None, limit: int = 50
) -> Found:
    """Return a patient's cases at this principal's sites, newest first, whichever number they came under.

    A patient without a case there reads like one that nobody ever heard of; else the search is an entry.

    Raises:
        RefusedError: when the cursor is none that a page gave.
    """
    principal.require(Permission.CASES_READ)
    nothing = Found(None, CasePage((), None))
    subject = await find_subject(house.store, subject_mac(house, ref))
    if subject is None:
        return nothing
    root = await root_of(house.store, subject)
    wanted = Wanted(
        sites=principal.sites,
        subjects=await family_of(house.store, root),
        before=None if cursor is None else parse_cursor(cursor),
    )
    rows = await list_cases(house.store, wanted, limit + 1)
    if not rows:
        return nothing
    await _note_search(house, principal, root)
    views = [view_of(row, await house.shelf.fetch(house.store, row.protocol_hash)) for row in rows[:limit]]
    return Found(root, CasePage(tuple(views), cursor_of(rows[limit - 1]) if len(rows) > limit else None))


async def merge(house: House, principal: Principal, absorbed: SubjectRef, surviving: SubjectRef) -> Joined:
    """Say that two numbers are one patient: what is known under `absorbed` is found under `surviving` from now on.

    Raises:
        NotFoundError: when either has cases at a site that the principal does not act for, before a word of how they
            stand; ConflictError: when they are one already.
    """
    principal.require(Permission.SUBJECTS_MERGE)
    async with house.store.begin() as transaction:
        await hold_mergers(transaction)
        from_id = await _kept(house, transaction, absorbed)
        into_id = await root_of(transaction, await _kept(house, transaction, surviving))
        from_root = await root_of(transaction, from_id)
        if not await _acts_for_all(transaction, principal, from_root, into_id):
            raise NotFoundError("a site that this client does not act for knows one of them")
        if from_root == into_id:
            raise ConflictError("both numbers are one patient's already")
        if from_root != from_id:
            raise ConflictError(
                "the number to be absorbed was joined to another patient: separate it first, or name that patient"
            )
        await set_merged_into(transaction, from_id, into_id)
        return await _tell_both(house, transaction, principal, MERGED, from_id, into_id)


async def separate(house: House, principal: Principal, absorbed: SubjectRef) -> Joined:
    """Part a number from the patient it was joined to, for joining them was a mistake.

    Raises:
        ConflictError: when it is joined to none, or to one whom a site knows that the principal does not act for.
    """
    principal.require(Permission.SUBJECTS_MERGE)
    async with house.store.begin() as transaction:
        await hold_mergers(transaction)
        from_id = await find_subject(transaction, subject_mac(house, absorbed))
        into_id = None if from_id is None else await root_of(transaction, from_id)
        if (
            from_id is None
            or into_id is None
            or into_id == from_id
            or not await _acts_for_all(transaction, principal, into_id)
        ):
            raise ConflictError(
                "that number is joined to no other patient, or to none this client may know of"
            )
        await set_merged_into(transaction, from_id, None)
        return await _tell_both(house, transaction, principal, SEPARATED, from_id, into_id)


async def _kept(house: House, transaction: Transaction, ref: SubjectRef) -> str:
    subject = subject_id(house, ref)
    await keep_subject(transaction, subject, subject_mac(house, ref), house.clock.now())
    return subject


async def _acts_for_all(transaction: Transaction, principal: Principal, *roots: str) -> bool:
    """Return whether the principal acts for every site that knows one of these patients."""
    families = [await family_of(transaction, root) for root in roots]
    return await sites_of(transaction, frozenset().union(*families)) <= principal.sites


async def _tell_both(
    house: House, transaction: Transaction, principal: Principal, what: str, from_id: str, into_id: str
) -> Joined:
    content = encode({"absorbed": from_id, "surviving": into_id})
    for subject in (from_id, into_id):
        await _append(house, transaction, subject, what, principal.id, content)
    return Joined(from_id, into_id)


async def _note_search(house: House, principal: Principal, subject: str) -> None:
    await keep_trying(lambda: _append(house, house.store, subject, SEARCHED, principal.id, None))


async def _append(
    house: House, where: Where, subject: str, what: str, actor: ActorId, content: bytes | None
) -> None:
    end = await chain_end(where, subject)
    merger = None if content is None else (house.chance.token(SALT_BYTES), content)
    documents = () if merger is None else (("merger", *merger),)
    body = next_entry(house, subject, end, what, actor, documents)
    await append_entry(where, subject, end.seq + 1, leaf_hash(body), body, merger)
