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
    GIVEN_UP = "given-up"
    """Another replica answered first: only one of several attempts can end so."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One of several tries of an ask: at which replica, how it ended, and when, in microseconds since the first began."""

    replica: str
    ending: Ending
    status: int | None
    began_us: int
    ended_us: int

    def told(self) -> dict[str, Any]:
        """Return the attempt as the document has it."""
        document: dict[str, Any] = {
            "replica": self.replica,
            "ending": self.ending.value,
            "began_us": self.began_us,
            "ended_us": self.ended_us,
        }
        return document if self.status is None else document | {"status": self.status}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request and what came of it.

    `status` is None where no head of a reply came; `reply` holds the bytes of the body that were kept, `reply_bytes` counts
    those that were seen. Times are microseconds from the start; `head_after_us` is None where no head came. `replica` is the
    one that is told of; `attempts` are all tries, in the order in which they began, where there was more than one.
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
    replica: str = ""
    attempts: tuple[Attempt, ...] = ()

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
        if self.replica:
            document["replica"] = self.replica
        if self.attempts:
            document["attempts"] = [attempt.told() for attempt in self.attempts]
        if self.status is not None:
            document["status"] = self.status
        if self.head_after_us is not None:
            document["head_after_us"] = self.head_after_us
        return encode(document)
