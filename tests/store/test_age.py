"""Our age files against the program age and the specification's own keys, and every damage refused."""

from __future__ import annotations

import io
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.errors import ConfigurationError, VerificationError
from arbiter.store.age import (
    AgeReader,
    AgeWriter,
    Identity,
    Passphrase,
    Recipient,
    X25519Identity,
    X25519Recipient,
)
from arbiter.store.age.stream import CHUNK_BYTES
from tests.audit.go_checker import require_tool
from tests.conftest import SeededChance

# https://c2sp.org/age, The X25519 recipient type: the identity of 32 times 0x42, and its recipient.
SECRET = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

IDENTITY = X25519Identity.parse(SECRET)
# As cheap as scrypt goes: what is tested is not its cost.
WORDS = Passphrase("seven words that nobody guesses", work_factor=2)

SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 200_000)


def written(content: bytes, recipient: Recipient = IDENTITY.recipient, piece: int = 10_000) -> bytes:
    sink = io.BytesIO()
    writer = AgeWriter(sink, recipient, SeededChance(len(content)))
    for at in range(0, len(content), piece):
        writer.write(content[at : at + piece])
    writer.finish()
    return sink.getvalue()


def read(file: bytes, identity: Identity = IDENTITY, piece: int = 7_000) -> bytes:
    reader = AgeReader(io.BytesIO(file), identity)
    parts = []
    while part := reader.read(piece):
        parts.append(part)
    return b"".join(parts)


def some(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_keys_are_spelt_as_in_the_specification() -> None:
    assert IDENTITY.secret == b"\x42" * 32
    assert str(IDENTITY) == SECRET
    assert str(IDENTITY.recipient) == PUBLIC
    assert X25519Recipient.parse(PUBLIC) == IDENTITY.recipient
    assert "secret" not in repr(IDENTITY)


@pytest.mark.parametrize("size", SIZES)
def test_the_program_age_opens_what_we_write_and_we_what_it_writes(size: int, tmp_path: Path) -> None:
    age, content = require_tool("age"), some(size)
    key, file = tmp_path / "key.txt", tmp_path / "file.age"
    key.write_text(f"# made up\n{SECRET}\n")
    file.write_bytes(written(content))
    opened = subprocess.run([age, "--decrypt", "-i", key, file], capture_output=True, check=True)
    assert opened.stdout == content
    sealed = subprocess.run([age, "--recipient", PUBLIC], input=content, capture_output=True, check=True)
    assert read(sealed.stdout) == content


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("whom", [IDENTITY, WORDS], ids=["key", "passphrase"])
def test_what_was_written_is_read_in_whatever_pieces(size: int, whom: X25519Identity | Passphrase) -> None:
    recipient = whom.recipient if isinstance(whom, X25519Identity) else whom
    assert read(written(some(size), recipient), whom, piece=CHUNK_BYTES + 1) == some(size)


@pytest.mark.parametrize(
    ("recipient", "identity"),
    [
        (IDENTITY.recipient, X25519Identity(b"\x43" * 32)),
        (IDENTITY.recipient, WORDS),
        (WORDS, IDENTITY),
        (WORDS, Passphrase("seven words that somebody guesses", work_factor=2)),
    ],
)
def test_nobody_else_opens_it(recipient: Recipient, identity: Identity) -> None:
    with pytest.raises(VerificationError, match="does not open with this passphrase or key"):
        read(written(b"content", recipient), identity)


def test_a_passphrase_that_asks_for_endless_work_is_refused_before_any() -> None:
    costly = written(b"content", WORDS).replace(b" 2\n", b" 40\n", 1)
    with pytest.raises(VerificationError, match="work factor"):
        read(costly, WORDS)


FILE = written(some(3 * CHUNK_BYTES + 5))
HEAD = FILE.index(b"\n--- ") + len(b"\n--- ") + 43 + 1 + 16
CHUNKS = [FILE[at : at + CHUNK_BYTES + 16] for at in range(HEAD, len(FILE), CHUNK_BYTES + 16)]

EDITS: dict[str, Callable[[], bytes]] = {
    "swap": lambda: FILE[:HEAD] + b"".join([CHUNKS[1], CHUNKS[0], *CHUNKS[2:]]),
    "repeat": lambda: FILE[:HEAD] + b"".join([CHUNKS[0], *CHUNKS]),
    "leave out the first": lambda: FILE[:HEAD] + b"".join(CHUNKS[1:]),
    "leave out the last": lambda: FILE[:HEAD] + b"".join(CHUNKS[:-1]),
    "leave out all": lambda: FILE[:HEAD],
    "cut the header": lambda: FILE[:100],
    "cut the nonce": lambda: FILE[: HEAD - 1],
    "append": lambda: FILE + b"\0",
    "append a chunk of another file": lambda: FILE + written(some(10))[-26:],
    "another version": lambda: FILE.replace(b"/v1", b"/v2", 1),
    "another nonce": lambda: FILE[: HEAD - 16] + bytes(16) + FILE[HEAD:],
    "no MAC": lambda: FILE.replace(FILE[HEAD - 60 : HEAD - 17], b"A" * 43),
    "no stanza": lambda: b"age-encryption.org/v1\n--- " + b"A" * 43 + b"\n" + FILE[HEAD - 16 :],
    "CRLF": lambda: FILE[: HEAD - 16].replace(b"\n", b"\r\n") + FILE[HEAD - 16 :],
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_file_is_refused(edit: str) -> None:
    assert len(CHUNKS) == 4
    with pytest.raises(VerificationError):
        read(EDITS[edit]())


@given(st.data())
def test_whatever_bit_is_flipped_it_is_refused(data: st.DataObject) -> None:
    small = written(b"a few bytes of content")
    at, bit = data.draw(st.integers(0, len(small) - 1)), data.draw(st.integers(0, 7))
    with pytest.raises(VerificationError):
        read(small[:at] + bytes([small[at] ^ 1 << bit]) + small[at + 1 :])


@given(st.data())
def test_wherever_it_is_cut_it_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(FILE) - 1))
    with pytest.raises(VerificationError):
        read(FILE[:at])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        PUBLIC[:-1],
        PUBLIC[:-1] + "q",
        PUBLIC.capitalize(),
        SECRET,
        "age1" + "q" * 58,
        PUBLIC + " x",
    ],
)
def test_what_is_no_public_key_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="age1"):
        X25519Recipient.parse(text)


@pytest.mark.parametrize("text", ["", "# only a comment\n", f"{SECRET}\n{SECRET}\n", PUBLIC, SECRET[:-1]])
def test_what_is_no_private_key_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="AGE-SECRET-KEY-1"):
        X25519Identity.parse(text)


@pytest.mark.parametrize("text", ["", "short", "x" * 19, "a passphrase of many words\nand a second line"])
def test_a_passphrase_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="20 characters"):
        Passphrase.parse(text)
