"""The log's public keys in one text, as an auditor keeps it: the first ones, and the statements by which others followed.

A line `arbiter/log-keys/v1`, a line `first <verifier key>` for each key the log began with, remarks that begin with `#`,
and behind an empty line the rotations. The remarks say what the statements come to; they are read by people alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from arbiter.audit.checkpoint import LogKey
from arbiter.audit.note import VerifierKey
from arbiter.audit.rotation import follow_rotations, join_statements, split_statements
from arbiter.errors import VerificationError

FORMAT = "arbiter/log-keys/v1"
LONGEST_TEXT = 64 * 1024 * 1024

_TEXT = re.compile(
    re.escape(FORMAT).encode() + rb"\n((?:first [^\n]+\n){1,2})((?:#[^\n]*\n)*)(?:\n(.*))?", re.DOTALL
)


def write_public_keys(first: Sequence[VerifierKey], statements: Sequence[bytes]) -> bytes:
    """Return the text. Raises `VerificationError` for statements that do not follow."""
    lines = [FORMAT, *(f"first {key.encode()}" for key in first)]
    lines += [f"# {_range(key)}" for key in follow_rotations(first, statements)]
    head = "".join(f"{line}\n" for line in lines).encode("utf-8")
    return head + b"\n" + join_statements(statements) if statements else head


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """What such a text says: the keys that a log began with, and the statements by which others followed."""

    first: tuple[VerifierKey, ...]
    statements: tuple[bytes, ...]

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.first[0].name

    @property
    def keys(self) -> tuple[LogKey, ...]:
        """Every key with the sizes it may sign; raises `VerificationError` for statements that do not follow."""
        return follow_rotations(self.first, self.statements)


def read_public_keys(text: bytes) -> tuple[LogKey, ...]:
    """Return every key of the log with the sizes it may sign, each followed from the first ones that the text names.

    Whoever reads it trusts those first keys, and so the text's source. Raises `VerificationError`.
    """
    return read_history(text).keys


def read_history(text: bytes) -> KeyHistory:
    """Return what the text says, once every statement in it follows; raises `VerificationError`."""
    match = _TEXT.fullmatch(text) if len(text) <= LONGEST_TEXT else None
    if match is None:
        raise VerificationError(f"expected a text of the form {FORMAT}")
    try:
        first = [VerifierKey.parse(line.partition(" ")[2]) for line in match[1].decode("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise VerificationError("malformed public keys: invalid UTF-8") from error
    history = KeyHistory(tuple(first), split_statements(match[3] or b""))
    follow_rotations(history.first, history.statements)
    return history


def _range(key: LogKey) -> str:
    end = "on" if key.last_size is None else f"to {key.last_size}"
    return f"{key.key_id.hex()} {key.type.algorithm}: checkpoints from size {key.first_size} {end}"
