"""The second signature on checkpoints that leave the house: made once a size, when somebody first asks for it.

It is seventeen times as long as all the rest of a checkpoint, so what is stored carries Ed25519's alone. What is read
from the database to be signed a second time must be signed a first time: who can write there gets nothing signed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from arbiter.audit.checkpoint import open_checkpoint, sign_checkpoint
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import VerifierKey, parse_note
from arbiter.store.log.checkpoints import StoredCheckpoint
from arbiter.workflow.log.guard import LogGuard

REMEMBERED = 64


class Countersigner:
    """Adds the log's ML-DSA-44 signatures; without such a key it adds nothing.

    They are as of the sealing: at that moment the checkpoint was the log's largest, which is what the time in one says.
    """

    def __init__(
        self, keys: tuple[MlDsa44Key, ...], verifiers: tuple[VerifierKey, ...], guard: LogGuard
    ) -> None:
        self._keys = keys
        self._verifiers = verifiers
        self._guard = guard
        self._sign = lru_cache(REMEMBERED)(self._sign_anew)

    def countersigned(self, shown: StoredCheckpoint) -> StoredCheckpoint:
        """Return a checkpoint with the second signature beside the others; one of a refused log gets none.

        Raises:
            VerificationError: when the log's own Ed25519 key did not sign it.
        """
        if not self._keys or self._guard.refusal is not None:
            return shown
        return replace(shown, note=self._sign(shown.note, int(shown.sealed_at.timestamp())))

    def _sign_anew(self, note: str, sealed_seconds: int) -> str:
        data = note.encode("utf-8")
        checkpoint = open_checkpoint(data, self._verifiers).checkpoint
        # A former origin's is that origin's to sign.
        signers = [key.at(sealed_seconds) for key in self._keys if key.name == checkpoint.origin]
        return sign_checkpoint(checkpoint, signers, parse_note(data).signatures).decode("utf-8")
