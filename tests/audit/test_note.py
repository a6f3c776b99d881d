"""Signed notes: the published examples, byte for byte, and notes that must not be believed."""

import base64
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.note import (
    Ed25519Cosigner,
    Ed25519NoteSigner,
    NoteSignature,
    SignatureType,
    VerifierKey,
    open_note,
    parse_note,
    sign_note,
)
from arbiter.errors import VerificationError

# C2SP signed-note, section "Verifier keys", example.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72Iney"
    "aQM=\n"
)
# golang.org/x/mod/sumdb/note, package documentation: ExampleSign, ExampleOpen, ExampleSign_add_signatures.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SIGNING_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
PETER_LINE = "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
PETER_NOTE = f"{PETER_TEXT}\n{PETER_LINE}"
ENOCH_LINE = "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
# C2SP tlog-cosignature, example: the witness's line carries the time 1679315147.
COSIGNED_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE"
    "+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0"
    "xUe+mbIUBkBIfZ+qnA==\n"
)
# transparency-dev/formats, note/note_cosigv1_test.go: a native key of type 0x04.
WITNESS_KEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"

PETER = Ed25519NoteSigner("PeterNeumann", base64.b64decode(PETER_SIGNING_KEY.split("+", 4)[-1])[1:])
ENOCH = Ed25519NoteSigner("EnochRoot", bytes(32))
KNOWN = (VerifierKey.parse(PETER_KEY),)


def test_the_specifications_note_opens_with_its_key() -> None:
    opened = open_note(SPEC_NOTE.encode(), [VerifierKey.parse(SPEC_KEY)])
    assert opened.text == "This is an example message.\n"
    assert [s.key.name for s in opened.verified] == ["example.com/foo"]


def test_gos_example_is_signed_byte_for_byte() -> None:
    assert PETER.verifier_key == PETER_KEY
    assert sign_note(PETER_TEXT, [PETER]).decode() == PETER_NOTE


def test_gos_example_opens() -> None:
    opened = open_note(PETER_NOTE.encode(), KNOWN)
    assert opened.text == PETER_TEXT
    assert opened.verified[0].timestamp_seconds is None


def test_gos_example_of_an_added_signature_is_made_byte_for_byte() -> None:
    note = sign_note(PETER_TEXT, [ENOCH], kept=parse_note(PETER_NOTE.encode()).signatures)
    assert note.decode() == PETER_NOTE + ENOCH_LINE


def test_an_earlier_signature_of_the_same_key_is_replaced() -> None:
    assert (
        sign_note(PETER_TEXT, [PETER], kept=parse_note(PETER_NOTE.encode()).signatures).decode() == PETER_NOTE
    )


@pytest.mark.parametrize("text", [SPEC_KEY, PETER_KEY, WITNESS_KEY])
def test_published_verifier_keys_read_back(text: str) -> None:
    assert VerifierKey.parse(text).encode() == text


def test_the_specifications_cosignature_is_laid_out_as_we_read_it() -> None:
    witness = parse_note(COSIGNED_NOTE.encode()).signatures[1]
    assert witness.name == "witness.example.com/w1"
    assert len(witness.signature) == 8 + 64
    assert struct.unpack(">Q", witness.signature[:8]) == (1679315147,)


def test_a_cosignature_covers_time_and_text() -> None:
    cosigner = Ed25519Cosigner("witness.example/w1", b"w" * 32, 1_795_316_400)
    key = VerifierKey.parse(cosigner.verifier_key)
    assert key.type is SignatureType.COSIGNATURE_V1
    note = sign_note(PETER_TEXT, [PETER, cosigner])
    opened = open_note(note, [*KNOWN, key])
    assert [s.timestamp_seconds for s in opened.verified] == [None, 1_795_316_400]
    plain = Ed25519NoteSigner("x", b"w" * 32)
    message = b"cosignature/v1\ntime 1795316400\n" + PETER_TEXT.encode()
    assert cosigner.sign(PETER_TEXT.encode()) == struct.pack(">Q", 1_795_316_400) + plain.sign(message)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:7] + bytes([s[7] ^ 1]) + s[8:],
        lambda s: b"\x80" + s[1:],
        lambda s: s[8:],
        lambda s: s[:-1],
        lambda s: s + b"\x00",
        lambda s: s[:8],
        lambda s: s[:3],
    ],
)
def test_a_changed_cosignature_refuses_the_note(change: Callable[[bytes], bytes]) -> None:
    cosigner = Ed25519Cosigner("witness.example/w1", b"w" * 32, 1_795_316_400)
    key = VerifierKey.parse(cosigner.verifier_key)
    line = NoteSignature(key.name, key.key_id, change(cosigner.sign(PETER_TEXT.encode())))
    note = sign_note(PETER_TEXT, [PETER], kept=[line])
    with pytest.raises(VerificationError, match="witness"):
        open_note(note, [*KNOWN, key])
    assert len(open_note(note, KNOWN).unknown) == 1


