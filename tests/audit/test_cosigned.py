"""Which cosignatures on a receipt's checkpoint count: by known keys, once each, over this checkpoint, dated as can be."""

from __future__ import annotations

from hashlib import sha256

import pytest

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.cosigned import SLACK_SECONDS, counted, require_quorum
from arbiter.audit.note import Ed25519Cosigner, Ed25519NoteSigner, Signer, VerifierKey, sign_note
from arbiter.errors import VerificationError
from tests.witness.trees import LOG_KEY, MAIN, SIGNER

WRITTEN, NOW = 1_774_000_000, 1_774_000_500


def cosigner(number: int, at: int = NOW, name: str | None = None) -> Ed25519Cosigner:
    return Ed25519Cosigner(name or f"w.example/{number}", sha256(bytes([number])).digest(), at)


def key(number: int, name: str | None = None) -> VerifierKey:
    return VerifierKey.parse(cosigner(number, name=name).verifier_key)


KEYS = [key(number) for number in range(3)]


def quorum(signers: list[Signer], needed: int, keys: list[VerifierKey] | None = None) -> list[str]:
    known = KEYS if keys is None else keys
    opened = open_checkpoint(sign_note(MAIN.body(9), [SIGNER, *signers]), (LOG_KEY, *known))
    return [s.key.name for s in require_quorum(opened, known, needed, not_before=WRITTEN, now=NOW)]


def test_enough_are_enough() -> None:
    assert quorum([cosigner(0), cosigner(2)], 2) == ["w.example/0", "w.example/2"]


@pytest.mark.parametrize("at", [WRITTEN - SLACK_SECONDS, WRITTEN, NOW, NOW + SLACK_SECONDS])
def test_a_time_between_what_was_written_and_now_counts(at: int) -> None:
    assert quorum([cosigner(0, at)], 1) == ["w.example/0"]


@pytest.mark.parametrize("at", [0, 1, WRITTEN - SLACK_SECONDS - 1, NOW + SLACK_SECONDS + 1, 2**63 - 1])
def test_another_time_counts_for_nothing(at: int) -> None:
    with pytest.raises(VerificationError, match="0 of 3 known witnesses"):
        quorum([cosigner(0, at)], 1)


@pytest.mark.parametrize(
    "signers",
    [
        [],
        [cosigner(0)],
        [cosigner(0), cosigner(7)],
        [cosigner(0), cosigner(1, name="w.example/other")],
        [cosigner(0), Ed25519NoteSigner("w.example/1", sha256(bytes([1])).digest())],
        [cosigner(0), cosigner(1, NOW + 3600)],
    ],
    ids=["none", "one", "a stranger", "another name", "a plain signature", "one to come"],
)
def test_too_few_are_refused(signers: list[Signer]) -> None:
    with pytest.raises(VerificationError, match=r"have cosigned it, 2 are needed"):
        quorum(signers, 2)


def test_one_key_under_two_names_is_one_witness() -> None:
    twice = [key(0), key(0, "w.example/alias")]
    with pytest.raises(VerificationError, match="expected a quorum of 1 to"):
        quorum([cosigner(0), cosigner(0, name="w.example/alias")], 2, twice)
    three = [*twice, key(1)]
    with pytest.raises(VerificationError, match="1 of 3"):
        quorum([cosigner(0), cosigner(0, name="w.example/alias")], 2, three)


def test_one_witness_that_signed_twice_is_one() -> None:
    lines = [sign_note(MAIN.body(9), [cosigner(0, NOW - at)]).partition(b"\n\n")[2] for at in (0, 1)]
    note = MAIN.note(9) + b"".join(lines)
    opened = open_checkpoint(note, (LOG_KEY, *KEYS))
    assert len(counted(opened, KEYS, not_before=WRITTEN, now=NOW)) == 1


@pytest.mark.parametrize("needed", [-1, 0, 4])
def test_a_quorum_that_cannot_be_is_refused(needed: int) -> None:
    with pytest.raises(VerificationError, match="expected a quorum of 1 to"):
        quorum([cosigner(0), cosigner(1), cosigner(2)], needed)


def test_a_cosignature_over_another_checkpoint_refuses_the_whole_note() -> None:
    for other in (MAIN.body(8), MAIN.body(9).replace("log.hospital", "log.elsewhere")):
        line = sign_note(other, [cosigner(0)]).partition(b"\n\n")[2]
        with pytest.raises(VerificationError, match="bad signature"):
            open_checkpoint(MAIN.note(9) + line, (LOG_KEY, *KEYS))


def test_witnesses_never_stand_in_for_the_log() -> None:
    with pytest.raises(VerificationError, match="no known key of its origin"):
        open_checkpoint(sign_note(MAIN.body(9), [cosigner(0), cosigner(1)]), (LOG_KEY, *KEYS))
