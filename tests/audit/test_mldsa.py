"""The second signature: ML-DSA-44 on checkpoints, laid out as C2SP tlog-cosignature says."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import (
    Ed25519Cosigner,
    Ed25519NoteSigner,
    NoteSignature,
    SignatureType,
    VerifierKey,
    parse_note,
    sign_note,
)
from arbiter.audit.subtree import subtree_message
from arbiter.errors import VerificationError

VECTOR = json.loads(Path(__file__).with_name("mldsa_44_vector.json").read_text())
ORIGIN = "log.hospital.example/arbiter"
AT = 1_772_366_400
CHECKPOINT = Checkpoint(ORIGIN, 4711, sha256(b"root").digest())
FIRST = Ed25519NoteSigner(ORIGIN, b"1" * 32)
SECOND = MlDsa44Key(ORIGIN, b"2" * 32)
KEYS = (VerifierKey.parse(FIRST.verifier_key), VerifierKey.parse(SECOND.verifier_key))
NOTE = sign_checkpoint(CHECKPOINT, [FIRST, SECOND.at(AT)])


def test_a_published_vector_verifies() -> None:
    """Wycheproof's: the algorithm itself, key derivation and verification, is FIPS 204's."""
    key = MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(VECTOR["seed"])).public_key()
    assert key.public_bytes_raw().hex().startswith(VECTOR["public_key_begins"])
    key.verify(bytes.fromhex(VECTOR["signature"]), bytes.fromhex(VECTOR["message"]))


def test_the_key_of_a_seed_is_the_published_one() -> None:
    key = VerifierKey.parse(MlDsa44Key("a", bytes.fromhex(VECTOR["seed"])).verifier_key)
    assert key.public_key.hex().startswith(VECTOR["public_key_begins"])
    assert len(key.public_key) == 1312


def test_the_key_id_is_over_the_type_and_the_whole_key() -> None:
    key = KEYS[1]
    assert key.type == 0x06
    assert key.key_id == sha256(ORIGIN.encode() + b"\n\x06" + key.public_key).digest()[:4]
    name, key_id, material = key.encode().split("+", 2)
    assert (name, key_id) == (ORIGIN, key.key_id.hex())
    assert base64.b64decode(material) == b"\x06" + key.public_key
    assert VerifierKey.parse(key.encode()) == key


def test_the_signed_message_is_the_structure_of_the_specification() -> None:
    """Put together anew from `cosigned_message`, and verified with the bare algorithm."""
    line = parse_note(NOTE).signatures[1]
    timestamp, signature = line.signature[:8], line.signature[8:]
    assert int.from_bytes(timestamp, "big") == AT
    assert len(signature) == 2420
    name = ORIGIN.encode()
    message = b"subtree/v1\n\0" + struct.pack(
        f">B{len(name)}sQB{len(name)}sQQ32s", len(name), name, AT, len(name), name, 0, 4711, CHECKPOINT.root
    )
    assert subtree_message(CHECKPOINT.body().encode(), ORIGIN, AT) == message
    MLDSA44PublicKey.from_public_bytes(KEYS[1].public_key).verify(signature, message)


def test_both_signatures_open_a_checkpoint() -> None:
    opened = open_checkpoint(NOTE, KEYS)
    assert opened.checkpoint == CHECKPOINT
    assert opened.second is not None
    assert opened.second.timestamp_seconds == AT
    assert opened.cosignatures == ()


def test_who_holds_the_first_key_alone_opens_it_too() -> None:
    opened = open_checkpoint(NOTE, KEYS[:1])
    assert opened.second is None
    assert len(opened.unknown) == 1


def test_the_second_signature_never_stands_in_for_the_first() -> None:
    with pytest.raises(VerificationError, match="no known key of its origin"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, [SECOND.at(AT)]), KEYS)


def test_a_witness_may_cosign_with_either_algorithm() -> None:
    witnesses = (Ed25519Cosigner("w.example/1", b"3" * 32, AT), MlDsa44Key("w.example/2", b"4" * 32).at(AT))
    note = sign_checkpoint(CHECKPOINT, [FIRST, SECOND.at(AT), *witnesses])
    opened = open_checkpoint(note, [*KEYS, *(VerifierKey.parse(w.verifier_key) for w in witnesses)])
    assert [s.key.name for s in opened.cosignatures] == ["w.example/1", "w.example/2"]


def changed(signature: bytes, place: int) -> bytes:
    return signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "a bit of the timestamp": lambda s: changed(s, 7),
    "a bit of the commitment hash": lambda s: changed(s, 8),
    "a bit in the middle": lambda s: changed(s, 1300),
    "a bit of the hints": lambda s: changed(s, len(s) - 1),
    "cut": lambda s: s[:-1],
    "grown": lambda s: s + b"\0",
    "the timestamp alone": lambda s: s[:8],
    "less than a timestamp": lambda s: s[:3],
    "a timestamp beyond 2^63": lambda s: b"\xff" * 8 + s[8:],
    "an Ed25519 signature in its place": lambda s: s[:8] + bytes(64),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_bad_signature_of_a_known_key_refuses_the_note(forgery: str) -> None:
    first, second = parse_note(NOTE).signatures
    forged = NoteSignature(second.name, second.key_id, FORGERIES[forgery](second.signature))
    note = (CHECKPOINT.body() + "\n" + first.line() + forged.line()).encode()
    with pytest.raises(VerificationError):
        open_checkpoint(note, KEYS)
    assert open_checkpoint(note, KEYS[:1]).checkpoint == CHECKPOINT, "to others it is an unknown key's line"


@pytest.mark.parametrize(
    "other",
    [
        Checkpoint(ORIGIN, 4712, CHECKPOINT.root),
        Checkpoint(ORIGIN, 4711, sha256(b"another").digest()),
        Checkpoint("log.other.example/arbiter", 4711, CHECKPOINT.root),
    ],
    ids=["size", "root", "origin"],
)
def test_a_signature_moved_to_another_checkpoint_is_refused(other: Checkpoint) -> None:
    moved = parse_note(NOTE).signatures[1]
    first = Ed25519NoteSigner(other.origin, b"1" * 32)
    note = sign_checkpoint(other, [first], [moved])
    with pytest.raises(VerificationError, match="bad signature"):
        open_checkpoint(note, [VerifierKey.parse(first.verifier_key), KEYS[1]])


def test_a_key_renamed_does_not_verify() -> None:
    """The message commits to the cosigner's name, unlike Ed25519's."""
    renamed = VerifierKey("other.example/log", SignatureType.MLDSA44_COSIGNATURE, KEYS[1].public_key)
    moved = parse_note(NOTE).signatures[1]
    line = NoteSignature(renamed.name, renamed.key_id, moved.signature)
    with pytest.raises(VerificationError, match="bad signature"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, [FIRST], [line]), [KEYS[0], renamed])


@pytest.mark.parametrize(
    "text",
    [
        "no checkpoint\n",
        f"{ORIGIN}\n4711\nc2hvcnQ=\n",
        f"{ORIGIN}\n-1\n{'A' * 43}=\n",
        f"{ORIGIN}\n04711\n{'A' * 43}=\n",
        f"{ORIGIN}\n{2**63}\n{'A' * 43}=\n",
        f"{'x' * 256}\n1\n{'A' * 43}=\n",
    ],
)
def test_nothing_but_a_checkpoint_can_be_signed(text: str) -> None:
    with pytest.raises(VerificationError):
        sign_note(text, [SECOND.at(AT)])


@pytest.mark.parametrize("timestamp", [0, -1, 2**63])
def test_a_time_that_says_nothing_is_not_signed(timestamp: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        SECOND.at(timestamp)


@pytest.mark.parametrize("size", [0, 32, 1311, 1313, 1952])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="1312 bytes"):
        VerifierKey(ORIGIN, SignatureType.MLDSA44_COSIGNATURE, bytes(size))


def test_a_key_whose_id_is_anothers_is_refused() -> None:
    name, _, material = KEYS[1].encode().split("+", 2)
    with pytest.raises(VerificationError, match="expected key id"):
        VerifierKey.parse(f"{name}+{KEYS[0].key_id.hex()}+{material}")
