"""How the log's keys follow each other: statements that both keys sign, and what somebody believes who holds the first.

A rotation has two statements. `overlap` names the new keys: from `size` on, old and new may both sign. `retire` ends
the old ones: beyond `size` they sign nothing more. Each is a signed note under the log's name, signed by the old and by
the new Ed25519 key: the old one vouches, the new one shows that somebody holds it. Each names its number in the chain and
the hash of the statement before it, so that none can be left out, repeated or put elsewhere.

The text, a line each: `arbiter/key-rotation/v1`, `origin`, `number`, `previous` (SHA-256 of the statement's text
before it, 64 zeros for the first), `act`, `size`, then `old` and `new` verifier keys, Ed25519 before ML-DSA-44.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from arbiter.audit.checkpoint import MAX_SIZE, LogKey
from arbiter.audit.note import (
    SignatureType,
    Signer,
    VerifierKey,
    open_note,
    parse_note,
    sign_note,
)
from arbiter.errors import VerificationError

FORMAT = "arbiter/key-rotation/v1"
NO_PREVIOUS = "0" * 64
ROTATED = "keys.rotated"
RETIRED = "keys.retired"
"""Types of the log's entries that commit to a statement: that which begins a rotation, and that which ends one."""

STATEMENT = "key-rotation"
"""What such an entry commits to: the statement, a note signed by both keys."""

MOST_STATEMENTS = 10_000

_TEXT = re.compile(
    re.escape(FORMAT) + r"\norigin ([^\n]+)\nnumber ([1-9][0-9]{0,4})\nprevious ([0-9a-f]{64})\n"
    r"act (overlap|retire)\nsize (0|[1-9][0-9]{0,18})\n((?:old [^\n]+\n){1,2})((?:new [^\n]+\n){1,2})"
)


