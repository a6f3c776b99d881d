"""Keeps labelled cases as a file of the shape that `arbiter evaluate` and `arbiter calibrate` read: a case a line, for its owner alone.

A file is there whole or not at all, and one that is there already stays as it is unless its end is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from arbiter.errors import Problem, RefusedError
from arbiter.evaluation.cases import CASES_LIMIT
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.examples import example_line, read_examples
from arbiter.question import Question


def content_of(cases: Iterable[LabelledCase], question: Question, file: str) -> bytes:
    """Return the file's bytes: the same cases give the same ones.

    Raises:
        RefusedError: when they would not read back as what they are, each problem at its line of `file`.
    """
    held = tuple(cases)
    content = "".join(f"{example_line(case)}\n" for case in held).encode()
    problems: list[Problem] = []
    read = read_examples(content, question, problems, file=file, limit=CASES_LIMIT + 1)
    if problems or read != held:
        raise RefusedError(f"the cases for {file} would not read back as they are", tuple(problems))
    return content


def keep_cases(path: Path, content: bytes, *, force: bool) -> None:
    """Put a file of cases in its place, readable for its owner alone, on the disk when this returns.

    Raises:
        FileExistsError: when something is there and `force` does not say to replace it.
        OSError: when it cannot be written; then what was there is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if force:
            beside.replace(path)
        else:
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
