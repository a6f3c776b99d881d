"""Real time and real chance, behind the core's ports."""

from __future__ import annotations

import os
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)


class SystemChance:
    """The operating system's generator."""

    def token(self, size: int) -> bytes:
        """Return `size` random bytes."""
        return os.urandom(size)