class Act(StrEnum):
    """What a statement does."""

    OVERLAP = "overlap"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Rotation:
    """One statement's content; `old` and `new` are an Ed25519 key and, where there is one, an ML-DSA-44 key."""

    origin: str
    number: int
    previous: str
    act: Act
    size: int
    old: tuple[VerifierKey, ...]
    new: tuple[VerifierKey, ...]

    def text(self) -> str:
        """Return the note's text."""
        lines = [
            FORMAT,
            f"origin {self.origin}",
            f"number {self.number}",
            f"previous {self.previous}",
            f"act {self.act}",
            f"size {self.size}",
            *(f"old {key.encode()}" for key in self.old),
            *(f"new {key.encode()}" for key in self.new),
        ]
        return "".join(f"{line}\n" for line in lines)

    def sign(self, old: Signer, new: Signer) -> bytes:
        """Return the statement as a note by both keys."""
        return sign_note(self.text(), [old, new])

    @classmethod
    def parse(cls, text: str) -> Rotation:
        """Return the statement that a note's text spells; nothing of it is verified. Raises `VerificationError`."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise VerificationError(f"expected a statement of the form {FORMAT}")
        size = int(match[5])
        if size > MAX_SIZE:
            raise VerificationError(f"a key rotation's size {size} is out of range")
        old, new = (
            tuple(VerifierKey.parse(line.partition(" ")[2]) for line in lines.splitlines())
            for lines in (match[6], match[7])
        )
        return cls(match[1], int(match[2]), match[3], Act(match[4]), size, _pair(old), _pair(new))


def next_rotation(
    statements: Sequence[bytes],
    act: Act,
    size: int,
    old: Sequence[VerifierKey],
    new: Sequence[VerifierKey],
) -> Rotation:
    """Return the statement that follows a chain of them, to be signed; the keys are of one origin."""
    previous = _hash(statements[-1]) if statements else NO_PREVIOUS
    return Rotation(old[0].name, len(statements) + 1, previous, act, size, tuple(old), tuple(new))


def follow_rotations(first: Sequence[VerifierKey], statements: Sequence[bytes]) -> tuple[LogKey, ...]:
    """Return every key the log ever signed with and the sizes each may sign, oldest first.

    `first` are the keys trusted from the beginning, an Ed25519 key and perhaps an ML-DSA-44 key; `statements` all of the
    log's rotations in order. Nothing else is trusted: each statement must follow from what was believed before it.

    Raises:
        VerificationError: naming the statement that does not follow.
    """
    first = _pair(tuple(first))
    if len(statements) > MOST_STATEMENTS:
        raise VerificationError(f"more than {MOST_STATEMENTS} key rotations")
    known = _Known(first[0].name, [_first(key) for key in first])
    previous, size = NO_PREVIOUS, 0
    for number, note in enumerate(statements, 1):
        try:
            rotation = Rotation.parse(parse_note(note).text)
            _check_place(rotation, known.origin, number, previous, size)
            known.apply(rotation, note)
        except VerificationError as error:
            raise VerificationError(f"key rotation {number}: {error}") from error
        previous, size = _hash(note), rotation.size
    return tuple(known.keys)


def current_keys(keys: Sequence[LogKey]) -> tuple[LogKey, ...]:
    """Return those that are not retired: one of each type, two during an overlap."""
    return tuple(key for key in keys if key.last_size is None)


@dataclass(slots=True)
class _Known:
    """What is believed so far."""

    origin: str
    keys: list[LogKey]

    def apply(self, rotation: Rotation, note: bytes) -> None:
        signing = [key for key in current_keys(self.keys) if key.type is SignatureType.ED25519]
        match rotation.act:
            case Act.OVERLAP:
                if len(signing) != 1:
                    raise VerificationError("a rotation begins while another is not finished")
                self._check(rotation, signing[0], rotation.new[0], note)
                self._admit(rotation)
            case Act.RETIRE:
                if len(signing) != 2:
                    raise VerificationError("a key retires and no rotation was begun")
                if signing[1].public() != rotation.new[0]:
                    raise VerificationError("the new key is not the one that the rotation began with")
                self._check(rotation, signing[0], rotation.new[0], note)
                self._retire(rotation)

    def _check(self, rotation: Rotation, old: LogKey, new: VerifierKey, note: bytes) -> None:
        if old.public() != rotation.old[0]:
            raise VerificationError("the old key is not the one that signs the log at this point")
        verified = {signature.key for signature in open_note(note, [old.public(), new]).verified}
        for key, which in ((old.public(), "old"), (new, "new")):
            if key not in verified:
                raise VerificationError(f"the {which} key {key.label} did not sign the statement")

    def _admit(self, rotation: Rotation) -> None:
        ever = {(key.type, key.public_key) for key in self.keys}
        for key in rotation.new:
            if (key.type, key.public_key) in ever:
                raise VerificationError(f"key {key.label} was the log's before")
        self.keys += [LogKey(k.name, k.type, k.public_key, first_size=rotation.size) for k in rotation.new]

    def _retire(self, rotation: Rotation) -> None:
        staying = set(rotation.new)
        for place, key in enumerate(self.keys):
            if key.last_size is None and key.public() not in staying:
                self.keys[place] = replace(key, last_size=rotation.size)


def _check_place(rotation: Rotation, origin: str, number: int, previous: str, size: int) -> None:
    if rotation.origin != origin or any(key.name != origin for key in (*rotation.old, *rotation.new)):
        raise VerificationError(f"expected a statement about {origin}, came one about {rotation.origin}")
    if rotation.number != number:
        raise VerificationError(f"expected number {number}, came {rotation.number}")
    if rotation.previous != previous:
        raise VerificationError("it does not follow the statement before it")
    if rotation.size < size:
        raise VerificationError(f"its size {rotation.size} lies before the earlier statement's {size}")


def _pair(keys: tuple[VerifierKey, ...]) -> tuple[VerifierKey, ...]:
    types = [key.type for key in keys]
    if types not in ([SignatureType.ED25519], [SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE]):
        raise VerificationError("expected an Ed25519 key, then at most one ML-DSA-44 key")
    if len({key.name for key in keys}) != 1:
        raise VerificationError("expected two keys of one name")
    return keys


def _first(key: VerifierKey) -> LogKey:
    return LogKey(key.name, key.type, key.public_key)


def _hash(note: bytes) -> str:
    return sha256(parse_note(note).text.encode("utf-8")).hexdigest()


def join_statements(statements: Sequence[bytes]) -> bytes:
    """Return a chain of statements as one text, as `keys export-public` writes it and an auditor keeps it."""
    return b"\n".join(statements)


def split_statements(text: bytes) -> tuple[bytes, ...]:
    """Return the statements in what `join_statements` made; none of them is verified."""
    parts = re.split(rb"(?m)^(?=" + re.escape(FORMAT).encode() + rb"$)", text)
    return tuple(part.rstrip(b"\n") + b"\n" for part in parts if part.strip())


def of_origin(origin: str, statements: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the statements about this origin and those that cannot be read: the log may have had another name before."""
    return tuple(note for note in statements if _named(note) in {origin, None})


def _named(note: bytes) -> str | None:
    try:
        return Rotation.parse(parse_note(note).text).origin
    except VerificationError:
        return None
