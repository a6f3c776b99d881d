"""Two notes that cannot both be true prove a fork; two that can prove nothing, whatever is put beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.contradiction import Evidence, PrefixProof, verify_contradiction
from arbiter.audit.merkle import prove_consistency, root_of
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.errors import VerificationError
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_log, nodes_of, note_at

LEAVES = example_log(40).leaves
OTHER = (*LEAVES[:12], *reversed(LEAVES[12:]))
"""The same log up to twelve entries, and another from there on."""

AT = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
STRANGER = Ed25519NoteSigner("log.elsewhere.example", b"s" * 32)


def prefix(leaves: tuple[bytes, ...], small: int, large: int) -> PrefixProof:
    nodes = nodes_of(leaves[:large])
    return PrefixProof(root_of(leaves[:small]), prove_consistency(small, large, nodes))


def refusal(note_a: bytes, note_b: bytes, proof: PrefixProof | None = None) -> str:
    with pytest.raises(VerificationError) as refused:
        verify_contradiction(note_a, note_b, KEYS, proof)
    return str(refused.value)


@pytest.mark.parametrize("size", [13, 16, 40])
def test_two_roots_of_one_size_prove_a_fork(size: int) -> None:
    proven = verify_contradiction(note_at(LEAVES, size), note_at(OTHER, size), KEYS)
    assert str(proven) == f"{ORIGIN} signed two roots for {size} entries"


@given(small=st.integers(13, 39), more=st.integers(1, 27))
def test_two_sizes_prove_a_fork_with_the_larger_ones_prefix(small: int, more: int) -> None:
    large = min(40, small + more)
    proof = prefix(OTHER, small, large)
    notes = (note_at(LEAVES, small), note_at(OTHER, large))
    for pair in (notes, notes[::-1]):
        proven = verify_contradiction(*pair, KEYS, proof)
        assert (proven.smaller.size, proven.larger.size) == (small, large)
        assert f"signed {large} entries whose first {small} are not those" in str(proven)


@given(small=st.integers(1, 39), more=st.integers(1, 39))
def test_an_honest_log_never_contradicts_itself(small: int, more: int) -> None:
    large = min(40, small + more)
    notes = (note_at(LEAVES, small), note_at(LEAVES, large))
    assert "nothing shows" in refusal(*notes)
    assert "they agree" in refusal(*notes, prefix(LEAVES, small, large))
    assert "they agree" in refusal(notes[0], notes[0])


@given(st.integers(1, 12))
def test_what_both_histories_share_contradicts_neither(shared: int) -> None:
    assert "they agree" in refusal(note_at(LEAVES, shared), note_at(OTHER, 30), prefix(OTHER, shared, 30))


@given(small=st.integers(13, 29), bit=st.integers(0, 255), which=st.integers(0, 9))
def test_a_flipped_bit_of_the_prefix_proof_proves_nothing(small: int, bit: int, which: int) -> None:
    proof = prefix(OTHER, small, 30)
    hashes = [proof.root, *proof.hashes]
    which %= len(hashes)
    hashes[which] = bytes(b ^ (1 << bit % 8) if i == bit // 8 else b for i, b in enumerate(hashes[which]))
    refusal(note_at(LEAVES, small), note_at(OTHER, 30), PrefixProof(hashes[0], tuple(hashes[1:])))


def test_a_made_up_prefix_of_an_honest_log_proves_nothing() -> None:
    honest = (note_at(LEAVES, 16), note_at(LEAVES, 32))
    for made_up in (
        PrefixProof(b"f" * 32, prefix(LEAVES, 16, 32).hashes),
        PrefixProof(root_of(OTHER[:16]), prefix(OTHER, 16, 32).hashes),
        PrefixProof(b"f" * 32, ()),
        PrefixProof(b"", prefix(LEAVES, 16, 32).hashes),
        prefix(OTHER, 16, 31),
    ):
        refusal(*honest, made_up)


def test_the_empty_log_contradicts_nothing() -> None:
    assert "expected 0 < old size" in refusal(note_at((), 0), note_at(LEAVES, 30), PrefixProof(b"f" * 32, ()))


def test_one_size_with_a_prefix_is_refused() -> None:
    assert "proves nothing" in refusal(note_at(LEAVES, 20), note_at(OTHER, 20), prefix(LEAVES, 10, 20))


def test_a_note_that_the_log_did_not_sign_is_evidence_against_nobody() -> None:
    forged = sign_checkpoint(Checkpoint(ORIGIN, 20, b"f" * 32), [Ed25519NoteSigner(ORIGIN, b"f" * 32)])
    assert "by a known key" in refusal(note_at(LEAVES, 20), forged)
    assert "malformed" in refusal(b"garbage", note_at(LEAVES, 20))
    other = sign_checkpoint(Checkpoint(STRANGER.name, 20, root_of(LEAVES[:20])), [STRANGER])
    with pytest.raises(VerificationError, match="of two logs"):
        verify_contradiction(note_at(LEAVES, 20), other, [*KEYS, VerifierKey.parse(STRANGER.verifier_key)])


def test_a_note_with_a_damaged_signature_is_evidence_against_nobody() -> None:
    note = bytearray(note_at(OTHER, 20))
    note[-5] ^= 1
    refusal(note_at(LEAVES, 20), bytes(note))


# --- as it is kept ------------------------------------------------------------------------------------------------

EVIDENCE = Evidence(
    (note_at(LEAVES, 20), note_at(OTHER, 33)), "the kept checkpoint's file", AT, prefix(OTHER, 20, 33)
)


def test_evidence_survives_being_written_and_read() -> None:
    again = Evidence.parse(EVIDENCE.encode())
    assert again == EVIDENCE
    assert again.verify(KEYS).larger.size == 33
    equal = replace(EVIDENCE, notes=(note_at(LEAVES, 20), note_at(OTHER, 20)), prefix=None)
    assert Evidence.parse(equal.encode()).verify(KEYS).smaller.size == 20


def changed(**fields: object) -> bytes:
    document = json.loads(EVIDENCE.encode()) | fields
    return json.dumps(
        {name: value for name, value in sorted(document.items()) if value is not None},
        separators=(",", ":"), ensure_ascii=False,
    ).encode()  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        EVIDENCE.encode()[:-1],
        EVIDENCE.encode() + b" ",
        changed(format="arbiter/evidence/v2"),
        changed(notes=["one"]),
        changed(notes=["one", 2]),
        changed(notes=None),
        changed(compared=1),
        changed(found_at="yesterday"),
        changed(found_at=AT.astimezone(timezone(timedelta(hours=1))).isoformat()),
        changed(found_at="2026-11-26T03:00:00"),
        changed(prefix={"root": ""}),
        changed(prefix={"root": "AAAA", "hashes": ["x"]}),
        changed(prefix={"root": "AAAA", "hashes": [1]}),
        changed(prefix={"root": "AAAA", "hashes": ["AAAA"] * 64}),
        changed(more="x"),
        b"[" * 2_000_000,
    ],
)
def test_what_is_not_evidences_one_form_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        Evidence.parse(data)


def test_the_signer_is_the_logs_own() -> None:
    """What the other tests rest on: the key that signs in them is the one that they trust."""
    assert SIGNER.verifier_key == KEYS[0].encode()
