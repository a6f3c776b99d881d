"""Escrow files: HPKE as RFC 9180 says it, opened by its recipient and by nobody else."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError
from arbiter.store import origins
from arbiter.store.keys import KeyFolder, init_keys, restore_keys
from arbiter.store.keys.escrow import open_escrow, read_private_key, read_recipient, seal_escrow
from tests.store.test_keys import seen

AGENT = X25519PrivateKey.generate()
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILES = {"log.key": "PRIVATE+KEY+…", "index.key": "AAAA"}
SEALED = seal_escrow("log.hospital.example/arbiter", FILES, AGENT.public_key(), AT)


def test_the_recipient_opens_it() -> None:
    escrowed = open_escrow(SEALED, AGENT)
    assert escrowed.files == FILES
    assert (escrowed.origin, escrowed.at) == ("log.hospital.example/arbiter", "2026-03-01T12:00:00+00:00")
    assert "PRIVATE" not in repr(escrowed)


def extract(salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), material, "sha256")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block, number = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out, number = out + block, number + 1
    return out[:length]


def opened_by_the_rfc(sealed: bytes, private_key: X25519PrivateKey, info: bytes) -> bytes:
    """RFC 9180 sections 4 and 5.1 put together from HMAC, X25519 and AES-GCM: base mode, one message."""
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    enc, ciphertext = sealed[:32], sealed[32:]

    def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
        return extract(salt, b"HPKE-v1" + suite_id + label + material)

    def labeled_expand(suite_id: bytes, key: bytes, label: bytes, context: bytes, length: int) -> bytes:
        return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + context, length)

    shared = private_key.exchange(X25519PublicKey.from_public_bytes(enc))
    eae_prk = labeled_extract(kem, b"", b"eae_prk", shared)
    both = enc + private_key.public_key().public_bytes_raw()
    secret = labeled_expand(kem, eae_prk, b"shared_secret", both, 32)
    context = (
        b"\x00"
        + labeled_extract(suite, b"", b"psk_id_hash", b"")
        + labeled_extract(suite, b"", b"info_hash", info)
    )
    key_from = labeled_extract(suite, secret, b"secret", b"")
    key = labeled_expand(suite, key_from, b"key", context, 32)
    nonce = labeled_expand(suite, key_from, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def test_a_second_implementation_of_hpke_opens_it() -> None:
    head, _, last = SEALED.rstrip(b"\n").rpartition(b"\n")
    assert json.loads(opened_by_the_rfc(base64.b64decode(last), AGENT, head + b"\n")) == FILES


def test_the_second_implementation_agrees_with_the_rfcs_own_vector() -> None:
    """RFC 9180 appendix A.1.1 names this pair of keys; only their agreement is checked here."""
    secret = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    )
    public = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"
    assert secret.public_key().public_bytes_raw().hex() == public
    enc = bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
    shared = secret.exchange(X25519PublicKey.from_public_bytes(enc))
    eae_prk = extract(b"", b"HPKE-v1KEM\x00\x20eae_prk" + shared)
    context = b"\x00\x20HPKE-v1KEM\x00\x20shared_secret" + enc + bytes.fromhex(public)
    expected = "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"
    assert expand(eae_prk, context, 32).hex() == expected


def test_another_recipient_is_told_that_it_is_not_theirs() -> None:
    with pytest.raises(ConfigurationError, match="is for recipient"):
        open_escrow(SEALED, X25519PrivateKey.generate())


def test_a_file_relabelled_for_another_recipient_does_not_open() -> None:
    other = X25519PrivateKey.generate()
    theirs = seal_escrow("x", {}, other.public_key(), AT).split(b"\n")[2]
    lines = SEALED.split(b"\n")
    lines[2] = theirs
    with pytest.raises(ConfigurationError, match="does not open"):
        open_escrow(b"\n".join(lines), other)


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "another origin": lambda f: f.replace(b"hospital", b"attacker", 1),
    "another time": lambda f: f.replace(b"at 2026", b"at 2027", 1),
    "another version": lambda f: f.replace(b"escrow/v1", b"escrow/v2", 1),
    "a flipped key": lambda f: (
        f[: f.rindex(b"\n", 0, -1) + 5]
        + bytes([f[f.rindex(b"\n", 0, -1) + 5] ^ 1])
        + f[f.rindex(b"\n", 0, -1) + 6 :]
    ),
    "cut": lambda f: f[:-30] + b"\n",
    "without its end": lambda f: f[:-1],
    "grown": lambda f: f + b"more\n",
    "empty": lambda _: b"",
    "binary": lambda _: bytes(range(256)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_changed_file_does_not_open(edit: str) -> None:
    with pytest.raises(ConfigurationError):
        open_escrow(EDITS[edit](SEALED), AGENT)


def test_keys_are_read_from_pem() -> None:
    public = AGENT.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert read_recipient(public).public_bytes_raw() == AGENT.public_key().public_bytes_raw()
    plain = AGENT.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert read_private_key(plain, None).private_bytes_raw() == AGENT.private_bytes_raw()
    locked = AGENT.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password"))
    assert read_private_key(locked, "a password").private_bytes_raw() == AGENT.private_bytes_raw()
    for pem, password in ((locked, "wrong"), (locked, None), (plain, "any"), (public, None), (b"", None)):
        with pytest.raises(ConfigurationError):
            read_private_key(pem, password)
    for pem in (plain, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(ConfigurationError):
            read_recipient(pem)


def test_a_folder_comes_back_whole(tmp_path: Path) -> None:
    made = init_keys(tmp_path / "one", "log.hospital.example/arbiter", SystemChance())
    texts = KeyFolder.open(tmp_path / "one").texts()
    sealed = seal_escrow(made.origin, texts, AGENT.public_key(), AT)
    restored = restore_keys(tmp_path / "two", open_escrow(sealed, AGENT).files, SystemChance())
    assert seen(restored) == seen(made)


def test_the_public_keys_of_former_origins_come_back_too(tmp_path: Path) -> None:
    """Without them a recovered log, restored from escrow, could not verify what it holds from before."""
    made = init_keys(tmp_path / "one", "log.hospital.example/arbiter", SystemChance())
    origins.keep_former(tmp_path / "one", made.first, made.statements)
    texts = KeyFolder.open(tmp_path / "one").texts()
    sealed = seal_escrow(made.origin, texts, AGENT.public_key(), AT)
    restore_keys(
        tmp_path / "two", open_escrow(sealed, AGENT).files, SystemChance(), "a passphrase of the test"
    )
    assert origins.former_verifiers(tmp_path / "two") == made.first


@pytest.mark.parametrize("stray", ["../evil.key", "lock", "notes.txt", "kek-0.key", "/etc/passwd"])
def test_nothing_but_a_key_folders_files_is_restored(tmp_path: Path, stray: str) -> None:
    init_keys(tmp_path / "one", "log.hospital.example/arbiter", SystemChance())
    texts = KeyFolder.open(tmp_path / "one").texts()
    with pytest.raises(ConfigurationError, match="not a key folder's content"):
        restore_keys(tmp_path / "two", {**texts, stray: "x"}, SystemChance())
    assert not (tmp_path / "two").exists()
