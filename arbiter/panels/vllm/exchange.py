"""What went over the wire when a model was asked: exact bytes both ways, how it ended and how long it took.

Guarantees: whatever was sent and whatever came back is in the document, also when the exchange failed half-way; of a reply
beyond its limit the beginning is kept and the rest counted. The bytes hold the case and are sealed like the rest of it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from arbiter.documents.canonical import encode

FORMAT: Final = "arbiter/exchange/v1"


class Ending(StrEnum):
    """How an exchange ended."""

    COMPLETE = "complete"
    TOO_LARGE = "too-large"
    OUT_OF_TIME = "out-of-time"
    NOT_CONNECTED = "not-connected"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request and what came of it.

    `status` is None where no head of a reply came; `reply` holds the bytes of the body that were kept, `reply_bytes` counts
    those that were seen. Times are microseconds from the start; `head_after_us` is None where no head came.
    """

    server: str
    path: str
    request: bytes
    status: int | None
    reply: bytes
    reply_bytes: int
    ending: Ending
    head_after_us: int | None
    ended_after_us: int

    def encode(self) -> bytes:
        """Return the document `exchange`: canonical JSON, bytes in base64, absent values as absent keys."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "server": self.server,
            "path": self.path,
            "request": base64.b64encode(self.request).decode("ascii"),
            "reply": base64.b64encode(self.reply).decode("ascii"),
            "reply_bytes": self.reply_bytes,
            "ending": self.ending.value,
            "ended_after_us": self.ended_after_us,
        }
        if self.status is not None:
            document["status"] = self.status
        if self.head_after_us is not None:
            document["head_after_us"] = self.head_after_us
        return encode(document)
