"""Reads an export's members, wherever they lie: whole up to a limit, or a line at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from arbiter.audit.export import layout
from arbiter.audit.export.manifest import MAX_MANIFEST_BYTES
from arbiter.audit.export.statements import MAX_STATEMENTS_BYTES, StatedInLog, check_order
from arbiter.audit.note import VerifierKey
from arbiter.errors import VerificationError

MAX_KEYS_BYTES = 64 * 1024 * 1024


class Members(Protocol):
    """An export's members, wherever they lie. Each raises `VerificationError` for a member that cannot be read."""

    def names(self) -> Sequence[str]:
        """Return every member's name, as often as there is one."""
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes."""
        ...


def read_whole(members: Members, name: str, limit: int = MAX_MANIFEST_BYTES) -> bytes:
    """Return a member's bytes; raises `VerificationError` for one that is not there or longer than `limit`."""
    found = bytearray()
    for chunk in members.chunks(name):
        found += chunk
        if len(found) > limit:
            raise VerificationError(f"{name}: expected at most {limit} bytes")
    return bytes(found)


def lines_of(members: Members, name: str) -> Iterator[bytes]:
    """Yield a member's lines without their ends; raises `VerificationError` for one that no line end closes."""
    rest = b""
    for chunk in members.chunks(name):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > MAX_MANIFEST_BYTES:
            raise VerificationError(f"{name}: a line without end")
    if rest:
        raise VerificationError(f"{name}: its last line has no end")


def keys_of(members: Members) -> tuple[VerifierKey, ...]:
    """Return the keys that an export carries; raises `VerificationError` for none, or a line that is none."""
    lines = _short_lines(members, layout.KEYS, MAX_KEYS_BYTES)
    keys = tuple(VerifierKey.parse(line.decode("utf-8", "replace")) for line in lines)
    if not keys:
        raise VerificationError(f"{layout.KEYS}: expected at least one verifier key")
    return keys


def statements_of(members: Members) -> tuple[StatedInLog, ...]:
    """Return the statements about keys that an export carries, none of them verified but their order."""
    lines = _short_lines(members, layout.STATEMENTS, MAX_STATEMENTS_BYTES)
    statements = tuple(map(StatedInLog.parse, lines))
    check_order(statements)
    return statements


def _short_lines(members: Members, name: str, limit: int) -> list[bytes]:
    """Return the lines of a member that is read before anything vouches for its size."""
    *lines, rest = read_whole(members, name, limit).split(b"\n")
    if rest:
        raise VerificationError(f"{name}: its last line has no end")
    return lines
