from __future__ import annotations

import pytest
from fastapi import Request

from arbiter.api.headers import (
    content_digests,
    idempotency_key,
    last_event_id,
    matches_etag,
    wait_seconds,
)
from arbiter.api.problems import BadRequestError
from arbiter.api.security import bearer_token
from arbiter.errors import UnauthenticatedError


def request(*headers: tuple[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize("key", ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "2026:11:22.ward_7", "x" * 128])
def test_plain_keys_are_taken_bare_or_quoted(key: str) -> None:
    assert idempotency_key(request(("Idempotency-Key", key))) == key
    assert idempotency_key(request(("Idempotency-Key", f'"{key}"'))) == key


@pytest.mark.parametrize(
    "key",
    ["", '""', '"', "x" * 129, "a b", "a,b", "a\tb", "-a", "a/b", "a\\b", "schlüssel", 'a"b', "a;b", "a\x00"],
)
def test_odd_keys_are_refused(key: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        idempotency_key(request(("Idempotency-Key", key)))
    assert [(p.pointer, p.code) for p in caught.value.problems] == [("header:Idempotency-Key", "pattern")]


@pytest.mark.parametrize(
    ("headers", "code"), [((), "missing"), ((("Idempotency-Key", "a"),) * 2, "repeated")]
)
def test_none_or_two_keys_are_refused(headers: tuple[tuple[str, str], ...], code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        idempotency_key(request(*headers))
    assert caught.value.problems[0].code == code


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ('wait="10"', 10),
        ("Wait = 10", 10),
        ("respond-async, wait=5", 5),
        ("wait=5; foo=bar", 5),
        ("wait=0", 0),
        ("wait=61", 60),
        ("wait=999999", 60),
        ("respond-async", None),
        ("wait", None),
        ("wait=", None),
        ("wait=-5", None),
        ("wait=1.5", None),
        ("wait=99999999999999999999", None),
        ("wait=\u00b2", None),
        ("await=5", None),
        ("", None),
    ],
)
def test_a_wish_to_wait_is_read_or_ignored(prefer: str, seconds: int | None) -> None:
    assert wait_seconds(request(("Prefer", prefer))) == seconds


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("17", 17), ("", None)])
def test_the_last_event_is_a_number(value: str, number: int | None) -> None:
    assert last_event_id(request(("Last-Event-ID", value))) == number


@pytest.mark.parametrize("value", ["-1", "x", "1e3", "9" * 10, "\u00b2", " "])
def test_an_event_id_we_never_sent_is_refused(value: str) -> None:
    with pytest.raises(BadRequestError):
        last_event_id(request(("Last-Event-ID", value)))


@pytest.mark.parametrize(
    ("held", "matches"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ("", False),
    ],
)
def test_a_copy_held_is_recognised(held: str, *, matches: bool) -> None:
    assert matches_etag(request(("If-None-Match", held)), '"a"') is matches


def test_digests_are_those_of_the_bytes() -> None:
    # The SHA-256 of nothing, FIPS 180-4.
    assert content_digests(b"") == {
        "ETag": '"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
        "Repr-Digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
    }


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_is_found(scheme: str) -> None:
    assert bearer_token([f"{scheme} arb_x"]) == "arb_x"


@pytest.mark.parametrize(
    "headers",
    [[], [""], ["Bearer"], ["Bearer "], ["Basic YTpi"], ["arb_x"], ["Bearer a"] * 2, ["Bearer " + "x" * 257]],
)
def test_anything_else_is_no_token(headers: list[str]) -> None:
    with pytest.raises(UnauthenticatedError):
        bearer_token(headers)
