"""What the watch takes of a case: the facts that its panel read and how far the panel agreed, when it first concluded.

A case counts once, where its panel first came to a decision or an escalation; a wish for facts is no conclusion, and a case
that never reached its panel none either. What is taken are bins and options, never a value, and it leaves this process only
in sums. No entry tells of it: nobody looks at the case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from arbiter.audit.entry import Entry
from arbiter.calibrating.bins import Reading, Stream, sort, streams_of
from arbiter.documents.canonical import decode
from arbiter.documents.taken import TakenFacts
from arbiter.errors import ArbiterError, UnavailableError, VerificationError
from arbiter.lifecycle.entries import EntryType
from arbiter.model import CaseId, MemberStatus, VerdictKind
from arbiter.panels.seating import facts_read
from arbiter.question import QUESTION, Protocol
from arbiter.store.cases.contents import load_documents_named
from arbiter.store.cases.heads import CaseRow, load_case
from arbiter.workflow.dossier import check_not_erased
from arbiter.workflow.house import House

_CONCLUDING: Final = (EntryType.DECIDED, EntryType.ESCALATED)
_MARKS: Final = tuple(f'"type":"{kind}"'.encode() for kind in _CONCLUDING)
_TRAINING: Final = ("mode", "training")
_NOT_HEARD: Final = "not-heard"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """An entry by which a case concluded, by its number in the case's chain."""

    case: CaseId
    seq: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What is taken of a case: its protocol version, its bin in each stream, and what each seat said to what it was asked."""

    protocol: Protocol
    streams: tuple[Stream, ...]
    asked: tuple[str, ...]
    bins: Mapping[str, int]
    said: Mapping[str, tuple[str | None, ...]]


def conclusions(bodies: Iterator[bytes | None]) -> Iterator[Conclusion]:
    """Yield the conclusions among the log's entries, in its order; those of training cases are left out."""
    for body in bodies:
        # Most entries are none, and reading one whole takes far longer.
        if body is None or not any(mark in body for mark in _MARKS):
            continue
        try:
            entry = Entry.from_bytes(body)
        except VerificationError:
            continue  # Not one that Arbiter wrote: whoever verifies the log says so.
        if entry.type in _CONCLUDING and _TRAINING not in entry.versions:
            yield Conclusion(CaseId(entry.case), entry.seq)


async def count_case(house: House, found: Conclusion) -> Counted | None:
    """Return what is taken of a case, None where this is not the first conclusion of its panel, or the case is erased.

    Raises:
        VerificationError, NotFoundError, RefusedError: for a case that is not kept as it was written; ConfigurationError: when its key
            needs one that is not among this host's; UnavailableError: when database or token do not answer.
    """
    row = await load_case(house.store, found.case)
    if row.state.training or row.state.erasure is not None:
        return None
    check_not_erased(row)
    documents = await _opened(house, row, found)
    certificates = [(seq, content) for seq, name, content in documents if name == "certificate"]
    facts = [content for _, name, content in documents if name == "facts"]
    if not certificates or not facts or certificates[-1][0] != found.seq:
        raise VerificationError(f"entry {found.seq} of case {found.case} lacks what it commits to")
    try:
        *before, last = [decode(content) for _, content in certificates]
        if not _concludes(last) or any(_concludes(earlier) for earlier in before):
            return None
        protocol = await _protocol(house, row)
        return None if protocol is None else _counted(protocol, last, TakenFacts.decode(facts[-1]))
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        # Whatever it says, it may quote the case.
        raise VerificationError(
            f"what entry {found.seq} of case {found.case} commits to is not what was ever written: {type(error).__name__}"
        ) from None


async def _opened(house: House, row: CaseRow, found: Conclusion) -> list[tuple[int, str, bytes]]:
    sealed = await load_documents_named(house.store, row.id, ("certificate", "facts"), found.seq)
    key = house.vault.open_key(row.id, row.kek_id, row.wrapped_key)
    return [(seq, name, house.vault.open(key, seq, name, hidden)[1]) for seq, name, hidden in sealed]


async def _protocol(house: House, row: CaseRow) -> Protocol | None:
    """Return the protocol version a case was decided under, None for one that this release cannot read any more."""
    try:
        return (await house.shelf.fetch(house.store, row.protocol_hash)).protocol
    except UnavailableError:
        raise
    except ArbiterError:
        return None


def _concludes(certificate: Mapping[str, Any]) -> bool:
    """Tell whether its panel was heard and came to a decision or an escalation."""
    if certificate["verdict"]["kind"] == VerdictKind.ASK_FACTS:
        return False
    return any(opinion["status"] != _NOT_HEARD for opinion in certificate["opinions"])


def _counted(protocol: Protocol, certificate: Mapping[str, Any], taken: TakenFacts) -> Counted:
    if certificate["facts"]["hash"] != taken.hash:
        raise ValueError("expected a certificate of these facts")
    opinions = certificate["opinions"]
    numbers = {number["name"]: Decimal(number["value"]) for number in certificate["verdict"]["numbers"]}
    valid = [opinion for opinion in opinions if opinion["status"] == MemberStatus.VALID]
    reading = Reading(
        facts=protocol.question.fresh(taken.facts, taken.taken_at),
        total=numbers.get("total"),
        between=numbers.get("between"),
        valid=len(valid),
    )
    streams, asked = streams_of(protocol, facts_read(protocol)), compared_in(protocol)
    said = {
        asks: tuple(opinion.get("leading") for opinion in opinions if opinion["asks"] == asks)
        for asks in asked
    }
    return Counted(protocol, streams, asked, sort(protocol, streams, reading), said)


def compared_in(protocol: Protocol) -> tuple[str, ...]:
    """Return whatever at least two seats answer: the question, facets."""
    asked = [seat.asks for seat in protocol.seats]
    return tuple(
        asks for asks in (QUESTION, *(facet.id for facet in protocol.facets)) if asked.count(asks) > 1
    )
