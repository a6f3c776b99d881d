"""What a witness answers to a checkpoint, pure: its own last word on the log and the request in, the answer out.

INVARIANT: a cosignature is promised only for a tree that the last cosigned one is a prefix of, so no two trees that a
witness has cosigned contradict each other, as long as what is promised is persisted before the next is considered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from arbiter.audit.merkle import EMPTY_ROOT, verify_consistency
from arbiter.audit.note import NoteSignature, VerifierKey, open_note
from arbiter.errors import VerificationError
from arbiter.witness.request import Request

SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"

CLOCK_SLACK_SECONDS = 60
"""How far the clock may go back, as clocks that are set do, before the witness stops saying what time it is."""


@dataclass(frozen=True, slots=True)
class Head:
    """A tree that this witness has cosigned last for a log, and at which POSIX second."""

    size: int
    root: bytes
    cosigned_at: int


NEVER = Head(0, EMPTY_ROOT, 0)
"""Before the first checkpoint: every tree extends the empty one."""


class Evidence(StrEnum):
    """Why a refused checkpoint that the log has signed is kept."""

    CONTRADICTION = "contradiction"
    """Two trees of one size, both signed: the log has forked. Nothing else is needed to prove it."""
    UNPROVEN = "unproven"
    """No valid proof came with it: a fork, or somebody's clumsy request."""


@dataclass(frozen=True, slots=True)
class Cosign:
    """Persist this head; only then sign and answer."""

    head: Head


@dataclass(frozen=True, slots=True)
class Refuse:
    """An HTTP status with its body; `evidence` says that the request is to be kept, and as what."""

    status: int
    text: str
    media_type: str = TEXT_TYPE
    evidence: Evidence | None = None


UNKNOWN = Refuse(404, "this witness does not know the log of that origin\n")
UNTRUSTED = Refuse(403, "no key that this witness trusts for the origin has validly signed the checkpoint\n")


def check_signed(request: Request, trusted: Iterable[VerifierKey]) -> Refuse | tuple[NoteSignature, ...]:
    """Return the lines of the note that are by keys this witness trusts for the origin, all of them verified."""
    keys = tuple(trusted)
    if not keys:
        return UNTRUSTED
    try:
        opened = open_note(request.note, keys)
    except VerificationError:
        return UNTRUSTED
    return lines_of(request.parsed.signatures, (signature.key for signature in opened.verified))


def lines_of(lines: Iterable[NoteSignature], keys: Iterable[VerifierKey]) -> tuple[NoteSignature, ...]:
    """Return the lines that name one of the keys; none of them is verified here."""
    known = {(key.name, key.key_id) for key in keys}
    return tuple(line for line in lines if (line.name, line.key_id) in known)


def consider(known: Head, request: Request, now_seconds: int) -> Cosign | Refuse:
    """Return what to answer to a checkpoint that the log has signed, given what was cosigned last."""
    contradicts = request.size == known.size and request.root != known.root
    if request.old > request.size:
        return Refuse(400, "expected the old size to be no larger than the checkpoint's\n")
    if request.old != known.size:
        evidence = Evidence.CONTRADICTION if contradicts else None
        return Refuse(409, f"{known.size}\n", SIZE_TYPE, evidence)
    if contradicts:
        return Refuse(409, "another tree of this size was cosigned\n", evidence=Evidence.CONTRADICTION)
    try:
        _check_extends(known, request)
    except VerificationError as error:
        return Refuse(422, f"{error}\n", evidence=Evidence.UNPROVEN)
    if known.cosigned_at > now_seconds + CLOCK_SLACK_SECONDS:
        # A cosignature says which tree was the largest when: one dated back would say something false.
        return Refuse(503, "this witness's clock has gone back; its operator must set it right\n")
    return Cosign(Head(request.size, request.root, max(now_seconds, known.cosigned_at)))


def _check_extends(known: Head, request: Request) -> None:
    if known.size == 0:
        if request.proof:
            raise VerificationError("expected no proof from size 0: every tree extends the empty one")
        return
    verify_consistency(known.size, known.root, request.size, request.root, request.proof)
