"""The key files of a log that changes its origin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError
from arbiter.store import origins
from arbiter.store.keys import KeyFolder, init_keys, log_file, new_pair_text, read_keys

ORIGIN = "log.hospital.example/arbiter"


def test_every_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keyring = init_keys(tmp_path, ORIGIN, SystemChance())
        present = keyring.first[0]
        origins.prepare_next(KeyFolder.open(tmp_path), f"{ORIGIN}.2", SystemChance())
        origins.keep_former(tmp_path, [present])
        origins.switch_to_next(KeyFolder.open(tmp_path), present)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert set(modes.values()) == {0o600}
    assert f"log.key.former-{present.key_id.hex()}" in modes
    assert read_keys(tmp_path).origin == f"{ORIGIN}.2"
    assert origins.former_verifiers(tmp_path) == (present,)


def test_a_rotation_begun_before_the_loss_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    present = init_keys(tmp_path, ORIGIN, SystemChance()).first[0]
    begun = log_file(2)
    KeyFolder.open(tmp_path).add(begun, new_pair_text(ORIGIN, SystemChance()), pending=True)
    origins.prepare_next(KeyFolder.open(tmp_path), f"{ORIGIN}.2", SystemChance())
    origins.keep_former(tmp_path, [present])
    origins.switch_to_next(KeyFolder.open(tmp_path), present)
    folder = KeyFolder.open(tmp_path)
    folder.add(begun, new_pair_text(f"{ORIGIN}.2", SystemChance()), pending=True)
    pending = folder.keyring().pending
    assert pending is not None
    assert pending.first.name == f"{ORIGIN}.2"
    # As it would be done again after a crash at its end.
    folder.forget_former_origin()
    assert folder.keyring().pending is not None


@pytest.mark.parametrize("content", [b"garbage\n", b"\xff\xfe\n", b"a+00000000+AAAA\n"])
def test_garbled_former_keys_stop_a_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "former-origins").write_bytes(content)
    with pytest.raises(ConfigurationError, match="expected a verifier key a line"):
        origins.former_verifiers(tmp_path)
