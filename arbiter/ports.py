"""What the core needs from outside and never reaches for itself: time, chance and signatures."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


class Chance(Protocol):
    """A source of unpredictable bytes; tests seed it."""

    def token(self, size: int) -> bytes:
        """Return `size` random bytes."""
        ...


class Signer(Protocol):
    """Holds a private key that signs log notes; nothing else ever sees the key."""

    @property
    def name(self) -> str:
        """The key's name as it stands in a signed note."""
        ...

    @property
    def verifier_key(self) -> str:
        """The public half as a C2SP signed-note verifier key string."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature over `message`."""
        ...
