"""Entries and their proofs for those who audit: by case, one at a time, and in bundles.

Entries hold opaque ids and commitments, never content, so showing them is no read of a case and leaves no entry: a log
that grew by being read could not be followed to its end. They do tell which staff acted on which case when: a case's
are shown to auditors of its site, and bundles, in which the entries of all sites stand together, to those of all sites.
"""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.audit.case_proofs import CaseProofs, ProvenEntry
from arbiter.audit.proof import TlogProof
from arbiter.audit.tiles import TILE_WIDTH, encode_bundle, tile_width
from arbiter.errors import ForbiddenError, NotFoundError, NotSealedError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import CaseId
from arbiter.store.log.chains import load_chain_entry, load_chain_page
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.store.log.leaves import load_leaves_from
from arbiter.store.log.nodes import load_inclusion_proofs
from arbiter.store.transaction import Where
from arbiter.workflow.dossier import load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.reading import prove_entry

PAGE = 500
PAGE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class ProofsPage:
    """A case's sealed entries with proofs; `next_after` goes on behind them; `unsealed` of the case wait for their seal."""

    proofs: CaseProofs
    next_after: int | None
    unsealed: int


async def bundle(house: House, principal: Principal, index: int, width: int | None) -> bytes:
    """Return an entry bundle (C2SP tlog-tiles); `width` None means a full one.

    Raises:
        ForbiddenError: for an auditor who does not act for every site; NotFoundError: when the newest checkpoint does
            not cover the bundle.
    """
    principal.require(Permission.AUDIT_READ)
    everywhere = {site for site, _ in await house.identities.sites()}
    if not everywhere <= principal.sites:
        raise ForbiddenError(
            f"{principal.kind} {principal.id} does not act for every site, and a bundle holds entries of all; "
            "a case's entries are at /v1/cases/{case}/proofs"
        )
    wanted = TILE_WIDTH if width is None else width
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
        if newest is None or tile_width(None, index, newest.size) < wanted:
            raise NotFoundError(f"no entry bundle {index} of width {wanted} yet")
        start = index * TILE_WIDTH
        rows = await load_leaves_from(transaction, start, wanted)
    entries = [body for place, body in rows if body is not None and place < start + wanted]
    if len(entries) != wanted:
        raise VerificationError(f"entry bundle {index}: {wanted - len(entries)} of its entries are gone")
    return encode_bundle(entries)


async def case_entry(house: House, principal: Principal, case: CaseId, seq: int) -> bytes:
    """Return one entry of a case, sealed or not, byte for byte as it is logged."""
    body, _ = await _seen_entry(house, principal, case, seq)
    return body


async def case_proof(house: House, principal: Principal, case: CaseId, seq: int) -> TlogProof:
    """Return the proof that the newest checkpoint covers one entry of a case.

    Raises:
        NotSealedError: while the entry waits for its seal.
    """
    _, index = await _seen_entry(house, principal, case, seq)
    return await prove_leaf(house.store, index, f"entry {seq} of case {case}")


async def case_proofs(
    house: House, principal: Principal, case: CaseId, after: int = -1, limit: int = PAGE
) -> ProofsPage:
    """Return a case's entries after `after` with their proofs, all under the newest checkpoint.

    Raises:
        NotSealedError: while none of them is sealed; NotFoundError: when the case has none after `after`.
    """
    principal.require(Permission.AUDIT_READ)
    await load_seen_case(house.store, principal, case, house.clock.now())
    return await prove_chain(house.store, case, after, limit)


async def prove_leaf(where: Where, index: int | None, what: str) -> TlogProof:
    """Return the proof of a leaf under the newest checkpoint; raise NotSealedError when there is no leaf yet."""
    newest = await load_newest_checkpoint(where)
    if index is None or newest is None:
        raise NotSealedError(f"{what} is being sealed; ask again in a moment")
    return await prove_entry(where, index, newest)


async def prove_chain(where: Where, chain: str, after: int, limit: int) -> ProofsPage:
    """Return a page of a chain's entries with proofs, without asking who wants them. Raises as `case_proofs`."""
    rows = await load_chain_page(where, chain, after, limit + 1)
    # Read after the entries: it covers each that has its place. What it covers changes no more.
    newest = await load_newest_checkpoint(where)
    if not rows:
        raise NotFoundError(f"chain {chain} has no entry after {after}")
    sealed = [(seq, body, index) for seq, body, index in rows[:limit] if index is not None]
    if not sealed or newest is None:
        raise NotSealedError(f"the entries of {chain} are being sealed; ask again in a moment")
    proofs = await load_inclusion_proofs(where, [index for _, _, index in sealed], newest)
    proven = tuple(
        ProvenEntry(index, body, hashes) for (_, body, index), hashes in zip(sealed, proofs, strict=True)
    )
    more = len(rows) > limit and len(sealed) == limit
    return ProofsPage(
        CaseProofs(chain, newest.note.encode("utf-8"), proven),
        next_after=sealed[-1][0] if more else None,
        unsealed=sum(index is None for _, _, index in rows),
    )


async def _seen_entry(house: House, principal: Principal, case: CaseId, seq: int) -> tuple[bytes, int | None]:
    principal.require(Permission.AUDIT_READ)
    await load_seen_case(house.store, principal, case, house.clock.now())
    found = await load_chain_entry(house.store, case, seq)
    if found is None:
        raise NotFoundError(f"case {case} has no entry {seq}")
    return found
