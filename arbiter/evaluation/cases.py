"""Reads the labelled cases that an evaluation is made of: the shape of a bundle's `examples.jsonl`, up to 100,000 of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arbiter.errors import Problem, RefusedError, counted
from arbiter.files.faults import PROBLEMS_LIMIT
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.examples import read_examples
from arbiter.question import Question

CASES_LIMIT: Final = 100_000
_FEW: Final = 10
"""So many facts that are none of the question's may be slips, and each is told with its line."""


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
        RefusedError: with every problem, each at its `file:line:column`; also when the file holds no case. In one sentence when
            the cases look like another protocol's.
    """
    source = path.read_bytes()
    problems: list[Problem] = []
    # A file ends with a line break, behind which a last, empty line begins.
    found = read_examples(source, question, problems, file=path.name, limit=CASES_LIMIT + 1)
    if not problems and not found:
        problems.append(Problem(f"{path.name}:1:1", "empty", "expected one labelled case a line, none came"))
    _require_this_question(found, question, path.name)
    if not problems:
        problems += _without_source(source, found, path.name)
    if problems:
        raise RefusedError(
            f"the labelled cases in {path.name} have {counted(len(problems), 'problem')}",
            tuple(problems[:PROBLEMS_LIMIT]),
        )
    lines = (line for line in source.split(b"\n") if line.strip())
    hashed = (hashlib.sha256(line).hexdigest() for line in lines)
    cases = tuple(Case(case, line_hash) for case, line_hash in zip(found, hashed, strict=True))
    return Cases(cases, hashlib.sha256(source).hexdigest())


def _require_this_question(found: Sequence[LabelledCase], question: Question, name: str) -> None:
    """Raise RefusedError when most facts are none of the question's: hundreds of lines would say no more."""
    facts = [fact.name for case in found for fact in case.facts]
    unknown = sum(question.spec(fact) is None for fact in facts)
    if unknown > _FEW and 2 * unknown > len(facts):
        raise RefusedError(
            f"the labelled cases in {name} look like another protocol's: {unknown:,} of their {len(facts):,} facts are none of this "
            "question's; name the protocol that they are for"
        )


def _without_source(source: bytes, found: Sequence[LabelledCase], name: str) -> Iterator[Problem]:
    """Yield each case whose provenance does not say, before its first semicolon, how the label came about."""
    numbers = (number for number, line in enumerate(source.split(b"\n"), start=1) if line.strip())
    for number, case in zip(numbers, found, strict=True):
        if not case.provenance.split(";")[0].strip():
            yield Problem(
                f"{name}:{number}:1",
                "empty",
                f"{case.id}: expected the provenance to say before its first semicolon how the label came about, nothing came",
            )
