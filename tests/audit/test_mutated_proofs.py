"""Proofs, proof files and receipts with anything about them changed are refused; what no signature covers is listed.

Not covered by any signature, so that a change passes and the meaning stays: a proof's `extra`, which nothing reads, and the
signature lines of keys that the reader does not know.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arbiter.audit.entry import Entry
from arbiter.audit.merkle import (
    EMPTY_ROOT,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from arbiter.audit.proof import TlogProof, verify_proof
from arbiter.audit.receipt import Opening, Receipt, VerifiedReceipt, verify_receipt
from arbiter.errors import VerificationError
from tests.audit.logs import FACTS, KEYS, OPINION, example_log, nodes_of, salt
from tests.audit.random_logs import KNOWN, WITNESS_NAME, cosigner, signed

LARGEST = 1_030
LOG = example_log(LARGEST)
NODE = nodes_of(LOG.leaves)
EDGES = sorted({n + by for n in (1, 2, 4, 8, 64, 128, 256, 512, 1024) for by in (-1, 0, 1)} - {0})
SIZES = st.sampled_from(EDGES) | st.integers(1, LARGEST)
HASHES = st.binary(min_size=32, max_size=32)
DATA = st.data()
often = settings(max_examples=150, deadline=None)


def root(size: int) -> bytes:
    return root_of(LOG.leaves[:size])


@st.composite
def edits(draw: st.DrawFn, proof: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the proof with one hash changed, lost, added, moved or cut short, or with all of it gone."""
    changed = list(proof)
    kind = draw(st.sampled_from(["flip", "drop", "add", "swap", "cut", "empty", "long"]))
    place = draw(st.integers(0, max(len(proof) - 1, 0)))
    match kind:
        case "flip" if proof:
            bit = draw(st.integers(0, 255))
            changed[place] = (int.from_bytes(changed[place]) ^ 1 << bit).to_bytes(32)
        case "drop" if proof:
            del changed[place]
        case "swap" if proof:
            other = draw(st.integers(0, len(proof) - 1))
            changed[place], changed[other] = changed[other], changed[place]
        case "cut" if proof:
            changed[place] = changed[place][: draw(st.integers(0, 31))]
        case "empty":
            changed = []
        case "long":
            changed += draw(st.lists(HASHES, min_size=1, max_size=70))
        case _:
            changed.insert(place, draw(HASHES))
    assume(tuple(changed) != proof)
    return tuple(changed)


@often
@given(SIZES, DATA)
def test_an_edited_inclusion_proof_is_refused_and_the_honest_one_is_not(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1), label="index")
    proof = prove_inclusion(index, size, NODE)
    verify_inclusion(LOG.leaves[index], index, size, proof, root(size))
    with pytest.raises(VerificationError, match=f"inclusion proof of leaf {index} in size {size}"):
        verify_inclusion(LOG.leaves[index], index, size, data.draw(edits(proof)), root(size))


@often
@given(SIZES, DATA)
def test_an_edited_consistency_proof_is_refused_and_the_honest_one_is_not(
    size: int, data: st.DataObject
) -> None:
    old = data.draw(st.sampled_from([n for n in EDGES if n <= size]) | st.integers(1, size), label="old")
    proof = prove_consistency(old, size, NODE)
    verify_consistency(old, root(old), size, root(size), proof)
    with pytest.raises(VerificationError, match=f"consistency proof from size {old} to {size}"):
        verify_consistency(old, root(old), size, root(size), data.draw(edits(proof)))


@often
@given(SIZES, DATA)
def test_a_proof_for_another_leaf_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1), label="index")
    far = st.sampled_from([-(2**70), -(2**63), -1, size, 2**31, 2**63 - 1, 2**63, 2**70])
    near = st.sampled_from([index - 1, index + 1]) | st.integers(0, size)
    other = data.draw(near | far, label="other")
    assume(other != index)
    proof = prove_inclusion(index, size, NODE)
    with pytest.raises(VerificationError, match="inclusion proof of leaf"):
        verify_inclusion(LOG.leaves[index], other, size, proof, root(size))


@pytest.mark.parametrize("size", [-(2**70), -1, 0, 1, 2**62, 2**63, 2**70])
@pytest.mark.parametrize("length", [0, 1, 63, 64, 100])
def test_proofs_in_degenerate_sizes_are_refused(size: int, length: int) -> None:
    made_up = [LOG.leaves[0]] * length
    for index in (-1, 0, size - 1, size, size + 1):
        if (index, size, length) == (0, 1, 0):
            verify_inclusion(LOG.leaves[0], 0, 1, [], LOG.leaves[0])
            continue
        with pytest.raises(VerificationError):
            verify_inclusion(LOG.leaves[0], index, size, made_up, root(9))
    for old in (-1, 0, size, size + 1):
        with pytest.raises(VerificationError):
            verify_consistency(old, EMPTY_ROOT, size, root(9), made_up)


