"""The document `outcome`: what turned out to be right for the patient, as somebody told who knows it without the panel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from arbiter.documents.canonical import decode, encode, refusal
from arbiter.documents.reader import Reader, whole
from arbiter.documents.scalars import instant_text

FORMAT: Final = "arbiter/outcome/v1"


class OutcomeKind(StrEnum):
    """How it is known. A decision taken after seeing the panel leans to what the panel said, and is neither."""

    OUTCOME = "outcome"
    """What happened to the patient showed it."""
    INDEPENDENT_READER = "independent reader"
    """A clinician judged the case without having seen what the panel said."""


@dataclass(frozen=True, slots=True)
class KnownOutcome:
    """The option that was right, how and since when (aware) that is known, and who says so; `note` is empty where none came."""

    option: str
    kind: OutcomeKind
    observed_at: datetime
    source: str
    note: str = ""

    def encode(self) -> bytes:
        """Return the document."""
        return encode(
            {
                "format": FORMAT,
                "option": self.option,
                "kind": self.kind.value,
                "observed_at": instant_text(self.observed_at),
                "source": self.source,
                "note": self.note,
            }
        )

    @classmethod
    def decode(cls, content: bytes) -> KnownOutcome:
        """Return what a document holds.

        Raises:
            RefusedError: when it is not exactly one that `encode` writes.
        """
        return whole(decode(content), "", _read)


def _read(reader: Reader) -> KnownOutcome:
    if reader.text("format") != FORMAT:
        raise refusal("/format", "format", f"expected {FORMAT}")
    return KnownOutcome(
        option=reader.text("option"),
        kind=reader.one_of("kind", OutcomeKind),
        observed_at=reader.instant("observed_at"),
        source=reader.text("source"),
        note=reader.text("note"),
    )
