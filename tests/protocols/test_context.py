"""What is taken beside the facts: checked like facts, never too old, bounded; every reason names its place and no value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.documents.context import Context, RecordText
from arbiter.errors import InvalidCaseError, RefusedError
from arbiter.protocols.context import (
    CONTEXT_LIMIT_BYTES,
    DOCUMENTS_LIMIT,
    HISTORY_LIMIT,
    TEXT_LIMIT,
    RawContext,
    check_size,
    take_context,
)
from arbiter.protocols.intake import RawFact
from arbiter.protocols.loader import read_shipped

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUESTION = read_shipped("deterioration").protocol.question
NOTE = RecordText("Night round", "ward note", NOW - timedelta(hours=3), "ward nurse", "Slept little.\nPale.")


def breaths(value: Any = Decimal(18), hours: float = 4, **changes: Any) -> tuple[str, RawFact]:
    raw = RawFact(value, "/min", NOW - timedelta(hours=hours), "final", "monitor")
    return "respiratory_rate", replace(raw, **changes)


def problems(context: RawContext) -> list[tuple[str, str]]:
    with pytest.raises(InvalidCaseError) as refused:
        take_context(QUESTION, context, NOW)
    return [(each.pointer, each.code) for each in refused.value.problems]


def test_observations_are_sorted_converted_and_kept_however_old() -> None:
    fahrenheit = "temperature", RawFact(Decimal("100.5"), "[degF]", NOW - timedelta(days=400), "final", "x")
    taken = take_context(QUESTION, RawContext((breaths(), fahrenheit)), NOW)
    assert [(fact.name, fact.value, fact.unit) for fact in taken.history] == [
        ("temperature", Decimal("38.1"), "Cel"),
        ("respiratory_rate", Decimal(18), "/min"),
    ]


def test_what_comes_twice_is_kept_once() -> None:
    taken = take_context(QUESTION, RawContext((breaths(), breaths()), (NOTE, NOTE)), NOW)
    assert (len(taken.history), len(taken.documents)) == (1, 1)


@pytest.mark.parametrize(
    ("observation", "place", "code"),
    [
        (breaths(Decimal(1000)), "value", "range"),
        (breaths("many"), "value", "type"),
        (breaths(unit="Cel"), "unit", "unit"),
        (breaths(unit=None), "unit", "unit"),
        (breaths(Decimal("18.5")), "value", "decimals"),
        (breaths(hours=-1), "observed_at", "future"),
        (breaths(observed_at=datetime(2026, 3, 1, 8, 0)), "observed_at", "no-offset"),  # noqa: DTZ001 - the mistake
        (breaths(hours=24 * 366 * 131), "observed_at", "too-old"),
        (breaths(status="guessed"), "status", "status"),
        (breaths(source=" "), "source", "source"),
        (breaths(source="\u202egnp"), "source", "source"),
    ],
)
def test_an_observation_is_checked_as_a_fact_is(
    observation: tuple[str, RawFact], place: str, code: str
) -> None:
    assert problems(RawContext((breaths(), observation))) == [(f"/context/history/1/{place}", code)]


def test_an_observation_of_no_fact_of_the_question_is_refused_without_its_name() -> None:
    assert problems(RawContext((("star_sign", breaths()[1]),))) == [("/context/history/0", "unknown-fact")]


@pytest.mark.parametrize(
    ("changes", "place", "code"),
    [
        ({"title": ""}, "title", "text"),
        ({"title": "x" * 201}, "title", "text"),
        ({"kind": "two\nlines"}, "kind", "text"),
        ({"author": "\x1b[31m"}, "author", "text"),
        ({"text": " \n "}, "text", "length"),
        ({"text": "x" * (TEXT_LIMIT + 1)}, "text", "length"),
        ({"text": "bell\x07"}, "text", "control-character"),
        ({"text": "dose \u202e01\u202c mg"}, "text", "control-character"),
        ({"text": "\u2067isolate"}, "text", "control-character"),
        ({"text": "\ud800"}, "text", "control-character"),
        ({"written_at": NOW + timedelta(hours=1)}, "written_at", "future"),
        ({"written_at": datetime(2026, 3, 1)}, "written_at", "no-offset"),  # noqa: DTZ001 - the mistake
    ],
)
def test_a_text_that_is_not_plain_is_refused(changes: dict[str, Any], place: str, code: str) -> None:
    told = problems(RawContext((), (replace(NOTE, **changes),)))
    assert told == [(f"/context/documents/0/{place}", code)]


def test_texts_in_other_scripts_and_with_marks_of_direction_are_taken() -> None:
    text = "\u200f\u05d4\u05de\u05d8 \u05e0\u05d7\u200e\tquiet\r\nline"
    (taken,) = take_context(QUESTION, RawContext((), (replace(NOTE, text=text),)), NOW).documents
    assert taken.text == text.replace("\r\n", "\n")


def test_more_than_is_kept_is_refused_by_number_and_by_size() -> None:
    many = tuple(breaths(hours=hour) for hour in range(HISTORY_LIMIT + 1))
    assert ("/context/history", "count") in problems(RawContext(many))
    texts = tuple(replace(NOTE, title=f"{number}") for number in range(DOCUMENTS_LIMIT + 1))
    assert ("/context/documents", "count") in problems(RawContext((), texts))
    large = tuple(replace(NOTE, title=f"{number}", text="x" * TEXT_LIMIT) for number in range(11))
    assert problems(RawContext((), large)) == [("/context", "too-large")]
    take_context(QUESTION, RawContext((), large[:9]), NOW)


def test_amendments_together_are_bounded_as_one() -> None:
    half = Context((), tuple(replace(NOTE, title=f"{n}", text="y" * TEXT_LIMIT) for n in range(6)))
    other = Context((), tuple(replace(NOTE, title=f"other {n}", text="y" * TEXT_LIMIT) for n in range(6)))
    check_size(half)
    with pytest.raises(InvalidCaseError, match="more than is kept"):
        check_size(half.joined(other))
    assert len(half.encode()) < CONTEXT_LIMIT_BYTES < len(half.joined(other).encode())


def test_no_refusal_repeats_what_was_sent() -> None:
    secret = "MRN-7714403"
    raw = RawContext((breaths(secret), breaths(source=secret * 30)), (replace(NOTE, text=secret + "\x07"),))
    with pytest.raises(InvalidCaseError) as refused:
        take_context(QUESTION, raw, NOW)
    assert secret not in f"{refused.value} {refused.value.problems}"


# --- the document ------------------------------------------------------------------------------------------------

LINES = st.text(st.characters(min_codepoint=32, exclude_categories=("C", "Zl", "Zp")), min_size=1).filter(
    str.strip
)


@given(texts=st.lists(LINES, max_size=5), values=st.lists(st.integers(0, 100), max_size=20))
def test_a_document_reads_back_as_it_was_written_and_equal_ones_have_equal_bytes(
    texts: list[str], values: list[int]
) -> None:
    raw = RawContext(
        tuple(breaths(Decimal(value), hours=index + 1) for index, value in enumerate(values)),
        tuple(replace(NOTE, title=f"{index}", text=text) for index, text in enumerate(texts)),
    )
    taken = take_context(QUESTION, raw, NOW)
    assert Context.decode(taken.encode()) == taken
    turned = RawContext(raw.history[::-1], raw.documents[::-1])
    assert take_context(QUESTION, turned, NOW).encode() == taken.encode()


@pytest.mark.parametrize(
    "content",
    [b"{}", b"[]", b'{"documents":[],"format":"arbiter/context/v2","history":[]}', b"not JSON"],
)
def test_a_document_of_another_form_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError):
        Context.decode(content)