# --- files ---------------------------------------------------------------------------------------------------------------

INDEX = 700
OPENINGS = (Opening("facts", salt("facts"), FACTS), Opening("opinion", salt("opinion"), OPINION))
PROOF = TlogProof(
    INDEX, prove_inclusion(INDEX, LARGEST, NODE), signed(LOG.leaves, LARGEST, cosigner(9)), b"beside"
)
RECEIPT = Receipt(LOG.entries[INDEX], PROOF, OPENINGS)


def with_one_byte_changed(whole: bytes, data: st.DataObject) -> tuple[bytes, int]:
    """Return the bytes with one replaced, removed or added, and where."""
    place = data.draw(st.integers(0, len(whole) - 1), label="place")
    byte = bytes([data.draw(st.integers(0, 255), label="byte")])
    kind = data.draw(st.sampled_from(["replace", "remove", "add"]), label="kind")
    after = whole[place if kind == "add" else place + 1 :]
    changed = whole[:place] + (b"" if kind == "remove" else byte) + after
    assume(changed != whole)
    return changed, place


def unsigned(whole: bytes) -> list[range]:
    """Return where the bytes lie that no signature the reader knows covers: the extra, the unknown witness's line."""
    spans = []
    for begin, end in ((b"extra ", b"index "), ("\u2014 ".encode() + WITNESS_NAME.encode(), None)):
        start = whole.index(begin)
        spans.append(range(start, len(whole) if end is None else whole.index(end, start)))
    return spans


@settings(max_examples=600, deadline=None)
@given(DATA)
def test_a_proof_file_with_any_byte_changed_is_refused_or_says_the_same(data: st.DataObject) -> None:
    changed, place = with_one_byte_changed(PROOF.encode(), data)
    try:
        read = TlogProof.parse(changed)
        opened = verify_proof(read, LOG.leaves[INDEX], KEYS)
    except VerificationError:
        return
    assert any(place in span or place - 1 in span for span in unsigned(PROOF.encode())), (place, changed)
    assert (read.index, read.hashes, opened.checkpoint.size) == (INDEX, PROOF.hashes, LARGEST)
    assert opened.cosignatures == ()


@settings(max_examples=600, deadline=None)
@given(DATA)
def test_a_receipt_with_any_byte_changed_is_refused_or_says_the_same(data: st.DataObject) -> None:
    whole = RECEIPT.encode()
    changed, place = with_one_byte_changed(whole, data)
    # In its JSON the proof's text ends where the next quote stands.
    begin, witness = whole.index(b"extra "), whole.index("\u2014 ".encode() + WITNESS_NAME.encode())
    spans = [range(begin, whole.index(b"index ", begin)), range(witness, whole.index(b'"', witness))]
    try:
        read = verify_receipt(changed, KEYS)
    except VerificationError:
        return
    assert any(place in span or place - 1 in span for span in spans), (place, changed)
    assert said(read) == said(verify_receipt(whole, KEYS))


def said(receipt: VerifiedReceipt) -> tuple[Entry, int, int, tuple[tuple[str, bytes], ...], tuple[str, ...]]:
    """Return what a receipt proves to whoever knows the log's key alone."""
    return receipt.entry, receipt.index, receipt.checkpoint.size, receipt.contents, receipt.unopened


@settings(max_examples=300, deadline=None)
@given(DATA)
def test_a_witness_that_the_reader_knows_is_covered_too(data: st.DataObject) -> None:
    changed, _ = with_one_byte_changed(PROOF.encode(), data)
    try:
        opened = verify_proof(TlogProof.parse(changed), LOG.leaves[INDEX], KNOWN)
    except VerificationError:
        return
    # By another name it is nobody's; it never says another time.
    assert [s.timestamp_seconds for s in opened.cosignatures] in ([], [9])


def test_a_proof_cannot_lie_about_the_size_that_its_checkpoint_states() -> None:
    # Leaf 0's path has one shape in trees of 3 and of 4, and the bare proof passes for both (RFC 9162 2.1.3.2).
    path = prove_inclusion(0, 3, NODE)
    verify_inclusion(LOG.leaves[0], 0, 4, path, root(3))
    note = signed(LOG.leaves, 3)
    verify_proof(TlogProof(0, path, note), LOG.leaves[0], KEYS)
    with pytest.raises(VerificationError, match="signature"):
        verify_proof(TlogProof(0, path, note.replace(b"\n3\n", b"\n4\n")), LOG.leaves[0], KEYS)


def test_what_nothing_signs_may_change_and_says_nothing() -> None:
    for extra in (None, b"", b"something else"):
        other = replace(PROOF, extra=extra)
        assert verify_proof(other, LOG.leaves[INDEX], KEYS).checkpoint.size == LARGEST
        assert said(verify_receipt(replace(RECEIPT, proof=other).encode(), KEYS)) == said(
            verify_receipt(RECEIPT.encode(), KEYS)
        )
