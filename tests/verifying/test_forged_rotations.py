"""Statements about keys that were forged, changed or left out, and exports that a retired key signs: refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.export.layout import CHECKPOINT, KEYS, STATEMENTS
from arbiter.audit.export.statements import StatedInLog
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey, parse_note
from arbiter.audit.public_keys import KeyHistory
from arbiter.audit.rotation import Act, Rotation, next_rotation
from arbiter.verifying.script import RefusedError, check_archive
from tests.exports import Exported, signed_again
from tests.verifying.rotations import (
    NO_CASES,
    STRANGER,
    STRANGERS,
    STRANGERS_SECOND,
    Rotated,
    refused,
    signed,
    verified,
)


def stated(made: Exported) -> list[StatedInLog]:
    return [StatedInLog.parse(line) for line in made.members()[STATEMENTS].splitlines()]


def with_statements(made: Exported, statements: list[StatedInLog]) -> dict[str, bytes]:
    return made.members() | {STATEMENTS: b"".join(statement.line() for statement in statements)}


@pytest.mark.parametrize("left_out", [0, 1, 2, 3])
def test_a_statement_left_out_of_the_whole_log_is_refused(
    rotated: Rotated, left_out: int, tmp_path: Path
) -> None:
    """By whoever holds the newest key: an end that is not told of would leave a stolen key believed."""
    made = rotated.whole
    kept = [statement for number, statement in enumerate(stated(made)) if number != left_out]
    forged = signed_again(made, with_statements(made, kept))
    assert refused(made, made.keys[0], tmp_path, forged)
    assert refused(made, rotated.first, tmp_path, forged)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda all_: all_[::-1], "order"),
        (lambda all_: [all_[0], *all_], "order"),
        (lambda all_: [replace(all_[0], salt=b"x" * 32), *all_[1:]], "commits to"),
        (lambda all_: [replace(all_[0], hashes=all_[1].hashes), *all_[1:]], "does not hold it"),
        (lambda all_: [replace(all_[0], index=all_[0].index + 1), *all_[1:]], "does not hold it"),
        (lambda all_: [*all_, replace(all_[-1], index=all_[-1].index + 1)], "key rotation 5"),
        (
            lambda all_: [replace(all_[0], content=all_[0].content.replace(b"size ", b"size 9")), *all_[1:]],
            "key rotation 1",
        ),
        (lambda all_: [replace(all_[0], content=all_[2].content), *all_[1:]], "key rotation 1"),
    ],
    ids=[
        "reordered",
        "twice",
        "other salt",
        "other path",
        "other place",
        "at the end",
        "other size",
        "swapped",
    ],
)
def test_statements_that_are_not_the_logs_are_refused(
    rotated: Rotated,
    change: Callable[[list[StatedInLog]], list[StatedInLog]],
    told: str,
    tmp_path: Path,
) -> None:
    made = rotated.whole
    forged = signed_again(made, with_statements(made, change(stated(made))))
    assert told in refused(made, made.keys[0], tmp_path, forged)


def forged_from(rotated: Rotated, lie: bytes) -> bytes:
    """An archive that a stranger signed throughout, with a statement that is to lead from the first key to theirs."""
    made = Exported(rotated.early.content, STRANGER, NO_CASES)
    entry = stated(rotated.whole)[0]
    members = with_statements(made, [replace(entry, content=lie, hashes=())])
    note = members[CHECKPOINT]
    checkpoint = open_checkpoint(note, rotated.early.keys).checkpoint
    members[KEYS] = f"{STRANGER.verifier_key}\n".encode()
    return signed_again(made, members | {CHECKPOINT: signed(checkpoint, STRANGER, STRANGERS_SECOND)})


@pytest.mark.parametrize("signers", ["new alone", "old alone", "both, for another log", "none of both"])
def test_a_forged_rotation_leads_to_no_key(rotated: Rotated, signers: str, tmp_path: Path) -> None:
    old = (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key))
    new = STRANGERS[0]
    rotation = next_rotation([], Act.OVERLAP, 1, old, STRANGERS)
    by = {
        "new alone": (STRANGER, STRANGER),
        "old alone": (rotated.early.signer, rotated.early.signer),
        "both, for another log": (rotated.early.signer, STRANGER),
        "none of both": (Ed25519NoteSigner(new.name, b"1" * 32), Ed25519NoteSigner(new.name, b"2" * 32)),
    }
    if signers == "both, for another log":
        rotation = replace(rotation, origin="log.other.example/arbiter")
    content = forged_from(rotated, rotation.sign(*by[signers]))
    told = refused(rotated.early, rotated.first, tmp_path, content)
    assert "key rotation 1" in told or "no known key" in told
    with pytest.raises(RefusedError, match="no known key"):
        check_archive(tmp_path / "export.zip", [rotated.first.encode()])
    # Who trusts the stranger gets as far as the statement, and no further.
    assert "no known key" not in refused(rotated.early, new, tmp_path, content)


def test_a_rotation_that_both_keys_signed_and_the_log_does_not_hold_is_refused(
    rotated: Rotated, tmp_path: Path
) -> None:
    """By whoever stole the first key: they have to show the entry too, and the log's readers see it."""
    old = (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key))
    lie = next_rotation([], Act.OVERLAP, 1, old, STRANGERS).sign(rotated.early.signer, STRANGER)
    content = forged_from(rotated, lie)
    told = refused(rotated.early, rotated.first, tmp_path, content)
    assert "commits to" in told
    # And who has the keys as the house publishes them knows of another rotation.
    assert Rotation.parse(parse_note(lie).text).number == 1
    history = KeyHistory(old, tuple(s.content for s in stated(rotated.whole)))
    assert len(history.keys) == 6


def test_a_retired_key_signs_no_newer_export(rotated: Rotated, tmp_path: Path) -> None:
    whole = rotated.whole
    thief = Exported(whole.content, rotated.early.signer, NO_CASES)
    content = signed_again(thief, whole.members())
    for trusted in (rotated.first, whole.keys[0]):
        told = refused(whole, trusted, tmp_path, content)
        assert "may sign sizes from 0 to" in told


def test_a_replaced_key_signs_no_export_for_whoever_trusts_its_successor_alone(
    rotated: Rotated, tmp_path: Path
) -> None:
    """A retired key's thief shows the log as it was during the rotation: nothing there says that the key was retired."""
    made = rotated.overlap
    second = made.keys[0]
    thief = Exported(made.content, rotated.early.signer, NO_CASES)
    content = signed_again(thief, made.members())
    assert second != rotated.first
    told = refused(made, second, tmp_path, content)
    assert "which the key that you gave has replaced" in told
    assert "keys export-public" in told
    # What the successor signed itself is believed, with the checkpoints before it; and the old key by whoever gives it.
    assert verified(made, second, tmp_path).evidence.trusted
    assert verified(made, rotated.first, tmp_path, content).evidence.signer == rotated.first
