"""Reads the labelled cases that an evaluation is made of: the shape of a bundle's `examples.jsonl`, up to 100,000 of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arbiter.errors import Problem, RefusedError, counted
from arbiter.files.faults import PROBLEMS_LIMIT
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.examples import read_examples
from arbiter.question import Question

CASES_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Case:
    """A labelled case and the SHA-256 (hex) of its line, by which a case that was changed is known."""

    labelled: LabelledCase
    hash: str

    @property
    def id(self) -> str:
        """The case's id."""
        return self.labelled.id


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of a file in its order, and the SHA-256 (hex) of the file."""

    cases: tuple[Case, ...]
    sha256: str


def read_cases(path: Path, question: Question) -> Cases:
    """Return the cases of a file.

    Raises:
        OSError: when the file cannot be read.
        RefusedError: with every problem, each at its `file:line:column`; also when the file holds no case.
    """
    source = path.read_bytes()
    problems: list[Problem] = []
    # A file ends with a line break, behind which a last, empty line begins.
    found = read_examples(source, question, problems, file=path.name, limit=CASES_LIMIT + 1)
    if not problems and not found:
        problems.append(Problem(f"{path.name}:1:1", "empty", "expected one labelled case a line, none came"))
    if problems:
        raise RefusedError(
            f"the labelled cases in {path.name} have {counted(len(problems), 'problem')}",
            tuple(problems[:PROBLEMS_LIMIT]),
        )
    lines = (line for line in source.split(b"\n") if line.strip())
    hashed = (hashlib.sha256(line).hexdigest() for line in lines)
    cases = tuple(Case(case, line_hash) for case, line_hash in zip(found, hashed, strict=True))
    return Cases(cases, hashlib.sha256(source).hexdigest())
