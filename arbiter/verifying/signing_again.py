"""Checks every signature that an export shows: what it says was shown, and what a passkey signed, by whose key.

A password leaves nothing that an outsider could check: of such a signature the house's own word is all there is, and it is said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from arbiter.adjudication.signatures import check_signature
from arbiter.audit.entry import Entry
from arbiter.audit.export.checking import Evidence
from arbiter.audit.export.layout import ENTRIES, ExportedEntry
from arbiter.audit.export.reading import Members, lines_of
from arbiter.audit.openings import Disclosed
from arbiter.documents.canonical import decode
from arbiter.errors import ArbiterError
from arbiter.verifying.passkeys import HOUSE, PasskeySigned, check_passkey, check_registered

UNREADABLE = (ArbiterError, KeyError, TypeError, ValueError, AttributeError)
"""What stands for a signature that does not check out, or cannot be read."""


@dataclass(frozen=True, slots=True)
class SignedAgain:
    """What checking one signature says, in words."""

    case: str
    seq: int
    good: bool
    said: str


def check_signatures(members: Members, evidence: Evidence) -> Iterator[SignedAgain]:
    """Yield what is found of every signature shown."""
    complete = {chain.case for chain in evidence.chains if chain.complete}
    house: tuple[Entry, ...] | None = None
    for case, (_, documents) in evidence.disclosed.items():
        ordered = sorted(documents, key=lambda kept: (kept.seq, kept.name))
        for document in ordered:
            if document.name != "signature":
                continue
            try:
                if case in complete:
                    check_signature(case, ordered, document)
                signed = decode(document.content)
                if "passkey" not in signed:
                    said = "signed with login and password, by the house's word"
                else:
                    house = _house_entries(members) if house is None else house
                    said = _passkey_said(document, house)
                yield SignedAgain(case, document.seq, good=True, said=said)
            except UNREADABLE as error:
                said = str(error) if isinstance(error, ArbiterError) else "the signature cannot be read"
                yield SignedAgain(case, document.seq, good=False, said=said)


def _passkey_said(document: Disclosed, house: tuple[Entry, ...]) -> str:
    signed = decode(document.content)
    kept: PasskeySigned = check_passkey(signed)
    registered = check_registered(kept, datetime.fromisoformat(signed["signed_at"]), house)
    whose = (
        f"which entry {kept.registered.seq} of the register gives to {signed['reviewer']}"
        if registered
        else "key as stated in the case: the register's entry about it is not in this export"
    )
    return f"signed with a passkey of {kept.rp_id}, its user verified; {whose}"


def _house_entries(members: Members) -> tuple[Entry, ...]:
    """Return the entries shown of the house's chain; that they are the log's was checked before."""
    entries = (Entry.from_bytes(ExportedEntry.parse(line).body) for line in lines_of(members, ENTRIES))
    return tuple(entry for entry in entries if entry.case == HOUSE)
