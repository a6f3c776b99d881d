"""What an export may hold for whoever asks, and the entries that it does.

An auditor gets the cases of the sites they act for. The chains that belong to no site (the house's own, the subjects')
are in an export of the whole log, which takes an auditor of every site; the house's can also be asked for by name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from arbiter.audit.entry import Entry
from arbiter.audit.export.layout import ExportedEntry
from arbiter.audit.export.manifest import Selection
from arbiter.documents.scalars import instant_text
from arbiter.errors import NotFoundError, Problem, RefusedError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.store.exports import cases_of_sites
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.log.chains import load_entries
from arbiter.store.log.leaves import stream_leaves
from arbiter.store.transaction import Transaction, Where
from arbiter.workflow.house import House

BATCH = 500
MOST_CASES = 1_000
"""Cases that one export may name, or whose documents it may open."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry of an export, read."""

    exported: ExportedEntry
    entry: Entry


def selection_of(
    *,
    cases: Sequence[str] = (),
    sites: Sequence[str] = (),
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    payloads: bool = False,
    paper: bool = False,
) -> Selection:
    """Return what is asked for. Raises RefusedError when it contradicts itself or is too much."""
    problems = []
    if since is not None and until is not None and until <= since:
        problems.append(Problem("/until", "range", "expected an instant after `since`"))
    if len(set(cases)) > MOST_CASES:
        problems.append(Problem("/cases", "too-many", f"expected at most {MOST_CASES} cases"))
    if paper and (actor or since or until):
        problems.append(Problem("/paper", "contradiction", "expected papers of whole cases alone"))
    if problems:
        raise RefusedError("the export asked for cannot be made", tuple(problems))
    return Selection(
        cases=tuple(sorted(set(cases))),
        sites=tuple(sorted(set(sites))),
        actor=actor or "",
        since="" if since is None else instant_text(since),
        until="" if until is None else instant_text(until),
        payloads=payloads,
        paper=paper,
    )


async def narrowed(house: House, where: Where, principal: Principal, asked: Selection) -> Selection:
    """Return the selection narrowed to what this principal may take, so that the manifest says so.

    Raises:
        ForbiddenError: without the permission; NotFoundError: for a case or site that the principal does not act for.
    """
    principal.require(Permission.AUDIT_READ)
    if asked.payloads:
        principal.require(Permission.AUDIT_PAYLOADS)
    for site in asked.sites:
        if not principal.may_see(site):
            raise NotFoundError(f"no site {site}")
    sites = asked.sites
    if not sites and not {site for site, _ in await house.identities.sites()} <= principal.sites:
        sites = tuple(sorted(principal.sites))
    named = [case for case in asked.cases if case != HOUSE_CHAIN]
    # No case has such an id, and the database would not take it for a text.
    if not all(case.isascii() and case.isprintable() for case in named):
        raise NotFoundError("no case has such an id")
    seen = await cases_of_sites(where, named, asked.sites or principal.sites)
    for case in named:
        if case not in seen:
            raise NotFoundError(f"no case {case}")
    # Named cases were just seen to be of those sites.
    return replace(asked, sites=() if asked.cases and not asked.sites else sites)


async def selected(
    transaction: Transaction, selection: Selection, size: int
) -> AsyncGenerator[tuple[int, list[Shown]]]:
    """Yield the selected entries among the log's first `size`, in its order, with how many were looked at so far."""
    rows = (
        _of_cases(transaction, selection.cases, size)
        if selection.cases
        else stream_leaves(transaction, BATCH)
    )
    looked = 0
    async with aclosing(rows):
        async for batch in rows:
            inside = [row for row in batch if row[0] < size]
            shown = [one for row in inside if selection.admits((one := _read(*row)).entry)]
            looked += len(batch)
            if selection.sites and not selection.cases:
                shown = await _of_sites(transaction, shown, selection.sites)
            yield looked, shown
            if len(inside) < len(batch):
                return


async def _of_cases(
    transaction: Transaction, cases: Sequence[str], size: int
) -> AsyncGenerator[tuple[tuple[int, bytes | None, bytes | None], ...]]:
    found: list[tuple[int, bytes | None, bytes | None]] = []
    for case in cases:
        found += [
            (index, body, None)
            for _, body, index in await load_entries(transaction, case)
            if index is not None and index < size
        ]
    found.sort(key=lambda row: row[0])
    for start in range(0, len(found), BATCH):
        yield tuple(found[start : start + BATCH])


async def _of_sites(transaction: Transaction, shown: list[Shown], sites: Sequence[str]) -> list[Shown]:
    cases = await cases_of_sites(transaction, sorted({one.entry.case for one in shown}), sites)
    return [one for one in shown if one.entry.case in cases]


def _read(index: int, body: bytes | None, stored: bytes | None) -> Shown:
    if body is None:
        raise VerificationError(f"entry {index} is gone: the log has to be verified before it is exported")
    exported = ExportedEntry.of(index, body)
    if stored is not None and stored != exported.hash:
        raise VerificationError(f"entry {index}: its bytes do not hash to the stored leaf hash")
    return Shown(exported, Entry.from_bytes(body))
