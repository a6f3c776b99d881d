"""The second signature on checkpoints that leave the house: made once a size, when somebody first asks for it.

It is seventeen times as long as all the rest of a checkpoint, so what is stored carries Ed25519's alone.
"""

from __future__ import annotations

from dataclasses import replace

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import parse_note
from arbiter.ports import Clock
from arbiter.store.log import StoredCheckpoint

REMEMBERED = 64
"""Notes whose second signature is kept at hand, so that who asks again gets the same."""


class Countersigner:
    """Adds the log's ML-DSA-44 signatures, as of the moment of signing. Without such a key it adds nothing."""

    def __init__(self, keys: tuple[MlDsa44Key, ...], clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._known: dict[str, str] = {}

    def countersigned(self, stored: StoredCheckpoint) -> StoredCheckpoint:
        """Return a checkpoint with the second signature beside the others."""
        if not self._keys:
            return stored
        note = self._known.get(stored.note)
        if note is None:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            note = self._known[stored.note] = self._sign(stored.note)
        return replace(stored, note=note)

    def _sign(self, note: str) -> str:
        parsed = parse_note(note.encode("utf-8"))
        now = int(self._clock.now().timestamp())
        signers = [key.at(now) for key in self._keys]
        return sign_checkpoint(Checkpoint.parse(parsed.text), signers, parsed.signatures).decode("utf-8")
