"""What of a Bundle becomes a case's context: older observations of its facts and plain texts, as far as they fit.

A record goes back for years and was not written for this question, so what does not fit is left out by its place; it never
refuses a Bundle whose facts do.
"""

from __future__ import annotations

from datetime import datetime

from arbiter.documents.context import Context, RecordText
from arbiter.errors import Problem
from arbiter.model import Fact
from arbiter.protocols.context import (
    CONTEXT_LIMIT_BYTES,
    DOCUMENTS_LIMIT,
    HISTORY_LIMIT,
    RawContext,
    take_earlier,
    text_misfits,
)
from arbiter.protocols.fhir.taking import TakenBundle
from arbiter.protocols.intake import RawFact
from arbiter.question import Question


def context_of(
    taken: TakenBundle, question: Question, taken_at: datetime, before: Context | None = None
) -> tuple[RawContext, tuple[Problem, ...]]:
    """Return what fits beside what the case has already (`before`), the newest first, and what was left out and why."""
    held = before or Context()
    left_out: list[Problem] = []
    history = _history(taken, question, taken_at, held, left_out)
    documents = _documents(taken, taken_at, held, [fact for _, _, fact in history], left_out)
    return RawContext(tuple((name, raw) for name, raw, _ in history), tuple(documents)), tuple(left_out)


def _history(
    taken: TakenBundle, question: Question, taken_at: datetime, held: Context, left_out: list[Problem]
) -> list[tuple[str, RawFact, Fact]]:
    kept: list[tuple[str, RawFact, Fact]] = []
    room = HISTORY_LIMIT - len(held.history)
    known = set(held.history)
    for name, raw, place in sorted(taken.history, key=lambda each: each[1].observed_at, reverse=True):
        problems: list[Problem] = []
        fact = take_earlier(question, place, name, raw, taken_at, problems)
        if fact is None:
            detail = "an older observation that does not fit the fact"
            left_out.append(Problem(place, problems[0].code, detail))
        elif fact in known:
            continue
        elif len(kept) == room:
            left_out.append(Problem(place, "count", f"more than {HISTORY_LIMIT} older observations"))
        else:
            known.add(fact)
            kept.append((name, raw, fact))
    return kept


def _documents(
    taken: TakenBundle, taken_at: datetime, held: Context, history: list[Fact], left_out: list[Problem]
) -> list[RecordText]:
    kept: list[RecordText] = []
    for found in sorted(taken.documents, key=lambda each: each.text.written_at, reverse=True):
        misfits = text_misfits(found.text, taken_at)
        if misfits:
            left_out.append(Problem(found.place, misfits[0][1], misfits[0][2]))
            continue
        if found.text in held.documents or found.text in kept:
            continue
        beside = held.joined(Context(tuple(history), (*kept, found.text)))
        if len(beside.documents) > DOCUMENTS_LIMIT or len(beside.encode()) > CONTEXT_LIMIT_BYTES:
            left_out.append(Problem(found.place, "too-large", "more documents than are kept of a case"))
            continue
        kept.append(found.text)
    return kept
