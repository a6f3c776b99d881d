"""The second signature on checkpoints that leave the house: made once a size, when somebody first asks for it.

It is seventeen times as long as all the rest of a checkpoint, so what is stored carries Ed25519's alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import parse_note
from arbiter.store.log import StoredCheckpoint

REMEMBERED = 64


class Countersigner:
    """Adds the log's ML-DSA-44 signatures; without such a key it adds nothing.

    They are as of the sealing: at that moment the checkpoint was the log's largest, which is what the time in one says.
    """

    def __init__(self, keys: tuple[MlDsa44Key, ...]) -> None:
        self._keys = keys
        self._sign = lru_cache(REMEMBERED)(self._sign_anew)

    def countersigned(self, shown: StoredCheckpoint) -> StoredCheckpoint:
        """Return a checkpoint with the second signature beside the others."""
        if not self._keys:
            return shown
        return replace(shown, note=self._sign(shown.note, int(shown.sealed_at.timestamp())))

    def _sign_anew(self, note: str, sealed_seconds: int) -> str:
        parsed = parse_note(note.encode("utf-8"))
        signers = [key.at(sealed_seconds) for key in self._keys]
        return sign_checkpoint(Checkpoint.parse(parsed.text), signers, parsed.signatures).decode("utf-8")
