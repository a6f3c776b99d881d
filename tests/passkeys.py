"""A passkey in software, as tests need one: it answers what a browser is asked, truthfully or with one lie at a time.

What it says is spelt by `cbor2` and `cryptography` alone, so that neither our own reading of keys nor py_webauthn checks itself.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PRESENT, VERIFIED, BACKED_UP, ATTESTED = 0x01, 0x04, 0x18, 0x40
KINDS = ("ES256", "EdDSA", "RS256")


def text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def content(spelt: str) -> bytes:
    return urlsafe_b64decode(spelt + "=" * (-len(spelt) % 4))


def _key(kind: str) -> EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey:
    match kind:
        case "ES256":
            return generate_ec(SECP256R1())
        case "EdDSA":
            return Ed25519PrivateKey.generate()
        case _:
            return generate_rsa(65537, 2048)


@dataclass
class SoftPasskey:
    """One credential; `lies` are given by name to `make` and `sign`."""

    kind: str = "ES256"
    rp_id: str = "localhost"
    origin: str = "http://localhost:8400"
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        self.key = _key(self.kind)

    @property
    def cose(self) -> bytes:
        public = self.key.public_key()
        if isinstance(self.key, EllipticCurvePrivateKey):
            point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}, canonical=True)
        if isinstance(self.key, Ed25519PrivateKey):
            raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: raw}, canonical=True)
        numbers = self.key.public_key().public_numbers()
        n, e = (value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.n, numbers.e))
        return cbor2.dumps({1: 3, 3: -257, -1: n, -2: e}, canonical=True)

    def make(self, options: str, **lies: Any) -> str:
        """Answer PublicKeyCredentialCreationOptions with a RegistrationResponseJSON."""
        asked = json.loads(options)
        client = self.client_data("webauthn.create", asked["challenge"], **lies)
        flags = lies.get("flags", PRESENT | VERIFIED) | ATTESTED
        identity = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        told = self.authenticator_data(flags, **lies) + identity + lies.get("cose", self.cose)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": told})
        return self.answer({"attestationObject": text(attestation), "clientDataJSON": text(client)})

    def sign(self, options: str, **lies: Any) -> str:
        """Answer PublicKeyCredentialRequestOptions with an AuthenticationResponseJSON."""
        asked = json.loads(options)
        client = self.client_data("webauthn.get", lies.get("challenge", asked["challenge"]), **lies)
        if "count" not in lies:
            self.count += 1
        told = self.authenticator_data(lies.get("flags", PRESENT | VERIFIED), **lies)
        signed = lies.get("signed", told + hashlib.sha256(client).digest())
        return self.answer(
            {
                "authenticatorData": text(told),
                "clientDataJSON": text(client),
                "signature": text(self.signature(signed)),
            }
        )

    def client_data(self, kind: str, challenge: str, /, **lies: Any) -> bytes:
        told = {
            "type": lies.get("type", kind),
            "challenge": challenge,
            "origin": lies.get("origin", self.origin),
            "crossOrigin": lies.get("cross_origin", False),
        }
        return json.dumps(told, separators=(",", ":")).encode()

    def authenticator_data(self, flags: int, /, **lies: Any) -> bytes:
        place = hashlib.sha256(lies.get("rp_id", self.rp_id).encode()).digest()
        return bytes(place + bytes([flags]) + lies.get("count", self.count).to_bytes(4, "big"))

    def signature(self, signed: bytes) -> bytes:
        if isinstance(self.key, EllipticCurvePrivateKey):
            return self.key.sign(signed, ECDSA(SHA256()))
        if isinstance(self.key, Ed25519PrivateKey):
            return bytes(self.key.sign(signed))
        return self.key.sign(signed, PKCS1v15(), SHA256())

    def answer(self, response: dict[str, str]) -> str:
        identity = text(self.credential_id)
        told = {
            "id": identity,
            "rawId": identity,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
        return json.dumps(told)
