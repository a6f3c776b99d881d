"""The key files of a log that changes its origin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import LogKey, open_checkpoint
from arbiter.audit.note import SignatureType, Signer, VerifierKey
from arbiter.audit.public_keys import write_public_keys
from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.store import origins
from arbiter.store.keys import KeyFolder, init_keys, log_file, new_pair_text, read_keys
from tests.audit.test_rotation import CHAIN, ONE, ONES, ORIGIN, THREE, TWO, TWOS, note_of, pair

_, SECOND = pair(9, f"{ORIGIN}.2")


def test_every_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keyring = init_keys(tmp_path, ORIGIN, SystemChance())
        present = keyring.first[0]
        origins.prepare_next(KeyFolder.open(tmp_path), f"{ORIGIN}.2", SystemChance())
        origins.keep_former(tmp_path, keyring.first, keyring.statements)
        origins.switch_to_next(KeyFolder.open(tmp_path), present)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert set(modes.values()) == {0o600}
    assert f"log.key.former-{present.key_id.hex()}" in modes
    assert read_keys(tmp_path).origin == f"{ORIGIN}.2"
    assert origins.former_verifiers(tmp_path) == keyring.first


def test_a_rotation_begun_before_the_loss_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    keyring = init_keys(tmp_path, ORIGIN, SystemChance())
    present = keyring.first[0]
    begun = log_file(2)
    KeyFolder.open(tmp_path).add(begun, new_pair_text(ORIGIN, SystemChance()), pending=True)
    origins.prepare_next(KeyFolder.open(tmp_path), f"{ORIGIN}.2", SystemChance())
    origins.keep_former(tmp_path, keyring.first, keyring.statements)
    origins.switch_to_next(KeyFolder.open(tmp_path), present)
    folder = KeyFolder.open(tmp_path)
    folder.add(begun, new_pair_text(f"{ORIGIN}.2", SystemChance()), pending=True)
    pending = folder.keyring().pending
    assert pending is not None
    assert pending.first.name == f"{ORIGIN}.2"
    # As it would be done again after a crash at its end.
    folder.forget_former_origin()
    assert folder.keyring().pending is not None


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The folder of keys in a data folder, without any."""
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    return folder


def spans(keys: tuple[VerifierKey, ...]) -> list[tuple[str, int, int | None]]:
    return [
        (key.name, key.first_size, key.last_size)
        for key in keys
        if isinstance(key, LogKey) and key.type is SignatureType.ED25519
    ]


ROTATED = [(ORIGIN, 0, 120), (ORIGIN, 100, 510), (ORIGIN, 500, None)]


def test_former_keys_keep_the_sizes_they_may_sign(tmp_path: Path, keys: Path) -> None:
    origins.keep_former(tmp_path, ONES, CHAIN)
    assert spans(origins.former_verifiers(tmp_path)) == ROTATED
    origins.keep_former(tmp_path, SECOND, ())
    assert spans(origins.former_verifiers(tmp_path)) == [*ROTATED, (f"{ORIGIN}.2", 0, None)]


@pytest.mark.parametrize(("size", "signer"), [(121, ONE), (10**6, ONE), (99, TWO), (511, TWO), (499, THREE)])
def test_what_a_former_key_signed_beyond_its_sizes_is_refused(
    tmp_path: Path, keys: Path, size: int, signer: Signer
) -> None:
    origins.keep_former(tmp_path, ONES, CHAIN)
    with pytest.raises(VerificationError, match="signed only by key"):
        open_checkpoint(note_of(size, signer), origins.former_verifiers(tmp_path))


def test_what_is_known_later_of_a_former_origin_takes_the_place_of_what_was_known(
    tmp_path: Path, keys: Path
) -> None:
    """As where a recovery was killed before its entry and the log went on and rotated."""
    origins.keep_former(tmp_path, ONES, CHAIN[:2])
    origins.keep_former(tmp_path, ONES, CHAIN)
    assert spans(origins.former_verifiers(tmp_path)) == ROTATED


def test_keys_that_do_not_follow_are_not_kept(tmp_path: Path, keys: Path) -> None:
    origins.keep_former(tmp_path, SECOND, ())
    before = (keys / "former-origins").read_bytes()
    with pytest.raises(VerificationError, match="key rotation 1"):
        origins.keep_former(tmp_path, ONES, CHAIN[1:])
    assert (keys / "former-origins").read_bytes() == before


def test_the_keys_that_an_earlier_release_kept_are_read_and_kept_on(tmp_path: Path, keys: Path) -> None:
    (keys / "former-origins").write_text("".join(f"{key.encode()}\n" for key in (*ONES, *TWOS)))
    assert origins.former_verifiers(tmp_path) == (*ONES, *TWOS)
    origins.keep_former(tmp_path, SECOND, ())
    assert origins.former_verifiers(tmp_path) == (*ONES, *TWOS, *SECOND)
    # What is followed says more than what is listed.
    origins.keep_former(tmp_path, ONES, CHAIN)
    assert spans(origins.former_verifiers(tmp_path)) == [(f"{ORIGIN}.2", 0, None), *ROTATED]


WRITTEN = write_public_keys(ONES, CHAIN)


@pytest.mark.parametrize(
    "content",
    [
        b"garbage\n",
        b"\xff\xfe\n",
        b"a+00000000+AAAA\n",
        WRITTEN.replace(b"size 120", b"size 119", 1),
        WRITTEN.replace(b"act retire", b"act overlap", 1),
        WRITTEN.replace(b"first ", b"", 1),
        WRITTEN[: WRITTEN.index(b"number 2") - 90],
        WRITTEN + WRITTEN,
        f"{ONES[0].encode()}\n".encode() + WRITTEN,
        WRITTEN + f"{ONES[0].encode()}\n".encode(),
    ],
)
def test_garbled_former_keys_stop_a_start(tmp_path: Path, keys: Path, content: bytes) -> None:
    (keys / "former-origins").write_bytes(content)
    with pytest.raises(ConfigurationError, match="expected the public keys of former origins"):
        origins.former_verifiers(tmp_path)
