"""A signature beside what its case keeps: what it says was shown must be what was there to be shown.

That the signature's own document is the one the log commits to, `arbiter.audit.openings` says; what a passkey signed is checked
in `arbiter.verifying`. Here each hash that the document states is made again from the case's documents before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from typing import Protocol as Structure

from arbiter.adjudication.certificate import Signature
from arbiter.documents.canonical import decode
from arbiter.documents.signing import (
    SIGNATURE_FORMAT,
    Fate,
    Shown,
    Way,
    fate_of,
    is_first_format,
    reason_hash_of,
    sha256_of,
    shown_from,
)
from arbiter.errors import VerificationError


class Kept(Structure):
    """A document of a case, opened."""

    @property
    def seq(self) -> int:
        """The entry that commits to it."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def content(self) -> bytes:
        """Its bytes."""
        ...


def signature_block(signed: Mapping[str, Any]) -> Signature:
    """Return what a certificate says of a signature's document, of the first format or of today's.

    Raises:
        VerificationError: for a format that this code does not know; RefusedError, KeyError: for one that is not whole.
    """
    first = is_first_format(signed)
    if not first and signed["format"] != SIGNATURE_FORMAT:
        raise VerificationError(
            f"expected a signature {SIGNATURE_FORMAT}, came one that this code does not know"
        )
    return Signature(
        reviewer=signed["reviewer"],
        option=signed["option"],
        own_option=signed["own_option"] or None,
        meaning=signed["meaning"],
        reason_hash=reason_hash_of(signed["reason"]),
        signed_at=datetime.fromisoformat(signed["signed_at"]),
        fate=None if first else Fate(signed["own_opinion"]),
        way=None if first else Way(signed["way"]),
        shown=None if first else shown_from(signed["page"]).hash,
    )


def check_signature(case: str, documents: Sequence[Kept], kept: Kept) -> None:
    """Check that a signature is about what its case's `documents`, oldest first, say was shown.

    Raises:
        VerificationError: naming what is not as it was shown; RefusedError, KeyError, ValueError: for one that is not whole.
    """
    signed = decode(kept.content)
    before = [document for document in documents if document.seq < kept.seq]
    certificate = _latest(before, "certificate")
    if certificate is None or signed["shown"] != sha256_of(certificate.content):
        raise _unlike("certificate")
    if is_first_format(signed):
        return
    page = shown_from(signed["page"])
    expected = (case, signed["meaning"], signed["shown"])
    if (page.case, page.meaning, page.certificate) != expected:
        raise _unlike("case, meaning or certificate")
    for name, stated in (("request", page.request), ("facts", page.facts), ("context", page.context)):
        found = _latest(before, name)
        if stated != (None if found is None else sha256_of(found.content)):
            raise _unlike(name)
    _check_opinions(before, page, signed)
    leading = decode(certificate.content)["verdict"].get("leading")
    if signed["own_opinion"] != fate_of(signed["option"], signed["own_option"] or None, leading).value:
        raise VerificationError("the signature: what became of the own opinion is not what it says")
    if (signed["way"] == Way.PASSKEY) != ("passkey" in signed):
        raise VerificationError(
            "the signature: expected a passkey's signature with that way, and with no other"
        )


def _check_opinions(before: Sequence[Kept], page: Shown, signed: Mapping[str, Any]) -> None:
    kept = {sha256_of(document.content): document for document in before}
    if (page.own is None) != (signed["own_option"] == ""):
        raise _unlike("own opinion")
    if page.own is not None:
        own = kept.get(page.own)
        said = {} if own is None else decode(own.content)
        if (said.get("reviewer"), said.get("option")) != (signed["reviewer"], signed["own_option"]):
            raise _unlike("own opinion")
    for reader in page.readers:
        if not _is(kept.get(reader), "review") or reader == page.own:
            raise _unlike("another reader's opinion")
    for handed in page.handed:
        if not _is(kept.get(handed), "reason", "attendance"):
            raise _unlike("way from hand to hand")


def _is(kept: Kept | None, *names: str) -> bool:
    return kept is not None and kept.name in names


def _latest(before: Sequence[Kept], name: str) -> Kept | None:
    return next((kept for kept in reversed(before) if kept.name == name), None)


def _unlike(what: str) -> VerificationError:
    return VerificationError(f"the signature: the {what} it says was shown is not the one kept before it")
