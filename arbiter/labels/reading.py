"""What is common to the three formats: what a command says beside the file, and the file's text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from arbiter.errors import Problem, RefusedError
from arbiter.files.reading import decode
from arbiter.model import RiskClass

FILE_LIMIT_BYTES: Final = 256 * 1024 * 1024
MOST_PROBLEMS: Final = 10_000
_MARK: Final = "\ufeff"


class Format(StrEnum):
    """How a file says its cases."""

    CSV = "csv"
    JSON = "json"
    FHIR = "fhir"


_SUFFIXES: Final = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What is said beside the file, for all of its cases.

    `risk_class` is that of cases that name none. `observed_at_column`, `source` and `ignored` are for CSV: the column that says when
    a row's facts were observed, where a fact has no column of its own for it; where facts come from, likewise; and columns that are
    of no concern. `subject_system` chooses among a FHIR Patient's numbers. `synthetic` lets invented labels pass.
    """

    risk_class: RiskClass | None = None
    observed_at_column: str | None = None
    source: str | None = None
    ignored: frozenset[str] = frozenset()
    subject_system: str | None = None
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a reader notes beside the cases it yields: problems, and what of FHIR it left out, by reason."""

    problems: list[Problem] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def enough(self) -> bool:
        """Whether so much is wrong that nobody reads on."""
        return len(self.problems) >= MOST_PROBLEMS


def format_of(name: str) -> Format | None:
    """Return the format that a file's name tells, None where it tells none: `a.fhir.json` is FHIR, `a.json` are cases."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        return None
    found = _SUFFIXES[suffixes[-1]]
    return Format.FHIR if found is Format.JSON and ".fhir" in suffixes else found


def text_of(name: str, source: bytes) -> str:
    """Return a file's text without the mark that some systems put before UTF-8.

    Raises:
        RefusedError: when it is no UTF-8, or more than 256 MiB.
    """
    if len(source) > FILE_LIMIT_BYTES:
        raise RefusedError(
            f"{name} is too large: expected at most {FILE_LIMIT_BYTES // 1024**2} MiB, more came; import it in parts"
        )
    problems: list[Problem] = []
    text = decode(name, source, problems)
    if text is None:
        raise RefusedError(f"{name} is no UTF-8: save it in that encoding", tuple(problems))
    return text.removeprefix(_MARK)