def test_a_well_signed_time_beyond_the_format_is_refused() -> None:
    message = b"cosignature/v1\ntime %d\n" % 2**63 + PETER_TEXT.encode()
    cosigner = Ed25519Cosigner("witness.example/w1", b"w" * 32, 0)
    key = VerifierKey.parse(cosigner.verifier_key)
    signature = struct.pack(">Q", 2**63) + Ed25519NoteSigner("x", b"w" * 32).sign(message)
    note = sign_note(PETER_TEXT, [PETER], kept=[NoteSignature(key.name, key.key_id, signature)])
    with pytest.raises(VerificationError, match="timestamp"):
        open_note(note, [key])


@pytest.mark.parametrize("control", ["\t", "\r", "\x00", "\x0b", "\x1f"])
def test_a_well_signed_text_with_a_control_character_is_refused(control: str) -> None:
    text = f"a{control}b\n"
    line = NoteSignature("PeterNeumann", KNOWN[0].key_id, PETER.sign(text.encode())).line()
    with pytest.raises(VerificationError, match="control character"):
        open_note(f"{text}\n{line}".encode(), KNOWN)


def test_sixteen_signatures_are_accepted() -> None:
    signers = [Ed25519NoteSigner(f"key{i}", bytes([i]) * 32) for i in range(16)]
    opened = open_note(sign_note("text\n", signers), [VerifierKey.parse(s.verifier_key) for s in signers])
    assert len(opened.verified) == 16


def test_unknown_keys_are_ignored_also_when_they_share_a_name_or_an_id() -> None:
    key = KNOWN[0]
    strangers = [
        NoteSignature("PeterNeumann", b"\x00\x00\x00\x00", b"x" * 64),
        NoteSignature("somebody", key.key_id, b"x" * 64),
        NoteSignature("future", b"mlds", b"x" * 2428),
    ]
    opened = open_note(sign_note(PETER_TEXT, [PETER], kept=strangers), KNOWN)
    assert opened.unknown == tuple(strangers)


def test_a_note_by_unknown_keys_alone_is_refused() -> None:
    with pytest.raises(VerificationError, match="none of the note's 1 signatures"):
        open_note(sign_note(PETER_TEXT, [ENOCH]), KNOWN)
    with pytest.raises(VerificationError):
        open_note(PETER_NOTE.encode(), [])


def test_a_bad_signature_by_one_known_key_refuses_what_another_signed_well() -> None:
    bad = NoteSignature("EnochRoot", VerifierKey.parse(ENOCH.verifier_key).key_id, b"x" * 64)
    note = sign_note(PETER_TEXT, [PETER], kept=[bad])
    with pytest.raises(VerificationError, match="EnochRoot"):
        open_note(note, [*KNOWN, VerifierKey.parse(ENOCH.verifier_key)])


def test_a_bad_repeat_behind_a_good_signature_refuses_the_note() -> None:
    bad = NoteSignature("PeterNeumann", KNOWN[0].key_id, b"x" * 64)
    with pytest.raises(VerificationError, match="PeterNeumann"):
        open_note((PETER_NOTE + bad.line()).encode(), KNOWN)
    assert len(open_note((PETER_NOTE + PETER_LINE).encode(), KNOWN).verified) == 1


def test_two_keys_of_one_name_and_id_are_refused() -> None:
    class Collision(VerifierKey):
        @property
        def key_id(self) -> bytes:
            return KNOWN[0].key_id

    other = Collision("PeterNeumann", SignatureType.ED25519, bytes(32))
    with pytest.raises(VerificationError, match="share the name and id"):
        open_note(PETER_NOTE.encode(), [*KNOWN, other])


