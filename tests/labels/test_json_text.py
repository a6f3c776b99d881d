"""Where values begin and end, and where each member stands: compared with what Python's own reader finds there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.errors import Problem
from arbiter.labels.json_text import JsonText
from arbiter.labels.reading import MOST_PROBLEMS

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=6), below, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=4)
BLANKS = st.sampled_from(["", " ", "\n", "\r\n", "\t ", "\n\n "])


def every_place(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    yield pointer, value
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        token = str(step).replace("~", "~0").replace("/", "~1")
        yield from every_place(below, f"{pointer}/{token}")


def spans(text: str) -> tuple[list[tuple[int, int]], list[Problem]]:
    problems: list[Problem] = []
    return list(JsonText.of("f", text).values(problems)), problems


def position(text: str, place: str) -> int:
    """The index that a place names, counted by splitting the text into lines."""
    _, line, column = place.split(":")
    return sum(len(one) + 1 for one in text.split("\n")[: int(line) - 1]) + int(column) - 1


@given(OBJECTS, st.sampled_from([None, 1]), st.booleans(), BLANKS)
def test_every_member_is_found_where_it_stands(
    value: Any, indent: int | None, ascii_only: bool, blank: str
) -> None:
    text = blank + json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    whole = JsonText.of("f", text)
    for pointer, below in every_place(value):
        at = whole.find(len(blank), pointer)
        assert json.JSONDecoder().raw_decode(text, at)[0] == below
        assert position(text, whole.place(at)) == at


@given(st.lists(OBJECTS, max_size=4), BLANKS, BLANKS)
def test_values_are_told_apart_in_an_array_and_one_after_another(
    values: list[Any], before: str, between: str
) -> None:
    texts = [json.dumps(value) for value in values]
    array = f"{before}[{before}{f'{between},{before}'.join(texts)}{between}]{between}"
    lines = before + "".join(f"{text}{between}" for text in texts)
    for text in (array, lines):
        found, problems = spans(text)
        assert [json.loads(text[start:end]) for start, end in found] == values
        assert problems == []


@pytest.mark.parametrize(
    ("pointer", "nearest"), [("/b", "{"), ("/a/x", "1"), ("/c/9", "["), ("/c/0/d", "{"), ("/c/x", "[")]
)
def test_what_is_not_there_is_told_at_what_is_around_it(pointer: str, nearest: str) -> None:
    text = '{"a": 1, "c": [{"e": 2}]}'
    at = JsonText.of("f", text).find(0, pointer)
    assert text[at] == nearest


@pytest.mark.parametrize(
    ("text", "place", "read"),
    [
        ("{", "f:1:2", 0),
        ('{"a": }', "f:1:7", 0),
        ("[{}, {}", "f:1:8", 2),
        ("[{} {}]", "f:1:5", 1),
        ("[{},]", "f:1:5", 1),
        ("[", "f:1:2", 0),
        ("[{}] {}", "f:1:6", 1),
        ("[{}]]", "f:1:5", 1),
        ("{}\n{]\n{}\n", "f:2:2", 2),
        ("{}\nnothing\n{}\n", "f:2:1", 2),
        ("{}\n{", "f:2:2", 1),
        ('{"a": "\x01"}', "f:1:8", 0),
        ("[" * 100_000, "f:1:2", 0),
        ('{"a":' * 100_000, "f:1:1", 0),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_is_no_json_is_told_where_it_is_and_the_rest_is_read_where_it_can_be(
    text: str, place: str, read: int
) -> None:
    found, problems = spans(text)
    assert len(found) == read
    assert [problem.pointer for problem in problems] == [place]


def test_of_lines_that_are_none_no_more_are_told_than_anybody_reads() -> None:
    found, problems = spans("{\n" * (2 * MOST_PROBLEMS))
    assert (found, len(problems)) == ([], MOST_PROBLEMS)


def test_a_number_of_any_length_ends_where_it_ends() -> None:
    found, problems = spans("[" + "9" * 10_000 + "]")
    assert (found, problems) == ([(1, 10_001)], [])
