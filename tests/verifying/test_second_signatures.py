"""The second signature of an export, by ML-DSA-44: it must be the log's over this, and where it cannot be checked that is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.export.checking import ExportRefusedError
from arbiter.audit.export.events import event_line
from arbiter.audit.export.layout import CHECKPOINT, ENTRIES, EVENTS, KEYS, ExportedEntry, proof_name
from arbiter.audit.export.newest import Second
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import Signer, VerifierKey, parse_note
from arbiter.audit.proof import TlogProof
from arbiter.verifying.report import verify
from tests.exports import Exported, signed_again
from tests.verifying.bare import Bare
from tests.verifying.rotations import Rotated, refused, signed, verified


def with_newest(made: Exported, note: bytes) -> dict[str, bytes]:
    """The members with another newest note, in every proof and event too, as whoever makes an export writes them."""
    members = made.members()
    events = []
    for line in members[ENTRIES].splitlines():
        shown = ExportedEntry.parse(line)
        proof = replace(TlogProof.parse(members[proof_name(shown.index)]), checkpoint=note)
        members[proof_name(shown.index)] = proof.encode()
        origin = made.signer.name
        events.append(event_line(shown, Entry.from_bytes(shown.body), proof, origin))
    return members | {CHECKPOINT: note, EVENTS: b"".join(events)}


def test_published_checkpoints_and_exported_ones_carry_both_signatures(
    rotated: Rotated, tmp_path: Path
) -> None:
    for made in (rotated.early, rotated.overlap, rotated.whole):
        lines = parse_note(made.members()[CHECKPOINT]).signatures
        sizes = sorted(len(line.signature) for line in lines)
        assert sizes == ([64, 64, 2428, 2428] if made is rotated.overlap else [64, 2428])
        for name, content in made.members().items():
            if name.startswith("proofs/"):
                assert TlogProof.parse(content).checkpoint == made.members()[CHECKPOINT]


def test_the_second_signature_made_at_another_time_is_as_good(rotated: Rotated, tmp_path: Path) -> None:
    made = rotated.early
    checkpoint = made.manifest().checkpoint
    note = signed(checkpoint, made.signer, rotated.seconds[0])
    assert note != made.members()[CHECKPOINT]
    found = verified(made, rotated.first, tmp_path, signed_again(made, with_newest(made, note)))
    assert found.evidence.second is Second.GOOD


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (lambda c, first, second: signed(c, first), "lacks the ML-DSA-44 signature"),
        (
            lambda c, first, second: signed(c, first, MlDsa44Key(c.origin, b"9" * 32)),
            "lacks the ML-DSA-44 signature",
        ),
        (
            lambda c, first, second: signed(c, first, MlDsa44Key("log.other.example", b"9" * 32)),
            "lacks the ML-DSA-44 signature",
        ),
        (
            lambda c, first, second: sign_checkpoint(
                c, [first], parse_note(signed(replace(c, size=c.size + 1), first, second)).signatures[1:]
            ),
            "bad signature",
        ),
        (
            lambda c, first, second: sign_checkpoint(
                c, [first], parse_note(signed(replace(c, root=bytes(32)), first, second)).signatures[1:]
            ),
            "bad signature",
        ),
    ],
    ids=["stripped", "another key", "another log's key", "over another size", "over another root"],
)
def test_a_second_signature_that_is_not_the_logs_over_this_is_refused(
    rotated: Rotated, forge: Callable[[Checkpoint, Signer, MlDsa44Key], bytes], told: str, tmp_path: Path
) -> None:
    """By whoever broke Ed25519, and holds the first key by that."""
    made = rotated.early
    note = forge(made.manifest().checkpoint, made.signer, rotated.seconds[0])
    forged = signed_again(made, with_newest(made, note))
    assert told in refused(made, rotated.first, tmp_path, forged)


def test_a_second_key_exchanged_in_the_archive_does_not_pass_for_the_one_that_was_given(
    rotated: Rotated, tmp_path: Path
) -> None:
    made, evil = rotated.early, MlDsa44Key(rotated.early.signer.name, b"9" * 32)
    note = signed(made.manifest().checkpoint, made.signer, evil)
    members = with_newest(made, note) | {KEYS: f"{made.signer.verifier_key}\n{evil.verifier_key}\n".encode()}
    path = tmp_path / "export.zip"
    path.write_bytes(signed_again(made, members))
    # With Ed25519's key alone, its holder's word is all there is.
    assert verify(path, (rotated.first,)).evidence.second is Second.GOOD
    with pytest.raises(ExportRefusedError, match="ML-DSA-44"):
        verify(path, (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key)))


NOT_SUPPORTED = (
    "    def mldsa_supported(self) -> bool:\n        return False\n\n    def _mldsa_was(self) -> bool:\n"
)


@pytest.mark.parametrize("lacks", ["the module", "the algorithm"])
def test_where_the_library_lacks_it_that_is_said_and_the_rest_is_checked(
    rotated: Rotated, bare: Bare, lacks: str, tmp_path: Path
) -> None:
    """As releases before 47.0.0, and as that one, whose wheels have the module without the algorithm."""
    packages = tmp_path / "older"
    shutil.copytree(bare.packages, packages)
    hazmat = packages / "cryptography" / "hazmat"
    if lacks == "the module":
        (hazmat / "primitives" / "asymmetric" / "mldsa.py").unlink()
    else:
        backend = hazmat / "backends" / "openssl" / "backend.py"
        text = backend.read_text()
        assert "    def mldsa_supported(self) -> bool:\n" in text
        backend.write_text(text.replace("    def mldsa_supported(self) -> bool:\n", NOT_SUPPORTED))
    older = Bare(packages, bare.folder)
    made = rotated.overlap
    older.unpacked(made)
    (bare.folder / "early.keys").write_bytes(rotated.early_keys)
    ran = older.verify(bare.folder / "verifier.py", "export.zip", "--keys", "early.keys")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "second signature (ML-DSA-44): NOT CHECKED" in ran.stdout
    assert "48.0.0" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("VERIFIED: ")
    # A line that cannot be checked has to stand there all the same.
    checkpoint = rotated.early.manifest().checkpoint
    stripped = with_newest(rotated.early, signed(checkpoint, rotated.early.signer))
    older.unpacked(rotated.early, signed_again(rotated.early, stripped))
    ran = older.verify(bare.folder / "verifier.py", "export.zip", "--keys", "early.keys")
    assert ran.returncode == 1
    assert "lacks the ML-DSA-44 signature" in ran.stdout
