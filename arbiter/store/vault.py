"""Keeps case content secret: AES-256-GCM under a key per case, that key wrapped by a key-encryption key.

A sealed document opens only in the place it was sealed for: case, sequence number, name and format version are
authenticated with it. Destroying a case's wrapped key erases the case's content from the database for good.

Case keys are wrapped with AES-256-GCM too, rather than RFC 3394 key wrap, because GCM authenticates the case and
the wrapping key's id along with the key, so that a wrapped key moved to another case's row does not open.
Nonces are random, 96 bits (NIST SP 800-38D 8.2.2): safe for 2^32 seals under one key, far more than a case has
documents; a key-encryption key is to be rotated before it has wrapped that many. One that lies in a token does the same
there: each case that is taken in or opened then waits for the token, and raises UnavailableError when it is away.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from arbiter.errors import ConfigurationError, VerificationError
from arbiter.model import CaseId
from arbiter.ports import Chance
from arbiter.store.keys import KEY_BYTES, HardwareKek, Kek, Keyring, kek_number

SALT_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_DOCUMENT = b"arbiter/document/v1"
_CASE_KEY = b"arbiter/case-key/v1"
_SECRET = b"arbiter/secret/v1"
_MAC = b"arbiter/mac/v1"


@dataclass(frozen=True, slots=True)
class CaseKey:
    """One case's content key (32 bytes) with the form in which it is stored."""

    case_id: CaseId
    key: bytes = field(repr=False)
    kek_id: str
    wrapped: bytes = field(repr=False)


class Vault:
    """Seals and opens documents, and makes keyed fingerprints. Pure computation: it stores nothing."""

    def __init__(self, keyring: Keyring, chance: Chance) -> None:
        self._keyring = keyring
        self._chance = chance
        self._current_kek = keyring.current_kek
        self._keks = {kek_id: _cipher(key) for kek_id, key in keyring.keks.items()}
        self._index_key = keyring.index_key

    def new_key(self, case_id: CaseId) -> CaseKey:
        """Make a case's key, wrapped under the current key-encryption key."""
        return self._wrap(case_id, self._chance.token(KEY_BYTES))

    def _wrap(self, case_id: CaseId, key: bytes) -> CaseKey:
        kek_id = self._current_kek
        nonce = self._chance.token(_NONCE_BYTES)
        wrapped = nonce + self._keks[kek_id].encrypt(nonce, key, _key_place(case_id, kek_id))
        return CaseKey(case_id, key, kek_id, wrapped)

    def open_key(self, case_id: CaseId, kek_id: str, wrapped: bytes) -> CaseKey:
        """Unwrap a stored key; raise VerificationError when it was wrapped for another case or was changed."""
        kek = self._find(kek_id)
        if kek is None:
            raise ConfigurationError(f"case {case_id} needs {kek_id}, which is not among the keys")
        try:
            key = kek.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _key_place(case_id, kek_id))
        except (InvalidTag, ValueError):
            raise VerificationError(f"the key of case {case_id} does not open under {kek_id}") from None
        return CaseKey(case_id, key, kek_id, wrapped)

    def rewrap_key(self, case_id: CaseId, kek_id: str, wrapped: bytes) -> CaseKey:
        """Return a stored key wrapped anew under the current key-encryption key; raises as `open_key`."""
        return self._wrap(case_id, self.open_key(case_id, kek_id, wrapped).key)

    def seal(self, case_key: CaseKey, seq: int, name: str, salt: bytes, content: bytes) -> bytes:
        """Return nonce || ciphertext || tag of `salt` (32 bytes) and `content`, bound to case, `seq` and `name`."""
        if len(salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, came {len(salt)}")
        nonce = self._chance.token(_NONCE_BYTES)
        place = _document_place(case_key.case_id, seq, name)
        return nonce + AESGCM(case_key.key).encrypt(nonce, salt + content, place)

    def open(self, case_key: CaseKey, seq: int, name: str, ciphertext: bytes) -> tuple[bytes, bytes]:
        """Return (salt, content); raise VerificationError when any bit or the document's place is not the sealed one."""
        where = f"document {name!r} of entry {seq} of case {case_key.case_id}"
        if len(ciphertext) < _NONCE_BYTES + SALT_BYTES + _TAG_BYTES:
            raise VerificationError(f"{where} is cut short at {len(ciphertext)} bytes")
        place = _document_place(case_key.case_id, seq, name)
        try:
            plain = AESGCM(case_key.key).decrypt(ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:], place)
        except InvalidTag:
            raise VerificationError(f"{where} does not open: it was changed or moved") from None
        return plain[:SALT_BYTES], plain[SALT_BYTES:]

    def seal_secret(self, owner: str, secret: bytes) -> tuple[str, bytes]:
        """Return the current key-encryption key's id and the secret sealed under it, bound to its owner's id."""
        kek_id = self._current_kek
        nonce = self._chance.token(_NONCE_BYTES)
        return kek_id, nonce + self._keks[kek_id].encrypt(nonce, secret, _secret_place(owner, kek_id))

    def open_secret(self, owner: str, kek_id: str, sealed: bytes) -> bytes:
        """Return a sealed secret; raise VerificationError when it was sealed for another owner or was changed."""
        kek = self._find(kek_id)
        if kek is None:
            raise ConfigurationError(f"the secret of {owner} needs {kek_id}, which is not among the keys")
        try:
            return kek.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _secret_place(owner, kek_id))
        except (InvalidTag, ValueError):
            raise VerificationError(f"the secret of {owner} does not open under {kek_id}") from None

    @property
    def current_kek(self) -> str:
        """The id of the key-encryption key that new keys are wrapped under."""
        return self._current_kek

    def take_up(self, kek_id: str) -> None:
        """Wrap under this key-encryption key from now on, where it is newer than the present one.

        Raises:
            ConfigurationError: when it is not among the keys.
        """
        if self._find(kek_id) is None:
            raise ConfigurationError(f"{kek_id} is not among the keys")

    def _find(self, kek_id: str) -> AESGCM | HardwareKek | None:
        """Return a key-encryption key; one that came into the folder since the start is taken up, a newer one for new keys."""
        kek = self._keks.get(kek_id)
        if kek is None and (key := self._keyring.find_kek(kek_id)) is not None:
            kek = self._keks[kek_id] = _cipher(key)
            if kek_number(kek_id) > kek_number(self._current_kek):
                self._current_kek = kek_id
        return kek

    def mac(self, purpose: str, *parts: bytes) -> bytes:
        """Return HMAC-SHA-256 (32 bytes) of the parts, in order, under the index key.

        Purposes never collide: a subject's fingerprint says nothing about an encounter's of the same text.
        """
        return hmac.digest(self._index_key, _joined(_MAC, purpose.encode(), *parts), "sha256")


def _cipher(key: Kek) -> AESGCM | HardwareKek:
    return AESGCM(key) if isinstance(key, bytes) else key


def _document_place(case_id: CaseId, seq: int, name: str) -> bytes:
    return _joined(_DOCUMENT, case_id.encode(), seq.to_bytes(8, "big"), name.encode())


def _key_place(case_id: CaseId, kek_id: str) -> bytes:
    return _joined(_CASE_KEY, case_id.encode(), kek_id.encode())


def _secret_place(owner: str, kek_id: str) -> bytes:
    return _joined(_SECRET, owner.encode(), kek_id.encode())


def _joined(*parts: bytes) -> bytes:
    # Lengths in front make the joining injective: no two lists of parts share their bytes.
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
