"""A log as its witnesses see it, and one that forks: trees by the naive code of RFC 6962, signed with a key of the test's."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from arbiter.audit.note import Ed25519NoteSigner, VerifierKey, sign_note
from tests.audit import naive

ORIGIN = "log.hospital.example/arbiter"
SIGNER = Ed25519NoteSigner(ORIGIN, sha256(b"a log's key").digest())
LOG_KEY = VerifierKey.parse(SIGNER.verifier_key)
STRANGER = Ed25519NoteSigner(ORIGIN, sha256(b"somebody else's key").digest())


@dataclass(frozen=True)
class Tree:
    """A history: leaves of one name up to `fork`, of another beyond it."""

    name: str = "main"
    fork: int = 0

    def leaves(self, size: int) -> list[bytes]:
        return [
            naive.leaf(f"{'main' if index < self.fork else self.name} {index}".encode())
            for index in range(size)
        ]

    def body(self, size: int, origin: str = ORIGIN, extension: str = "") -> str:
        root = base64.b64encode(naive.mth(self.leaves(size))).decode()
        return f"{origin}\n{size}\n{root}\n{extension}"

    def note(self, size: int, signer: Ed25519NoteSigner = SIGNER, extension: str = "") -> bytes:
        return sign_note(self.body(size, signer.name, extension), [signer])

    def proof(self, old: int, size: int) -> list[bytes]:
        return naive.proof(old, self.leaves(size)) if 0 < old < size else []

    def request(self, old: int, size: int, *, note: bytes | None = None) -> bytes:
        return request(old, self.proof(old, size), self.note(size) if note is None else note)


def request(old: int | str, proof: Iterable[bytes], note: bytes) -> bytes:
    """The body of `add-checkpoint`, spelt here and not by the code under test."""
    lines = [f"old {old}", *(base64.b64encode(hash_).decode() for hash_ in proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


MAIN = Tree()
