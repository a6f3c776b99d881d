"""Files in the format age (https://c2sp.org/age), in pieces of constant memory: what backups are encrypted with.

A published format rather than one of our own, so that `age --decrypt` opens a backup without anything of Arbiter. `stanzas`
wraps the file's key for a passphrase or a public key, `bech32` spells such keys, and `stream` encrypts what follows.
"""

from arbiter.store.age.stanzas import Identity, Passphrase, Recipient, X25519Identity, X25519Recipient
from arbiter.store.age.stream import AgeReader, AgeWriter

__all__ = [
    "AgeReader",
    "AgeWriter",
    "Identity",
    "Passphrase",
    "Recipient",
    "X25519Identity",
    "X25519Recipient",
]
