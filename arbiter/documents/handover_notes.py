"""The document `note`: what a reviewer who hands a case on wrote for whoever takes it next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from arbiter.documents.canonical import decode, encode, refusal
from arbiter.documents.reader import Reader, whole
from arbiter.documents.scalars import instant_text

FORMAT: Final = "arbiter/handover-note/v1"


@dataclass(frozen=True, slots=True)
class HandoverNote:
    """Who wrote it (an account's id, and the name it had), when (aware), for whom (an id, empty for whoever comes), and what."""

    by: str
    name: str
    at: datetime
    to: str
    note: str

    def encode(self) -> bytes:
        """Return the document."""
        return encode(
            {
                "format": FORMAT,
                "by": self.by,
                "name": self.name,
                "at": instant_text(self.at),
                "to": self.to,
                "note": self.note,
            }
        )

    @classmethod
    def decode(cls, content: bytes) -> HandoverNote:
        """Return what a document holds.

        Raises:
            RefusedError: when it is not exactly one that `encode` writes.
        """
        return whole(decode(content), "", _read)


def _read(reader: Reader) -> HandoverNote:
    if reader.text("format") != FORMAT:
        raise refusal("/format", "format", f"expected {FORMAT}")
    return HandoverNote(
        by=reader.text("by"),
        name=reader.text("name"),
        at=reader.instant("at"),
        to=reader.text("to"),
        note=reader.text("note"),
    )
