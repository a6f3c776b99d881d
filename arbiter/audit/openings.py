"""Documents against the commitments of a case's entries: what is gone, what is another's, what nobody committed to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from arbiter.audit.entry import Entry, commit


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A document of a case with its salt: the entry `seq` commits to it under `name`."""

    seq: int
    name: str
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Misfit:
    """A document that does not fit its case's entries; `detail` says how."""

    seq: int
    name: str
    detail: str


def misfits(entries: Iterable[Entry], documents: Iterable[Disclosed]) -> Iterator[Misfit]:
    """Yield every document of a case that is not the one its entries commit to, or that they do and is not there."""
    kept = {(document.seq, document.name): document for document in documents}
    for entry in entries:
        for name, commitment in entry.commits:
            document = kept.pop((entry.seq, name), None)
            if document is None:
                yield Misfit(entry.seq, name, "GONE, and this entry commits to it")
            elif not _opens(document, commitment):
                yield Misfit(entry.seq, name, "NOT WHAT this entry commits to")
    for seq, name in kept:
        yield Misfit(seq, name, "ADDED, and no entry commits to it")


def _opens(document: Disclosed, commitment: str) -> bool:
    try:
        return commit(document.name, document.salt, document.content) == commitment
    except ValueError:
        return False
