"""What a passkey signed, checked with nothing but what the case keeps: the standard library and `cryptography`.

A browser's signature is over the authenticator's data and the hash of the client's data (Web Authentication Level 3, 7.2); the
client's data carry the challenge, which here is the hash of the decision. So the decision, the key, the place it was made for
and that a person was verified all hang on one signature. This shares no code with the library that checks it when it is made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from arbiter.audit.entry import Entry, commit
from arbiter.documents.canonical import decode
from arbiter.documents.reader import Reader, whole
from arbiter.documents.signing import ASKED_FOR, DecisionToSign, reason_hash_of, sha256_of, shown_from
from arbiter.errors import VerificationError
from arbiter.verifying.cose import check_signed, public_key

ADDED: Final = "passkey.added"
"""The type of the entry by which a passkey becomes somebody's."""

REGISTER: Final = "register"
"""The name under which that entry commits to its document."""

HOUSE: Final = "house"
"""The chain that it is of."""

_FLAGS_AT = 32
_PRESENT, _VERIFIED = 0x01, 0x04
_LEAST_AUTHENTICATOR = 37


@dataclass(frozen=True, slots=True)
class Registered:
    """How the register says whose a passkey is: the entry's number in the house's chain, and its document with the salt."""

    seq: int
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class PasskeySigned:
    """What a passkey signed, as a signature's document keeps it; `rp_id` is the place it is for, a host's name."""

    rp_id: str
    credential_id: bytes
    public_key: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes
    requested_at: datetime
    registered: Registered


def passkey_from(document: object) -> PasskeySigned:
    """Return what the member `passkey` of a signature's document says; raise RefusedError, VerificationError for anything else."""
    return whole(document, "/passkey", _passkey)


def _passkey(reader: Reader) -> PasskeySigned:
    return PasskeySigned(
        rp_id=reader.text("rp_id"),
        credential_id=_unspelt(reader.text("credential_id")),
        public_key=_unspelt(reader.text("public_key")),
        authenticator_data=_unspelt(reader.text("authenticator_data")),
        client_data=_unspelt(reader.text("client_data")),
        signature=_unspelt(reader.text("signature")),
        requested_at=reader.instant("requested_at"),
        registered=reader.one("registered", _registered),
    )


def _registered(reader: Reader) -> Registered:
    return Registered(
        reader.count("entry"), _unspelt(reader.text("salt")), reader.text("document").encode("utf-8")
    )


def check_passkey(signed: Mapping[str, Any]) -> PasskeySigned:
    """Check what a passkey signed against the signature's document it is kept in, and return it.

    That the register says so too is `check_registered`'s to say; that the document is the one the log commits to, the log's.

    Raises:
        VerificationError: naming what does not fit; RefusedError, KeyError, ValueError: for a document that is not whole.
    """
    kept = passkey_from(signed["passkey"])
    page = shown_from(signed["page"])
    decision = DecisionToSign(
        case=page.case,
        reviewer=signed["reviewer"],
        option=signed["option"],
        own_option=signed["own_option"] or None,
        reason_hash=reason_hash_of(signed["reason"]),
        meaning=signed["meaning"],
        shown=page.hash,
        requested_at=kept.requested_at,
    )
    _check_client_data(kept, decision.challenge)
    _check_authenticator(kept)
    content = kept.authenticator_data + hashlib.sha256(kept.client_data).digest()
    check_signed(public_key(kept.public_key), kept.signature, content)
    signed_at = datetime.fromisoformat(signed["signed_at"])
    if not kept.requested_at <= signed_at <= kept.requested_at + ASKED_FOR:
        raise VerificationError(f"expected a passkey's signature within {ASKED_FOR} of being asked for")
    _check_owner(kept, signed["reviewer"])
    return kept


def check_registered(kept: PasskeySigned, signed_at: datetime, entries: Iterable[Entry]) -> bool:
    """Check a passkey against the entry by which it became somebody's; return False where that entry is not among these.

    Raises:
        VerificationError: when the entry is another, or later than the signature.
    """
    for entry in entries:
        if (entry.case, entry.seq) != (HOUSE, kept.registered.seq):
            continue
        made = commit(REGISTER, kept.registered.salt, kept.registered.content)
        if entry.type != ADDED or (REGISTER, made) not in entry.commits:
            raise VerificationError("the register's entry does not say that this passkey is the signer's")
        if entry.at > signed_at:
            raise VerificationError("the passkey was entered in the register after it had signed")
        return True
    return False


def credential_hash(credential_id: bytes) -> str:
    """Return what the register calls a passkey by: the SHA-256 (hex) of its credential's id."""
    return sha256_of(credential_id)


def spelt(content: bytes) -> str:
    """Return bytes in base64url without padding (RFC 4648, 5)."""
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def is_for(origin: str, rp_id: str) -> bool:
    """Tell whether a passkey of that place may be used at an origin: https, or http on localhost, of that host or below it."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        whole_origin = f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and host == "localhost")
    return secure and origin == whole_origin and "@" not in origin and f".{host}".endswith(f".{rp_id}")


def _check_client_data(kept: PasskeySigned, challenge: bytes) -> None:
    try:
        told = json.loads(kept.client_data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise VerificationError("expected the client's data as JSON") from error
    if not isinstance(told, dict) or told.get("type") != "webauthn.get":
        raise VerificationError("expected the client's data of a passkey that was asked to sign")
    if told.get("challenge") != spelt(challenge):
        raise VerificationError("the passkey signed another decision than the one kept")
    origin = told.get("origin")
    if not isinstance(origin, str) or not is_for(origin, kept.rp_id):
        raise VerificationError("the passkey signed for another place than the one stated")
    if told.get("crossOrigin", False) is not False:
        raise VerificationError("the passkey was asked from within another site's page")


def _check_authenticator(kept: PasskeySigned) -> None:
    told = kept.authenticator_data
    if len(told) < _LEAST_AUTHENTICATOR:
        raise VerificationError(f"expected at least {_LEAST_AUTHENTICATOR} bytes of an authenticator's data")
    if told[:_FLAGS_AT] != hashlib.sha256(kept.rp_id.encode("utf-8")).digest():
        raise VerificationError("the authenticator signed for another place than the one stated")
    if told[_FLAGS_AT] & (_PRESENT | _VERIFIED) != _PRESENT | _VERIFIED:
        raise VerificationError("expected an authenticator that verified its user")


def _check_owner(kept: PasskeySigned, reviewer: str) -> None:
    said = decode(kept.registered.content)
    stated = tuple(said.get(name) for name in ("account", "credential", "public_key", "rp_id"))
    if stated != (reviewer, credential_hash(kept.credential_id), spelt(kept.public_key), kept.rp_id):
        raise VerificationError("the register's document is not about this passkey of the signer's")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key came twice")
    return dict(pairs)


def _unspelt(text: str) -> bytes:
    """Return the bytes of base64url without padding, refusing all but the one spelling."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content or spelt(content) != text:
        raise VerificationError("expected bytes in base64url without padding")
    return content
