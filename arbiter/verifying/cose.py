"""Public keys as passkeys state them: COSE_Key (RFC 9052, 7) in CTAP2 canonical CBOR, of the three kinds that are taken.

Read strictly: exactly the members of a kind, in their canonical order, each in its shortest form, and nothing behind them. So
each key has one spelling, and whoever changes a byte of one has another key or none.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from arbiter.errors import VerificationError

ES256: Final = -7
EDDSA: Final = -8
RS256: Final = -257
ALGORITHMS: Final = (EDDSA, ES256, RS256)
"""Registered in RFC 9053 and RFC 8812: Ed25519, ECDSA on P-256 and RSA (PKCS #1 v1.5), the latter two with SHA-256."""

LEAST_RSA_BITS: Final = 2048

PublicKey: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

_KTY, _ALG = 1, 3
_LONGEST = 1_100
_ADDED = {24: 1, 25: 2}
_MEMBERS = {
    (1, EDDSA): (_KTY, _ALG, -1, -2),
    (2, ES256): (_KTY, _ALG, -1, -2, -3),
    (3, RS256): (_KTY, _ALG, -1, -2),
}


def public_key(cose: bytes) -> PublicKey:
    """Return the public key that a COSE_Key spells.

    Raises:
        VerificationError: for anything but the one spelling of an Ed25519, P-256 or RSA key of at least 2048 bits.
    """
    members = dict(pairs := _pairs(cose))
    kind = (members.get(_KTY), members.get(_ALG))
    if tuple(label for label, _ in pairs) != _MEMBERS.get(kind):  # type: ignore[arg-type]  # other kinds are in no row
        raise _unfit("a key of another kind, or other members")
    try:
        match kind:
            case (1, _):
                return _ed25519(members)
            case (2, _):
                return _p256(members)
            case _:
                return _rsa(members)
    except ValueError as error:
        raise _unfit("numbers that make no key") from error


def check_signed(key: PublicKey, signature: bytes, content: bytes) -> None:
    """Raise VerificationError unless the key has signed the content."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, content)
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, content, ECDSA(SHA256()))
        else:
            key.verify(signature, content, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise VerificationError("the passkey's signature is not by its key over this decision") from None


def _ed25519(members: dict[int, int | bytes]) -> PublicKey:
    if members[-1] != 6:
        raise _unfit("another curve")
    return Ed25519PublicKey.from_public_bytes(_bytes(members[-2], 32))


def _p256(members: dict[int, int | bytes]) -> PublicKey:
    if members[-1] != 1:
        raise _unfit("another curve")
    x, y = (int.from_bytes(_bytes(members[label], 32), "big") for label in (-2, -3))
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()


def _rsa(members: dict[int, int | bytes]) -> PublicKey:
    n, e = (int.from_bytes(_bytes(members[label]), "big") for label in (-1, -2))
    if n.bit_length() < LEAST_RSA_BITS:
        raise _unfit("an RSA key that is too short")
    return RSAPublicNumbers(e, n).public_key()


def _bytes(value: int | bytes, length: int | None = None) -> bytes:
    """Return a member's bytes: exactly so many, or a number without leading zeros."""
    if not isinstance(value, bytes) or len(value) != (length or len(value)) or not value:
        raise _unfit("a member of another type or length")
    if length is None and value[0] == 0:
        raise _unfit("a number with leading zeros")
    return value


def _pairs(cose: bytes) -> list[tuple[int, int | bytes]]:
    """Return a CBOR map of integers to integers or byte strings, in the order in which it is spelt."""
    if len(cose) > _LONGEST:
        raise _unfit("more bytes than a key has")
    major, size, at = _head(cose, 0)
    if major != 5:
        raise _unfit("no map")
    pairs: list[tuple[int, int | bytes]] = []
    for _ in range(size):
        label, at = _item(cose, at)
        value, at = _item(cose, at)
        if not isinstance(label, int):
            raise _unfit("a label that is no integer")
        pairs.append((label, value))
    if at != len(cose):
        raise _unfit("bytes behind its end")
    return pairs


def _item(cose: bytes, at: int) -> tuple[int | bytes, int]:
    major, value, at = _head(cose, at)
    match major:
        case 0:
            return value, at
        case 1:
            return -1 - value, at
        case 2 if at + value <= len(cose):
            return cose[at : at + value], at + value
        case _:
            raise _unfit("a member of another type, or cut off")


def _head(cose: bytes, at: int) -> tuple[int, int, int]:
    """Return an item's major type, its argument in the shortest form, and where its content begins (RFC 8949, 3)."""
    if at >= len(cose):
        raise _unfit("one that is cut off")
    major, short = cose[at] >> 5, cose[at] & 0x1F
    if short < 24:
        return major, short, at + 1
    length = _ADDED.get(short, 0)
    content = cose[at + 1 : at + 1 + length]
    value = int.from_bytes(content, "big")
    if not length or len(content) != length or value < (24 if length == 1 else 256):
        raise _unfit("a number that is not in its shortest form")
    return major, value, at + 1 + length


def _unfit(what: str) -> VerificationError:
    return VerificationError(f"expected a passkey's public key (Ed25519, P-256 or RSA), came {what}")