@given(st.data())
def test_a_flipped_bit_anywhere_in_the_note_is_refused(data: st.DataObject) -> None:
    note = bytearray(PETER_NOTE.encode())
    place = data.draw(st.integers(0, len(note) * 8 - 1))
    note[place // 8] ^= 1 << place % 8
    with pytest.raises(VerificationError):
        open_note(bytes(note), KNOWN)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        PETER_TEXT,
        PETER_TEXT + "\n",
        PETER_TEXT + PETER_LINE,
        PETER_NOTE[:-1],
        PETER_NOTE + "\n",
        PETER_NOTE + "x\n",
        PETER_NOTE.replace("\n", "\r\n"),
        PETER_NOTE.replace("think", "thi\tnk"),
        PETER_NOTE.replace("think", "thi\x00nk"),
        PETER_NOTE.replace("\u2014 ", "- "),
        PETER_NOTE.replace("\u2014 ", "\u2014"),
        PETER_NOTE.replace("\u2014 ", "\u2014  "),
        PETER_NOTE.replace("PeterNeumann x", "PeterNeumann  x"),
        PETER_NOTE.replace("PeterNeumann x", "Peter+Neumann x"),
        PETER_NOTE.replace("PeterNeumann x", "Peter\u2003Neumann x"),
        PETER_NOTE.replace("JnAM=\n", "JnAM\n"),
        PETER_NOTE.replace("JnAM=\n", "JnAN=\n"),
        PETER_NOTE.replace("JnAM=\n", "JnAM==\n"),
        PETER_NOTE.replace("JnAM=\n", "JnAM= \n"),
        PETER_NOTE.replace("x08go/", "x08go_"),
        PETER_TEXT + "\n\u2014 PeterNeumann \n",
        PETER_TEXT + "\n\u2014 PeterNeumann x08gow==\n",
        PETER_TEXT + "\n" + PETER_LINE * 101,
        PETER_NOTE + "\u2014 other !!!!\n",
    ],
)
def test_a_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(VerificationError):
        open_note(note.encode(), KNOWN)


def test_bytes_that_are_not_utf8_and_giant_notes_are_refused() -> None:
    with pytest.raises(VerificationError, match="UTF-8"):
        open_note(b"\xff" + PETER_NOTE.encode(), KNOWN)
    with pytest.raises(VerificationError, match="at most"):
        open_note(b"x" * 1_000_001 + b"\n" + PETER_NOTE.encode(), KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        PETER_KEY[:-1],
        PETER_KEY + "=",
        PETER_KEY.replace("c74f20a3", "c74f20a4"),
        PETER_KEY.replace("c74f20a3", "C74F20A3"),
        PETER_KEY.replace("c74f20a3", "c74f20a"),
        PETER_KEY.replace("PeterNeumann", "Peter Neumann"),
        PETER_KEY.replace("PeterNeumann", "PeterNeuman"),
        PETER_KEY.replace("PeterNeumann", ""),
        PETER_KEY.replace("+AR", "+BB"),
        PETER_KEY.replace("+AR", "+ BR"),
        "x+00000000+",
        "x+00000000+AQ==",
        PETER_KEY + "\n",
        # Types of other formats: ECDSA (0x02) and, not read yet, ML-DSA-44 (0x06).
        "x+00000000+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "x+00000000+Bhpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_malformed_or_unsupported_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x01b"])
def test_a_key_name_that_no_note_can_carry_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Ed25519NoteSigner(name, bytes(32))


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "cr\r\n", "nul\x00\n"])
def test_a_text_that_no_note_can_carry_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="newline"):
        sign_note(text, [PETER])


def test_a_note_without_signers_is_not_made() -> None:
    with pytest.raises(ValueError, match="signatures"):
        sign_note("text\n", [])


@pytest.mark.parametrize("timestamp", [-1, 2**63])
def test_a_cosigners_time_is_in_range(timestamp: int) -> None:
    with pytest.raises(ValueError, match="range"):
        Ed25519Cosigner("w", bytes(32), timestamp)
