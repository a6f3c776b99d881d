"""The log's second signature: ML-DSA-44 (FIPS 204), which a quantum computer does not forge.

It stands on published checkpoints beside Ed25519's, as a C2SP tlog-cosignature of type 0x06 under the log's own name.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from arbiter.audit.note import MAX_TIMESTAMP, TIMESTAMP_BYTES, SignatureType, VerifierKey
from arbiter.audit.subtree import subtree_message

SEED_BYTES = 32


class MlDsa44Key:
    """A private key by its 32-byte seed (FIPS 204's xi); `at` makes the signer of one moment."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = MLDSA44PrivateKey.from_seed_bytes(seed)
        self._public = VerifierKey(
            name, SignatureType.MLDSA44_COSIGNATURE, self._key.public_key().public_bytes_raw()
        )

    @property
    def name(self) -> str:
        """The key's name."""
        return self._public.name

    @property
    def verifier_key(self) -> str:
        """The public half as a verifier key string: about 1,800 characters."""
        return self._public.encode()

    def at(self, timestamp_seconds: int) -> MlDsa44Cosigner:
        """Return the signer that signs as of a POSIX time, in whole seconds and not 0."""
        return MlDsa44Cosigner(self, timestamp_seconds)

    def sign_raw(self, message: bytes) -> bytes:
        """Return the 2,420-byte signature over a message, hedged (not deterministic), with an empty context."""
        return self._key.sign(message)


class MlDsa44Cosigner:
    """Signs checkpoints as `key` at one POSIX time."""

    def __init__(self, key: MlDsa44Key, timestamp_seconds: int) -> None:
        # 0 would say nothing of when the log stood so.
        if not 0 < timestamp_seconds <= MAX_TIMESTAMP:
            raise ValueError(f"timestamp {timestamp_seconds} is out of range")
        self._key = key
        self._timestamp = timestamp_seconds

    @property
    def name(self) -> str:
        """The key's name."""
        return self._key.name

    @property
    def verifier_key(self) -> str:
        """The public half as a verifier key string."""
        return self._key.verifier_key

    def sign(self, message: bytes) -> bytes:
        """Return the timestamp (u64be) and the signature over the checkpoint whose text `message` is."""
        signature = self._key.sign_raw(subtree_message(message, self.name, self._timestamp))
        return self._timestamp.to_bytes(TIMESTAMP_BYTES, "big") + signature
