"""What a finding is, and the words that findings share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: cases go to clinicians for it, it soon may be so, or it is good to know."""

    ALARM = "alarm"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what, since when where that is known, and what to do."""

    level: Level
    what: str
    remedy: str
    since: datetime | None = None


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them: alpha, beta and gamma."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def share(part: int, whole: int) -> str:
    """Return a part in per cent with one decimal, such as 4.1%."""
    return f"{part / whole:.1%}" if whole else "0.0%"
