"""The document `context`: what was known of a patient before, and texts of the record, for the clinician's eyes alone.

INVARIANT: no member, rule, verdict or certificate reads it. It is sealed beside `request` and `facts` with the entry that took it
in, and a case without any has no such document.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from arbiter.documents.canonical import decode, encode
from arbiter.documents.facts import fact_document, read_fact
from arbiter.documents.reader import Reader, whole
from arbiter.documents.scalars import instant_text
from arbiter.model import Fact

CONTEXT = "context"
"""The document's name."""

CONTEXT_FORMAT = "arbiter/context/v1"


@dataclass(frozen=True, slots=True)
class RecordText:
    """A text of the patient's record, plain: what it is called, what kind it is, when and in what role it was written."""

    title: str
    kind: str
    written_at: datetime
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """Earlier observations, oldest first, and texts, oldest first. Observations of one fact may be many."""

    history: tuple[Fact, ...] = ()
    documents: tuple[RecordText, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing."""
        return not self.history and not self.documents

    def joined(self, later: Context) -> Context:
        """Return both together, what both hold once."""
        return Context(
            tuple(sorted({*self.history, *later.history}, key=_when_observed)),
            tuple(sorted({*self.documents, *later.documents}, key=_when_written)),
        )

    def encode(self) -> bytes:
        """Return the document `context`."""
        return encode(
            {
                "format": CONTEXT_FORMAT,
                "history": [fact_document(fact) for fact in self.history],
                "documents": [
                    {
                        "title": each.title,
                        "kind": each.kind,
                        "written_at": instant_text(each.written_at),
                        "author": each.author,
                        "text": each.text,
                    }
                    for each in self.documents
                ],
            }
        )

    @classmethod
    def decode(cls, content: bytes) -> Context:
        """Return what a document `context` holds.

        Raises:
            RefusedError: when it is not exactly such a form.
        """
        return whole(decode(content), "", _read)


def _when_observed(fact: Fact) -> tuple[datetime, str, str]:
    return fact.observed_at, fact.name, str(fact.value)


def _when_written(each: RecordText) -> tuple[datetime, str, str]:
    return each.written_at, each.title, each.text


def _read(reader: Reader) -> Context:
    if reader.text("format") != CONTEXT_FORMAT:
        raise reader.refuse("format", "unknown", f"expected {CONTEXT_FORMAT}")
    return Context(reader.each("history", read_fact), reader.each("documents", _read_text))


def _read_text(reader: Reader) -> RecordText:
    return RecordText(
        title=reader.text("title"),
        kind=reader.text("kind"),
        written_at=reader.instant("written_at"),
        author=reader.text("author"),
        text=reader.text("text"),
    )
