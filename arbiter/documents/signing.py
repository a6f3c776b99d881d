"""What a signature is about: exactly what the reviewer was shown, the decision that is put to them, what became of their own opinion.

Both documents are canonical JSON. The hash of the first stands in the form and in the signature; the hash of the second is
the challenge that a passkey signs (Web Authentication Level 3, 13.4.3). An outsider makes both again from what the case keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from arbiter.documents.canonical import encode
from arbiter.documents.reader import Reader, whole
from arbiter.documents.scalars import instant_text

SHOWN_FORMAT: Final = "arbiter/shown/v1"
DECISION_FORMAT: Final = "arbiter/decision-to-sign/v1"
SIGNATURE_FORMAT: Final = "arbiter/signature/v2"
"""What a signature's document says it is; the first ones, which hold the hash of the certificate alone, say nothing."""

ASKED_FOR: Final = timedelta(minutes=5)
"""How long a passkey may take to sign what it was asked to."""


class Way(StrEnum):
    """By which two components somebody signed (21 CFR 11.200(a)(1))."""

    PASSWORD = "password"  # noqa: S105  (the name of a way)
    PASSKEY = "passkey"


class Fate(StrEnum):
    """What became of the opinion that a reviewer committed before the panel was shown.

    `adopted`: what the panel leant to is decided, after another opinion of the reviewer's own or none. `not-committed`: no
    opinion was given before, and what is decided is not what the panel leant to.
    """

    KEPT = "kept"
    CHANGED = "changed"
    ADOPTED = "adopted"
    NOT_COMMITTED = "not-committed"


def fate_of(option: str, own: str | None, leading: str | None) -> Fate:
    """Return what became of a reviewer's own opinion (None: none given), beside the panel's leading option (None: none leads)."""
    if own == option:
        return Fate.KEPT
    if option == leading:
        return Fate.ADOPTED
    return Fate.NOT_COMMITTED if own is None else Fate.CHANGED


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page with the form to sign was made from: each the SHA-256 (hex) of a document that the case keeps.

    `own` is the reviewer's opinion, None where none was given; `readers` are others' opinions and `handed` what was recorded when
    the case went from hand to hand (reasons, attendance, handover notes), each in the order they are shown;
    `context` is what the hospital told beside the facts, None where it told nothing. `meaning` is what the signature stands for.
    """

    case: str
    request: str
    facts: str
    certificate: str
    meaning: str
    own: str | None = None
    readers: tuple[str, ...] = ()
    context: str | None = None
    handed: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the document `arbiter/shown/v1`."""
        document: dict[str, Any] = {
            "format": SHOWN_FORMAT,
            "case": self.case,
            "request": self.request,
            "facts": self.facts,
            "certificate": self.certificate,
            "meaning": self.meaning,
            "readers": list(self.readers),
            "handed": list(self.handed),
        }
        if self.own is not None:
            document["own"] = self.own
        if self.context is not None:
            document["context"] = self.context
        return document

    @property
    def hash(self) -> str:
        """The SHA-256 (hex) of the document's bytes."""
        return sha256_of(encode(self.document()))


def shown_from(document: object) -> Shown:
    """Return what a document `arbiter/shown/v1` says; raise RefusedError for anything else."""
    return whole(document, "/page", _shown)


def _shown(reader: Reader) -> Shown:
    if reader.text("format") != SHOWN_FORMAT:
        raise reader.refuse("format", "unknown", f"expected {SHOWN_FORMAT}")
    return Shown(
        case=reader.text("case"),
        request=reader.text("request"),
        facts=reader.text("facts"),
        certificate=reader.text("certificate"),
        meaning=reader.text("meaning"),
        readers=reader.texts("readers"),
        handed=reader.texts("handed"),
        own=reader.optional_text("own"),
        context=reader.optional_text("context"),
    )


@dataclass(frozen=True, slots=True)
class DecisionToSign:
    """The decision that a passkey is asked to sign.

    `shown` is the hash of what was shown, `reason_hash` the SHA-256 (hex) of the reason, None without one.
    """

    case: str
    reviewer: str
    option: str
    own_option: str | None
    reason_hash: str | None
    meaning: str
    shown: str
    requested_at: datetime

    def document(self) -> dict[str, Any]:
        """Return the document `arbiter/decision-to-sign/v1`."""
        document: dict[str, Any] = {
            "format": DECISION_FORMAT,
            "case": self.case,
            "reviewer": self.reviewer,
            "option": self.option,
            "meaning": self.meaning,
            "shown": self.shown,
            "requested_at": instant_text(self.requested_at),
        }
        if self.own_option is not None:
            document["own_option"] = self.own_option
        if self.reason_hash is not None:
            document["reason_hash"] = self.reason_hash
        return document

    @property
    def challenge(self) -> bytes:
        """The SHA-256 of the document's bytes, 32 bytes: what the passkey signs."""
        return hashlib.sha256(encode(self.document())).digest()


def reason_hash_of(reason: str) -> str | None:
    """Return the SHA-256 (hex) of a reason, None where none was given."""
    return sha256_of(reason.encode()) if reason else None


def is_first_format(signature: Mapping[str, Any]) -> bool:
    """Tell whether a signature's document is of the first kind, which says no format."""
    return "format" not in signature


def sha256_of(content: bytes) -> str:
    """Return a document's SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
