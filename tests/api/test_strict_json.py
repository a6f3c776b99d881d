from __future__ import annotations

import asyncio
import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.api import strict_json
from arbiter.api.strict_json import (
    BODY_LIMIT_BYTES,
    DEPTH_LIMIT,
    DISCARD_LIMIT_BYTES,
    BodyTooLargeError,
    BodyTooSlowError,
    ClientGoneError,
    MalformedJsonError,
    UnsupportedMediaError,
    check_media_type,
    parse,
    read_body,
)

MALFORMED: list[tuple[str, bytes, str, str]] = [
    ("empty body", b"", "", "syntax"),
    ("blank body", b"  \n", "", "syntax"),
    ("two values", b"{} {}", "", "syntax"),
    ("trailing comma", b'{"a":1,}', "", "syntax"),
    ("single quotes", b"{'a':1}", "", "syntax"),
    ("comment", b'{"a":1 /* why */}', "", "syntax"),
    ("bare word", b"yes", "", "syntax"),
    ("leading zero", b'{"a":012}', "", "syntax"),
    ("leading plus", b'{"a":+1}', "", "syntax"),
    ("hexadecimal", b'{"a":0x1F}', "", "syntax"),
    ("point without digits", b'{"a":1.}', "", "syntax"),
    ("raw control character", b'{"a":"x\x01y"}', "", "syntax"),
    ("unfinished text", b'{"a":"x', "", "syntax"),
    ("not UTF-8", b'{"a":"\xff"}', "", "encoding"),
    ("overlong UTF-8", b'{"a":"\xc0\xaf"}', "", "encoding"),
    ("UTF-8 encoded surrogate", b'{"a":"\xed\xa0\x80"}', "", "encoding"),
    ("byte order mark", b'\xef\xbb\xbf{"a":1}', "", "byte-order-mark"),
    ("UTF-16", '{"a":1}'.encode("utf-16"), "", "encoding"),
    ("UTF-16 without mark", '{"a":1}'.encode("utf-16-be"), "", "syntax"),
    ("lone high surrogate", b'{"a":{"b":"\\ud800"}}', "/a/b", "lone-surrogate"),
    ("lone low surrogate in a list", b'{"a":["x","\\udc00"]}', "/a/1", "lone-surrogate"),
    ("lone surrogate in a name", b'{"\\ud800":1}', "/?", "lone-surrogate"),
    ("name given twice", b'{"a":1,"b":2,"a":3}', "/a", "duplicate-member"),
    (
        "name given twice, deep",
        b'{"facts":{"hr":{"value":1,"value":2}}}',
        "/facts/hr/value",
        "duplicate-member",
    ),
    ("name given twice through an escape", b'{"a":1,"\\u0061":2}', "/a", "duplicate-member"),
    ("NaN", b'{"a":NaN}', "/a", "number-not-finite"),
    ("Infinity", b'{"a":[Infinity]}', "/a/0", "number-not-finite"),
    ("-Infinity", b'{"a":-Infinity}', "/a", "number-not-finite"),
    ("long integer", b'{"a":' + b"9" * 33 + b"}", "/a", "number-too-long"),
    ("five thousand digits", b'{"a":' + b"9" * 5000 + b"}", "/a", "number-too-long"),
    ("long fraction", b'{"a":0.' + b"1" * 40 + b"}", "/a", "number-too-long"),
    ("huge exponent", b'{"a":1e999999999}', "/a", "number-out-of-range"),
    ("tiny exponent", b'{"a":1e-999999999}', "/a", "number-out-of-range"),
    ("exponent past the decimal type", b'{"a":1e9999999999999999999}', "/a", "number-out-of-range"),
    ("zero with a huge exponent", b'{"a":0e999999}', "/a", "number-out-of-range"),
    ("too deep, lists", b"[" * (DEPTH_LIMIT + 1) + b"]" * (DEPTH_LIMIT + 1), "/0" * DEPTH_LIMIT, "too-deep"),
    ("too deep, by far", b"[" * 100_000, "", "too-deep"),
    ("too deep, objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "", "too-deep"),
]


@pytest.mark.parametrize(
    ("body", "pointer", "code"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
def test_malformed_json_is_refused_with_its_place(body: bytes, pointer: str, code: str) -> None:
    with pytest.raises(MalformedJsonError) as caught:
        parse(body)
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [(pointer, code)]
    assert caught.value.__cause__ is None


def test_every_problem_of_a_document_is_named() -> None:
    with pytest.raises(MalformedJsonError) as caught:
        parse(b'{"a":NaN,"b":["\\ud800",1e99],"a":1}')
    assert [(p.pointer, p.code) for p in caught.value.problems] == [
        ("/a", "number-not-finite"),
        ("/b/0", "lone-surrogate"),
        ("/b/1", "number-out-of-range"),
        ("/a", "duplicate-member"),
    ]


def test_a_body_of_nothing_but_mistakes_lists_a_bounded_number_of_them() -> None:
    with pytest.raises(MalformedJsonError) as caught:
        parse(b"[" + b",".join([b"NaN"] * 10_000) + b"]")
    assert len(caught.value.problems) == strict_json.PROBLEM_LIMIT


def test_a_name_that_may_be_a_patients_words_is_not_repeated() -> None:
    with pytest.raises(MalformedJsonError) as caught:
        parse(b'{"Mrs Jones, 4 Mill Lane":NaN, "9434765919":NaN}')
    assert [problem.pointer for problem in caught.value.problems] == ["/?", "/?"]


def test_syntax_errors_name_line_and_column() -> None:
    with pytest.raises(MalformedJsonError) as caught:
        parse(b'{"a": 1,\n "secret": secret}')
    detail = caught.value.problems[0].detail
    assert "line 2 column 12" in detail
    assert "secret" not in detail


def test_numbers_are_exact() -> None:
    value = parse(b'{"i":12345678901234567890,"f":36.70,"e":1.5E-3,"n":-0}')
    assert value == {"i": 12345678901234567890, "f": Decimal("36.70"), "e": Decimal("0.0015"), "n": 0}
    assert isinstance(value, dict)
    assert type(value["i"]) is int
    assert str(value["f"]) == "36.70"


def test_paired_surrogates_and_the_greatest_depth_are_fine() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"
    nested = parse(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT)
    assert json.dumps(nested) == "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT


_plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(_plain_json)
@settings(max_examples=200, deadline=None)
def test_whatever_is_good_json_comes_through_unchanged(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=500, deadline=None)
def test_no_bytes_make_the_parser_fail_otherwise(body: bytes) -> None:
    with contextlib.suppress(MalformedJsonError):
        parse(body)


# --- media type -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json;",
    ],
)
def test_json_in_utf8_is_accepted(content_type: str) -> None:
    check_media_type([content_type], [])
    check_media_type([content_type], ["identity"])


@pytest.mark.parametrize(
    ("types", "codings"),
    [
        ([], []),
        ([""], []),
        (["text/json"], []),
        (["application/jsonp"], []),
        (["application/x-www-form-urlencoded"], []),
        (["multipart/form-data; boundary=x"], []),
        (["application/fhir+json"], []),
        (["application/json; charset=latin-1"], []),
        (["application/json; charset=utf-8; version=2"], []),
        (["application/json", "text/plain"], []),
        (["application/json"], ["gzip"]),
    ],
)
def test_other_media_are_refused(types: list[str], codings: list[str]) -> None:
    with pytest.raises(UnsupportedMediaError) as caught:
        check_media_type(types, codings)
    assert caught.value.problems[0].pointer.startswith("header:Content-")


# --- size and patience ------------------------------------------------------------------------------------------------


class Wire:
    """Hands out messages as a server would, and counts what was taken."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        return self.messages.pop(0)


def chunk(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_pieces_is_put_together() -> None:
    wire = Wire(chunk(b"ab"), chunk(b""), chunk(b"cd", more=False))
    assert await read_body(wire.receive, None) == b"abcd"


async def test_the_greatest_body_is_taken() -> None:
    body = b"x" * BODY_LIMIT_BYTES
    assert await read_body(Wire(chunk(body, more=False)).receive, str(len(body))) == body


@pytest.mark.parametrize("declared", [str(BODY_LIMIT_BYTES + 1), "9" * 400, "0" * 10])
async def test_a_body_declared_too_large_is_refused_without_asking_for_it(declared: str) -> None:
    wire = Wire(chunk(b"x"))
    with pytest.raises(BodyTooLargeError):
        await read_body(wire.receive, declared, unsent=True)
    assert wire.taken == 0


async def test_a_body_that_lies_about_its_size_is_refused() -> None:
    with pytest.raises(BodyTooLargeError):
        await read_body(Wire(*[chunk(b"x" * 65_536)] * 5, chunk(b"", more=False)).receive, "10")


@pytest.mark.parametrize("declared", [None, "999999999999"])
async def test_an_endless_body_is_read_on_for_a_while_and_no_further(declared: str | None) -> None:
    wire = Wire(*[chunk(b"x" * 65_536)] * 1000)
    with pytest.raises(BodyTooLargeError):
        await read_body(wire.receive, declared)
    assert wire.taken <= (BODY_LIMIT_BYTES + DISCARD_LIMIT_BYTES) // 65_536 + 1


async def test_an_endless_body_of_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "DISCARD_LIMIT_BYTES", 100)
    wire = Wire(*[chunk(b"")] * 200)
    with pytest.raises(BodyTooLargeError):
        await read_body(wire.receive, "999999999999")
    assert wire.taken == 100


async def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "BODY_TIMEOUT_SECONDS", 0.05)

    async def silent() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    with pytest.raises(BodyTooSlowError):
        await read_body(silent, None)


async def test_a_client_that_hangs_up_is_not_waited_for() -> None:
    with pytest.raises(ClientGoneError):
        await read_body(Wire(chunk(b"{"), {"type": "http.disconnect"}).receive, None)
