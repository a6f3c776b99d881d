"""Turns what a hospital system sent beside the facts into a context for the clinician, or refuses the whole with every reason.

An earlier observation is checked as a fact is (name, kind, unit, bounds, decimals, status, source) and converted as one, but
none is too old for a fact that ages: a trend is made of what is over. A text is plain, bounded, and turns no direction of
what stands around it (Unicode TR 36, "Bidirectional Text Spoofing").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from arbiter.documents.context import Context, RecordText
from arbiter.errors import InvalidCaseError, Problem
from arbiter.model import Fact
from arbiter.protocols.intake import FUTURE_TOLERANCE, OLDEST_STANDING, RawFact, take_fact
from arbiter.question import Question

HISTORY_LIMIT: Final = 500
DOCUMENTS_LIMIT: Final = 20
TEXT_LIMIT: Final = 20_000
LINE_LIMIT: Final = 200
CONTEXT_LIMIT_BYTES: Final = 192 * 1024
"""How long the sealed document may be, all amendments of a case together."""

# What no terminal, page or paper prints, and what turns the direction of its surroundings; tabs and line breaks are text.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class RawContext:
    """What was sent, as (fact's name, observation) and texts; nothing of it is checked yet."""

    history: tuple[tuple[str, RawFact], ...] = ()
    documents: tuple[RecordText, ...] = ()


NO_CONTEXT: Final = RawContext()


def take_context(question: Question, raw: RawContext, taken_at: datetime) -> Context:
    """Return the context of one version of a case.

    Raises:
        InvalidCaseError: with every problem found, each with a JSON pointer such as `/context/history/3/unit`.
    """
    problems = list(_counted(len(raw.history), len(raw.documents)))
    history = []
    for index, (name, observation) in enumerate(raw.history[:HISTORY_LIMIT]):
        taken = take_earlier(question, f"/context/history/{index}", name, observation, taken_at, problems)
        if taken is not None:
            history.append(taken)
    documents = []
    for index, each in enumerate(raw.documents[:DOCUMENTS_LIMIT]):
        found = list(_misfits(each, taken_at))
        problems += [
            Problem(f"/context/documents/{index}/{key}", code, detail) for key, code, detail in found
        ]
        if not found:
            documents.append(_plain(each))
    if problems:
        raise InvalidCaseError("the context does not fit the question", tuple(problems))
    context = Context().joined(Context(tuple(history), tuple(documents)))
    check_size(context)
    return context


def take_earlier(
    question: Question, path: str, name: str, raw: RawFact, taken_at: datetime, problems: list[Problem]
) -> Fact | None:
    """Return an earlier observation, or note what is wrong with it and return None."""
    return take_fact(path, name, question.spec(name), raw, taken_at, OLDEST_STANDING, problems)


def text_misfits(each: RecordText, taken_at: datetime) -> tuple[tuple[str, str, str], ...]:
    """Return what is wrong with a text, as (member, code, detail)."""
    return tuple(_misfits(each, taken_at))


def check_size(context: Context) -> None:
    """Raise InvalidCaseError when a case's context, all amendments together, is more than is kept of one case."""
    problems = list(_counted(len(context.history), len(context.documents)))
    if len(context.encode()) > CONTEXT_LIMIT_BYTES:
        detail = f"expected at most {CONTEXT_LIMIT_BYTES} bytes of context for a case in all"
        problems.append(Problem("/context", "too-large", detail))
    if problems:
        raise InvalidCaseError("the context is more than is kept of a case", tuple(problems))


def _counted(observations: int, documents: int) -> Iterator[Problem]:
    for key, number, limit in (
        ("history", observations, HISTORY_LIMIT),
        ("documents", documents, DOCUMENTS_LIMIT),
    ):
        if number > limit:
            detail = f"expected at most {limit} for a case in all, {number} came"
            yield Problem(f"/context/{key}", "count", detail)


def _misfits(each: RecordText, taken_at: datetime) -> Iterator[tuple[str, str, str]]:
    for key, line in (("title", each.title), ("kind", each.kind), ("author", each.author)):
        if not line.strip() or len(line) > LINE_LIMIT or _UNPRINTABLE.search(line) or "\n" in line:
            yield key, "text", f"expected one line of 1 to {LINE_LIMIT} printable characters"
    if each.written_at.utcoffset() is None:
        yield "written_at", "no-offset", "expected an instant with its offset from UTC"
    elif each.written_at - taken_at > FUTURE_TOLERANCE:
        yield "written_at", "future", "expected an instant that is not after intake"
    elif taken_at - each.written_at > OLDEST_STANDING:
        yield (
            "written_at",
            "too-old",
            f"expected an instant at most {OLDEST_STANDING.days} days before intake",
        )
    text = _unix(each.text)
    if not text.strip() or len(text) > TEXT_LIMIT:
        yield "text", "length", f"expected 1 to {TEXT_LIMIT} characters"
    elif _UNPRINTABLE.search(text):
        yield "text", "control-character", "expected plain text without control characters or overrides"


def _plain(each: RecordText) -> RecordText:
    return RecordText(each.title, each.kind, each.written_at.astimezone(UTC), each.author, _unix(each.text))


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
