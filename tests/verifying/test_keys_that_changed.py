"""Exports of a log whose key was rotated, twice: verified from the first key alone, by anybody, anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arbiter.audit.export.layout import KEYS
from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.audit.public_keys import write_public_keys
from arbiter.audit.rotation import Act, next_rotation
from tests.exports import Exported
from tests.verifying.bare import Bare
from tests.verifying.rotations import STRANGER, STRANGERS, Rotated, refused, verified


@pytest.mark.parametrize("which", ["early", "overlap", "whole", "part"])
def test_who_trusts_the_first_key_alone_verifies_every_export_anywhere(
    rotated: Rotated, bare: Bare, which: str
) -> None:
    made: Exported = getattr(rotated, which)
    folder = bare.unpacked(made)
    (bare.folder / "early.keys").write_bytes(rotated.early_keys)
    (bare.folder / "late.keys").write_bytes(rotated.late_keys)
    steps = {"early": 0, "overlap": 1}.get(which, 4)
    for place in ("export.zip", str(folder)):
        for given in (
            ("--key", rotated.first.encode()),
            ("--keys", "early.keys"),
            ("--keys", "late.keys"),
            ("--key", STRANGER.verifier_key, "--key", rotated.first.encode()),
        ):
            ran = bare.verify(bare.folder / "verifier.py", place, *given, "--json")
            assert ran.returncode == 0, ran.stdout + ran.stderr
            said = json.loads(ran.stdout)
            assert said["statements_about_keys"] == steps
            assert said["second_signature"] == "good"
            assert said["signed_by"].endswith(made.keys[0].key_id.hex())


def test_the_whole_log_verifies_with_every_checkpoint_from_the_first_key(
    rotated: Rotated, tmp_path: Path
) -> None:
    found = verified(rotated.whole, rotated.first, tmp_path).evidence
    assert found.manifest.whole
    assert found.checkpoints >= 6
    assert found.followed == 4
    assert found.signer != rotated.first


def test_the_keys_named_are_those_of_the_log(rotated: Rotated) -> None:
    kinds = [VerifierKey.parse(line).type for line in rotated.whole.members()[KEYS].decode().split()]
    assert kinds.count(SignatureType.ED25519) == kinds.count(SignatureType.MLDSA44_COSIGNATURE) == 3


def test_another_key_is_refused_and_told_what_came_and_what_to_do(rotated: Rotated, bare: Bare) -> None:
    bare.unpacked(rotated.whole)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--key", STRANGER.verifier_key)
    assert ran.returncode == 1
    newest = rotated.whole.keys[0]
    for word in (STRANGER.verifier_key.split("+")[1], newest.key_id.hex(), "keys export-public", "--keys"):
        assert word in ran.stdout
    told = refused(
        rotated.whole, VerifierKey.parse(STRANGER.verifier_key), bare.folder, rotated.whole.content
    )
    for word in ("no known key", newest.key_id.hex(), "keys export-public"):
        assert word in told


def test_a_later_key_does_not_make_an_older_archive_run(rotated: Rotated, bare: Bare) -> None:
    """A retired key may be in other hands: what it signed runs for nobody who trusts its successor."""
    bare.unpacked(rotated.early)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--key", rotated.whole.keys[0].encode())
    assert ran.returncode == 1
    assert "no known key" in ran.stdout


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        (None, 2, "no.keys"),
        (b"", 1, "expected verifier keys"),
        (b"arbiter/log-keys/v1\nfirst nonsense\n", 1, "expected verifier keys"),
        (b"arbiter/log-keys/v2\n", 1, "expected verifier keys"),
        (b"\xff\xfe", 1, "expected verifier keys"),
    ],
    ids=["missing", "empty", "no key in it", "another version", "no text"],
)
def test_a_file_of_keys_that_is_none_is_told_of(
    rotated: Rotated, bare: Bare, content: bytes | None, status: int, word: str
) -> None:
    bare.unpacked(rotated.early)
    if content is not None:
        (bare.folder / "no.keys").write_bytes(content)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--keys", "no.keys")
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert word in ran.stdout + ran.stderr


def test_a_file_of_keys_with_another_history_is_refused(rotated: Rotated, bare: Bare) -> None:
    """Two statements of one number: the log has told different people different things."""
    bare.unpacked(rotated.whole)
    old = (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key))
    lie = next_rotation([], Act.OVERLAP, 1, old, STRANGERS).sign(rotated.early.signer, STRANGER)
    (bare.folder / "other.keys").write_bytes(write_public_keys(old, [lie]))
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--keys", "other.keys")
    assert ran.returncode == 1
    assert "key rotation 1" in ran.stdout
    assert "ask who runs the log" in ran.stdout
