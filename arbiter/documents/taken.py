"""The document `facts`: the facts of one version of a case, with the instant from which their ages count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from arbiter.documents.canonical import decode, encode
from arbiter.documents.facts import facts_document, facts_from, facts_hash
from arbiter.documents.scalars import instant_text
from arbiter.model import FactSet


@dataclass(frozen=True, slots=True)
class TakenFacts:
    """The facts of one version with the instant they were taken in, from which their ages count, and their hash."""

    facts: FactSet
    taken_at: datetime
    hash: str

    @classmethod
    def of(cls, facts: FactSet, taken_at: datetime) -> TakenFacts:
        """Return facts just taken in."""
        return cls(facts, taken_at, facts_hash(facts))

    def encode(self) -> bytes:
        """Return the document `facts`."""
        return encode({"taken_at": instant_text(self.taken_at), "facts": facts_document(self.facts)})

    @classmethod
    def decode(cls, content: bytes) -> TakenFacts:
        """Return what a document `facts` holds."""
        document = decode(content)
        return cls.of(facts_from(document["facts"]), datetime.fromisoformat(document["taken_at"]))
