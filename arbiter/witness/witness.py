"""A witness at work: a request's bytes in, the answer's out, with everything persisted in between."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from arbiter.audit.note import NoteSignature, parse_note, sign_note
from arbiter.errors import VerificationError
from arbiter.witness.considering import (
    TEXT_TYPE,
    UNKNOWN,
    UNTRUSTED,
    Cosign,
    Evidence,
    Head,
    Refuse,
    check_signed,
    consider,
    lines_of,
)
from arbiter.witness.keys import WitnessKey, read_key
from arbiter.witness.request import Request, parse_request
from arbiter.witness.store import WitnessStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    body: bytes
    media_type: str = TEXT_TYPE


def posix_seconds() -> int:
    """Return the present POSIX second."""
    return int(time.time())


class Witness:
    """One witness. Any number may work on one folder, in one process or several."""

    def __init__(self, key: WitnessKey, store: WitnessStore, now: Callable[[], int] = posix_seconds) -> None:
        self.key = key
        self.store = store
        self._now = now

    @classmethod
    def open(cls, folder: Path) -> Witness:
        """Return the witness whose key and memory lie in `folder`; raises `ConfigurationError`."""
        key, store = read_key(folder), WitnessStore(folder)
        store.check(key.public)
        return cls(key, store)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a log's `add-checkpoint` (C2SP tlog-witness). What is answered has been persisted."""
        try:
            request = parse_request(body)
        except VerificationError as error:
            return Answer(400, f"{error}\n".encode())
        try:
            return self._answer(request, body)
        except sqlite3.Error:
            # A full or failing disk, or others that hold the file too long: nothing was promised.
            log.exception("what was to be remembered could not be: nothing is cosigned")
            return Answer(503, b"this witness cannot remember anything at present\n")

    def _answer(self, request: Request, body: bytes) -> Answer:
        trusted = self.store.trusted(request.origin)
        lines = UNKNOWN if trusted is None else check_signed(request, trusted)
        if isinstance(lines, Refuse):
            return _refusal(lines)
        # Verified before the file is locked, so that strangers hold nobody up; trust is asked again where it counts.
        decision = self.store.decide(
            request,
            body,
            lambda head, keys: consider(head, request, self._now()) if lines_of(lines, keys) else UNTRUSTED,
            lambda head, keys: self._cosigned(request.parsed.text, head, lines_of(lines, keys)),
            self._now(),
        )
        match decision:
            case Refuse():
                if decision.evidence is Evidence.CONTRADICTION:
                    log.critical("a known log has signed two trees of size %d: it has forked", request.size)
                return _refusal(decision)
            case Cosign(head):
                # Ed25519 is deterministic: this is the line that was persisted.
                line = parse_note(self._cosigned(request.parsed.text, head, lines)).signatures[-1].line()
                return Answer(200, line.encode())

    def checkpoint(self, origin_hash: str) -> Answer:
        """Return the checkpoint cosigned last of the log whose origin has that SHA-256, in hex."""
        for known in self.store.logs():
            if known.note is not None and sha256(known.origin.encode()).hexdigest() == origin_hash:
                return Answer(200, known.note)
        return Answer(404, b"no checkpoint of that log was cosigned\n")

    def _cosigned(self, text: str, head: Head, lines: Sequence[NoteSignature]) -> bytes:
        return sign_note(text, [self.key.at(head.cosigned_at)], lines)


def _refusal(refuse: Refuse) -> Answer:
    return Answer(refuse.status, refuse.text.encode(), refuse.media_type)
