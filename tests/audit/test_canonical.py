"""Canonical JSON against the package rfc8785, and every way a second spelling could slip in."""

import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.canonical import MAX_DEPTH, MAX_INTEGER, canonical_bytes, parse_canonical
from arbiter.errors import VerificationError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_agrees_with_the_package_rfc8785_and_reads_back(value: Any) -> None:
    data = canonical_bytes(value)
    assert data == rfc8785.dumps(value)
    assert parse_canonical(data) == value


def test_keys_are_ordered_by_utf16_code_units_as_the_rfc_shows() -> None:
    # RFC 8785 section 3.2.3: the example's keys, in the order the RFC gives.
    ordered = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]
    data = canonical_bytes(dict.fromkeys(reversed(ordered), "x"))
    assert list(json.loads(data)) == ordered


def test_strings_are_escaped_as_the_rfc_shows() -> None:
    # RFC 8785 section 3.2.2.2, the string of its example.
    assert canonical_bytes('\u20ac$\x0f\nA\'B"\\\\"/') == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (1.0, "/"),
        ({"a": [0, math.nan]}, "/a/1"),
        ({"a/b": {"~": math.inf}}, "/a~1b/~0"),
        ({"a": None}, "/a"),
        ([MAX_INTEGER + 1], "/0"),
        ([-MAX_INTEGER - 1], "/0"),
        ({"a": b"bytes"}, "/a"),
        ({1: "one"}, "/"),
        (["\ud800"], "/0"),
        ({"\udfff": 1}, "/"),
        ({"a": {1, 2}}, "/a"),
    ],
)
def test_what_the_profile_does_not_carry_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises(ValueError, match=f"at {place}$"):
        canonical_bytes(value)


def test_nesting_beyond_the_limit_is_refused_on_both_ways() -> None:
    value: object = "x"
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match="nesting"):
        canonical_bytes(value)
    for depth in (MAX_DEPTH + 2, 100_000):
        with pytest.raises(VerificationError, match="nesting"):
            parse_canonical(b"[" * depth + b"]" * depth)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b' {"a":1}',
        b'{"a":1}\n',
        b"\xef\xbb\xbf{}",
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"+1",
        b"9007199254740992",
        b"9" * 5000,
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"null",
        b'{"a":null}',
        b"'a'",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000A"',
        b'"\\u001F"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\ud83d\\ude00"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\xc0\x80"',
        b'"tab\there"',
        '{"\ufb33":1,"\U0001f600":2}'.encode(),
    ],
)
def test_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_canonical(data)


def test_a_duplicate_key_is_called_one() -> None:
    with pytest.raises(VerificationError, match="duplicate key"):
        parse_canonical(b'{"a":{"b":1,"b":1}}')


def test_a_refusal_never_repeats_the_content() -> None:
    with pytest.raises(VerificationError) as caught:
        parse_canonical(b'{"name":"Doe, Jane", "age":1}')
    assert "Doe" not in str(caught.value)
