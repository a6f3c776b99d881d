"""Checkpoints and tlog-proofs: one spelling, signed by the log itself, and nothing but what was signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from arbiter.audit.merkle import EMPTY_ROOT, prove_inclusion
from arbiter.audit.note import Ed25519Cosigner, Ed25519NoteSigner, VerifierKey, parse_note, sign_note
from arbiter.audit.proof import TlogProof, verify_proof
from arbiter.errors import VerificationError
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_log, nodes_of, note_at

ROOT = b"r" * 32
# C2SP tlog-checkpoint, the example's body.
SPEC_BODY = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
WITNESS = Ed25519Cosigner("witness.example/w1", b"w" * 32, 1_795_316_400)
WITNESS_KEY = VerifierKey.parse(WITNESS.verifier_key)

LOG = example_log(9)
PROOF = TlogProof(4, prove_inclusion(4, 9, nodes_of(LOG.leaves)), note_at(LOG.leaves, 9))


def test_the_specifications_body_reads_back() -> None:
    checkpoint = Checkpoint.parse(SPEC_BODY)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.body() == SPEC_BODY


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_signed_checkpoint_opens(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert open_checkpoint(sign_checkpoint(checkpoint, [SIGNER]), KEYS).checkpoint == checkpoint


def test_the_empty_tree_has_its_own_root_alone() -> None:
    assert Checkpoint.parse(Checkpoint(ORIGIN, 0, EMPTY_ROOT).body()).size == 0
    with pytest.raises(ValueError, match="empty tree"):
        Checkpoint(ORIGIN, 0, ROOT)
    with pytest.raises(VerificationError, match="empty tree"):
        Checkpoint.parse(Checkpoint(ORIGIN, 1, ROOT).body().replace("\n1\n", "\n0\n"))


@pytest.mark.parametrize(
    "body",
    [
        "",
        SPEC_BODY[:-1],
        SPEC_BODY + "\n",
        SPEC_BODY + "extension\n",
        SPEC_BODY.replace("20852163", "020852163"),
        SPEC_BODY.replace("20852163", "-1"),
        SPEC_BODY.replace("20852163", "+1"),
        SPEC_BODY.replace("20852163", "1e3"),
        SPEC_BODY.replace("20852163", ""),
        SPEC_BODY.replace("20852163", " 1"),
        SPEC_BODY.replace("20852163", "\u0661"),
        SPEC_BODY.replace("20852163", "9223372036854775808"),
        SPEC_BODY.replace("20852163", "9" * 400),
        SPEC_BODY.replace("example.com/behind-the-sofa", ""),
        SPEC_BODY.replace("example.com", "example com"),
        SPEC_BODY.replace("example.com", "example+com"),
        SPEC_BODY.replace("q2I=", "q2I"),
        SPEC_BODY.replace("q2I=", "q2J="),
        SPEC_BODY.replace("q2I=", "q2=="),
        SPEC_BODY.replace("Xajj7", "Xajj_"),
        SPEC_BODY.replace("\n", "\r\n"),
    ],
)
def test_any_other_body_is_refused(body: str) -> None:
    with pytest.raises(VerificationError):
        Checkpoint.parse(body)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [("", 1, ROOT), ("a b", 1, ROOT), ("a", -1, ROOT), ("a", 2**63, ROOT), ("a", 1, b"r")],
)
def test_an_impossible_checkpoint_is_not_made(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(ValueError, match=r"origin|range|bytes"):
        Checkpoint(origin, size, root)


def test_a_witness_adds_its_word_and_does_not_replace_the_logs() -> None:
    checkpoint = Checkpoint(ORIGIN, 7, ROOT)
    signed = sign_checkpoint(checkpoint, [SIGNER])
    cosigned = sign_checkpoint(checkpoint, [WITNESS], kept=parse_note(signed).signatures)
    opened = open_checkpoint(cosigned, [*KEYS, WITNESS_KEY])
    assert [s.timestamp_seconds for s in opened.cosignatures] == [1_795_316_400]
    assert opened.checkpoint == checkpoint
    with pytest.raises(VerificationError, match="no known key of its origin"):
        open_checkpoint(sign_checkpoint(checkpoint, [WITNESS]), [*KEYS, WITNESS_KEY])


def test_a_cosignature_under_the_origins_name_is_not_the_logs_signature() -> None:
    impostor = Ed25519Cosigner(ORIGIN, b"w" * 32, 1_795_316_400)
    note = sign_checkpoint(Checkpoint(ORIGIN, 7, ROOT), [impostor])
    with pytest.raises(VerificationError, match="no known key of its origin"):
        open_checkpoint(note, [*KEYS, VerifierKey.parse(impostor.verifier_key)])


def test_a_key_of_one_log_cannot_speak_for_another() -> None:
    other = Ed25519NoteSigner("log.elsewhere.example", b"o" * 32)
    note = sign_checkpoint(Checkpoint(ORIGIN, 7, ROOT), [other])
    with pytest.raises(VerificationError, match=f"origin {ORIGIN}"):
        open_checkpoint(note, [*KEYS, VerifierKey.parse(other.verifier_key)])


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(VerificationError, match="three lines"):
        open_checkpoint(sign_note("hello\n", [SIGNER]), KEYS)


def test_a_proof_reads_back_and_verifies() -> None:
    assert TlogProof.parse(PROOF.encode()) == PROOF
    assert verify_proof(PROOF, LOG.leaves[4], KEYS).checkpoint.size == 9


def test_a_proof_is_laid_out_as_the_specification_says() -> None:
    proof = TlogProof(5, (b"a" * 32, b"b" * 32), b"the note\n", b"extra information")
    assert proof.encode() == (
        b"c2sp.org/tlog-proof@v1\n"
        b"extra ZXh0cmEgaW5mb3JtYXRpb24=\n"
        b"index 5\n"
        b"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n"
        b"YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\n"
        b"\n"
        b"the note\n"
    )
    assert TlogProof.parse(proof.encode()) == proof
    assert TlogProof(0, (), b"n").encode() == b"c2sp.org/tlog-proof@v1\nindex 0\n\nn"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"c2sp.org/tlog-proof@v1",
        b"c2sp.org/tlog-proof@v1\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\n",
        b"c2sp.org/tlog-proof@v1\nindex 0",
        b"c2sp.org/tlog-proof@v2\nindex 0\n\nnote",
        b"index 0\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex \n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex -5\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 05\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex x\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0 \n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\r\n\r\nnote",
        b"c2sp.org/tlog-proof@v1\nextra !!\nindex 0\n\nnote",
        b"c2sp.org/tlog-proof@v1\nextra\nindex 0\n\nnote",
        b"c2sp.org/tlog-proof@v1\nextra YQ==\nextra YQ==\nindex 0\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\nextra YQ==\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\nYWFh\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\xff\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\n"
        + b"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n" * 64
        + b"\nnote",
    ],
)
def test_a_malformed_proof_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        TlogProof.parse(data)


@given(st.data())
def test_a_flipped_bit_anywhere_in_the_proof_is_refused(data: st.DataObject) -> None:
    changed = bytearray(PROOF.encode())
    place = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(VerificationError):
        verify_proof(TlogProof.parse(bytes(changed)), LOG.leaves[4], KEYS)


def test_a_proof_does_not_verify_for_another_leaf_or_another_key() -> None:
    with pytest.raises(VerificationError):
        verify_proof(PROOF, LOG.leaves[5], KEYS)
    with pytest.raises(VerificationError):
        verify_proof(PROOF, LOG.leaves[4], [WITNESS_KEY])
